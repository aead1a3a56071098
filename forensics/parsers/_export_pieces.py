"""Text exports cut into pieces: each from the head of one record to the head of the next, whatever lies between.

A head is a line that starts as records of the format do; so one broken record costs no other. UTF-16 is brought to UTF-8
block by block; places stay those of the bytes as stored, since each piece knows its stored length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.limits import BLOCK_BYTES, MAX_LINE
from forensics.stream import Recount

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from forensics.stream import Stream

MOST: Final = 4 * MAX_LINE
"""Bytes of a record; an EVTX record has 64 KiB, and nothing that an export adds makes it this long."""
_DECIDES: Final = 4096
"""Bytes of a line's start that say whether it is a head; the patterns look at fewer."""
_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SAMPLE: Final = 8


def encoding_of(start: bytes) -> str:
    """Return UTF-16 of either order by its mark, or by the zeros of ASCII text without one; else UTF-8."""
    if start[:2] in _MARKS:
        return _MARKS[start[:2]]
    first = start[:_SAMPLE]
    if len(first) == _SAMPLE and not any(first[1::2]) and all(first[::2]):
        return "utf-16-le"
    if len(first) == _SAMPLE and not any(first[::2]) and all(first[1::2]):
        return "utf-16-be"
    return "utf-8"


def narrow(raw: bytes, encoding: str) -> bytes:
    """Return text as UTF-8, without half a unit at its end; halves of surrogate pairs stay, as bytes that are no UTF-8."""
    if encoding == "utf-8":
        return raw
    return raw[: len(raw) & ~1].decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")


def stored_length(piece: bytes, encoding: str) -> int:
    """Return how many bytes a piece takes as stored: two a UTF-16 unit."""
    if encoding == "utf-8" or not piece:
        return len(piece)
    if piece.isascii():
        return 2 * len(piece)
    octets = np.frombuffer(piece, np.uint8)
    # A character of four bytes is two units.
    return 2 * int(np.count_nonzero((octets & 0xC0) != 0x80) + np.count_nonzero(octets >= 0xF0))


def _blocks(stream: Stream, encoding: str) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield (narrow bytes, half a unit left at the end, whether it is the last)."""
    left = b""
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while True:
        got = stream.readinto(buffer)
        raw = left + bytes(buffer[:got])
        if not got:
            whole = len(raw) if encoding == "utf-8" else len(raw) & ~1
            yield narrow(raw, encoding), raw[whole:], True
            return
        whole = len(raw)
        if encoding != "utf-8":
            whole &= ~1
            high = raw[whole - 1 if encoding == "utf-16-le" else whole - 2] if whole else 0
            # A pair is not cut in two.
            whole -= 2 if 0xD8 <= high < 0xDC else 0
        left = raw[whole:]
        yield narrow(raw[:whole], encoding), b"", False


def pieces(stream: Stream, head: re.Pattern[bytes], encoding: str) -> Iterator[tuple[str, bytes] | None]:
    """Yield (kind, narrow bytes) without a gap, and None behind each block.

    Kinds: `record` starts with a head; `before` stands before the first; `long` is the start of one that is longer than
    MOST and `rest` what follows of it; `half` is half a UTF-16 unit at the end.
    """
    held = bytearray()
    kind, inside = "before", False
    for raw, half, last in _blocks(stream, encoding):
        held += raw
        line = held.rfind(b"\n") + 1
        sure = len(held) if last or len(held) - line > _DECIDES else line
        at = 0
        for found in head.finditer(held):
            start = found.start()
            if start >= sure or (inside and not start):
                continue
            if start > at:
                yield kind, bytes(held[at:start])
            at, kind, inside = start, "record", False
        if last and at < len(held):
            yield kind, bytes(held[at:])
        elif not last and sure - at > MOST:
            yield "long" if kind == "record" else kind, bytes(held[at:sure])
            at, kind, inside = sure, "rest", held[sure - 1] != 0x0A
        del held[:at]
        if half:
            yield "half", half
        yield None


class Heads(Recount):
    """Counts the lines that are heads, without keeping any."""

    __slots__ = ("_encoding", "_head", "_inside", "_odd", "_tail")

    def __init__(self, head: re.Pattern[bytes], encoding: str) -> None:
        super().__init__()
        self._head = head
        self._encoding = encoding
        self._tail = b""
        self._odd = b""
        self._inside = False

    def feed(self, block: memoryview) -> None:
        """Count the heads whose lines have gone far enough."""
        lines = self._tail + self._letters(bytes(block))
        stop = lines.rfind(b"\n") + 1
        if len(lines) - stop > _DECIDES:
            stop = len(lines)
        self._count(lines, stop)
        if stop:
            self._inside = lines[stop - 1] != 0x0A
        self._tail = lines[stop:]

    def total(self) -> int:
        """Return the count; the last line counts as far as it goes."""
        self._count(self._tail, len(self._tail))
        self._tail = b""
        return self.records

    def _count(self, lines: bytes, stop: int) -> None:
        self.records += sum(
            1 for found in self._head.finditer(lines) if found.start() < stop and (found.start() or not self._inside)
        )

    def _letters(self, block: bytes) -> bytes:
        """Return ASCII as it is, 0xff for a byte order mark, 0xfe for each other UTF-16 unit: heads have nothing else."""
        if self._encoding == "utf-8":
            return block
        block = self._odd + block
        whole = len(block) & ~1
        self._odd = block[whole:]
        units = np.frombuffer(block[:whole], "<u2" if self._encoding == "utf-16-le" else ">u2")
        return np.where(units < 0x80, units, np.where(units == 0xFEFF, 0xFF, 0xFE)).astype(np.uint8).tobytes()
