"""Stitching: the events of all logs that belong to one RDP session, from logon to its end.

LocalSessionManager leads, by host and session id; logons that only Security saw, and connections that only RdpCoreTS saw,
make sessions of their own. Join keys: facts of RdpCoreTS (one activity id a connection, 66 names the session id), session
id, logon id, and time where a log has none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from forensics.analysis._cleared import clears_sessions, earlier_part
from forensics.analysis._clock_steps import CHANGED, Step, inside, spells, steps
from forensics.analysis._words import LOGON_LEAD, SAME_MOMENT, TRAILING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from forensics.analysis._connections import Event, Material

_LOGON, _SHELL, _LOGOFF, _DISCONNECT, _RECONNECT = 21, 22, 23, 24, 25
_TUNNEL_MARK: Final = "16777216"
_BOOTS: Final = frozenset({"system_start", "system_stop", "system_crash"})


@dataclass(slots=True)
class Connection:
    """One stay of a session at one address: how it began (logon or reconnect) and ended."""

    source: str | None
    address: str | None
    start: datetime
    began: str
    first: Event
    end: datetime | None = None
    last: Event | None = None


@dataclass(slots=True)
class Session:
    """One session with all events that were joined to it."""

    host: str
    session_id: int | None
    user: str | None
    domain: str | None
    start: datetime
    start_basis: str
    connections: list[Connection]
    end: datetime | None = None
    end_basis: str = "open_at_end_of_evidence"
    events: dict[tuple[str, int], Event] = field(default_factory=dict)
    logon_ids: set[str] = field(default_factory=set)
    client_name: str | None = None
    client_zone: str | None = None
    client_info: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    families: set[str] = field(default_factory=set)
    uid: str = ""

    def add(self, event: Event, family: str) -> None:
        """Join an event."""
        self.events[event.key] = event
        self.families.add(family)

    def covers(self, when: datetime) -> bool:
        """Say whether a moment lies in the session, its run-up and its aftermath included."""
        return self.start - LOGON_LEAD <= when and (self.end is None or when <= self.end + TRAILING)

    @property
    def sources(self) -> list[str]:
        """Addresses in order of appearance."""
        return list(dict.fromkeys(c.source or c.address or "" for c in self.connections if c.source or c.address))


def stitch(found: Material) -> list[Session]:
    """Return the RDP sessions of all hosts, in order of their starts; console sessions are none."""
    sessions: list[Session] = []
    known: dict[str, list[Step]] = {}
    spell: dict[tuple[str, int], int] = {}
    for host in sorted({e.host_name or "" for e in found.lsm}):
        boots = [e for e in found.system if (e.host_name or "") == host and e.event_action in _BOOTS]
        known[host] = steps(found.system, host)
        lsm = [e for e in found.lsm if (e.host_name or "") == host]
        spell |= spells(lsm, known[host]) | spells(
            [e for e in found.system if (e.host_name or "") == host], known[host]
        )
        sessions += _by_lsm(lsm, boots, host, spell)
    for host in sorted({e.host_name or "" for e in found.security}):
        _join_security(sessions, [e for e in found.security if (e.host_name or "") == host], host)
    _join_core(sessions, found.core)
    for session in sessions:
        _join_near(session, found.rcm, found.near)
    _end_with_server(sessions, found.system)
    sessions = [s for s in sessions if s.sources]
    sessions.sort(key=lambda s: (s.start, s.host, s.session_id or -1, s.user or ""))
    for number, session in enumerate(sessions, 1):
        session.uid = f"S{number:04d}"
        _mark(session)
        if session.end is not None:
            session.steps = inside(
                session.events.values(), spell, known.get(session.host, ()), session.start, session.end
            )
            session.flags |= {CHANGED} if session.steps else set()
        for other in sessions[: number - 1]:
            if other.host == session.host and (other.end is None or other.end > session.start):
                session.flags.add("overlapping")
                other.flags.add("overlapping")
    return sessions


def _remote(event: Event) -> bool:
    """Say whether an LSM event names a client: an address, or the mark of a tunnel."""
    return event.source_ip is not None or _TUNNEL_MARK in (event.source_address or "")


def _by_lsm(  # noqa: C901, PLR0912  # one branch an event id
    events: list[Event], boots: list[Event], host: str, spell: Mapping[tuple[str, int], int]
) -> list[Session]:
    """Follow LocalSessionManager; a boot ends what was open, since its numbers start anew."""
    out: list[Session] = []
    open_now: dict[int, Session] = {}
    lately: dict[int, Session] = {}
    for event in sorted([*events, *boots], key=lambda e: (spell.get(e.key, 0), e.time, e.key)):
        if event.event_action in _BOOTS:
            for one in open_now.values():
                _end_by_boot(one, event, boots)
            open_now.clear()
            lately.clear()
            continue
        number = event.session_id
        if number is None:
            continue
        session = open_now.get(number)
        if (
            session is None
            and event.code == _DISCONNECT
            and _remote(event)
            and not _is_aftermath(lately.get(number), event)
        ):
            # The log begins inside this session: its logon was written before, or was overwritten.
            session = _new(event, host, "start_not_in_evidence")
            out.append(session)
            open_now[number] = session
        if event.code in (_LOGON, _RECONNECT) and _remote(event):
            if event.code == _LOGON or session is None or _is_another(session, event):
                if session is not None:
                    _close(session, event.time, "replaced")
                    session.flags.add("end_no_later_than")
                session = _new(event, host, "logon" if event.code == _LOGON else "reconnect_without_logon")
                out.append(session)
                open_now[number] = session
            else:
                _connect(session, event, "reconnect")
        elif event.code == _LOGON:
            # A console logon: the number is no RDP session's any more.
            open_now.pop(number, None)
            lately.pop(number, None)
            continue
        elif event.code == _LOGOFF and session is not None:
            session.add(event, "LSM")
            _close(session, event.time, "logoff")
            lately[number] = open_now.pop(number)
            continue
        elif event.code in (_DISCONNECT, 39, 40) and session is not None:
            _disconnect(session, event)
        if session is None:
            past = lately.get(number)
            session = past if past is not None and past.covers(event.time) else None
        if session is not None:
            session.add(event, "LSM")
    return out


def _is_aftermath(past: Session | None, event: Event) -> bool:
    return past is not None and past.covers(event.time)


def _is_another(session: Session, event: Event) -> bool:
    """Say whether a reconnect is somebody else's: the number was given anew, and that logon is not in evidence."""
    known, now = (session.user or "").lower(), (event.user_name or "").lower()
    return bool(known and now and known != now)


