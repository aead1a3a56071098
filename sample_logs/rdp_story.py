"""The remote desktop side of the story: the operator's sessions and the noise around them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from addresses import RDP_NOISE
from story import (
    ACCOUNT,
    CLIENT_NAME,
    CLIENT_ZONE,
    CONSOLE_LOGON,
    HOST,
    REBOOT,
    SEIZED,
    SERVER_BUILT,
    SESSIONS,
    Connection,
    Dice,
    Session,
)
from windows_events import (
    credential_check,
    explicit_credentials,
    failed_logon,
    local_session,
    logoff,
    logon,
    number,
    rdp_core,
    remote_connection,
    service_logon,
    session_change,
    special_privileges,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from evtx_event import Event, Field

FAILED_LOGONS: Final = 380
PROBES: Final = 44
_USER: Final = f"{HOST}\\{ACCOUNT}"
_GUESSED_USERS: Final = (
    *("Administrator",) * 6,
    *("admin", "administrador", "user", "test", "guest", "backup", "sqlserver", "support", "scanner", "pos", "owner"),
)
_GUESSERS: Final = ("WIN-7PQ1D2RT5LK", "ADMIN-PC", "", "FreeRDP", "SERVER", "nmap", "DESKTOP-0A1B2C3")


def _after(time: datetime, seconds: float) -> datetime:
    return time + timedelta(microseconds=round(seconds * 1_000_000))


def _connection_names(starts: list[datetime]) -> dict[datetime, str]:
    """``RDP-Tcp#N`` counts the connections since the last start of the machine."""
    ordered = sorted(starts)
    before = sum(start < REBOOT for start in ordered)
    return {start: f"RDP-Tcp#{at if at < before else at - before}" for at, start in enumerate(ordered)}


def _activity(dice: Dice) -> str:
    """Ids of RDP connections begin with F420 and end with 0000."""
    parts = [dice.whole(0, 0x10000) for _ in range(6)]
    tail = f"{parts[4]:04X}{parts[5]:04X}0000"
    return f"F420{parts[0]:04X}-{parts[1]:04X}-4{parts[2] & 0xFFF:03X}-{0x8000 | parts[3] & 0x3FFF:04X}-{tail}"


def _arrival(connection: Connection, name: str, activity: str, port: int) -> Iterator[Event]:
    start, source = connection.start, connection.source.source_ip
    yield rdp_core(131, start, text("ConnType", "TCP"), text("ClientIP", f"{source}:{port}"), activity=activity)
    yield rdp_core(65, _after(start, 0.0031), text("ConnectionName", name), activity=activity)
    yield remote_connection(261, _after(start, 0.0064), text("listenerName", "RDP-Tcp"), activity=activity)


def _authentication(connection: Connection, logon_id: int, activity: str) -> Iterator[Event]:
    start, source = connection.start, connection.source.source_ip
    yield credential_check(_after(start, 1.102), ACCOUNT, CLIENT_NAME, 0)
    yield special_privileges(_after(start, 1.1042), logon_id)
    yield logon(_after(start, 1.1042), 3, logon_id, source)
    who = (text("Param1", ACCOUNT), text("Param2", HOST), text("Param3", source))
    yield remote_connection(1149, _after(start, 1.4107), *who, activity=activity)
    yield rdp_core(104, _after(start, 1.5318), text("TimezoneBiasHour", CLIENT_ZONE), activity=activity)
    yield rdp_core(98, _after(start, 1.5344), activity=activity)
    yield logoff(_after(start, 12.3309), logon_id, 3)


def _client(connection: Connection, session: Session, name: str, activity: str) -> Iterator[Event]:
    start = connection.start
    assigned = (text("ConnectionName", name), number("SessionID", session.session_id))
    yield rdp_core(66, _after(start, 2.2071), *assigned, activity=activity)
    kind = (number("MajorType", 1), number("MinorType", 3), text("ServerName", HOST))
    yield rdp_core(169, _after(start, 2.2275), *kind, activity=activity)
    screen = (number("MonitorNum", 0), number("MonitorWidth", 1366), number("MonitorHeight", 768))
    place = (number("MonitorX", 0), number("MonitorY", 0), text("ServerName", HOST))
    yield rdp_core(168, _after(start, 3.0816), *screen, *place, activity=activity)
    for seconds, channel in ((3.4402, "rdpdr"), (3.4611, "cliprdr")):
        fields = (text("ChannelName", channel), number("TunnelID", 0))
        yield rdp_core(132, _after(start, seconds), *fields, activity=activity)


