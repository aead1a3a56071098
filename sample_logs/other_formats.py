"""The story's first requests as other access-log valves would have written them: samples of formats, not of the case."""

from __future__ import annotations

import json
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING, Final

from story import SERVER_ZONE
from tomcat_story import access_requests

if TYPE_CHECKING:
    from http_story import Request

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_REQUESTS: Final = 40
_AGENT: Final = 'Mozilla/5.0 (Windows NT 6.3; "synthetic")'
_W3C_FIELDS: Final = "date time c-ip x-H(remoteUser) cs-method cs-uri-stem cs-uri-query sc-status bytes cs(User-Agent)"


def _parts(request: Request) -> tuple[str, str, str | None]:
    """Method, path and query of a request; dashes where Tomcat read none."""
    if request.line.count(" ") != 2:
        return "-", "-", None
    method, target, _ = request.line.split(" ")
    path, mark, query = target.partition("?")
    return method, path, query if mark else None


def _w3c(request: Request) -> str:
    """ExtendedAccessLogValve of 8.5: GMT, double quotes that are doubled inside."""
    method, path, query = _parts(request)
    user = "-" if request.user == "-" else f'"{request.user}"'
    agent = '"' + _AGENT.replace('"', '""') + '"'
    size = "-" if request.size is None else request.size
    query = "-" if query is None else query
    when = f"{request.time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{when} {request.source_ip} {user} {method} {path} {query} {request.status} {size} {agent}\r\n"


def _json(request: Request) -> str:
    """JsonAccessLogValve of 9.0.75: strings, the headers in an object of their own."""
    time = request.time.astimezone(SERVER_ZONE)
    stamp = f"[{time.day:02}/{_MONTHS[time.month - 1]}/{time.year}:{time:%H:%M:%S} +0100]"
    plain = {
        "host": request.source_ip,
        "logicalUserName": "-",
        "user": request.user,
        "time": stamp,
        "request": request.line,
        "statusCode": str(request.status),
        "size": "-" if request.size is None else str(request.size),
    }
    pairs = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in plain.items())
    return f'{{{pairs},"requestHeaders": {{"User-Agent":{json.dumps(_AGENT)}}}}}\r\n'


def other_formats() -> dict[str, bytes]:
    """File name to content."""
    requests = list(islice(access_requests(), _REQUESTS))
    header = f"#Fields: {_W3C_FIELDS}\r\n#Version: 2.0\r\n#Software: Apache Tomcat/8.5.6\r\n"
    day = f"{requests[0].time.astimezone(SERVER_ZONE):%Y-%m-%d}"
    return {
        f"extended_access_log.{day}.txt": (header + "".join(map(_w3c, requests))).encode("latin-1"),
        f"json_access_log.{day}.json": "".join(map(_json, requests)).encode("latin-1"),
    }
