"""timeline.jsonl: the operator timeline as Timesketch imports it, every field whole.

Timesketch asks for `datetime`, `timestamp` (microseconds since 1970), `timestamp_desc` and `message` in each line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.instants import iso, microseconds
from forensics.model import Report
from forensics.reports._cells import json_line, stream
from forensics.reports.timeline_csv import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    for row in stream(db, f"SELECT * FROM timeline ORDER BY {ORDER}"):  # noqa: S608  # a constant
        time = microseconds(row["time"])
        yield json_line({**row, "datetime": iso(time), "timestamp": time, "timestamp_desc": row["act"]})


REPORT = Report("timeline_jsonl", "timeline.jsonl", "Operator timeline for Timesketch", ("timeline",), _write)
