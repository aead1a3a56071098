"""Roles by time, for addresses that were not one thing all along: an exit may serve a scanner on Monday and an operator on Tuesday.

Each hour of an address is judged by what it did in it; hours of one role that follow each other are one window. Asked of the
addresses of RDP sessions, and of those that used the manager or a panel: of others one role over all is enough.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._traffic import count_traffic, path_of
from forensics.analysis._words import LOOPBACK, because, locator_of, reason
from forensics.answers import SOURCE_WINDOWS
from forensics.instants import hour_of
from forensics.model import Rule
from forensics.schemas import table
from forensics.text import counted, were

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]
_E: Final = locator_of("e")
_BURST: Final = timedelta(hours=1)
"""Refusals that end so shortly before a session of the same address led to it: its owner mistyped, or an intruder guessed."""
_ATTEMPTS: Final = 5
_BEACONS: Final = 4


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    rows: list[Row] = []
    for _, hours in groupby(_hours(db), key=lambda row: row["source_ip"]):
        windows = _windows(list(hours))
        if len({row["role"] for row in windows}) > 1:
            rows += windows
    return table(rows, SOURCE_WINDOWS)


def _hours(db: duckdb.DuckDBPyConnection) -> list[Row]:
    """Count, hour by hour, what each address in question did."""
    count_traffic(db)
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    found = db.sql(f"""
        WITH stays AS (
            SELECT unnest(from_json(s.stays, '[{{"source_ip": "VARCHAR", "start": "VARCHAR", "end": "VARCHAR"}}]')) AS stay,
                   s."end" AS session_end, p.held_to_be FROM sessions s JOIN people p USING (session_uid)),
        spans AS (
            SELECT stay.source_ip AS source_ip, CAST(stay.start AS TIMESTAMPTZ) AS since, held_to_be,
                   coalesce(TRY_CAST(stay."end" AS TIMESTAMPTZ), session_end, CAST(stay.start AS TIMESTAMPTZ)) AS until FROM stays),
        asked AS (
            SELECT source_ip FROM _traffic JOIN endpoints USING (path) WHERE ok > 0 AND kind = 'panel' UNION
            SELECT e.source_ip FROM events e JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE e.user_name IS NOT NULL AND e.http_response_status_code < 400 AND p.kind = 'manager'),
        mine AS (
            SELECT DISTINCT source_ip FROM (SELECT source_ip FROM spans UNION ALL SELECT source_ip FROM asked)
            WHERE source_ip IS NOT NULL AND source_ip NOT IN ({loopback})),
        hours AS (
            SELECT e.source_ip, {hour_of("e.time")} AS hour, min(e.time) AS since, max(e.time) AS until,
                   arg_min({_E}, (e.time, e.evidence_id, e.log_offset)) AS locator,
                   count(*) FILTER (WHERE e.event_action <> 'http_request' AND e.event_outcome = 'failure') AS refused,
                   max(e.time) FILTER (WHERE e.event_action <> 'http_request' AND e.event_outcome = 'failure') AS last_refused,
                   count(*) FILTER (WHERE e.event_action = 'http_request'
                       AND (e.http_response_status_code >= 400 OR e.url_path IS NULL)) AS bad,
                   count(*) FILTER (WHERE e.http_response_status_code < 400) AS answered,
                   count(*) FILTER (WHERE e.http_response_status_code < 400
                       AND (p.kind = 'panel' OR (p.kind = 'manager' AND e.user_name IS NOT NULL))) AS inside,
                   count(*) FILTER (WHERE e.http_response_status_code < 400 AND p.kind = 'c2') AS c2,
                   count(*) FILTER (WHERE e.event_action IN ('logon', 'reconnect', 'disconnect', 'logoff', 'shell_start')
                       AND e.event_outcome <> 'failure') AS logons
            FROM events e SEMI JOIN mine USING (source_ip) LEFT JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE e.time IS NOT NULL GROUP BY ALL)
        SELECT h.*, (SELECT min(held_to_be) FROM spans s WHERE s.source_ip = h.source_ip AND s.since <= h.until AND s.until >= h.since)
                   AS held_to_be,
               (SELECT min(s.since) FROM spans s WHERE s.source_ip = h.source_ip AND s.since >= h.last_refused) AS next_session
        FROM hours h ORDER BY h.source_ip, h.hour""")
    rows: list[Row] = found.to_arrow_table().to_pylist()
    return rows


def _judge(hour: Row) -> tuple[str, str] | None:
    """Return role and what speaks for it; None where the hour says nothing of its own."""
    if hour["held_to_be"] == "rightful_owner":
        return "visitor", "an RDP session of the rightful owner was open"
    if hour["held_to_be"] is not None or hour["logons"]:
        return "operator", "an RDP session was open from it"
    if hour["inside"]:
        return (
            "operator",
            f"{counted(hour['inside'], 'request')} to the manager or a panel {were(hour['inside'])} answered",
        )
    if hour["refused"] and hour["next_session"] is not None and hour["next_session"] - hour["last_refused"] <= _BURST:
        return (
            "operator",
            f"{counted(hour['refused'], 'logon')} {were(hour['refused'])} refused, shortly before one of its own succeeded",
        )
    if hour["refused"]:
        return (
            "scanner",
            f"{counted(hour['refused'], 'logon')} {were(hour['refused'])} refused, and none followed that succeeded",
        )
    if hour["c2"] >= _BEACONS:
        return "implant", f"{counted(hour['c2'], 'request')} to the command path"
    if hour["bad"] >= _ATTEMPTS or hour["bad"] > hour["answered"]:
        return "scanner", f"{counted(hour['bad'], 'request')} found nothing or {were(hour['bad'])} none"
    return None


def _windows(hours: list[Row]) -> list[Row]:
    """Join the hours of one address into windows; an hour that says nothing belongs to the window it lies in, or to none."""
    told = [(said[0], said[1], hour) for hour in hours if (said := _judge(hour)) is not None]
    return [_window(role, list(run)) for role, run in groupby(told, key=lambda one: one[0])]


def _window(role: str, run: list[tuple[str, str, Row]]) -> Row:
    first, last = run[0][2], run[-1][2]
    return {
        "source_ip": first["source_ip"],
        "since": first["since"],
        "until": last["until"],
        "hours": len(run),
        "role": role,
        "confidence": "likely",
        "because": because(_reasons(run)),
    }


def _reasons(run: list[tuple[str, str, Row]]) -> Iterator[Row]:
    """Yield the first hours' reasons; of a long window more add nothing."""
    for _, said, hour in run[:3]:
        yield reason(f"{hour['hour']:%Y-%m-%d %H}h: {said}", 6 if hour["held_to_be"] else 5, [hour["locator"]])
    if len(run) > 3:
        yield reason(f"and {counted(len(run) - 3, 'hour')} more of the same kind", 3)


RULE = Rule(
    "source_windows",
    "Addresses that played several roles, by time",
    ("events", "sessions", "people", "endpoints"),
    SOURCE_WINDOWS,
    _run,
)