def _fields(session: Session, source_ip: str | None = None) -> list[Field]:
    fields = [text("User", _USER), number("SessionID", session.session_id)]
    return fields if source_ip is None else [*fields, text("Address", source_ip)]


def _first_logon(connection: Connection, session: Session, activity: str) -> Iterator[Event]:
    start, source = connection.start, connection.source.source_ip
    user, at_source = _fields(session), _fields(session, source)
    yield local_session(41, _after(start, 2.0155), *user, activity=activity)
    yield explicit_credentials(_after(start, 2.3308))
    yield logon(_after(start, 2.3321), 10, session.logon_id, source)
    yield special_privileges(_after(start, 2.3321), session.logon_id)
    yield local_session(21, _after(start, 2.6744), *at_source, activity=activity)
    yield local_session(42, _after(start, 2.6802), *user, activity=activity)
    yield local_session(22, _after(start, 3.9127), *at_source, activity=activity)


def _return(connection: Connection, session: Session, name: str, activity: str) -> Iterator[Event]:
    """Reconnection: a short-lived logon of type 7, then the old session is handed over."""
    start, source = connection.start, connection.source.source_ip
    passing = session.logon_id + 0x1000 + connection.start.minute
    yield local_session(41, _after(start, 2.0155), *_fields(session), activity=activity)
    yield explicit_credentials(_after(start, 2.3308))
    yield logon(_after(start, 2.3321), 7, passing, source)
    yield special_privileges(_after(start, 2.3321), passing)
    yield local_session(25, _after(start, 2.7419), *_fields(session, source), activity=activity)
    yield session_change(4778, _after(start, 2.7433), session.logon_id, name, source)
    yield local_session(42, _after(start, 2.7502), *_fields(session), activity=activity)
    yield logoff(_after(start, 2.8017), passing, 7)


def _departure(connection: Connection, session: Session, name: str, activity: str) -> Iterator[Event]:
    """How the connection ends; a crash leaves nothing."""
    end, source = connection.end, connection.source.source_ip
    numbered = number("Session", session.session_id)
    if connection.end_basis == "crash":
        return
    if connection.end_basis == "disconnect":
        yield local_session(40, end, numbered, number("Reason", 0), activity=activity)
        yield local_session(24, _after(end, 0.0412), *_fields(session, source), activity=activity)
        yield session_change(4779, _after(end, 0.0457), session.logon_id, name, source)
    else:
        yield logoff(_after(end, -0.6121), session.logon_id, None)
        yield local_session(23, end, *_fields(session), activity=activity)
        yield local_session(40, _after(end, 0.3714), numbered, number("Reason", 12), activity=activity)
        yield local_session(24, _after(end, 0.4085), *_fields(session, source), activity=activity)
        yield logoff(_after(end, 1.9046), session.logon_id, 10)
    reason = 13 if connection.end_basis == "disconnect" else 12
    yield rdp_core(103, _after(end, 0.4220), number("ReasonCode", reason), activity=activity)
    yield rdp_core(102, _after(end, 0.4251), activity=activity)


def _operator(dice: Dice, names: dict[datetime, str]) -> Iterator[Event]:
    for session in SESSIONS:
        for index, connection in enumerate(session.connections):
            activity, name = _activity(dice), names[connection.start]
            network_logon = session.logon_id - 0x2000 + index
            yield from _arrival(connection, name, activity, dice.whole(49152, 65536))
            yield from _authentication(connection, network_logon, activity)
            yield from _client(connection, session, name, activity)
            if index == 0:
                yield from _first_logon(connection, session, activity)
            else:
                yield from _return(connection, session, name, activity)
            yield from _departure(connection, session, name, activity)
            if (
                dice.real(0, 1) < 0.4
            ):  # the UDP side channel has an unrelated activity and writes its address in brackets
                side = "1283" + _activity(dice)[4:]
                udp = f"[{connection.source.source_ip}]:{dice.whole(49152, 65536)}"
                fields = (text("ConnType", "UDP"), text("ClientIP", udp))
                yield rdp_core(131, _after(connection.start, 1.5580), *fields, activity=side)


