"""Gaps: each hole in the logs, from when to when, by what it is known, and what therefore cannot be known.

Inside a log: record numbers that are missing, times that step back, torn ends. Made by somebody or by the clock: logs cleared,
the clock set, the zone changed. Of all logs: days without a file, silence of RDP and HTTP together, the server off, lines that
a crash took, logs that end before the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._gap_clock import clock_changed, log_cleared, zone_changed
from forensics.analysis._gap_records import records_missing, times_stepping_back, torn
from forensics.analysis._gap_silence import days_missing, ends, lines_lost, server_off, silences
from forensics.analysis._spoken import rows, spoken
from forensics.analysis._words import because, reason
from forensics.answers import GAPS
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]

_CANNOT: Final = {
    "log_cleared": "what the log held before it was cleared",
    "records_missing": "what these records told",
    "clock_changed": "how long it took from an act before the clock was set to one after it, and, if it was set back, which came first",
    "times_back": "the true order of these records",
    "zone_changed": "the local hours of those at the server without looking at which offset they were written",
    "silence": "whether the server was out of reach, or logs were stopped, or records of these hours were removed from all of them",
    "days_missing": "who asked the web server for what in these days",
    "lines_lost": "the last requests before the crash",
    "begins_late": "what was asked of the web server before it",
    "ends_early": "what this log would have told of the time after it",
    "torn": "the rest of that line or record",
    "server_off": "",
}
"""By kind, the weightiest first: what the hole keeps from everybody. While the server is off there is nothing to know."""

_WEIGHTS: Final = {
    "log_cleared": 8,
    "records_missing": 7,
    "clock_changed": 7,
    "times_back": 6,
    "silence": 5,
    "days_missing": 5,
}
_OTHER: Final = 4


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    spoken(db)
    files = _files(db)
    found = [
        *_of("log_cleared", log_cleared(db)),
        *_of("records_missing", records_missing(db)),
        *_of("clock_changed", clock_changed(db)),
        *_of("times_back", times_stepping_back(db)),
        *_of("zone_changed", zone_changed(db)),
        *_of("silence", silences(db)),
        *_of("days_missing", days_missing(files)),
        *_of("lines_lost", lines_lost(db)),
        *_of("", ends(db)),
        *_of("torn", torn(db)),
        *_of("server_off", server_off(db)),
    ]
    order = {kind: number for number, kind in enumerate(_CANNOT)}
    listed = [_row(gap, files) for gap in found]
    listed.sort(
        key=lambda row: (
            order[row["kind"]],
            str(row["until"] or row["since"] or ""),
            row["evidence_id"] or "",
            row["detail"],
        )
    )
    return table(listed, GAPS)


def _of(kind: str, gaps: Iterable[Row]) -> list[Row]:
    return [{"kind": kind, **gap} if kind else gap for gap in gaps]


def _files(db: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    found = rows(
        db,
        "SELECT v.evidence_id, any_value(v.label) AS label, coalesce(mode(s.log), any_value(v.parser)) AS log, mode(s.host_name) AS host_name, "
        "min(s.first) AS first_seen, max(s.last) AS last_seen FROM evidence v LEFT JOIN _spoken s USING (evidence_id) "
        "GROUP BY v.evidence_id ORDER BY v.evidence_id",
    )
    return {row["evidence_id"]: row for row in found}


def _row(gap: Row, files: dict[str, Row]) -> Row:
    """Return a gap with the names of its log and file, and its proof."""
    file = files.get(gap.get("evidence_id") or "", {})
    proofs = list(dict.fromkeys(one for one in gap.get("proofs", ()) if one))
    kind = gap["kind"]
    return {
        "kind": kind,
        "log": gap.get("log") or file.get("log"),
        "evidence_id": gap.get("evidence_id"),
        "label": file.get("label"),
        "host_name": gap.get("host_name") or file.get("host_name"),
        "since": gap.get("since"),
        "until": gap.get("until"),
        "count": gap.get("count"),
        "detail": gap["detail"],
        "cannot_know": gap.get("cannot_know") or _CANNOT[kind] or None,
        "confidence": gap.get("confidence") or CONFIDENCES[0],
        "because": because([reason(gap["detail"], _WEIGHTS.get(kind, _OTHER), proofs)]),
        "locators": ";".join(proofs) or None,
    }


RULE = Rule(
    "gaps",
    "Where the logs have holes, and what so cannot be known",
    ("events", "rejects", "skips", "evidence"),
    GAPS,
    _run,
)
