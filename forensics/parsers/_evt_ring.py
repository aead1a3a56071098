"""Which records of a legacy event log are live: the file is a ring, and behind its end mark lie those of older turns.

EVENTLOGHEADER and EVENTLOGEOF of the Windows SDK: both hold the places of the
oldest record and of the end mark; the header's are stale while its dirty flag (1) is set.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.parsers._evt_record import END_MARK, END_SIZE, HEADER, MOST, SIGNATURE, length_at

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIRTY: Final = 1
_FLAGS_AT: Final = 36
_BEYOND: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Ring:
    """What of a file is live: from the first byte of the oldest record to behind the newest, maybe round the end of the file.

    `tail` bytes behind the header are the rest of the record which the end of the file cuts.
    """

    first: int = 0
    end: int = _BEYOND
    tail: int = 0

    @property
    def text(self) -> str:
        """The ring as a setting of a span."""
        return f"{self.first} {self.end} {self.tail}"

    @classmethod
    def told(cls, text: str) -> Ring | None:
        """Return the ring that a setting tells of, None if it tells of none."""
        return cls(*map(int, text.split())) if text else None

    def holds(self, place: int) -> bool:
        """Say whether the record at a place is live."""
        if self.first <= self.end:
            return self.first <= place < self.end
        return place >= self.first or place < self.end


def ring_of(blocks: Iterable[bytes]) -> Ring:
    """Look a whole file through, block by block; at most a block and the longest record are held.

    The one end mark decides; where none or several stand (logs joined into one file), all is live.
    """
    marks: list[tuple[int, bytes]] = []
    head, held, at = b"", b"", 0
    for block in blocks:
        head += block[: HEADER + MOST - len(head)] if len(head) < HEADER + MOST else b""
        data = held + block
        found = data.find(END_MARK)
        while found >= 0 and len(marks) < 2:
            mark = (at + found, data[found : found + END_SIZE])
            if marks and marks[-1][0] == mark[0]:
                marks.pop()
            marks.append(mark)
            found = data.find(END_MARK, found + 1)
        held = data[-(MOST + END_SIZE) :]
        at += len(data) - len(held)
    size = at + len(held)
    if not marks or (len(marks) == 1 and len(marks[0][1]) < END_SIZE):
        marks = _wrapped_mark(head, held, size)
    first, end = 0, _BEYOND
    if len(marks) == 1 and len(marks[0][1]) == END_SIZE:
        place, mark_bytes = marks[0]
        told = struct.unpack_from("<2I", mark_bytes, len(END_MARK))
        first, end = (told[0], place) if told[1] == place and HEADER <= told[0] < size else (first, end)
    return Ring(first, end, _tail(head, held, at))


def _wrapped_mark(head: bytes, last: bytes, size: int) -> list[tuple[int, bytes]]:
    """Return the end mark, and its place, which the end of the file cuts and which goes on behind the header; else nothing."""
    for there in range(4, END_SIZE, 4):
        mark = last[-there:] + head[HEADER : HEADER + END_SIZE - there]
        if mark.startswith(END_MARK) and struct.unpack_from("<2I", mark.ljust(END_SIZE, b"\0"), 20)[1] == size - there:
            return [(size - there, mark)]
    return []


def header_range(head: bytes) -> tuple[int, int]:
    """Return what the header of a closed log says is live, all for any other."""
    if len(head) < HEADER or head[4:8] != SIGNATURE or head[_FLAGS_AT] & _DIRTY:
        return 0, _BEYOND
    first, end = struct.unpack_from("<2I", head, 16)
    return (first, end) if first >= HEADER and end >= HEADER and first != end else (0, _BEYOND)


def _tail(head: bytes, last: bytes, at: int) -> int:
    """Return how many bytes behind the header finish the record that the end of the file cuts; 0 if none is cut."""
    found = last.rfind(SIGNATURE, max(0, HEADER - at))
    size = length_at(last, found - 4) if found >= max(4, HEADER + 4 - at) else 0
    missing = found - 4 + size - len(last)
    if not size or missing <= 0 or head[HEADER + missing - 4 : HEADER + missing] != last[found - 4 : found]:
        return 0
    # A signature inside the tail would be a record of its own: then nothing wraps.
    return 0 if SIGNATURE in head[HEADER : HEADER + missing] else missing