def _probe(start: datetime, source: str, name: str, dice: Dice) -> Iterator[Event]:
    """A scanner's look at the port: no session, reason code 14."""
    activity, end = _activity(dice), start + dice.span(0.1, 6)
    client = f"{source}:{dice.whole(1025, 65536)}"
    yield rdp_core(131, start, text("ConnType", "TCP"), text("ClientIP", client), activity=activity)
    yield rdp_core(65, _after(start, 0.0029), text("ConnectionName", name), activity=activity)
    yield remote_connection(261, _after(start, 0.0058), text("listenerName", "RDP-Tcp"), activity=activity)
    yield rdp_core(102, end, activity=activity)
    yield rdp_core(103, _after(end, 0.0003), number("ReasonCode", 14), activity=activity)


def _guess(start: datetime, source: str, name: str, dice: Dice) -> Iterator[Event]:
    """A guessed password: 140 only for users that do not exist."""
    user, workstation = dice.choice(_GUESSED_USERS), dice.choice(_GUESSERS)
    known, refused = user == ACCOUNT, start + dice.span(0.4, 1.6)
    activity, client = _activity(dice), f"{source}:{dice.whole(1025, 65536)}"
    yield rdp_core(131, start, text("ConnType", "TCP"), text("ClientIP", client), activity=activity)
    yield rdp_core(65, _after(start, 0.0029), text("ConnectionName", name), activity=activity)
    yield remote_connection(261, _after(start, 0.0058), text("listenerName", "RDP-Tcp"), activity=activity)
    yield credential_check(refused, user, workstation, 0xC000006A if known else 0xC0000064)
    yield failed_logon(_after(refused, 0.0011), user, workstation, source, known=known)
    if not known:
        yield rdp_core(140, _after(refused, 0.0093), text("IPString", source), activity=activity)
    yield rdp_core(103, _after(refused, 0.2107), number("ReasonCode", 14), activity=activity)


def _noise_starts(dice: Dice) -> list[tuple[datetime, str, bool]]:
    """(start, source, is a probe): guessers come in short bursts, probes one at a time."""
    starts: list[tuple[datetime, str, bool]] = []
    while len(starts) < FAILED_LOGONS:
        time, source = dice.moment(SERVER_BUILT, SEIZED), dice.choice(RDP_NOISE).source_ip
        for _ in range(min(dice.whole(1, 14), FAILED_LOGONS - len(starts))):
            starts.append((time, source, False))
            time += dice.span(2.5, 19)
    starts += [(dice.moment(SERVER_BUILT, SEIZED), dice.choice(RDP_NOISE).source_ip, True) for _ in range(PROBES)]
    down = [(REBOOT - timedelta(minutes=43), REBOOT + timedelta(seconds=30)), (SEIZED, SEIZED + timedelta(days=1))]
    return [start for start in starts if not any(low <= start[0] < high for low, high in down)]


def _console() -> Iterator[Event]:
    """The responder at the machine itself: address LOCAL, no remote client."""
    fields = [text("User", _USER), number("SessionID", 1)]
    activity = "61A55000-55E5-1017-0000-000000000000"
    yield logon(_after(CONSOLE_LOGON, -0.4), 2, 0x4B1D0, "127.0.0.1")
    yield special_privileges(_after(CONSOLE_LOGON, -0.4), 0x4B1D0)
    yield local_session(41, _after(CONSOLE_LOGON, -0.2), *fields, activity=activity)
    yield local_session(42, _after(CONSOLE_LOGON, -0.1), *fields, activity=activity)
    yield local_session(21, CONSOLE_LOGON, *fields, text("Address", "LOCAL"), activity=activity)
    yield local_session(22, _after(CONSOLE_LOGON, 1.1), *fields, text("Address", "LOCAL"), activity=activity)


def remote_desktop_events() -> Iterator[Event]:
    """Every Terminal Services and Security event of the story, in no particular order."""
    dice = Dice("remote desktop")
    noise = _noise_starts(dice)
    own = [connection.start for session in SESSIONS for connection in session.connections]
    names = _connection_names(own + [start for start, _, _ in noise])
    yield from _operator(dice, names)
    for start, source, is_probe in noise:
        yield from (_probe if is_probe else _guess)(start, source, names[start], dice)
    yield from _console()
    for _ in range(60):  # services start now and then; the machine is off before the reboot
        time = dice.moment(SERVER_BUILT, SEIZED)
        if not REBOOT - timedelta(minutes=43) <= time < REBOOT:
            yield service_logon(time)
