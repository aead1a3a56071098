"""RDP sessions, from logon to their end, across reconnects from other addresses."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._attach import build
from forensics.analysis._reasons import why_left
from forensics.analysis._words import because, reason
from forensics.instants import iso, microseconds
from forensics.model import Rule
from forensics.schemas import SESSIONS, table
from forensics.text import lasted

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb
    import pyarrow as pa

    from forensics.analysis._stitch import Connection, Session

_FAMILIES: Final = ("LSM", "RCM", "RdpCoreTS", "Security")
_SURE: Final = {"LSM", "Security"}
_BEGAN: Final = {
    "logon": "logon",
    "connection": "connection that was given a session",
    "start_not_in_evidence": "first seen in use, its logon being not in evidence,",
}
"""How a session's first stay is told, by what its start rests on."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    sessions, joined = build(db)
    web = Counter(
        uid
        for uid, relation in zip(
            joined.column("session_uid").to_pylist(), joined.column("relation").to_pylist(), strict=True
        )
        if relation != "rdp"
    )
    return table([_row(session, web[session.uid]) for session in sessions], SESSIONS)


def _row(session: Session, requests: int) -> dict[str, Any]:
    end = session.end
    if end is None and session.end_basis == "disconnected_not_resumed":
        end = session.connections[-1].end
    return {
        "session_uid": session.uid,
        "host_name": session.host or None,
        "user_name": session.user,
        "user_domain": session.domain,
        "source_ips": ";".join(session.sources),
        "start": session.start,
        "start_basis": session.start_basis,
        "end": end,
        "end_basis": session.end_basis,
        "duration_s": _duration(session, end),
        "client_name": session.client_name,
        "client_zone": session.client_zone,
        "client_info": "; ".join(sorted(session.client_info)) or None,
        "session_id": session.session_id,
        "logon_ids": ";".join(sorted(session.logon_ids)) or None,
        "connections": len(session.connections),
        "stays": json.dumps([_stay(one, session) for one in session.connections], sort_keys=True, ensure_ascii=False),
        "http_requests": requests,
        "events": len(session.events),
        "missing": ";".join(f for f in _FAMILIES if f not in session.families) or None,
        "confidence": _confidence(session),
        "because": _because(session),
        "flags": ";".join(sorted(session.flags)) or None,
    }


def _duration(session: Session, end: datetime | None) -> int | None:
    """Return how long a session lasted: by the clock, less what the clock itself was moved by meanwhile."""
    if end is None:
        return None
    lasted = end - session.start - sum((step.by for step in session.steps), timedelta(0))
    return int(lasted.total_seconds()) if lasted >= timedelta(0) else None


def _stay(one: Connection, session: Session) -> dict[str, Any]:
    why = why_left(one, session.events.values())
    return {
        "source_ip": one.source or one.address,
        "start": iso(microseconds(one.start)),
        "end": iso(microseconds(one.end)) if one.end else None,
        "began": one.began,
        "ended": why[0] if why else None,
        "locator": one.first.locator,
    }


def _confidence(session: Session) -> str:
    if session.families & _SURE and session.start_basis == "logon":
        return "almost certain" if len(session.families) > 1 else "likely"
    return "possible"


def _because(session: Session) -> str:
    reasons = []
    for step in session.steps:
        way = "forward" if step.by > timedelta(0) else "back"
        said = (
            f"the clock was put {way} by {lasted(abs(step.by))} while it was open: its length is counted without that"
        )
        reasons.append(reason(said, 6, [step.locator]))
    for stay in session.connections:
        where = stay.source or stay.address or "an address not in evidence"
        what = _BEGAN.get(session.start_basis, "taken up again") if stay is session.connections[0] else "taken up again"
        reasons.append(reason(f"{what} from {where}", 8 if "LSM" in session.families else 6, [stay.first.locator]))
        if stay.last is not None and stay.end is not None:
            why = why_left(stay, session.events.values())
            said = f"left at {where}" + (f" ({why[0]})" if why else "")
            reasons.append(reason(said, 4, dict.fromkeys([stay.last.locator, *(why[1:] if why else ())])))
    if session.client_name:
        named = [e.locator for e in session.events.values() if e.client_name == session.client_name]
        reasons.append(reason(f"the client calls itself {session.client_name}", 3, sorted(named)))
    return because(reasons)


RULE = Rule("sessions", "RDP sessions from logon to end", ("events",), SESSIONS, _run)
