"""Parquet: every event in one file, with its session, its origin as of its day, and its locator; texts as they are in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from forensics.exports._joined import EVENTS, NEEDS
from forensics.exports._spooled import blocks, spool
from forensics.model import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_ROWS = 65_536


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    reader = db.sql(EVENTS).to_arrow_reader(_ROWS)
    with spool() as file:
        with pq.ParquetWriter(file, reader.schema, compression="zstd", compression_level=3) as writer:
            for batch in reader:
                writer.write_batch(batch)
        yield from blocks(file)


EXPORT = Report(
    "parquet",
    "events.parquet",
    "every event with session, origin and locator, for pandas, DuckDB, Spark",
    NEEDS,
    _write,
)
