"""The Windows side of a scenario: sessions and noise as the logs of each Windows version tell them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from evtx_event import Event, Type
from evtx_writer import filetime, write_evtx
from story import ACCOUNT, CLIENT_NAME, HOST
from system_story import _event_log, service_installed, service_state
from windows_events import (
    CORE,
    LSM,
    RCM,
    credential_check,
    explicit_credentials,
    failed_logon,
    local_session,
    logoff,
    logon,
    number,
    rdp_core,
    remote_connection,
    session_change,
    special_privileges,
    text,
)

from scenarios.draw import Chance
from scenarios.truth import Stay, Visit

CHANNELS: Final = {"LSM": f"{LSM}/Operational", "RCM": f"{RCM}/Operational", "CORE": f"{CORE}/Operational"}
SESSION_LOGS: Final = ("LSM", "RCM", "CORE", "Security")
GUESSED: Final = ("administrator", "admin", "test", "user", "backup", "sql", "support", "scanner", "pos", "office")
GUESSERS: Final = ("WIN-7PQ1D2RT5LK", "ADMIN-PC", "", "FreeRDP", "nmap", "DESKTOP-0A1B2C3")


@dataclass(frozen=True, slots=True)
class Machine:
    """The server: its Windows, its name, and the channels whose logs are in evidence."""

    windows: str
    host: str
    logs: frozenset[str]

    @property
    def core(self) -> bool:
        """Whether RdpCoreTS exists: from Server 2012 on."""
        return self.windows != "2008"


def _named(event: Event, machine: Machine, user: str, client: str) -> Event:
    """The sample's event on another machine: its host, account and client replaced."""
    names = {HOST: machine.host, ACCOUNT: user, CLIENT_NAME: client, f"{HOST}$": f"{machine.host}$"}
    fields = [(n, kind, names.get(v, v) if isinstance(v, str) else v) for n, kind, v in event.fields]
    return replace(event, computer=machine.host, fields=fields)


def _activity(chance: Chance) -> str:
    parts = [chance.whole(0, 0xFFFF) for _ in range(5)]
    return f"F420{parts[0]:04X}-{parts[1]:04X}-4{parts[2] & 0xFFF:03X}-8{parts[3] & 0xFFF:03X}-{parts[4]:04X}00010000"


def session_events(stay: Stay, machine: Machine, chance: Chance, *, quick: bool) -> Iterator[Event]:
    """Every event of a session; `quick` machines write them close together."""
    pace = chance.real(0.3, 0.9) if quick else chance.real(1.0, 4.0)
    for at, visit in enumerate(stay.visits):
        raw = _connection(stay, visit, at, machine, chance, pace)
        for event in raw:
            yield _named(event, machine, stay.user, stay.client)


def _connection(stay: Stay, visit: Visit, at: int, machine: Machine, chance: Chance, pace: float) -> Iterator[Event]:
    """One connection; `visit.start` is the logon (21) or the reconnect (25) itself."""
    activity, name = _activity(chance), f"RDP-Tcp#{chance.whole(0, 90)}"
    begin, source, last = visit.start, visit.source_ip, at == len(stay.visits) - 1

    def after(seconds: float) -> datetime:
        return begin + timedelta(seconds=seconds * pace)

    who = [text("User", f"{machine.host}\\{stay.user}"), number("SessionID", stay.number)]
    there = [*who, text("Address", source)]
    nla = chance.odds(0.8)
    port = chance.whole(40000, 65000)
    yield rdp_core(131, after(-2.6), text("ConnType", "TCP"), text("ClientIP", f"{source}:{port}"), activity=activity)
    yield rdp_core(65, after(-2.5), text("ConnectionName", name), activity=activity)
    yield remote_connection(261, after(-2.5), text("listenerName", "RDP-Tcp"), activity=activity)
    passing = stay.logon_id + 0x400 + at * 16
    if nla:
        yield credential_check(after(-1.6), ACCOUNT, CLIENT_NAME, 0)
        yield logon(after(-1.5), 3, passing + 1, source)
        yield logoff(after(4.0), passing + 1, 3)
    yield remote_connection(
        1149, after(-1.2), text("Param1", stay.user), text("Param2", ""), text("Param3", source), activity=activity
    )
    yield rdp_core(104, after(-1.1), text("TimezoneBiasHour", f"[{stay.zone}]"), activity=activity)
    yield rdp_core(98, after(-1.1), activity=activity)
    yield rdp_core(66, after(-0.4), text("ConnectionName", name), number("SessionID", stay.number), activity=activity)
    yield local_session(41, after(-0.6), *who, activity=activity)
    yield explicit_credentials(after(-0.4))
    if at == 0:
        yield logon(after(-0.35), 10, stay.logon_id, source)
        yield special_privileges(after(-0.35), stay.logon_id)
        yield local_session(21, begin, *there, activity=activity)
        yield local_session(22, after(0.9), *there, activity=activity)
    else:
        yield _return_logon(logon(after(-0.35), 7, passing, source), source, shown=chance.odds(0.5))
        yield local_session(25, begin, *there, activity=activity)
        yield session_change(4778, after(0.1), stay.logon_id, name, source)
        yield logoff(after(0.2), passing, 7)
    if last and stay.ends in {"open", "crash"}:
        return
    end, shown = visit.end, number("Session", stay.number)

    def ending(seconds: float) -> datetime:
        return end + timedelta(seconds=seconds * min(pace, 1.0))

    if last and stay.ends == "logoff":
        if chance.odds(0.8):
            yield logoff(ending(-0.6), stay.logon_id, None)
        yield local_session(23, end, *who, activity=activity)
        yield local_session(40, ending(0.3), shown, number("Reason", 12), activity=activity)
        yield local_session(24, ending(0.4), *there, activity=activity)
        yield logoff(ending(1.5), stay.logon_id, 10)
    else:
        yield local_session(40, end, shown, number("Reason", chance.one((0, 5, 11))), activity=activity)
        yield local_session(24, ending(0.1), *there, activity=activity)
        yield session_change(4779, ending(0.1), stay.logon_id, name, source)
    yield rdp_core(103, ending(0.4), number("ReasonCode", chance.one((5, 12, 13))), activity=activity)
    yield rdp_core(102, ending(0.5), activity=activity)


