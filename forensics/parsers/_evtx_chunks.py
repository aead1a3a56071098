r"""EVTX chunks: where records lie, which are live, which are slack, and the second count.

A chunk is 64 KiB from byte 4096 on. What a *record* is, for the parser and for the second count alike: at an 8-aligned
place behind the chunk header, the signature `**\0\0`, a size of 28 bytes or more, a multiple of 8 within the chunk, and
either the copy of that size at the record's end or another signature right behind it. Places inside a record already found
are no records. Layout: libyal's EVTX format description.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.stream import Recount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

FILE_HEADER: Final = 4096
CHUNK: Final = 65536
CHUNK_HEADER: Final = 512
TAIL: Final = 64
"""Zero bytes behind the chunks in a buffer, so that eight bytes can be looked at from any place."""
SIGNATURE: Final = 0x00002A2A
MINIMUM: Final = 28
_MAGIC: Final = int.from_bytes(b"ElfChnk\0", "little")


@dataclass(frozen=True, slots=True)
class Chunks:
    """The records of some chunks in a buffer. All places are offsets into the buffer.

    `base` is the chunk's start for each record, `live` says that it lies before the chunk's free space. `bad_magic`
    names chunks that do not start with their magic and hold something, `empty` those that hold nothing.
    """

    bytes: NDArray[np.uint8]
    words: NDArray[np.uint64]
    place: Ints
    size: Ints
    base: Ints
    live: NDArray[np.bool_]
    starts: Ints
    free: Ints
    bad_magic: NDArray[np.bool_]
    empty: NDArray[np.bool_]


def scan(buffer: bytearray, used: int) -> Chunks:
    """Find the records of the chunks that `buffer` holds; `used` bytes are evidence, the last chunk may be cut short."""
    a = np.frombuffer(buffer, np.uint8)
    words = np.ndarray((len(buffer) - 7,), "<u8", buffer, 0, (1,))
    starts = np.arange(0, used, CHUNK)
    half = a[: len(a) // 8 * 8].view("<u4")
    place = np.flatnonzero(half[: used // 4 : 2] == SIGNATURE) * 8
    place = place[(place % CHUNK) >= CHUNK_HEADER]
    place = place[place + MINIMUM <= used]
    base = place - place % CHUNK
    size = _u32(words, place + 4)
    end = place + size
    good = (size >= MINIMUM) & (size % 8 == 0) & (end <= np.minimum(base + CHUNK, used))
    place, base, size, end = place[good], base[good], size[good], end[good]
    good = (_u32(words, end - 4) == size) | (_u32(words, end) == SIGNATURE)
    place, base, size = place[good], base[good], size[good]
    keep = _apart(place, place + size)
    place, base, size = place[keep], base[keep], size[keep]
    magic = words[starts] == np.uint64(_MAGIC)
    free = _u32(words, starts + 48)
    free = np.where((free >= CHUNK_HEADER) & (free <= CHUNK), free, CHUNK) + starts
    empty = np.array([not a[s : min(s + CHUNK, used)].any() for s in starts[~magic].tolist()], bool)
    bad = ~magic
    holes = np.zeros(len(starts), bool)
    holes[np.flatnonzero(bad)] = empty
    live = place < free[base // CHUNK]
    return Chunks(a, words, place, size, base, live, starts, free, bad & ~holes, holes)


def _u32(words: NDArray[np.uint64], at: Ints) -> Ints:
    return (words[at] & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _apart(place: Ints, end: Ints) -> Ints:
    """Return the numbers of the places that lie in no earlier record; mostly all of them."""
    if not len(place) or (place[1:] >= end[:-1]).all():
        return np.arange(len(place))
    keep, reached = [], -1
    for number, (start, stop) in enumerate(zip(place.tolist(), end.tolist(), strict=True)):
        if start >= reached:
            keep.append(number)
            reached = stop
    return np.array(keep, np.int64)


def bad_checksums(chunks: Chunks) -> NDArray[np.bool_]:
    """Say for each chunk whether its header or its records fail their CRC-32."""
    out = np.zeros(len(chunks.starts), bool)
    for number, (start, free) in enumerate(zip(chunks.starts.tolist(), chunks.free.tolist(), strict=True)):
        raw = chunks.bytes[start : start + CHUNK]
        if len(raw) < CHUNK_HEADER:
            continue
        header = zlib.crc32(raw[128:512].tobytes(), zlib.crc32(raw[:120].tobytes()))
        records = zlib.crc32(raw[512 : free - start].tobytes())
        out[number] = (
            header != _u32(chunks.words, np.array([start + 124]))[0]
            or records != _u32(chunks.words, np.array([start + 52]))[0]
        )
    return out


class RecordCount(Recount):
    """Counts records block by block with plain byte searches; `start` is where the span starts in the file."""

    __slots__ = ("_held", "_skip")

    def __init__(self, start: int) -> None:
        super().__init__()
        self._skip = max(0, FILE_HEADER - start)
        self._held = bytearray()

    def feed(self, block: memoryview) -> None:
        """Collect whole chunks and count the records of each."""
        passed = min(self._skip, len(block))
        self._skip -= passed
        self._held += block[passed:]
        whole = len(self._held) // CHUNK * CHUNK
        for at in range(0, whole, CHUNK):
            self.records += _count(bytes(self._held[at : at + CHUNK]))
        del self._held[:whole]

    def total(self) -> int:
        """Return the count, the cut-off last chunk included."""
        return self.records + (_count(bytes(self._held)) if self._held else 0)


def _count(chunk: bytes) -> int:
    count, at = 0, chunk.find(b"**\0\0", CHUNK_HEADER)
    while at >= 0:
        step = 1
        if at % 8 == 0:
            size = int.from_bytes(chunk[at + 4 : at + 8], "little")
            if size >= MINIMUM and size % 8 == 0 and at + size <= len(chunk):
                copy = int.from_bytes(chunk[at + size - 4 : at + size], "little")
                if copy == size or chunk[at + size : at + size + 4] == b"**\0\0":
                    count += 1
                    step = size
        at = chunk.find(b"**\0\0", at + step)
    return count
