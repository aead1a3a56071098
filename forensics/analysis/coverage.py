"""Coverage: from when to when each log speaks, where it has holes, what is not in evidence, and what so cannot be known."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._gap_records import numbers
from forensics.analysis._gap_silence import days_missing
from forensics.analysis._spoken import rows, spoken
from forensics.answers import COVERAGE
from forensics.model import Rule
from forensics.schemas import table
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]

_KINDS: Final = (
    ("Terminal Services sessions (LocalSessionManager)", "event_provider LIKE '%LocalSessionManager'",
     "who had a desktop from which address, and when it was left and taken up again; Windows has this log from Vista and Server 2008 on"),
    ("Terminal Services logons (RemoteConnectionManager)", "event_provider LIKE '%RemoteConnectionManager'",
     "who passed network authentication; Windows has this log from Vista and Server 2008 on"),
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

_SECURITY: Final = (
    ("4624", "successful logons", "which logons succeeded, under which logon id"),
    ("4625", "refused logons", "who was refused a logon"),
    ("4778", "reconnected sessions", "the client's machine name at reconnections"),
)
"""What an audit policy may leave out of a Security log."""

_NOTES: Final = 4
_EXPORTED: Final = ("evtx_csv", "evtx_json", "evtx_xml")


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    spoken(db)
    holes: dict[str, list[Row]] = defaultdict(list)
    for gap in rows(db, "SELECT * FROM gaps"):
        holes[gap["evidence_id"] or ""].append(gap)
    counts, silent, audited, present = numbers(db), _silence(db), _audited(db), _present(db)
    files = rows(
        db,
        "SELECT evidence_id, label, parser AS log, NULL AS first_seen, NULL AS last_seen FROM evidence ORDER BY evidence_id",
    )
    days = {gap["evidence_id"]: gap["days"] for gap in days_missing({row["evidence_id"]: row for row in files})}
    listed = []
    for row in present:
        evidence_id = row["evidence_id"]
        gaps = holes.get(evidence_id, [])
        known = {**counts.get(evidence_id, {}), **row, **silent.get((evidence_id, row["log"]), {})}
        listed.append({**known, "missing_days": days.get(evidence_id), **_told(known, gaps, audited)})
    return table(
        [*sorted(listed, key=lambda row: (row["log"], row["evidence_id"])), *_empty(db), *_absent(db)], COVERAGE
    )


def _told(row: Row, gaps: list[Row], audited: set[str]) -> Row:
    """Return what is said of a log: its holes first, and what neither they nor its settings let anybody know."""
    said = [*(gap["detail"] for gap in gaps), *_notes(row, audited)]
    more = len(said) - _NOTES
    lost = [*_before(row), *(gap["cannot_know"] for gap in gaps if gap["cannot_know"]), *_not_written(row, audited)]
    return {
        "times_back": sum(gap["count"] or 0 for gap in gaps if gap["kind"] == "times_back"),
        "notes": ("; ".join(said[:_NOTES]) + (f"; {more} more in gaps.csv" if more > 0 else "")) or None,
        "cannot_know": "; ".join(dict.fromkeys(lost)) or None,
    }


def _present(db: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return one row a log of a file: an event log by its channel, any other by its format."""
    return rows(
        db,
        """SELECT s.evidence_id, any_value(v.label) AS label, s.log, mode(s.host_name) AS host_name, any_value(s.log_format) AS log_format,
               min(s.first) AS first_seen, max(s.last) AS last_seen, sum(s.events)::BIGINT AS events, sum(s.agents)::BIGINT AS agents,
               any_value(x.log_format) IS NOT NULL AS renumbered
        FROM _spoken s JOIN evidence v USING (evidence_id)
        LEFT JOIN (SELECT evidence_id, any_value(log_format) AS log_format FROM events WHERE log_format = 'evtx' AND coalesce(flags, '') NOT LIKE '%recovered%'
                   GROUP BY evidence_id HAVING NOT bool_and(event_sequence = log_ordinal)) x USING (evidence_id)
        GROUP BY s.evidence_id, s.log ORDER BY s.evidence_id, s.log""",
    )


