"""Coverage: from when to when each log speaks, where it has holes, what is not in evidence, and what so cannot be known."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._backwards import times_back
from forensics.analysis._words import CLOCK_STEP
from forensics.answers import COVERAGE
from forensics.model import Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]

_KINDS: Final = (
    ("Terminal Services sessions (LocalSessionManager)", "event_provider LIKE '%LocalSessionManager'",
     "who had a desktop from which address, and when it was left and taken up again"),
    ("Terminal Services logons (RemoteConnectionManager)", "event_provider LIKE '%RemoteConnectionManager'",
     "who passed network authentication"),
    ("RDP connections (RdpCoreTS)", "event_provider LIKE '%RdpCoreTS'",
     "connections before any logon, the client's port, zone, screen and system; Windows has this log from 2012 on"),
    ("Security", "event_provider IN ('Microsoft-Windows-Security-Auditing', 'Security')",
     "refused logons, the client's machine name, logon ids"),
    ("System", "event_provider IN ('EventLog', 'Microsoft-Windows-Kernel-General', 'Service Control Manager')",
     "services installed, starts, stops, crashes, clock changes"),
    ("Tomcat access log", "event_action = 'http_request'",
     "who asked the web server for what, when, and what came back"),
    ("Tomcat's own log", "event_action IN ('tomcat_start', 'tomcat_stop', 'deploy', 'undeploy') AND event_provider <> 'Service Control Manager'",
     "when Tomcat started and what was deployed; the access log shows an upload, not whether it worked"),
)  # fmt: skip
"""Kinds of logs: how their events are known, and what cannot be known without them."""

_DAY_IN_NAME: Final = re.compile(r"(?<![0-9])([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])", re.ASCII)
_LATE_S: Final = 60
"""Lines of an access log stand in the order in which requests ended, and carry that time to the second."""
_BUFFER_S: Final = 10


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    rows = _present(db)
    _add(rows, _numbers(db))
    _add(rows, _back(db))
    _add(rows, _silence(db))
    days = _missing_days(list(rows.values()))
    for row in rows.values():
        row["missing_days"] = days.get(row["label"])
        row["notes"] = "; ".join(_notes(db, row)) or None
    listed = sorted(rows.values(), key=lambda row: (row["log"], row["evidence_id"]))
    return table([*listed, *_absent(db)], COVERAGE)


def _present(db: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    """Return one row a piece of evidence with events: an EVTX file by its channel, any other by its format."""
    found = db.sql("""
        WITH said AS (SELECT *, coalesce(json_extract_string(unmapped, '$.channel'), log_format) AS log FROM events)
        SELECT s.evidence_id, any_value(v.label) AS label, mode(s.log) AS log, mode(s.host_name) AS host_name,
               min(s.time) AS first_seen, max(s.time) AS last_seen, count(*) AS events, any_value(s.log_format) AS log_format
        FROM said s JOIN evidence v USING (evidence_id) WHERE s.event_action NOT IN ('configuration', 'file_time') GROUP BY s.evidence_id ORDER BY s.evidence_id""")
    return {row["evidence_id"]: row for row in found.to_arrow_table().to_pylist()}


def _add(rows: dict[str, Row], more: Iterator[Row]) -> None:
    for row in more:
        if row["evidence_id"] in rows:
            rows[row["evidence_id"]].update(row)


def _numbers(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Find holes in the record numbers of event logs; slack is older than what stands before it and does not count."""
    found = db.sql("""
        WITH runs AS (
            SELECT evidence_id, log_ordinal AS low, log_ordinal AS high FROM events
            WHERE log_format IN ('evtx', 'evt') AND log_ordinal IS NOT NULL AND coalesce(flags, '') NOT LIKE '%recovered%'
            UNION ALL SELECT evidence_id, log_ordinal, log_ordinal + records - 1 FROM skips
            WHERE log_ordinal IS NOT NULL AND records > 0 AND reason NOT LIKE 'slack%'
            UNION ALL SELECT evidence_id, log_ordinal, log_ordinal FROM rejects
            WHERE log_ordinal IS NOT NULL AND evidence_id IN (SELECT evidence_id FROM events WHERE log_format IN ('evtx', 'evt'))),
        reached AS (
            SELECT *, max(high) OVER (PARTITION BY evidence_id ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM runs)
        SELECT evidence_id, min(low) AS first_number, max(high) AS last_number,
               coalesce(sum(low - before - 1) FILTER (WHERE low > before + 1), 0) AS numbers_missing,
               arg_max(before + 1, low - before) FILTER (WHERE low > before + 1) AS gap_low,
               arg_max(low - 1, low - before) FILTER (WHERE low > before + 1) AS gap_high
        FROM reached GROUP BY evidence_id ORDER BY evidence_id""").to_arrow_table()
    for row in found.to_pylist():
        low, high = row.pop("gap_low"), row.pop("gap_high")
        gap = f"{low} to {high}, {high - low + 1} records" if low is not None else None
        yield {**row, "numbers_missing": int(row["numbers_missing"]), "largest_gap": gap}


