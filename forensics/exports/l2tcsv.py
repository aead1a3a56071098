"""l2tcsv: the operator timeline in the 17 columns of log2timeline; whole seconds, as the format has it.

The columns and their order are those of plaso's l2tcsv output: dates as MM/DD/YYYY, times in the zone of `timezone`, MACB as
four letters. What the format has no column for stands in `extra`, the locator first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.model import Report
from forensics.reports._cells import csv_lines, plain, stream
from forensics.reports.timeline_csv import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

COLUMNS: Final = (
    *("date", "time", "timezone", "MACB", "source", "sourcetype", "type", "user", "host"),
    *("short", "desc", "version", "filename", "inode", "notes", "format", "extra"),
)
_EXTRA: Final = (
    "locator",
    "session_uid",
    "source_ip",
    "role",
    "country_iso_code",
    "as_organization_name",
    "origin_flags",
    "rare_grade",
    "outcome",
    "count",
    "time_end",
    "time_basis",
    "flags",
)
_SHORT: Final = 80
_QUERY: Final = f"""
    SELECT t.*, e.label, e.parser FROM timeline t
    LEFT JOIN evidence e ON e.evidence_id = split_part(t.locator, ':', 1) ORDER BY {ORDER}"""


def _row(act: dict[str, Any]) -> dict[str, Any]:
    when, message = act["time"], act["message"] or ""
    return {
        "date": f"{when:%m/%d/%Y}",
        "time": f"{when:%H:%M:%S}",
        "timezone": "UTC",
        "MACB": "....",
        "source": "EVT" if (act["parser"] or "").startswith("evtx") else "LOG",
        "sourcetype": f"c2trail {act['parser'] or 'case'}",
        "type": act["act"],
        "user": act["user_name"],
        "host": act["host_name"],
        "short": message if len(message) <= _SHORT else message[: _SHORT - 1] + "…",
        "desc": message,
        "version": 2,
        "filename": act["label"],
        "inode": 0,
        "notes": act["milestone"],
        "format": act["parser"],
        "extra": "; ".join(f"{name}: {plain(act[name])}" for name in _EXTRA if act[name] is not None),
    }


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    yield from csv_lines(COLUMNS, (_row(act) for act in stream(db, _QUERY)))


EXPORT = Report(
    "l2tcsv", "l2t.csv", "the operator timeline in log2timeline's 17 columns", ("timeline", "evidence"), _write
)
