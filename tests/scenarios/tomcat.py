"""The Tomcat side of a scenario: access logs in many shapes, Tomcat's own logs, the service wrapper's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from scenarios.truth import Request

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PATTERNS: Final = {
    "common": '%h %l %u %t "%r" %s %b',
    "combined": '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"',
    "agent_first": '%h %u %t "%{User-Agent}i" "%r" %s %b %D',
    "timed": '%h %l %u %t "%r" %s %b %D',
}
"""Valve patterns by name; w3c and json have valves of their own."""

WITH_AGENTS: Final = frozenset({"combined", "agent_first", "w3c", "json"})


@dataclass(frozen=True, slots=True)
class Tomcat:
    """How the server writes its web logs."""

    version: str
    shape: str
    offset: timedelta

    @property
    def zone(self) -> timezone:
        return timezone(self.offset)

    def server_xml(self) -> str:
        if self.shape == "w3c":
            valve = 'className="org.apache.catalina.valves.ExtendedAccessLogValve" pattern="date time c-ip cs-method cs-uri-stem cs-uri-query sc-status bytes cs(User-Agent)"'
        elif self.shape == "json":
            valve = 'className="org.apache.catalina.valves.JsonAccessLogValve" pattern="combined"'
        else:
            pattern = PATTERNS[self.shape].replace('"', "&quot;")
            valve = f'className="org.apache.catalina.valves.AccessLogValve" pattern="{pattern}"'
        return (
            '<Server port="8005"><Service name="Catalina"><Connector port="8080" protocol="HTTP/1.1"/>'
            '<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps">'
            f'<Valve {valve} directory="logs" prefix="localhost_access_log" suffix=".txt"/>'
            "</Host></Engine></Service></Server>\n"
        )


def _stamp(request: Request, tomcat: Tomcat) -> str:
    time = request.time.astimezone(tomcat.zone)
    minutes = int(tomcat.offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
    return f"[{time.day:02}/{_MONTHS[time.month - 1]}/{time.year}:{time:%H:%M:%S} {offset}]"


def _line(request: Request, tomcat: Tomcat) -> str:
    size = str(request.size) if request.size else "-"
    asked = "-" if request.method == "-" else f"{request.method} {request.target} HTTP/1.1"
    if tomcat.shape == "w3c":
        path, _, query = request.target.partition("?")
        agent = f"'{request.agent}'" if request.agent != "-" else "-"
        return f"{request.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} {request.source_ip} {request.method} {path} {query or '-'} {request.status} {size} {agent}"
    if tomcat.shape == "json":
        return json.dumps(
            {
                "host": request.source_ip,
                "logicalUserName": "-",
                "user": request.user,
                "time": _stamp(request, tomcat),
                "request": asked,
                "statusCode": str(request.status),
                "size": size,
                "requestHeaders": {"Referer": request.referrer, "User-Agent": request.agent},
            },
            separators=(",", ":"),
        )
    took = 3 + len(request.target) * 7 % 40
    start = f"{request.source_ip} - {request.user} {_stamp(request, tomcat)}"
    match tomcat.shape:
        case "combined":
            return f'{start} "{asked}" {request.status} {size} "{request.referrer}" "{request.agent}"'
        case "agent_first":
            first = f"{request.source_ip} {request.user} {_stamp(request, tomcat)}"
            return f'{first} "{request.agent}" "{asked}" {request.status} {size} {took}'
        case "timed":
            return f'{start} "{asked}" {request.status} {size} {took}'
    return f'{start} "{asked}" {request.status} {size}'


def file_of(request: Request, tomcat: Tomcat) -> str:
    """The day's file the request stands in: the server's own day, whatever zone its lines are written in."""
    return f"Tomcat/logs/localhost_access_log.{request.time.astimezone(tomcat.zone):%Y-%m-%d}.txt"


def access_logs(requests: list[Request], tomcat: Tomcat) -> dict[str, bytes]:
    """File name to content, a file a day."""
    fields = "date time c-ip cs-method cs-uri-stem cs-uri-query sc-status bytes cs(User-Agent)"
    head = f"#Fields: {fields}\r\n#Version: 2.0\r\n#Software: Apache Tomcat/8.5.6\r\n" if tomcat.shape == "w3c" else ""
    files: dict[str, list[str]] = {}
    for request in sorted(requests, key=lambda r: r.time):
        files.setdefault(file_of(request, tomcat), []).append(_line(request, tomcat))
    return {name: (head + "\r\n".join(lines) + "\r\n").encode() for name, lines in files.items()}


def _juli(time: datetime, tomcat: Tomcat, source: str, message: str) -> str:
    local = time.astimezone(tomcat.zone)
    stamp = f"{local.day:02}-{_MONTHS[local.month - 1]}-{local.year} {local:%H:%M:%S}.{local.microsecond // 1000:03}"
    return f"{stamp} INFO [main] {source} {message}\r\n"


def started(time: datetime, tomcat: Tomcat, applications: list[str]) -> Iterator[tuple[datetime, str]]:
    """A start of Tomcat that is done at `time`."""
    begin = time - timedelta(seconds=4.2)
    source = "org.apache.catalina.startup.VersionLoggerListener.log"
    yield begin, _juli(begin, tomcat, source, f"Server version:        Apache Tomcat/{tomcat.version}")
    for at, name in enumerate(applications, 1):
        deployed = begin + timedelta(seconds=at * 0.3)
        yield from deployed_directory(deployed, tomcat, name)
    yield time, _juli(time, tomcat, "org.apache.catalina.startup.Catalina.start", "Server startup in 4200 ms")


def deployed_directory(time: datetime, tomcat: Tomcat, name: str) -> Iterator[tuple[datetime, str]]:
    folder, source = rf"C:\Tomcat\webapps\{name}", "org.apache.catalina.startup.HostConfig.deployDirectory"
    yield time, _juli(time, tomcat, source, f"Deploying web application directory {folder}")
    done = time + timedelta(seconds=0.12)
    yield done, _juli(done, tomcat, source, f"Deployment of web application directory {folder} has finished in 120 ms")


def deployed_archive(time: datetime, tomcat: Tomcat, name: str) -> Iterator[tuple[datetime, str]]:
    """HostConfig takes up an archive, done at `time`."""
    archive, source = rf"C:\Tomcat\webapps\{name}.war", "org.apache.catalina.startup.HostConfig.deployWAR"
    begin = time - timedelta(seconds=0.31)
    yield begin, _juli(begin, tomcat, source, f"Deploying web application archive {archive}")
    yield time, _juli(time, tomcat, source, f"Deployment of web application archive {archive} has finished in 310 ms")


def catalina_logs(lines: list[tuple[datetime, str]], tomcat: Tomcat) -> dict[str, bytes]:
    files: dict[str, list[str]] = {}
    for time, line in sorted(lines):
        files.setdefault(f"Tomcat/logs/catalina.{time.astimezone(tomcat.zone):%Y-%m-%d}.log", []).append(line)
    return {name: "".join(content).encode() for name, content in files.items()}