def _new(event: Event, host: str, basis: str) -> Session:
    stay = Connection(event.source_ip, event.source_address, event.time, "logon", event)
    session = Session(host, event.session_id, event.user_name, event.user_domain, event.time, basis, [stay])
    if basis != "logon":
        stay.began = "reconnect"
        session.flags.add("start_not_in_evidence")
    return session


def _connect(session: Session, event: Event, began: str) -> None:
    current = session.connections[-1]
    if current.end is None:
        current.end, current.last = event.time, event
    session.connections.append(Connection(event.source_ip, event.source_address, event.time, began, event))


def _disconnect(session: Session, event: Event) -> None:
    current = session.connections[-1]
    if current.end is None:
        current.end, current.last = event.time, event


def _close(session: Session, when: datetime, basis: str) -> None:
    session.end, session.end_basis = when, basis
    current = session.connections[-1]
    if current.end is None:
        current.end = when
        current.last = next(reversed(session.events.values()), current.first)


def _join_security(sessions: list[Session], events: list[Event], host: str) -> None:
    """Give logons to the sessions they belong to; those of no session start their own."""
    mine = [s for s in sessions if s.host == host]
    by_logon: dict[str, Session] = {}
    for event in events:
        session = by_logon.get(event.logon_id or "")
        if session is None or not session.covers(event.time):
            session = _session_of(mine, event)
        if (
            session is None
            and event.code == 4624
            and event.logon_type in (10, 12)
            and event.source_ip
            and not _reconnects(events, event)
        ):
            session = earlier_part(mine, events, event)
            if session is None:
                session = _new(event, host, "logon")
                session.session_id = None
                sessions.append(session)
                mine.append(session)
        elif session is not None and "LSM" not in session.families:
            _security_step(session, event)
        if session is None:
            continue
        session.add(event, "Security")
        if event.logon_id and event.code in (4624, 4778, 4779):
            session.logon_ids.add(event.logon_id)
            by_logon[event.logon_id] = session
        if event.code in (4778, 4779) and event.client_name:
            session.client_name = session.client_name or event.client_name


def _reconnects(events: list[Event], logon: Event) -> bool:
    """Say whether a 4778 of the same account and address follows at once: the logon only led back into a session."""
    return any(
        e.code == 4778
        and (e.user_name, e.source_ip) == (logon.user_name, logon.source_ip)
        and abs(e.time - logon.time) <= SAME_MOMENT
        for e in events
    )


def _session_of(sessions: Iterable[Session], event: Event) -> Session | None:
    """Find the session that was at the same point at the same moment for the same account."""
    best: tuple[float, Session] | None = None
    for session in sessions:
        if (session.user or "").lower() != (event.user_name or "").lower():
            continue
        moments = [m for c in session.connections for m in (c.start, c.end) if m is not None]
        if session.end is not None:
            moments.append(session.end)
        distance = min(abs((m - event.time).total_seconds()) for m in moments)
        if distance <= SAME_MOMENT.total_seconds() and (best is None or distance < best[0]):
            best = (distance, session)
    return None if best is None else best[1]


