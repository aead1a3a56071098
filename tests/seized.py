"""Logs as they are taken off a server, written from events and lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from evtx_writer import Event, write_evtx


def seize(folder: Path, events: Iterable[Event], files: Mapping[str, Iterable[str]]) -> Path:
    """Write an event log a channel, records in the order given, and the lines of each file by its name; return the folder."""
    folder.mkdir(exist_ok=True)
    channels: dict[str, list[Event]] = {}
    for event in events:
        channels.setdefault(event.channel, []).append(event)
    for number, listed in enumerate(channels.values()):
        (folder / f"{number}.evtx").write_bytes(write_evtx(listed))
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def by_time(events: Iterable[Event]) -> list[Event]:
    """Return events as a log has them whose clock nobody set."""
    return sorted(events, key=lambda event: event.time)
