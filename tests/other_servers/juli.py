"""Tomcat's own logs: starts and deployments in catalina, the service wrapper's, both in the server's zone without offset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from other_servers.world import Deployment, World

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HOST: Final = "org.apache.catalina.startup.HostConfig"
_HOME: Final = r"C:\Program Files\Apache Software Foundation\Tomcat"


def server_files(world: World) -> dict[str, bytes]:
    """catalina and commons-daemon logs by name."""
    lines: list[tuple[datetime, str]] = []
    for start in world.starts:
        lines += _start(world, start)
    for deployment in world.deployments:
        if deployment.how in {"upload", "drop"}:
            lines += _deployed(world, deployment)
    out: dict[str, list[str]] = {}
    for time, line in sorted(lines):
        out.setdefault(f"{time.astimezone(world.zone):%Y-%m-%d}", []).append(line)
    files = {f"tomcat/logs/catalina.{day}.log": "".join(text).encode() for day, text in out.items()}
    if world.installed is not None:
        local = world.installed.astimezone(world.zone)
        files[f"tomcat/logs/commons-daemon.{local:%Y-%m-%d}.log"] = "".join(_wrapper(world)).encode()
    return files


def _wrapper(world: World) -> Iterator[str]:
    assert world.installed is not None
    number = world.tomcat.split(".", maxsplit=1)[0]
    for seconds, message in (
        (0, "Commons Daemon procrun (1.0.15.0 64-bit) started"),
        (1, f"Service 'Tomcat{number}' installed"),
    ):
        time = world.installed + timedelta(seconds=seconds)
        yield f"[{time.astimezone(world.zone):%Y-%m-%d %H:%M:%S}] [info]  [ 2104] {message}\r\n"


def _juli(world: World, time: datetime, thread: str, source: str, message: str) -> tuple[datetime, str]:
    local = time.astimezone(world.zone)
    if world.tomcat.startswith("7"):
        clock = f"{_MONTHS[local.month - 1]} {local.day}, {local.year} {local.hour % 12 or 12}:{local:%M:%S} {'AM' if local.hour < 12 else 'PM'}"
        name, _, method = source.rpartition(".")
        return time, f"{clock} {name} {method}\r\nINFO: {message}\r\n"
    stamp = f"{local.day:02}-{_MONTHS[local.month - 1]}-{local.year} {local:%H:%M:%S}.{local.microsecond // 1000:03}"
    return time, f"{stamp} INFO [{thread}] {source} {message}\r\n"


def _start(world: World, ready: datetime) -> list[tuple[datetime, str]]:
    """A start that is over at `ready`."""
    begin = ready - timedelta(milliseconds=6210)
    new = world.tomcat.startswith(("9", "10"))
    said = "[6210] milliseconds" if new else "6210 ms"
    lines = [
        _juli(world, begin, "main", "org.apache.catalina.startup.VersionLoggerListener.log", f"Server version:        Apache Tomcat/{world.tomcat}"),
        _juli(world, begin + timedelta(milliseconds=900), "main", "org.apache.catalina.core.StandardService.startInternal", "Starting service Catalina"),
    ]  # fmt: skip
    contexts = ["ROOT", "manager", "docs", *([world.application.strip("/")] if world.application.strip("/") else [])]
    for place, name in enumerate(contexts):
        time = begin + timedelta(milliseconds=1200 + 400 * place)
        lines.append(
            _juli(
                world,
                time,
                "localhost-startStop-1",
                f"{_HOST}.deployDirectory",
                f"Deploying web application directory {_path(world, name)}",
            )
        )
    lines.append(_juli(world, ready, "main", "org.apache.catalina.startup.Catalina.start", f"Server startup in {said}"))
    return lines


def _path(world: World, name: str) -> str:
    path = rf"{_HOME}\webapps\{name}"
    return f"[{path}]" if world.tomcat.startswith(("9", "10", "8")) else path


def _deployed(world: World, deployment: Deployment) -> list[tuple[datetime, str]]:
    war = _path(world, f"{deployment.context.strip('/') or 'ROOT'}.war")
    thread = "http-nio-8080-exec-4" if deployment.how == "upload" else "localhost-startStop-2"
    lines = [_juli(world, deployment.time, thread, f"{_HOST}.deployWAR", f"Deploying web application archive {war}")]
    if not world.tomcat.startswith("7"):
        done = f"Deployment of web application archive {war} has finished in [412] ms"
        lines.append(_juli(world, deployment.time + timedelta(milliseconds=412), thread, f"{_HOST}.deployWAR", done))
    return lines
