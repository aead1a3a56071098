"""The System log of the story: starts, services, the cleared log and the crash."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from evtx_event import Event, Type
from story import (
    ACCOUNT,
    ACCOUNT_SID,
    CRASH,
    FIRST_START,
    HOST,
    LAST_ALIVE,
    LOG_CLEARED,
    MINER_INSTALLED,
    REBOOT,
    SECOND_START,
    SEIZED,
    SERVER_BUILT,
    SERVER_ZONE,
    SERVICE_INSTALLED,
    STOPPED,
    TOMCAT_HOME,
    Dice,
)
from windows_events import number, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

TOMCAT_DISPLAY: Final = "Apache Tomcat 8.5 Tomcat8"
MINER_DISPLAY: Final = "Synthetic Miner Service"
_SERVICES: Final = (
    ("WMI Performance Adapter", "wmiApSrv"),
    ("Windows Modules Installer", "TrustedInstaller"),
    ("Windows Update", "wuauserv"),
    ("Software Protection", "sppsvc"),
    ("WinHTTP Web Proxy Auto-Discovery Service", "WinHttpAutoProxySvc"),
    ("Portable Device Enumerator Service", "WPDBusEnum"),
)


def _service_control(event_id: int, time: datetime, user_sid: str | None) -> Event:
    return Event(
        provider="Service Control Manager",
        provider_guid="{555908d1-a6d7-4695-8e1e-26931d2012f4}",
        event_source_name="Service Control Manager",
        event_id=event_id,
        qualifiers=16384,
        time=time,
        channel="System",
        computer=HOST,
        keywords=0x8080000000000000,
        process_id=520,
        thread_id=1288,
        user_sid=user_sid,
    )


def service_state(time: datetime, display: str, name: str, state: str) -> Event:
    """7036: the binary part holds the service's short name and state number."""
    binary = f"{name}/{4 if state == 'running' else 1}\0".encode("utf-16-le")
    fields = (text("param1", display), text("param2", state))
    return replace(_service_control(7036, time, None), fields=fields, binary=binary)


def service_installed(time: datetime, display: str, image_path: str) -> Event:
    """7045: the record's own user is who installed the service."""
    fields = (
        text("ServiceName", display),
        text("ImagePath", image_path),
        text("ServiceType", "user mode service"),
        text("StartType", "demand start"),
        text("AccountName", "LocalSystem"),
    )
    return replace(_service_control(7045, time, ACCOUNT_SID), fields=fields)


def _kernel(event_id: int, time: datetime, provider: str, guid: str, task: int) -> Event:
    return Event(
        provider=f"Microsoft-Windows-Kernel-{provider}",
        provider_guid=guid,
        event_id=event_id,
        time=time,
        channel="System",
        computer=HOST,
        task=task,
        keywords=0x8000000000000080,
        process_id=4,
        thread_id=8,
        user_sid="S-1-5-18",
    )


def _event_log(event_id: int, time: datetime, strings: tuple[str, ...], binary: bytes | None, level: int = 4) -> Event:
    return Event(
        provider="EventLog",
        event_id=event_id,
        qualifiers=32768,
        time=time.replace(microsecond=0),
        channel="System",
        computer=HOST,
        level=level,
        keywords=0x80000000000000,
        shape="classic",
        fields=tuple(text("", value) for value in strings),
        binary=binary,
    )


