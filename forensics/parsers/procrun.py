"""Logs of Apache Commons Daemon's procrun, which runs Tomcat as a Windows service, and of Tomcat's installer.

`commons-daemon.2017-01-18.log` (log.c, prunsrv.c): `[2017-01-18 10:03:09] [info]  [ 1234] message`, without the thread to
1.0.10, with ` ( prunsrv.c:1763)` before it at level debug. `service-install.log` (tomcat.nsi) holds the command lines
with which the installer made the service, without any time: what they tell is known, when is not.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.limits import RECORD_HEAD
from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._local_time import iso_local, timed, zone_settings
from forensics.parsers._records import Format, RecordCount, read_records, record_spans
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from forensics.model import Batch, Head, Hint, Span
    from forensics.stream import Stream

    Row = dict[str, Any]

NAME: Final = "procrun"
_DATED: Final = rb"\[[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,3})?\] \[[a-z]{4,6} {0,2}\] "
_COMMAND: Final = rb"\"[^\"\r\n\x00]{1,300}\" //[A-Z]{2}//"
_HEAD: Final = rb"(?:%b|%b)" % (_DATED, _COMMAND)
HEAD: Final = re.compile(_HEAD)
HEAD_BEHIND_A_LINE: Final = re.compile(rb"[\n\x00]" + _HEAD)

# Fixed widths and bounded runs: nothing here can backtrack badly.
_PARTS: Final = re.compile(
    rb"\[([0-9-]{10} [0-9:]{8})(?:[.,]([0-9]{1,3}))?\] \[([a-z]{4,6}) {0,2}\] {0,2}"
    rb"(?:\( {0,12}([\w.]{1,40}):[0-9]{1,6} {0,4}\) )?(?:\[ {0,8}([0-9]{1,10})\] )?([^\r\n]{0,2048})"
)
_INSTALL: Final = re.compile(
    rb"\"([^\"\r\n]{1,300})\" //([A-Z]{2})//([^\s\"]{1,256}|\"[^\"\r\n]{1,256}\")?([^\r\n]{0,2048})"
)
_DISPLAY: Final = re.compile(r"--DisplayName \"([^\"]{1,256})\"")
_SERVICE: Final = re.compile(r"[Ss]ervice '([^']{1,256})'|'([^']{1,256})' [Ss]ervice")
_MILLISECONDS: Final = re.compile(r"started in ([0-9]{1,9}) ms")

_ACTS: Final = (
    ("Running ", "tomcat_start", "service run", "unknown"),
    ("Starting service...", "tomcat_start", "service starting", "unknown"),
    ("Service started in ", "tomcat_start", "service started", "success"),
    ("Failed to start ", "tomcat_start", "failed", "failure"),
    ("Failed starting ", "tomcat_start", "failed", "failure"),
    ("ServiceStart returned ", "tomcat_start", "failed", "failure"),
    ("Stopping service", "tomcat_stop", "service stopping", "unknown"),
    ("Service stopped", "tomcat_stop", "service stopped", "success"),
    ("Service stop thread completed", "tomcat_stop", "service stopped", "success"),
    ("Run service finished", "tomcat_stop", "service finished", "success"),
    ("Failed installing ", "service_install", "failed", "failure"),
)
"""How a message of prunsrv.c begins, and what it tells; the words are those of versions 1.0 to 1.4."""

WANTED: Final = r"ervice|//IS//|//US//"


def heads(buffer: bytearray, body: NDArray[np.uint8], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of the line starts where a record starts, in order."""
    first = body[lines]
    hopeful = lines[(first == 0x5B) | (first == 0x22)]
    good = [HEAD.match(buffer, at, at + RECORD_HEAD) is not None for at in hopeful.tolist()]
    found: NDArray[np.int64] = hopeful[np.array(good, bool)]
    return found


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    lines = [line for line in head.start[:16384].split(b"\n") if line.strip(b"\0\r ")]
    found = [line for line in lines if HEAD.match(line)]
    if not found or len(found) * 2 < len(lines):
        return NO_CLAIM
    if any(re.match(_COMMAND, line) for line in found):
        return Claim(85, f"{len(found)} of its first {len(lines)} lines are commands of procrun")
    if not any(_is_of_procrun(line) for line in found):
        return NO_CLAIM
    return Claim(88, f"{len(found)} of its first {len(lines)} lines are records of procrun's form")


def _is_of_procrun(line: bytes) -> bool:
    found = _PARTS.match(line)
    return found is not None and (b"procrun" in found[6] or _act(decode(found[6].strip(b"\0 "))) is not None)


def _meaning(held: bytes, span: Span) -> Row | None:
    if held.startswith(b'"'):
        return _command(held)
    found = _PARTS.match(held)
    if found is None:
        return None
    stamp, fraction, level, _, thread, text = found.groups()
    message = decode(text.strip(b"\0 "))
    row = _act(message)
    if row is None:
        return None
    service = _SERVICE.search(message)
    name = next((one for one in service.groups() if one), None) if service else None
    row["rest"] |= {"message": message, "level": level.decode(), "ServiceName": name}
    row |= {"event_provider": NAME, "flags": [], "event_sequence": None}
    row["rest"]["thread"] = thread.decode() if thread else None
    local = iso_local(stamp)
    if local is not None and fraction:
        local = local.replace(microsecond=int(fraction.ljust(3, b"0")) * 1000)
    return timed(row, decode(held[1 : found.end(2) if fraction else found.end(1)]), local, span)


def _act(message: str) -> Row | None:
    if message.endswith((" installed", " installed.")):
        return {"event_action": "service_install", "event_outcome": "success", "rest": {"step": "installed"}}
    for words, action, step, outcome in _ACTS:
        if message.startswith(words):
            if step == "service run" and _SERVICE.search(message) is None:
                return None
            took = _MILLISECONDS.search(message)
            duration = int(took[1]) * 1000 if took else None
            return {
                "event_action": action,
                "event_outcome": outcome,
                "duration_us": duration,
                "rest": {"step": step},
            }
    return None


def _command(held: bytes) -> Row | None:
    """Read a command line of the installer; the one that makes the service (`//IS//`) alone is an event, without a time."""
    found = _INSTALL.match(held)
    if found is None or found[2] != b"IS":
        return None
    program, name, rest = decode(found[1]), decode((found[3] or b"").strip(b'"')), decode(found[4])
    display = _DISPLAY.search(rest)
    return {
        "event_action": "service_install",
        "event_outcome": "unknown",
        "event_provider": "service-install",
        "flags": [],
        "rest": {
            "ServiceName": name,
            "ImagePath": program,
            "display_name": display[1] if display else None,
            "message": decode(found[0]),
            "step": "command",
        },
    }


_FORMAT: Final = Format(NAME, HEAD, heads, WANTED, _meaning)


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    yield from read_records(_FORMAT, span, stream)


PARSER = Parser(
    name=NAME,
    title="Tomcat's Windows service wrapper (procrun: commons-daemon, service-install)",
    suffixes=(".log",),
    claims=_claims,
    split=partial(record_spans, _FORMAT),
    read=_read,
    recount=lambda span: RecordCount(HEAD_BEHIND_A_LINE, span.start),
    settle=zone_settings,
    cannot_know="Times are local without an offset, to the second; who started or stopped the service; the installer's have none.",
)
