"""Reading exports in tests as the pipeline does, with the ledger on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
from evtx_reading import Reading

from forensics.evidence.ledger import Tally, Watch, check_file
from forensics.model import Evidence, Head, Options, Parser, Span
from forensics.stream import Stream


class Slow(Stream):
    """A stream that ends each read after a few bytes, so that blocks are cut anywhere."""

    def __init__(self, raw: bytes, block: int, feed: Any) -> None:
        super().__init__(io.BytesIO(raw), 0, len(raw), feed)
        self._size = block

    def readinto(self, buffer: memoryview) -> int:
        return super().readinto(buffer[: self._size])


def through(parser: Parser, raw: bytes, *, zone: str = "", block: int = 0, **settings: str) -> Reading:
    """Read bytes with a parser; LedgerError if a byte or a record is not accounted for."""
    evidence = Evidence("E0001", "export", Path("export"), len(raw))
    settled = parser.settle(Head("export", raw[:65536], complete=len(raw) <= 65536), (), Options(zone=zone or None))
    span = Span(evidence, parser.name, 0, len(raw), 1, tuple(sorted({**settled, **settings}.items())))
    recount, watch = parser.recount(span), Watch(span)
    stream = Slow(raw, block, recount.feed) if block else Stream(io.BytesIO(raw), 0, len(raw), recount.feed)
    tables: dict[str, list[dict[str, Any]]] = {"events": [], "rejects": [], "skips": []}
    for batch in parser.read(span, stream):
        watch.check(batch)
        for name, rows in tables.items():
            part: pa.Table | pa.RecordBatch = getattr(batch, name)
            rows.extend(part.to_pylist())
    watch.close(stream.position, recount.total())
    tally = Tally()
    tally.merge(watch.tally)
    check_file("export", [(0, stream.position)], len(raw), tally)
    return Reading(tables["events"], tables["rejects"], tables["skips"], tally)


def rows_of(got: Reading) -> tuple[Any, ...]:
    """What two readings of the same bytes must agree on: events whole, and the rejects that are records."""
    return got.events, [row for row in got.rejects if row["records"]], got.records
