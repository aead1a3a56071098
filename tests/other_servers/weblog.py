"""Tomcat's access log in the patterns people use: rotated, packed, torn."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Final

from scenarios.truth import Request

from other_servers.places import java_form
from other_servers.world import World

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CODES: Final = {
    "common": '%h %l %u %t "%r" %s %b',
    "combined": '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"',
    "timed": '%h %l %u %t "%r" %s %b %D',
    "forwarded": '%h %l %u %t "%r" %s %b "%{X-Forwarded-For}i" "%{User-Agent}i"',
}
_W3C: Final = "date time c-ip cs-method cs-uri-stem cs-uri-query sc-status bytes time-taken"


def web_files(world: World) -> tuple[dict[str, bytes], set[str]]:
    """Access logs by name, and the addresses that stand in them."""
    days: dict[str, list[Request]] = {}
    for request in sorted(world.requests, key=lambda item: item.time):
        days.setdefault(f"{_local(world, request.time):%Y-%m-%d}", []).append(request)
    chance, out, seen = world.chance, {}, set()
    packed = chance.odds(0.25)
    torn = world.crashed is not None or chance.odds(0.15)
    for day, requests in sorted(days.items()):
        lines = [_line(world, request) for request in requests]
        content = "".join(line + "\r\n" for line in lines).encode("utf-8")
        if world.pattern == "w3c":
            content = (
                f"#Fields: {_W3C}\r\n#Version: 2.0\r\n#Software: Apache Tomcat/{world.tomcat}\r\n".encode() + content
            )
        seen |= {request.source_ip for request in requests}
        last = day == max(days)
        if last and torn:
            content += _line(world, requests[-1])[:31].encode("utf-8")
        name = f"tomcat/logs/localhost_access_log.{day}.txt"
        if world.pattern == "json":
            name = name.replace(".txt", ".json")
        out[name if not packed or last else f"{name}.gz"] = (
            content if not packed or last else gzip.compress(content, mtime=0)
        )
    if world.pattern in _CODES and chance.odds(0.6):
        out["tomcat/conf/server.xml"] = _server_xml(world)
    return out, seen


def _local(world: World, time: datetime) -> datetime:
    return time.astimezone(world.zone)


def _stamp(world: World, time: datetime) -> str:
    local = _local(world, time)
    return f"{local.day:02}/{_MONTHS[local.month - 1]}/{local:%Y:%H:%M:%S %z}"


def _line(world: World, request: Request) -> str:
    source = java_form(request.source_ip)
    first = "-" if request.method == "-" else f"{request.method} {request.target} HTTP/1.1"
    size = str(request.size) if request.size else "-"
    if world.pattern == "w3c":
        path, _, query = request.target.partition("?")
        blank = request.method == "-"
        return (
            f"{request.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} {source} {request.method} {'-' if blank else path} {query or '-'} "
            f"{request.status} {size} 0.0{request.size % 90 + 10}"
        )
    if world.pattern == "json":
        said = {
            "host": source, "logicalUserName": "-", "user": request.user, "time": f"[{_stamp(world, request.time)}]",
            "request": first, "statusCode": str(request.status), "size": size,
        }  # fmt: skip
        return (
            json.dumps(said, separators=(",", ":"))[:-1]
            + f',"requestHeaders": {{"User-Agent":{json.dumps(request.agent)}}}}}'
        )
    head = f'{source} - {request.user} [{_stamp(world, request.time)}] "{first}" {request.status} {size}'
    if world.pattern == "combined":
        return f'{head} "{request.referrer}" "{request.agent}"'
    if world.pattern == "timed":
        return f"{head} {request.size % 130 + 1}"
    if world.pattern == "forwarded":
        return f'{head} "-" "{request.agent}"'
    return head


def _server_xml(world: World) -> bytes:
    pattern = _CODES[world.pattern].replace('"', "&quot;")
    return (
        '<?xml version=\'1.0\' encoding=\'utf-8\'?>\n<Server port="8005" shutdown="SHUTDOWN"><Service name="Catalina">\n'
        '<Connector port="8080" protocol="HTTP/1.1"/><Engine name="Catalina" defaultHost="localhost">\n'
        '<Host name="localhost" appBase="webapps"><Valve className="org.apache.catalina.valves.AccessLogValve" directory="logs"\n'
        f'prefix="localhost_access_log" suffix=".txt" pattern="{pattern}" /></Host></Engine></Service></Server>\n'
    ).encode()
