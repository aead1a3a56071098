"""Windows events with the fields of their providers' manifests, by the log they stand in."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from evtx_event import Event, Field, Type
from evtx_writer import write_evtx

LSM: Final = "Microsoft-Windows-TerminalServices-LocalSessionManager"
RCM: Final = "Microsoft-Windows-TerminalServices-RemoteConnectionManager"
CORE: Final = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"
CLIENT: Final = "Microsoft-Windows-TerminalServices-ClientActiveXCore"
_NONE: Final = "00000000-0000-0000-0000-000000000000"
FILES: Final = {
    "lsm": f"{LSM}%4Operational.evtx",
    "rcm": f"{RCM}%4Operational.evtx",
    "core": f"{CORE}%4Operational.evtx",
    "client": "Microsoft-Windows-TerminalServices-RDPClient%4Operational.evtx",
    "security": "Security.evtx",
    "system": "System.evtx",
}


def text(name: str, value: str) -> Field:
    return (name, Type.STRING, value)


def number(name: str, value: int) -> Field:
    return (name, Type.UINT32, value)


def hexed(name: str, value: int) -> Field:
    return (name, Type.HEX64, value)


class Recorder:
    """Events by log, with the addresses each names."""

    def __init__(self, host: str, *, sid: str = "S-1-5-21-1000000000-2000000000-3000000000-500") -> None:
        self.host = host
        self.sid = sid
        self.logs: dict[str, list[tuple[Event, str]]] = {}

    def _add(self, log: str, event: Event, source: str = "") -> None:
        self.logs.setdefault(log, []).append((event, source))

    def lsm(self, code: int, time: datetime, *fields: Field, activity: str | None = None, source: str = "") -> None:
        self._add("lsm", self._terminal(LSM, f"{LSM}/Operational", code, time, fields, activity), source)

    def rcm(self, code: int, time: datetime, *fields: Field, activity: str | None = None, source: str = "") -> None:
        self._add("rcm", self._terminal(RCM, f"{RCM}/Operational", code, time, fields, activity), source)

    def _terminal(
        self, provider: str, channel: str, code: int, time: datetime, fields: Iterable[Field], activity: str | None
    ) -> Event:
        return Event(
            provider=provider, event_id=code, time=time, channel=channel, computer=self.host, shape="event_xml",
            fields=tuple(fields), activity_id=activity, process_id=880, thread_id=1200, user_sid="S-1-5-18",
            keywords=0x1000000000000000,
        )  # fmt: skip

    def core(self, code: int, time: datetime, *fields: Field, activity: str, source: str = "") -> None:
        event = Event(
            provider=CORE, event_id=code, time=time, channel=f"{CORE}/Operational", computer=self.host, fields=fields,
            activity_id=activity, process_id=880, thread_id=1432, task=4, keywords=0x4000000000000000, user_sid="S-1-5-20",
        )  # fmt: skip
        self._add("core", event, source)

    def client(self, code: int, time: datetime, *fields: Field) -> None:
        channel = "Microsoft-Windows-TerminalServices-RDPClient/Operational"
        event = Event(
            provider=CLIENT, event_id=code, time=time, channel=channel, computer=self.host, fields=fields,
            activity_id="A1B2C3D4-0000-4000-8000-00000000AAAA", process_id=3120, thread_id=3200, user_sid=self.sid,
        )  # fmt: skip
        self._add("client", event)

    def security(
        self, code: int, time: datetime, *fields: Field, failed: bool = False, version: int = 0, source: str = ""
    ) -> None:
        event = Event(
            provider="Microsoft-Windows-Security-Auditing", provider_guid="54849625-5478-4994-a5ba-3e3b0328c30d",
            event_id=code, time=time, channel="Security", computer=self.host, version=version, level=0, task=12544,
            keywords=0x8010000000000000 if failed else 0x8020000000000000, process_id=0x210, thread_id=640, fields=fields,
        )  # fmt: skip
        self._add("security", event, source)

    def logon(
        self, time: datetime, kind: int, user: str, logon_id: int, address: str, workstation: str, *, failed: int = 0
    ) -> None:
        """4624, or 4625 with its SubStatus."""
        network = kind == 3
        fields: list[Field] = [
            ("SubjectUserSid", Type.SID, "S-1-0-0" if network else "S-1-5-18"),
            text("SubjectUserName", "-" if network else f"{self.host}$"),
            text("SubjectDomainName", "-" if network else "WORKGROUP"),
            hexed("SubjectLogonId", 0 if network else 0x3E7),
            ("TargetUserSid", Type.SID, "S-1-0-0" if failed else self.sid),
            text("TargetUserName", user),
            text("TargetDomainName", "" if failed else self.host),
        ]
        if failed:
            fields += [
                ("Status", Type.HEX32, 0xC000006D), text("FailureReason", "%%2313"), ("SubStatus", Type.HEX32, failed),
            ]  # fmt: skip
        else:
            fields.append(hexed("TargetLogonId", logon_id))
        fields += [
            number("LogonType", kind),
            text("LogonProcessName", "NtLmSsp " if network else "User32 "),
            text("AuthenticationPackageName", "NTLM" if network else "Negotiate"),
            text("WorkstationName", workstation if network else self.host),
        ]
        if not failed:
            fields.append(("LogonGuid", Type.GUID, _NONE))
        fields += [
            text("TransmittedServices", "-"), text("LmPackageName", "NTLM V2" if network and not failed else "-"),
            number("KeyLength", 128 if network and not failed else 0), ("ProcessId", Type.SIZE_T, 0 if network else 0x9F4),
            text("ProcessName", "-" if network else r"C:\Windows\System32\winlogon.exe"),
            text("IpAddress", address), text("IpPort", "0" if address != "-" else "-"),
        ]  # fmt: skip
        if not failed:
            fields.append(text("ImpersonationLevel", "%%1833"))
        self.security(
            4625 if failed else 4624, time, *fields, failed=bool(failed), version=0 if failed else 1,
            source="" if address == "-" else address,
        )  # fmt: skip

    def logoff(self, time: datetime, user: str, logon_id: int, kind: int | None) -> None:
        """4634, or 4647 where the user asked for it."""
        fields = (
            ("TargetUserSid", Type.SID, self.sid), text("TargetUserName", user), text("TargetDomainName", self.host),
            hexed("TargetLogonId", logon_id),
        )  # fmt: skip
        self.security(
            4647 if kind is None else 4634, time, *fields, *(() if kind is None else (number("LogonType", kind),))
        )

    def winstation(
        self, code: int, time: datetime, user: str, logon_id: int, name: str, client: str, source: str
    ) -> None:
        """4778 taken up, 4779 left."""
        self.security(
            code, time, text("AccountName", user), text("AccountDomain", self.host), hexed("LogonID", logon_id),
            text("SessionName", name), text("ClientName", client), text("ClientAddress", source), source=source,
        )  # fmt: skip

    def cleared(self, log: str, time: datetime, user: str) -> None:
        """1102 opens the emptied Security log; 104 stands in System for any other."""
        fields = (text("SubjectUserName", user), text("SubjectDomainName", self.host))
        if log == "security":
            fields = (("SubjectUserSid", Type.SID, self.sid), *fields, hexed("SubjectLogonId", 0x51A2B))  # type: ignore[assignment]
        else:
            channel = {"lsm": f"{LSM}/Operational", "system": "System"}[log]
            fields = (*fields, text("Channel", channel), text("BackupPath", ""))  # type: ignore[assignment]
        into = "security" if log == "security" else "system"
        event = Event(
            provider="Microsoft-Windows-Eventlog", provider_guid="{fc65ddd8-d6ef-4962-83d5-6e5cfe9ce148}",
            event_id=1102 if log == "security" else 104, time=time, channel="Security" if log == "security" else "System",
            computer=self.host, task=104, process_id=812, thread_id=3916, user_sid=self.sid, shape="log_file_cleared", fields=fields,
        )  # fmt: skip
        self._add(into, event)

    def service(self, code: int, time: datetime, *fields: Field) -> None:
        """Service Control Manager: 7036 state, 7045 installed."""
        event = Event(
            provider="Service Control Manager", provider_guid="{555908d1-a6d7-4695-8e1e-26931d2012f4}",
            event_source_name="Service Control Manager", event_id=code, qualifiers=16384, time=time, channel="System",
            computer=self.host, keywords=0x8080000000000000, process_id=520, thread_id=1288, fields=fields,
        )  # fmt: skip
        self._add("system", event)

    def kernel(self, code: int, time: datetime, *fields: Field) -> None:
        event = Event(
            provider="Microsoft-Windows-Kernel-General", provider_guid="a68ca8b7-004f-d7b6-a698-07e2de0f1f5d", event_id=code,
            time=time, channel="System", computer=self.host, task=1, keywords=0x8000000000000080, process_id=4, thread_id=8,
            user_sid="S-1-5-18", fields=fields,
        )  # fmt: skip
        self._add("system", event)

    def event_log(self, code: int, time: datetime, *strings: str) -> None:
        """6005 started, 6006 stopped, 6008 last stop unexpected."""
        raw = struct.pack(
            "<8H", time.year, time.month, time.isoweekday() % 7, time.day, time.hour, time.minute, time.second, 0
        )
        event = Event(
            provider="EventLog", event_id=code, qualifiers=32768, time=time.replace(microsecond=0), channel="System",
            computer=self.host, keywords=0x80000000000000, shape="classic", fields=tuple(text("", item) for item in strings),
            binary=raw + bytes(8), level=2 if code == 6008 else 4,
        )  # fmt: skip
        self._add("system", event)

    def files(self, wanted: frozenset[str]) -> tuple[dict[str, bytes], set[str]]:
        """EVTX files by name of what was seized, and the addresses that stand in them."""
        out, seen = {}, set()
        for log in sorted(wanted | ({"client"} if wanted else set())):
            kept = sorted(self.logs.get(log, []), key=lambda item: _moment(item[0].time))
            if kept:
                out[f"winevt/Logs/{FILES[log]}"] = write_evtx([event for event, _ in kept])
                seen |= {source for _, source in kept if source}
        return out, seen

    def cut(self, log: str, before: datetime) -> None:
        """Forget what stood in a log before it was cleared."""
        self.logs[log] = [item for item in self.logs.get(log, []) if _moment(item[0].time) >= before]


def _moment(time: datetime | int) -> datetime:
    assert isinstance(time, datetime)
    return time


def after(time: datetime, seconds: float) -> datetime:
    return time + timedelta(microseconds=round(seconds * 1_000_000))
