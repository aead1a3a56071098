"""Text exports cut into pieces: each from the head of one record to the head of the next, whatever lies between.

A head is a place where records of the format start; so one broken record costs no other. UTF-16 is brought to UTF-8
block by block; places stay those of the bytes as stored, since each piece knows its stored length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.limits import BLOCK_BYTES, MAX_LINE
from forensics.stream import Recount

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.stream import Stream

    Ints = NDArray[np.int64]

MOST: Final = 4 * MAX_LINE
"""Bytes of a record; an EVTX record has 64 KiB, and nothing that an export adds makes it this long."""
_DECIDES: Final = 4096
"""Bytes that say whether a place is a head; the patterns look at fewer."""
_MARKS: Final = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SAMPLE: Final = 512
_LF: Final = 0x0A

RECORD, BEFORE, LONG, REST, HALF = range(5)
"""Kinds of pieces: one that starts with a head; what stands before the first; the start of one that is longer than MOST, and
what follows of it; half a UTF-16 unit at the end."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a head looks like. Where `lines`, heads stand at starts of lines, and the pattern has the line feed in front.

    Without a pattern every line is a head.
    """

    pattern: re.Pattern[bytes] | None
    lines: bool

    def places(self, text: bytes | bytearray, *, opens: bool) -> Ints:
        """Return where heads start; `opens` says that a line starts where the text does."""
        if self.pattern is None:
            found = np.flatnonzero(np.frombuffer(text, np.uint8) == _LF) + 1
            return np.append(0, found) if opens else found
        starts = np.array([match.start() for match in self.pattern.finditer(text)], np.int64)
        if not self.lines:
            return starts
        first = opens and self.pattern.match(b"\n" + text[:_DECIDES]) is not None
        return np.append(0, starts + 1) if first else starts + 1

    def sure(self, text: bytes | bytearray) -> int:
        """Return the place before which all heads are known, whatever comes behind the text."""
        line = text.rfind(b"\n") + 1 if self.lines else 0
        return line if len(text) - line <= _DECIDES else len(text) if self.lines else len(text) - _DECIDES


def encoding_of(start: bytes) -> str:
    """Return UTF-16 of either order by its mark, or by the zeros in which its ASCII lies without one; else UTF-8."""
    if start[:2] in _MARKS:
        return _MARKS[start[:2]]
    first = start[:_SAMPLE]
    low, high = first[0::2].count(0), first[1::2].count(0)
    # Text of any script has delimiters and line ends in ASCII.
    enough = max(len(first) // 16, 2)
    if high >= enough and not low:
        return "utf-16-le"
    return "utf-16-be" if low >= enough and not high else "utf-8"


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
    return int(_stored_units(np.frombuffer(piece, np.uint8)).sum()) * 2


def stored_places(text: bytes, places: Ints, encoding: str) -> Ints:
    """Return how many stored bytes lie before each of some ascending places of a text."""
    if encoding == "utf-8":
        return places
    if text.isascii():
        return 2 * places
    before = np.zeros(len(text) + 1, np.int64)
    np.cumsum(_stored_units(np.frombuffer(text, np.uint8)), out=before[1:])
    result: Ints = 2 * before[places]
    return result


def _stored_units(octets: NDArray[np.uint8]) -> NDArray[np.int8]:
    # A character of four bytes is two units.
    units: NDArray[np.int8] = ((octets & 0xC0) != 0x80).astype(np.int8) + (octets >= 0xF0)
    return units


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


@dataclass(frozen=True, slots=True)
class Cut:
    """Pieces that adjoin: piece `n` is `text[bounds[n] : bounds[n + 1]]`, as stored at `stored[n]`, of kind `kinds[n]`.

    `last` says that the stream ends with them.
    """

    text: bytes
    bounds: Ints
    stored: Ints
    kinds: NDArray[np.int8]
    last: bool

    def __len__(self) -> int:
        return len(self.kinds)

    def piece(self, number: int) -> bytes:
        """Return the bytes of one piece."""
        return self.text[self.bounds[number] : self.bounds[number + 1]]


def cuts(stream: Stream, mark: Mark, encoding: str, start: int) -> Iterator[Cut]:
    """Yield the pieces of a stream whose first byte stands at `start`, a block's at a time, without a gap."""
    held = bytearray()
    kind, inside, at = BEFORE, False, start
    for raw, half, last in _blocks(stream, encoding):
        held += raw
        sure = len(held) if last else mark.sure(held)
        heads = mark.places(held, opens=not inside)
        heads = heads[heads < sure]
        headed = len(heads) > 0 and heads[0] == 0
        bounds = heads if headed else np.append(0, heads)
        kinds = np.full(len(bounds), RECORD, np.int8)
        kinds[0] = RECORD if headed else kind
        kind, inside = int(kinds[-1]), inside and len(bounds) == 1
        if last:
            bounds = np.append(bounds, len(held))
        elif sure - bounds[-1] > MOST:
            bounds = np.append(bounds, sure)
            kinds[-1] = LONG if kind == RECORD else kind
            kind, inside = REST, held[sure - 1] != _LF
        else:
            kinds = kinds[:-1]
        text = bytes(held[: bounds[-1]])
        stored = stored_places(text, bounds, encoding) + at
        at = int(stored[-1])
        del held[: len(text)]
        if text:
            yield Cut(text, bounds, stored, kinds, last)
        if half:
            yield Cut(
                half, np.array([0, 1], np.int64), np.array([at, at + 1], np.int64), np.array([HALF], np.int8), last=True
            )


class Heads(Recount):
    """Counts the heads, without keeping any."""

    __slots__ = ("_encoding", "_inside", "_mark", "_odd", "_tail")

    def __init__(self, mark: Mark, encoding: str) -> None:
        super().__init__()
        self._mark = mark
        self._encoding = encoding
        self._tail = b""
        self._odd = b""
        self._inside = False

    def feed(self, block: memoryview) -> None:
        """Count the heads that are sure to be ones."""
        text = self._tail + self._letters(bytes(block))
        stop = max(self._mark.sure(text), 0)
        self._count(text, stop)
        if stop:
            self._inside = text[stop - 1] != _LF
        self._tail = text[stop:]

    def total(self) -> int:
        """Return the count; the last line counts as far as it goes."""
        self._count(self._tail, len(self._tail))
        self._tail = b""
        return self.records

    def _count(self, text: bytes, stop: int) -> None:
        self.records += int(np.count_nonzero(self._mark.places(text, opens=not self._inside) < stop))

    def _letters(self, block: bytes) -> bytes:
        """Return ASCII as it is, 0xff for a byte order mark, 0xfe for each other UTF-16 unit: heads have nothing else."""
        if self._encoding == "utf-8":
            return block
        block = self._odd + block
        whole = len(block) & ~1
        self._odd = block[whole:]
        units = np.frombuffer(block[:whole], "<u2" if self._encoding == "utf-16-le" else ">u2")
        return np.where(units < 0x80, units, np.where(units == 0xFEFF, 0xFF, 0xFE)).astype(np.uint8).tobytes()
