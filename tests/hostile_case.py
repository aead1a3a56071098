"""Evidence in which every name that somebody else chose is the adversary's, written as real files and analysed as such.

Accounts, domains, machines, clients, services, cleared channels, paths, queries, agents, referrers, web users, lines of
Tomcat's own log, file names and names inside an archive; and among them one agent of 1 MB. The story around them is the
sample's (synthetic), so that sessions, roles, milestones and findings are made of these names too.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

from evtx_event import Event, Type, filetime
from evtx_writer import write_evtx
from hostile_tables import PAYLOADS
from http_story import story_requests
from rdp_story import remote_desktop_events
from story import SERVER_ZONE, utc
from system_story import system_events

import forensics
from forensics.case import Case

CANARY = "canary.invalid"
"""The only host that any payload names: nothing may ever ask for it."""

LONE = "\ud800name\udfff"
"""Halves of surrogate pairs: legal in UTF-16 on disk, in no UTF-8."""

FORMULAS = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    '=cmd|"/c calc"!A0',
    "'=1+1",
    f'=WEBSERVICE("http://{CANARY}/")',
)
MARKDOWN = (f"[a](javascript:1) ![b](http://{CANARY}/x.png)", "| a | b |\n|---|---|", "```\n# h\n```", "<b>**x**</b>")
NAMES = (*PAYLOADS, *FORMULAS, *MARKDOWN, LONE, "sh\u0430red", "a\u0300\u0301\u0302\u0303b", "\ufe0f\u200d\u061c")
"""What stands in the place of every name."""

LONG_AGENT = "A\x1b[31m" + "B" * 1_000_000
KEPT = 14
"""Sources of the story whose requests are kept: enough for sessions and beacons, few enough to be quick."""

_TEXT_FIELDS = {"User", "TargetUserName", "TargetDomainName", "SubjectUserName", "SubjectDomainName", "WorkstationName"}
_TEXT_FIELDS |= {"Workstation", "ClientName", "Param1", "Param2", "ServiceName", "ImagePath", "Channel", "ServerName"}
_TEXT_FIELDS |= {"AccountName", "BackupPath", "TargetServerName"}


def evidence(folder: Path) -> Path:
    """Write the evidence below `folder` and return where it lies; the same bytes every time."""
    logs = folder / "logs"
    logs.mkdir(parents=True)
    _write(logs / "Security.evtx", _event_log("Security"))
    _write(logs / "LSM.evtx", _event_log("Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"))
    _write(logs / "Core.evtx", _event_log("Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational"))
    _write(logs / "System.evtx", _event_log("System"))
    requests = b"".join(_lines())
    for number, name in enumerate((*PAYLOADS[:6], *FORMULAS[:3], "\x1b]0;owned\x07", "a\u202eb")):
        # A part of the access log under each hostile name; a slash would be a folder.
        part = requests[number :: len(PAYLOADS)] if not number else b"".join(_lines(number))
        _write(logs / f"access_log {name.replace('/', '_')[:60]}", part)
    (logs / "access_log.2017-01-12").write_bytes(requests)
    (logs / "catalina.2017-01-12.log").write_bytes(_catalina())
    with zipfile.ZipFile(logs / "more.zip", "w") as archive:
        for number, name in enumerate((*NAMES[:20], "../../up", "/abs", "C:\\x\\y")):
            member = zipfile.ZipInfo("access_log." + name.replace("\x00", "\x01").replace(LONE, "lone"))
            archive.writestr(member, b"".join(_lines(number + 100)))
    return logs


def case(folder: Path, **options: object) -> Case:
    """Return the hostile case, analysed into `folder`."""
    return forensics.analyze(evidence(folder / "seized"), out=folder / "case", workers=1, **options)  # type: ignore[arg-type]


def _write(path: Path, content: bytes) -> None:
    Path(os.fsdecode(os.fsencode(path))).write_bytes(content)


def _event_log(channel: str) -> bytes:
    events = [e for e in (*remote_desktop_events(), *system_events()) if e.channel == channel]
    events.sort(key=lambda event: filetime(event.time))
    chosen = [
        event for at, event in enumerate(events) if channel != "Security" or at % 3 == 0 or event.event_id != 4625
    ]
    return write_evtx(replace(_hostile(event, at), record_id=at + 1) for at, event in enumerate(chosen))


def _hostile(event: Event, at: int) -> Event:
    """Put names into the fields that somebody else fills; sessions keep one account, so that they still join."""
    fields = []
    for field_name, kind, value in event.fields:
        if kind is Type.STRING and field_name in _TEXT_FIELDS and isinstance(value, str) and value not in {"", "-"}:
            steady = field_name in {"User", "TargetUserName", "TargetDomainName", "Param1", "Param2"}
            name = NAMES[8] if steady and event.event_id != 4625 else NAMES[at % len(NAMES)]
            fields.append((field_name, kind, name))
        else:
            fields.append((field_name, kind, value))
    return replace(event, fields=tuple(fields), computer=NAMES[at % 2 + 9])


def _lines(part: int | None = None) -> list[bytes]:
    """Return combined log lines; those of one `part` are few and of an hour of their own."""
    if part is not None:
        stamp = utc("2017-01-12 05:00:00").replace(minute=part % 60)
        name = NAMES[part % len(NAMES)]
        return [
            _line("51.254.37.118", "u", stamp, f"GET /p{part}?q={name} HTTP/1.1", 200, 5, "-", name),
            _line(f"203.0.113.{part % 250}", name, stamp, f"POST /{name} HTTP/1.1", 404, 5, name, "-"),
        ]
    lines = []
    sources: list[str] = []
    for at, request in enumerate(sorted(story_requests(), key=lambda r: (r.time, r.source_ip, r.line))):
        if request.source_ip not in sources:
            sources.append(request.source_ip)
        if sources.index(request.source_ip) >= KEPT:
            continue
        name, other = NAMES[at % len(NAMES)], NAMES[(at + 5) % len(NAMES)]
        agent = LONG_AGENT if at == 3 else name
        line = request.line if at % 3 else request.line.replace(" HTTP/", f"?{other} HTTP/")
        user = "-" if at % 5 else other
        lines.append(_line(request.source_ip, user, request.time, line, request.status, request.size, other, agent))
    return lines


def _line(ip: str, user: str, time, line: str, status: int, size: int | None, referrer: str, agent: str) -> bytes:
    stamp = time.astimezone(SERVER_ZONE).strftime("%d/Jan/%Y:%H:%M:%S +0100")
    amount = "-" if size is None else size
    said = f'{ip} - {user} [{stamp}] "{line}" {status} {amount} "{referrer}" "{agent}"'
    return said.replace("\n", " ").encode("utf-8", "surrogatepass") + b"\r\n"


def _catalina() -> bytes:
    lines = []
    for at, name in enumerate(NAMES):
        lines.append(
            f"12-Jan-2017 03:{at:02}:00.000 INFO [localhost-startStop-1] org.apache.catalina.startup.HostConfig.deployWAR "
            f"Deployment of web application archive C:\\Tomcat\\webapps\\{name}.war has finished in 311 ms"
        )
        lines.append(f"{name}\x1b[2J{name}")
    return "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n"