def _back(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Count records whose time lies before that of the record before them by more than clocks and threads explain."""
    counted = times_back(db, int(CLOCK_STEP.total_seconds()), _LATE_S)
    for evidence_id in sorted(counted):
        yield {"evidence_id": evidence_id, "times_back": counted[evidence_id]}


def _silence(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    found = db.sql("""
        WITH hours AS (SELECT DISTINCT evidence_id, date_trunc('hour', time) AS hour FROM events WHERE time IS NOT NULL),
        gaps AS (SELECT evidence_id, hour, lag(hour) OVER (PARTITION BY evidence_id ORDER BY hour) AS before FROM hours)
        SELECT evidence_id, max(date_diff('hour', before, hour) - 1) AS silent_hours,
               arg_max(before + INTERVAL 1 HOUR, date_diff('hour', before, hour)) AS silent_from
        FROM gaps WHERE before IS NOT NULL AND hour > before + INTERVAL 1 HOUR GROUP BY evidence_id ORDER BY evidence_id""")
    yield from found.to_arrow_table().to_pylist()


def _missing_days(rows: list[Row]) -> dict[str, str]:
    """Find days without a file among logs that carry the day in their name."""
    series: dict[str, dict[date, str]] = defaultdict(dict)
    for row in rows:
        match = _DAY_IN_NAME.search(row["label"])
        try:
            day = date(*map(int, match.groups())) if match else None
        except ValueError:
            day = None
        if match and day:
            series[row["label"][: match.start()]][day] = row["label"]
    out: dict[str, str] = {}
    for days in series.values():
        ordered = sorted(days)
        for before, after in pairwise(ordered):
            lost = (after - before).days - 1
            if lost:
                first, last = before + timedelta(days=1), after - timedelta(days=1)
                out[days[after]] = f"{first}" if lost == 1 else f"{first} to {last}"
    return out


def _notes(db: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    if row.get("numbers_missing"):
        yield "records are missing: the log was cut, cleared in part, or records were taken out"
    if row.get("times_back"):
        yield "times go back: the clock was set, or records were put in"
    if row["log_format"] in ("evtx", "evt"):
        yield from _cleared(db, row)
    if row["log_format"].startswith("tomcat_"):
        yield from _clock_of_web(db, row)
        yield from _lost_tail(db, row)


def _cleared(db: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    found = db.sql(
        "SELECT max(time) AS cleared FROM events WHERE event_action = 'log_cleared' AND "
        "(json_extract_string(unmapped, '$.cleared_channel') = ? OR (event_code IN ('1102', '517') AND ? = 'Security'))",
        params=[row["log"], row["log"]],
    ).to_arrow_table()
    (cleared,) = found.column("cleared").to_pylist()
    if cleared is not None:
        yield f"cleared at {cleared:%Y-%m-%dT%H:%M:%SZ}: what stood before it is gone"


def _clock_of_web(db: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    found = db.sql(
        "SELECT DISTINCT right(time_original, 5) AS shift FROM events WHERE evidence_id = ? AND time_basis = 'offset_in_log' "
        "AND regexp_matches(time_original, '[+-][0-9]{4}$') ORDER BY shift",
        params=[row["evidence_id"]],
    ).to_arrow_table()
    shifts = found.column("shift").to_pylist()
    if len(shifts) > 1:
        yield f"the server's clock stood at {' and '.join(shifts)}"


def _lost_tail(db: duckdb.DuckDBPyConnection, row: Row) -> Iterator[str]:
    """Tomcat keeps up to ten seconds of lines in a buffer, which a crash takes along."""
    found = db.sql(
        "SELECT min(c.time) AS crash FROM events c WHERE c.event_action = 'system_crash' AND c.time >= ? "
        "AND NOT EXISTS (SELECT 1 FROM events e WHERE e.event_action IN ('http_request', 'system_stop', 'tomcat_stop') "
        "AND e.time > ? AND e.time <= c.time)",
        params=[row["last_seen"], row["last_seen"]],
    ).to_arrow_table()
    (crash,) = found.column("crash").to_pylist()
    if crash is not None and crash - row["last_seen"] < timedelta(days=1):
        yield f"the last line stands before a crash: up to {_BUFFER_S} s of requests before it were never written"


def _absent(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    for name, known_by, lost in _KINDS:
        found = db.sql(f"SELECT 1 AS one FROM events WHERE {known_by} LIMIT 1").to_arrow_table()
        if not found.num_rows:
            yield {"log": name, "events": 0, "notes": "not in evidence", "cannot_know": lost}


RULE = Rule(
    "coverage",
    "What the logs cover, and where they have holes",
    ("events", "rejects", "skips", "evidence"),
    COVERAGE,
    _run,
)
