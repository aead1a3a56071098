"""Write the sample story's files: ``python sample_logs/generate.py [OUT]`` (default: the folder of this file).

The same bytes on every run: no clock, no locale, no hash order; chance comes from fixed seeds.
"""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from configuration import CONFIGURATION
from evtx_event import filetime
from evtx_writer import write_evtx
from expected import CHANNEL_FILES, expected
from exports import exports
from legacy import legacy_logs
from other_formats import other_formats
from rdp_story import remote_desktop_events
from system_story import system_events
from tomcat_story import SERVER_XML, access_logs, server_logs

if TYPE_CHECKING:
    from evtx_event import Event

EVENT_LOGS: Final = "Windows/System32/winevt/Logs"
TOMCAT: Final = "Tomcat"
# The record number each log had reached before the story begins, and the one day that was packed.
_FIRST_RECORD: Final = {"LSM": 41, "RCM": 118, "CORE": 903, "Security": 5127, "System": 1986}
_PACKED: Final = "localhost_access_log.2017-01-14.txt"
# Taken from a machine that was still running: its header lags behind.
_DIRTY: Final = "Security"


def event_logs() -> dict[str, list[Event]]:
    """Channel to events in time order with their record ids."""
    channels: dict[str, list[Event]] = {channel: [] for channel in CHANNEL_FILES}
    for event in (*remote_desktop_events(), *system_events()):
        channels[event.channel].append(event)
    firsts = dict(zip(CHANNEL_FILES, _FIRST_RECORD.values(), strict=True))
    for channel, events in channels.items():
        events.sort(key=lambda event: filetime(event.time))
        channels[channel] = [replace(event, record_id=at) for at, event in enumerate(events, firsts[channel])]
    return channels


def files() -> dict[str, bytes]:
    """Relative path to content of every generated file."""
    events, requests = event_logs(), access_logs()
    out = {
        f"{EVENT_LOGS}/{name}": write_evtx(events[channel], dirty=channel == _DIRTY)
        for channel, name in CHANNEL_FILES.items()
    }
    lines = {}
    for name, content in requests.items():
        packed = name == _PACKED
        stored = f"{name}.gz" if packed else name
        out[f"{TOMCAT}/logs/{stored}"] = gzip.compress(content, 9, mtime=0) if packed else content
        lines[stored] = content.count(b"\n")
    out |= {f"{TOMCAT}/logs/{name}": content for name, content in server_logs().items()}
    out[f"{TOMCAT}/conf/server.xml"] = SERVER_XML.encode("ascii")
    other = other_formats() | exports() | legacy_logs() | {name: text.encode() for name, text in CONFIGURATION.items()}
    out |= {f"Formats/{name}": content for name, content in other.items()}
    truth = json.dumps(expected(events, lines), indent=1, ensure_ascii=False)
    out["expected.json"] = truth.encode() + b"\n"
    return dict(sorted(out.items()))


def main(arguments: list[str]) -> int:
    """Write every file under the folder named, or beside this file."""
    folder = Path(arguments[0]) if arguments else Path(__file__).parent
    for name, content in files().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        print(f"{len(content):>9,}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