def _system_time(time: datetime) -> bytes:
    """A SYSTEMTIME: year, month, weekday from Sunday, day, hour, minute, second, millisecond."""
    parts = (time.year, time.month, time.isoweekday() % 7, time.day, time.hour, time.minute, time.second)
    return struct.pack("<8H", *parts, time.microsecond // 1000)


def _start(time: datetime) -> Iterator[Event]:
    started = time - timedelta(seconds=9)
    yield replace(
        _kernel(12, started, "General", "a68ca8b7-004f-d7b6-a698-07e2de0f1f5d", 1),
        fields=(
            number("MajorVersion", 6),
            number("MinorVersion", 3),
            number("BuildVersion", 9600),
            number("QfeVersion", 18438),
            number("ServiceVersion", 0),
            number("BootMode", 0),
            ("StartTime", Type.FILETIME, started - timedelta(seconds=1)),
        ),
    )
    yield _event_log(6009, time, ("6.03.", "9600", "", "Multiprocessor Free", "18438"), None)
    yield _event_log(6005, time, (), _system_time(time) + bytes(8))


def _unexpected_shutdown() -> Iterator[Event]:
    """6008 tells in local words when the machine was last known alive; Kernel-Power 41 that it did not stop cleanly."""
    alive = LAST_ALIVE.astimezone(SERVER_ZONE)
    uptime = int((CRASH - SERVER_BUILT).total_seconds())
    clock = f"{alive.hour % 12 or 12}:{alive:%M:%S} {'AM' if alive.hour < 12 else 'PM'}"
    date = f"\u200e{alive.month}/\u200e{alive.day}/\u200e{alive.year}"
    binary = _system_time(alive) + _system_time(alive.astimezone(REBOOT.tzinfo)) + struct.pack("<II", 2400, 60)
    yield _event_log(6008, REBOOT, (clock, date, "", "", str(uptime), "", ""), binary, level=2)
    yield replace(
        _kernel(41, REBOOT - timedelta(seconds=6), "Power", "331c3b3a-2005-44c2-ac5e-77220c37d6b4", 63),
        level=1,
        version=2,
        keywords=0x8000000000000002,
        fields=(
            number("BugcheckCode", 0),
            *((f"BugcheckParameter{at}", Type.HEX64, 0) for at in range(1, 5)),
            ("SleepInProgress", Type.BOOLEAN, False),
            ("PowerButtonTimestamp", Type.UINT64, 0),
        ),
    )


def _log_cleared() -> Event:
    return Event(
        provider="Microsoft-Windows-Eventlog",
        provider_guid="{fc65ddd8-d6ef-4962-83d5-6e5cfe9ce148}",
        event_id=104,
        time=LOG_CLEARED,
        channel="System",
        computer=HOST,
        task=104,
        process_id=812,
        thread_id=3916,
        user_sid=ACCOUNT_SID,
        shape="log_file_cleared",
        fields=(
            text("SubjectUserName", ACCOUNT),
            text("SubjectDomainName", HOST),
            text("Channel", "Application"),
            text("BackupPath", ""),
        ),
    )


def system_events() -> Iterator[Event]:
    """Every event of the System log, in no particular order."""
    dice = Dice("system")
    yield from _start(SERVER_BUILT)
    for _ in range(70):
        time, (display, name) = dice.moment(SERVER_BUILT, SEIZED - timedelta(minutes=15)), dice.choice(_SERVICES)
        if CRASH - timedelta(minutes=20) <= time < REBOOT:
            continue
        yield service_state(time, display, name, "running")
        yield service_state(time + dice.span(40, 600), display, name, "stopped")
    yield service_installed(SERVICE_INSTALLED, TOMCAT_DISPLAY, rf'"{TOMCAT_HOME}\bin\Tomcat8.exe" //RS//Tomcat8')
    yield service_state(FIRST_START, TOMCAT_DISPLAY, "Tomcat8", "running")
    yield service_state(STOPPED, TOMCAT_DISPLAY, "Tomcat8", "stopped")
    yield service_state(SECOND_START, TOMCAT_DISPLAY, "Tomcat8", "running")
    yield _log_cleared()
    yield service_installed(MINER_INSTALLED, MINER_DISPLAY, r'"C:\ProgramData\synthetic\miner.exe" -t 8')
    yield service_state(MINER_INSTALLED + timedelta(seconds=11), MINER_DISPLAY, "synthminer", "running")
    yield from _start(REBOOT)
    yield from _unexpected_shutdown()
