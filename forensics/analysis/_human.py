"""What a person did at a keyboard: logons and departures, and pages asked for, in slots of ten minutes; timers left out."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003  # of a NamedTuple
from typing import TYPE_CHECKING, Final, NamedTuple

from forensics.analysis._traffic import path_of
from forensics.analysis._words import locator_of

if TYPE_CHECKING:
    import duckdb

_E: Final = locator_of("e")
SLOT_S: Final = 600
"""Acts closer together count once: a burst of page loads is one person at one desk."""


class Act(NamedTuple):
    """A slot in which an operator did something: its start, and the first record in it."""

    slot: datetime
    locator: str


def slots(db: duckdb.DuckDBPyConnection) -> list[Act]:
    """Return the starts of the ten-minute slots in which an operator did something, in order.

    Counted: logons, reconnects, disconnects and logoffs of sessions from operator addresses, and requests by operators or by
    the server's own browser during a session. POST requests to a command path are not: those are the backdoor's.
    """
    found = db.sql(f"""
        WITH insiders AS (SELECT source_ip FROM sources WHERE role = 'operator'),
        mine AS (SELECT session_uid FROM sessions
                 WHERE list_has_any(string_split(source_ips, ';'), (SELECT coalesce(list(source_ip), []) FROM insiders))),
        acts AS (
            SELECT e.time, {_E} AS locator FROM session_events x JOIN mine USING (session_uid)
            JOIN events e ON e.evidence_id = x.evidence_id AND e.log_offset = x.log_offset
            LEFT JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE (x.relation = 'rdp' AND e.event_action IN ('logon', 'reconnect', 'disconnect', 'logoff'))
               OR (x.relation <> 'rdp' AND NOT coalesce(p.kind = 'c2' AND e.http_request_method = 'POST', false))
            UNION ALL
            SELECT e.time, {_E} FROM events e JOIN insiders USING (source_ip)
            JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE e.event_action = 'http_request' AND NOT (p.kind = 'c2' AND e.http_request_method = 'POST'))
        SELECT time_bucket(INTERVAL {SLOT_S} SECOND, time) AS slot, arg_min(locator, (time, locator)) AS locator
        FROM acts WHERE time IS NOT NULL GROUP BY slot ORDER BY slot""").to_arrow_table()
    return [Act(row["slot"], row["locator"]) for row in found.to_pylist()]
