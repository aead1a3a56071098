"""Which events belong to which session: the RDP side by stitching, web requests by address and time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from forensics.analysis._connections import material
from forensics.analysis._stitch import Session, stitch
from forensics.analysis._words import LOGON_LEAD, LOOPBACK
from forensics.columns import TIME
from forensics.schemas import SESSION_EVENTS

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

_INTERVALS: Final = pa.schema([("session_uid", pa.string()), ("source", pa.string()), ("since", TIME), ("until", TIME)])


def build(db: duckdb.DuckDBPyConnection) -> tuple[list[Session], pa.Table]:
    """Return the sessions and SESSION_EVENTS: what belongs to which, and how."""
    sessions = stitch(material(db))
    rdp = pa.table(
        {
            "session_uid": [s.uid for s in sessions for _ in s.events],
            "evidence_id": [key[0] for s in sessions for key in sorted(s.events)],
            "log_offset": pa.array([key[1] for s in sessions for key in sorted(s.events)], pa.int64()),
            "relation": ["rdp" for s in sessions for _ in s.events],
        },
        schema=SESSION_EVENTS,
    )
    (latest,) = (
        db.sql("SELECT max(time) AS latest FROM events WHERE event_action <> 'file_time'")
        .to_arrow_table()
        .column("latest")
        .to_pylist()
    )
    db.register("_intervals", _intervals(sessions, latest))
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    web = db.sql(
        f"""
        SELECT i.session_uid, e.evidence_id, e.log_offset,
               CASE WHEN e.source_ip IN ({loopback}) THEN 'http_loopback' ELSE 'http_same_source' END AS relation
        FROM events e JOIN _intervals i ON e.time BETWEEN i.since AND i.until
             AND (e.source_ip = i.source OR e.source_ip IN ({loopback}))
        WHERE e.event_action = 'http_request'
        GROUP BY ALL ORDER BY ALL"""
    ).to_arrow_table()
    joined = pa.concat_tables([rdp, web.cast(SESSION_EVENTS)])
    order = [("session_uid", "ascending"), ("evidence_id", "ascending"), ("log_offset", "ascending")]
    return sessions, joined.sort_by(order)


def _intervals(sessions: list[Session], latest: datetime | None) -> pa.Table:
    """One row a stay of a session at an address; a stay without an end runs to the end of the evidence."""
    rows = []
    for session in sessions:
        last = session.end or latest or max(e.time for e in session.events.values())
        for stay in session.connections:
            connected = [
                e.time
                for e in session.events.values()
                if e.event_action == "rdp_connect"
                and e.source_ip == stay.source
                and stay.start - LOGON_LEAD <= e.time <= stay.start
            ]
            since = min([*connected, stay.start])
            rows += [(session.uid, stay.source or "", *spell) for spell in _spells(since, stay.end or last, session)]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in _INTERVALS]
    return pa.table({f.name: pa.array(c, f.type) for f, c in zip(_INTERVALS, columns, strict=True)}, schema=_INTERVALS)


def _spells(since: datetime, until: datetime, session: Session) -> list[tuple[datetime, datetime]]:
    """Return a stay as the clock showed it: in parts where the clock was put back meanwhile."""
    parts = []
    for step in session.steps:
        if step.by < timedelta(0) and since <= step.old and until >= step.new:
            parts.append((since, step.old))
            since = step.new
    return [*parts, (since, until)]