def _silence(db: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Row]:
    """Return the longest run of whole hours without an event, by file and log."""
    found = rows(
        db,
        """WITH hours AS (SELECT DISTINCT evidence_id, log, hour FROM _spoken WHERE hour IS NOT NULL),
        gaps AS (SELECT evidence_id, log, hour, lag(hour) OVER (PARTITION BY evidence_id, log ORDER BY hour) AS before FROM hours)
        SELECT evidence_id, log, max(date_diff('hour', before, hour) - 1) AS silent_hours,
               arg_max(before + INTERVAL 1 HOUR, date_diff('hour', before, hour)) AS silent_from
        FROM gaps WHERE before IS NOT NULL AND hour > before + INTERVAL 1 HOUR GROUP BY ALL ORDER BY evidence_id, log""",
    )
    return {(row.pop("evidence_id"), row.pop("log")): row for row in found}


def _audited(db: duckdb.DuckDBPyConnection) -> set[str]:
    codes = ", ".join(f"'{code}'" for code, _, _ in _SECURITY)
    found = rows(
        db,
        "SELECT DISTINCT event_code FROM events WHERE event_provider IN ('Microsoft-Windows-Security-Auditing', 'Security') "
        f"AND event_code IN ({codes}) ORDER BY event_code",
    )
    return {row["event_code"] for row in found}


def _before(row: Row) -> Iterator[str]:
    """Say that a log begins after its beginning."""
    gone = (row.get("first_number") or 1) - 1
    if gone > 0 and not row["renumbered"] and row["first_seen"] is not None:
        yield f"what the log held before {row['first_seen']:%Y-%m-%d %H:%M:%SZ}"


def _notes(row: Row, audited: set[str]) -> Iterator[str]:
    gone = (row.get("first_number") or 1) - 1
    if row["renumbered"]:
        yield "an export: its records are numbered anew, so which were left out of it cannot be told from their numbers"
    elif gone > 0:
        yield f"its first record is number {gone + 1:,}: {counted(gone, 'record')} before it {'was' if gone == 1 else 'were'} overwritten or cleared"
    if row["log_format"] == "evt":
        yield "whether records are missing from this legacy log is not looked at"
    if row["log_format"] in _EXPORTED:
        yield "an export: what was left out of it cannot be told"
    if row["log_format"].startswith("tomcat_") and not row["agents"]:
        yield "no line names a User-Agent"
    if row["log"] == "Security":
        for code, name, _ in _SECURITY:
            if code not in audited:
                yield f"no {name} ({code})"


def _not_written(row: Row, audited: set[str]) -> Iterator[str]:
    """Say what a log that is here does not record by its settings."""
    if row["log_format"].startswith("tomcat_") and not row["agents"]:
        yield "with which program each client asked"
    if row["log"] == "Security":
        for code, _, lost in _SECURITY:
            if code not in audited:
                yield lost


def _empty(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the logs in evidence in which nothing stands that is read."""
    found = rows(
        db,
        "SELECT evidence_id, label, parser, stream_size FROM evidence WHERE (parser IN ('evt', 'juli', 'procrun') OR starts_with(parser, 'evtx') "
        "OR starts_with(parser, 'tomcat_')) AND parser <> 'tomcat_users_xml' "
        "AND evidence_id NOT IN (SELECT evidence_id FROM _spoken) ORDER BY evidence_id",
    )
    for row in found:
        yield {
            "log": row["parser"], "evidence_id": row["evidence_id"], "label": row["label"], "events": 0,
            "notes": "no event of the kinds that are read stands in it" if row["stream_size"] else "it is empty",
            "cannot_know": None if row["stream_size"] else "whether it was never written to, or emptied",
        }  # fmt: skip


def _absent(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    for name, known_by, lost in _KINDS:
        if not rows(db, f"SELECT 1 AS one FROM events WHERE {known_by} LIMIT 1"):
            yield {"log": name, "events": 0, "notes": "not in evidence", "cannot_know": lost}


RULE = Rule(
    "coverage",
    "What the logs cover, and where they have holes",
    ("events", "rejects", "skips", "evidence", "gaps"),
    COVERAGE,
    _run,
)
