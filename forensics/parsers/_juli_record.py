"""One record of java.util.logging: the parts of its head, its message and the lines that follow.

Two shapes: org.apache.juli.OneLineFormatter (Tomcat 8.0 on; the thread from 7.0.22 on) and SimpleFormatter's two lines
(5.5 to 7.0). A file can hold both, since the console's formatter and the file's are set apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.limits import RECORD_HEAD
from forensics.parsers._java_dates import dated, level_of
from forensics.text import decode

if TYPE_CHECKING:
    from datetime import datetime

# Bounded, on at most RECORD_HEAD bytes. A thread's name may hold brackets: ContainerBackgroundProcessor[StandardEngine[…]].
_ONE_LINE: Final = re.compile(
    rb"([^\[\r\n.]{1,40}) (?:\[([^\r\n]{0,256}?)\] )?([A-Za-z_$][\w$]*(?:\.[\w$<>\[\]/-]+)+)(?: |(?=\r?\n)|\Z)"
)
_TWO_LINES: Final = re.compile(rb"([A-Za-z_$][\w$]*(?:\.[\w$\[\]/<>-]+)+)(?: ([\w$<>]+))?\r?(?:\n|\Z)")
_LEVEL: Final = re.compile(rb"([^\r\n:]{1,40}): ")


@dataclass(frozen=True, slots=True)
class Record:
    """What a record says. `method` is `class.method`, `message` its first line, `more` the lines behind it.

    `local` is None for an impossible time. `message` is None when the file ends before it.
    """

    stamp: str
    local: datetime | None
    level: str | None
    thread: str | None
    method: str
    message: str | None
    more: bytes
    broken: bool


def record_of(held: bytes) -> Record | None:
    """Read the first bytes of a record; None if behind its date stand no class and method."""
    head = held[:RECORD_HEAD]
    when = dated(head)
    if when is None:
        return None
    stamp = decode(head[: when.end - 1])
    if found := _TWO_LINES.match(head, when.end):
        name = b".".join(part for part in found.groups() if part)
        told = held[found.end() :]
        level = _LEVEL.match(told)
        known = level_of(level[1]) if level else None
        text = told[level.end() :] if level and known else told
        return _record(stamp, when.local, known, None, name, text if told else None)
    found = _ONE_LINE.match(head, when.end)
    if found is None:
        return None
    thread = None if found[2] is None else decode(found[2])
    return _record(stamp, when.local, level_of(found[1].strip()), thread, found[3], held[found.end() :])


def _record(
    stamp: str, local: datetime | None, level: str | None, thread: str | None, method: bytes, text: bytes | None
) -> Record:
    first, _, more = (text or b"").partition(b"\n")
    first = first.strip(b"\r\0 ")
    message = None if text is None else decode(first)
    return Record(stamp, local, level, thread, decode(method), message, more, broken=_broken(first))


def _broken(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