def _return_logon(event: Event, source: str, *, shown: bool) -> Event:
    """A reconnect's 4624 names the address on some versions only."""
    if not shown:
        return event
    return replace(event, fields=[(n, kind, source if n == "IpAddress" else v) for n, kind, v in event.fields])


def guess(time: datetime, source: str, machine: Machine, chance: Chance, *, user: str) -> Iterator[Event]:
    """A refused logon. Server 2008 writes it without the address where the security layer is not the old one."""
    activity, client = _activity(chance), f"{source}:{chance.whole(1025, 65535)}"
    known = user == "administrator"
    yield rdp_core(131, time, text("ConnType", "TCP"), text("ClientIP", client), activity=activity)
    yield rdp_core(65, time, text("ConnectionName", "RDP-Tcp#3"), activity=activity)
    shown = source if machine.core else "-"
    refused = time + timedelta(seconds=0.7)
    yield failed_logon(refused, user, chance.one(GUESSERS), shown, known=known)
    if not known:
        yield rdp_core(140, refused, text("IPString", source), activity=activity)
    yield rdp_core(103, refused + timedelta(seconds=0.2), number("ReasonCode", 14), activity=activity)


def probe(time: datetime, source: str, chance: Chance) -> Iterator[Event]:
    """A look at the port: no session."""
    activity, client = _activity(chance), f"{source}:{chance.whole(1025, 65535)}"
    yield rdp_core(131, time, text("ConnType", "TCP"), text("ClientIP", client), activity=activity)
    yield rdp_core(65, time, text("ConnectionName", "RDP-Tcp#5"), activity=activity)
    yield rdp_core(103, time + timedelta(seconds=1), number("ReasonCode", 14), activity=activity)
    yield rdp_core(102, time + timedelta(seconds=1), activity=activity)


def tomcat_service(time: datetime, started: datetime, version: str) -> Iterator[Event]:
    """7045 of Tomcat's installer, and the service's first start."""
    name = f"Tomcat{version[0]}"
    yield service_installed(time, name, rf'"C:\Tomcat {version}\bin\{name}.exe" //RS//{name}')
    yield service_state(started, f"Apache Tomcat {version} {name}", name, "running")


def boot(time: datetime, *, crashed: bool) -> Iterator[Event]:
    """6005, after a crash with 6008, after a clean stop with 6006 before."""
    if crashed:
        yield _event_log(6008, time, ("9:59:00 AM", "1/2/2017", "", "", "86400", "", ""), None, level=2)
    else:
        yield _event_log(6006, time - timedelta(minutes=2), (), None)
    yield _event_log(6005, time, (), None)


def cleared(time: datetime, user: str, channel: str) -> Event:
    """System 104, or Security 1102 for the Security log itself."""
    security = channel == "Security"
    return Event(
        provider="Microsoft-Windows-Eventlog",
        provider_guid="{fc65ddd8-d6ef-4962-83d5-6e5cfe9ce148}",
        event_id=1102 if security else 104,
        time=time,
        channel="Security" if security else "System",
        computer=HOST,
        shape="log_file_cleared",
        fields=(text("SubjectUserName", user), text("SubjectDomainName", HOST))
        if security
        else (
            text("SubjectUserName", user),
            text("SubjectDomainName", HOST),
            text("Channel", channel),
            text("BackupPath", ""),
        ),
    )


def clock_set(time: datetime, old: datetime) -> Event:
    """System 1 of Kernel-General."""
    fields = (("NewTime", Type.FILETIME, time), ("OldTime", Type.FILETIME, old), number("Reason", 1))
    return Event(
        provider="Microsoft-Windows-Kernel-General",
        provider_guid="a68ca8b7-004f-d7b6-a698-07e2de0f1f5d",
        event_id=1,
        time=time,
        channel="System",
        computer=HOST,
        version=1,
        fields=fields,
    )


def event_logs(events: list[Event], machine: Machine) -> dict[str, bytes]:
    """The logs in evidence, each in order of time."""
    out = {}
    for log in sorted(machine.logs):
        if log == "CORE" and not machine.core:
            continue
        channel = CHANNELS.get(log, log)
        mine = sorted((e for e in events if e.channel == channel), key=lambda e: filetime(e.time))
        if mine:
            renamed = [replace(e, computer=machine.host) for e in mine]
            out[f"Logs/{channel.replace('/', '%4')}.evtx"] = write_evtx(renamed)
    return out
