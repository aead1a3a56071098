"""Sessions whose log was cleared, or overwritten, while they were open: what another log still knows of their beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.analysis._words import SAME_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.analysis._connections import Event
    from forensics.analysis._stitch import Session


def earlier_part(mine: Iterable[Session], events: Iterable[Event], logon: Event) -> Session | None:
    """Find the session that this logon began, where LocalSessionManager's log begins inside it (it was cleared or overwritten)."""
    seen = [s for s in mine if "LSM" in s.families]
    if not seen or min(s.start for s in seen) <= logon.time:
        return None
    session = min(seen, key=lambda s: (s.start, s.session_id or -1))
    same = (session.user or "").lower() == (logon.user_name or "").lower() and session.sources[:1] == [logon.source_ip]
    if session.start_basis != "start_not_in_evidence" or not same:
        return None
    ended = (e for e in events if e.code in (4634, 4647) and e.logon_id == logon.logon_id)
    if any(e.time < session.start - SAME_MOMENT for e in ended):
        return None
    stay = session.connections[0]
    session.start, session.start_basis = logon.time, "logon"
    stay.start, stay.began, stay.first = logon.time, "logon", logon
    session.flags = session.flags - {"start_not_in_evidence"} | {"log_begins_inside"}
    return session


def clears_sessions(event: Event) -> bool:
    """Say whether an event tells that LocalSessionManager's log was cleared."""
    return event.event_action == "log_cleared" and "LocalSessionManager" in str(event.rest.get("cleared_channel", ""))