def _security_step(session: Session, event: Event) -> None:
    """Follow a session that only Security saw."""
    if event.code == 4778:
        _connect(session, event, "reconnect")
    elif event.code == 4779:
        _disconnect(session, event)
    elif event.code in (4634, 4647) and event.logon_id in session.logon_ids and session.end is None:
        _close(session, event.time, "logoff_security")


def _join_core(sessions: list[Session], events: list[Event]) -> None:
    """Give connections to sessions by session id and time; connections of no session start their own."""
    by_activity: dict[str, list[Event]] = {}
    for event in events:
        by_activity.setdefault(event.activity_id or "", []).append(event)
    for listed in sorted(by_activity.values(), key=lambda e: (e[0].time, e[0].key)):
        assigned = next(e for e in listed if e.code == 66)
        connect = next((e for e in listed if e.code == 131), listed[0])
        session = _session_of_core(sessions, assigned, connect)
        if session is None:
            session = _new(connect, assigned.host_name or "", "connection")
            session.session_id = assigned.session_id
            end = next((e for e in listed if e.code in (102, 103)), None)
            if end is not None:
                _close(session, end.time, "connection_ended")
            sessions.append(session)
        for event in listed:
            session.add(event, "RdpCoreTS")
            session.client_zone = session.client_zone or event.client_zone
        session.client_info |= set(_client_info(listed))


def _session_of_core(sessions: Iterable[Session], assigned: Event, connect: Event) -> Session | None:
    best: tuple[float, Session] | None = None
    for session in sessions:
        if session.host != (assigned.host_name or "") or session.families == {"RdpCoreTS"}:
            continue
        if session.session_id is not None and session.session_id != assigned.session_id:
            continue
        for stay in session.connections:
            if connect.source_ip and stay.source and connect.source_ip != stay.source:
                continue
            distance = abs((stay.start - assigned.time).total_seconds())
            if distance <= LOGON_LEAD.total_seconds() and (best is None or distance < best[0]):
                best = (distance, session)
    return None if best is None else best[1]


def _client_info(events: list[Event]) -> Iterable[str]:
    for event in events:
        rest = event.rest
        if event.code == 168 and "MonitorWidth" in rest:
            yield f"screen {rest['MonitorWidth']}x{rest.get('MonitorHeight', '?')}"
        if event.code == 169 and "MajorType" in rest:
            yield f"client type {rest['MajorType']}.{rest.get('MinorType', '?')}"


def _join_near(session: Session, rcm: list[Event], near: list[Event]) -> None:
    """Join what has only time, account and address: 1149, and the network logon that names the client's machine."""
    for stay in session.connections:
        for event in rcm:
            same = event.source_ip == stay.source and stay.start - LOGON_LEAD <= event.time <= stay.start + SAME_MOMENT
            if same and (event.host_name or "") == session.host:
                session.add(event, "RCM")
        for event in near:
            if (event.user_name or "").lower() != (session.user or "").lower() or (
                event.host_name or ""
            ) != session.host:
                continue
            if stay.start - LOGON_LEAD <= event.time <= stay.start + SAME_MOMENT and event.source_ip in (
                None,
                stay.source,
            ):
                session.add(event, "Security")
                session.client_name = session.client_name or event.client_name


def _end_with_server(sessions: list[Session], system: list[Event]) -> None:
    """A session that was open when the server stopped ended with it; one whose log was cleared may have ended unseen."""
    for session in sessions:
        cleared = [e for e in system if (e.host_name or "") == session.host and clears_sessions(e)]
        if "start_not_in_evidence" in session.flags and any(e.time <= session.start for e in cleared):
            session.flags.add("log_cleared_before")
        if session.end is not None:
            continue
        last = max(e.time for e in session.events.values())
        mine = [e for e in system if (e.host_name or "") == session.host]
        boots = [e for e in mine if e.event_action in _BOOTS]
        stop = next((e for e in boots if e.time >= last), None)
        if stop is not None:
            _end_by_boot(session, stop, boots)
        elif session.connections[-1].end is not None:
            session.end_basis = "disconnected_not_resumed"
        elif any(e.time >= last for e in cleared):
            session.end_basis = "log_cleared"


def _end_by_boot(session: Session, stop: Event, boots: list[Event]) -> None:
    """End a session with the server: at its stop, or no later than the start that tells of a crash."""
    crashed = any(e.event_action == "system_crash" and stop.time <= e.time <= stop.time + LOGON_LEAD for e in boots)
    clean = stop.event_action == "system_stop" and not crashed
    _close(session, stop.time, "server_stopped" if clean else "crash")
    if not clean:
        session.flags.add("end_no_later_than")


def _mark(session: Session) -> None:
    for stay in session.connections:
        if stay.source in ("127.0.0.1", "::1") or _TUNNEL_MARK in (stay.address or ""):
            session.flags.add("tunnel")
    if len(session.sources) > 1:
        session.flags.add("handed_over")
