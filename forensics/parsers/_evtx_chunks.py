r"""EVTX chunks: where records lie, which of them are live, which are slack.

A chunk is 64 KiB from byte 4096 on. What a *record* is, for the parser and for the second count alike: at an 8-aligned
place behind the chunk header, the signature `**\0\0`, a size of 28 bytes or more, a multiple of 8 within the chunk (and
within the file), and either the copy of that size at the record's end or another signature right behind it in the same
chunk. Places inside a record already found are no records. Layout: libyal's EVTX format description.

Sound chunks are walked from record to record, all of them in step; where a chain breaks, that chunk is searched place by
place, so that one zeroed size hides nothing behind it. No header is believed that the bytes contradict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

try:
    # Ten times faster than zlib on the same bytes; not built for every processor.
    from isal.isal_zlib import crc32
except ImportError:
    from zlib import crc32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

FILE_HEADER: Final = 4096
CHUNK: Final = 65536
CHUNK_HEADER: Final = 512
TAIL: Final = 64
"""Zero bytes behind the chunks in a buffer, so that eight bytes can be looked at from any place."""
HEAD: Final = 8
"""Words at the start of a record that are kept apart: its header of three, then how its template instance begins."""
SIGNATURE: Final = b"**\0\0"
MINIMUM: Final = 28
"""Bytes of the smallest record: a header of 24 and the copy of the size."""
_LEAST: Final = 32
"""Bytes of the smallest record whose size is a multiple of 8."""
_MAGIC: Final = int.from_bytes(b"ElfChnk\0", "little")
_MARK: Final = np.uint64(int.from_bytes(SIGNATURE, "little"))
_LOW: Final = np.uint64(0xFFFFFFFF)
_HIGH: Final = np.uint64(32)
_BITS: Final = np.uint64(64)


@dataclass(frozen=True, slots=True)
class Chunks:
    """The records of some chunks in a buffer, in order of their places. All places are offsets into the buffer.

    `eights` is the buffer as 64-bit numbers; `word` reads one at any place. `heads` has the first HEAD words of each record, a
    line for each: looked at again and again, they stand together. `owner` is the number of the chunk a record lies in; `live`
    says that it lies before the chunk's free space. Of each chunk: `starts` and `stops` (less than 64 KiB on only where
    the evidence ends), `free` where its records end by its own header, `bad_magic` if it does not start with its magic
    and holds something, `empty` if it holds nothing.
    """

    bytes: NDArray[np.uint8]
    eights: NDArray[np.uint64]
    heads: NDArray[np.uint64]
    place: Ints
    size: Ints
    owner: Ints
    live: Bools
    starts: Ints
    stops: Ints
    free: Ints
    bad_magic: Bools
    empty: Bools

    def numbers(self, rows: Ints | Bools) -> Ints:
        """Return the numbers in the headers of some records; those from 2**63 on wrap into negative."""
        out: Ints = self.heads[:, 1][rows].view(np.int64)
        return out

    def word(self, at: Ints) -> NDArray[np.uint64]:
        """Return the eight bytes at some places as little-endian numbers."""
        # Two aligned numbers and a shift: numpy takes three times as long to pick unaligned ones.
        number, shift = at >> 3, ((at & 7) << 3).astype(np.uint64)
        out: NDArray[np.uint64] = self.eights[number]
        out >>= shift
        number += 1
        out |= self.eights[number] << (_BITS - shift)
        return out

    def run(self, at: Ints, count: int) -> NDArray[np.uint64]:
        """Return `count` words one after another from each of some places on, a line for each."""
        # One copy a line, wherever it starts: numpy picks opaque items ten times faster than words by shifting; the
        # sizes of its own numbers go another way, which is slow.
        width = 8 * max(count, 3)
        lines = np.ndarray((len(self.bytes) - width + 1,), f"V{width}", self.bytes, strides=(1,))
        return lines[at].view("<u8").reshape(len(at), width // 8)[:, :count]

    def number(self, at: int, size: int) -> int:
        """Return `size` bytes at a place as a little-endian number."""
        return int.from_bytes(self.bytes[at : at + size].tobytes(), "little")


def scan(buffer: bytearray, used: int) -> Chunks:
    """Find the records of the chunks in `buffer`; `used` bytes are evidence, zeros follow to the chunk's end and TAIL."""
    size = -(-used // CHUNK) * CHUNK + TAIL
    a = np.frombuffer(buffer, np.uint8, size)
    aligned = np.frombuffer(buffer, "<u8", size // 8)
    starts = np.arange(0, used, CHUNK)
    stops = np.minimum(starts + CHUNK, used)
    magic = aligned[starts >> 3] == np.uint64(_MAGIC)
    told = (aligned[(starts + 48) >> 3] & _LOW).astype(np.int64)
    free = starts + np.where((told >= CHUNK_HEADER) & (told <= CHUNK), told, CHUNK)
    place, length, owner, proven = _chains(aligned, starts, np.where(free <= stops, free, -1), magic)
    extra = _searched(buffer, starts, stops, free, proven)
    if extra:
        more = np.array(extra, np.int64)
        place = np.concatenate([place, more[:, 0]])
        order = np.argsort(place)
        place = place[order]
        length = np.concatenate([length, more[:, 1]])[order]
        owner = np.concatenate([owner, more[:, 2]])[order]
    holes = np.zeros(len(starts), bool)
    for number in np.flatnonzero(~magic).tolist():
        holes[number] = not a[starts[number] : stops[number]].any()
    live = place < free[owner]
    lines = np.ndarray((size // 8 - HEAD + 1,), f"V{8 * HEAD}", a, strides=(8,))
    heads = lines[place >> 3].view("<u8").reshape(len(place), HEAD)
    out = Chunks(a, aligned, heads, place, length, owner, live, starts, stops, free, ~magic & ~holes, holes)
    _trust_numbers(out)
    return out


def _chains(aligned: NDArray[np.uint64], starts: Ints, stop: Ints, sound: Bools) -> tuple[Ints, Ints, Ints, Bools]:
    """Walk all chunks in step; return the records of those whose chain ends exactly at `stop`, and which those are."""
    walked = np.flatnonzero(sound & (starts + CHUNK_HEADER <= stop))
    here, stop = starts[walked] + CHUNK_HEADER, stop[walked]
    # One line a step, one column a chunk: read by column, the records stand in order of their places. What they say is
    # believed for as long as the walk lasts, and looked at afterwards, all at once.
    places = [here]
    heads: list[NDArray[np.uint64]] = []
    while len(here) and (here < stop).any():
        head = aligned[here >> 3]
        heads.append(head)
        size = (head >> _HIGH).view(np.int64)
        here = np.minimum(here + np.maximum(size & -8, _LEAST), stop)
        places.append(here)
    if not heads:
        none = np.zeros(0, np.int64)
        proven = np.zeros(len(starts), bool)
        proven[walked] = True
        return none, none, none, proven
    place, head = np.stack(places, 1), np.stack(heads, 1)
    owner, step = np.nonzero(place[:, :-1] < stop[:, None])
    at, end, head = place[owner, step], place[owner, step + 1], head[owner, step]
    size = (head >> _HIGH).view(np.int64)
    good = (head & _LOW) == _MARK
    good &= (at + size == end) & (size >= MINIMUM) & (size & 7 == 0)
    good &= (aligned[(end >> 3) - 1] >> _HIGH).view(np.int64) == size
    proven = np.zeros(len(starts), bool)
    proven[walked] = True
    if not good.all():
        proven[walked[owner[~good]]] = False
        keep = proven[walked[owner]]
        at, size, owner = at[keep], size[keep], owner[keep]
    return at, size, walked[owner], proven


def _searched(buffer: bytearray, starts: Ints, stops: Ints, free: Ints, proven: Bools) -> list[tuple[int, int, int]]:
    """Search chunks whose chain breaks, and the free space of the others: (place, size, chunk) of each record there."""
    found = []
    low = np.where(proven, free, starts + CHUNK_HEADER)
    for number in np.flatnonzero(stops - low >= MINIMUM).tolist():
        start, stop = int(low[number]), int(stops[number])
        at = buffer.find(SIGNATURE, start, stop)
        while at >= 0:
            size = 0 if at % 8 else _size(buffer, at, stop)
            if size:
                found.append((at, size, number))
            at = buffer.find(SIGNATURE, at + (size or 1), stop)
    return found


def _size(buffer: bytearray, at: int, stop: int) -> int:
    """Return the size of the record at a signature, 0 if there is none."""
    size = int.from_bytes(buffer[at + 4 : at + 8], "little")
    end = at + size
    if size < MINIMUM or size % 8 or end > stop:
        return 0
    copy = int.from_bytes(buffer[end - 4 : end], "little")
    return size if copy == size or (end + 4 <= stop and buffer[end : end + 4] == SIGNATURE) else 0


def _trust_numbers(chunks: Chunks) -> None:
    """Where a chunk header fails its checksum, its free space is not believed: records it counts by number are live."""
    for number in np.unique(chunks.owner[~chunks.live]).tolist():
        if chunks.bad_magic[number] or header_is_sound(chunks, number):
            continue
        first, last = chunks.word(chunks.starts[number] + np.array([24, 32]))
        rows = np.flatnonzero((chunks.owner == number) & ~chunks.live)
        record = chunks.word(chunks.place[rows] + 8)
        chunks.live[rows[(record >= first) & (record <= last)]] = True


def header_is_sound(chunks: Chunks, number: int) -> bool:
    """Say whether a chunk's header passes its CRC-32 (bytes 0 to 119 and 128 to 511)."""
    start = int(chunks.starts[number])
    if chunks.stops[number] - start < CHUNK_HEADER:
        return False
    told = chunks.number(start + 124, 4)
    return crc32(chunks.bytes[start + 128 : start + 512], crc32(chunks.bytes[start : start + 120])) == told


def is_sound(chunks: Chunks, number: int) -> bool:
    """Say whether a chunk's header and records pass their CRC-32; one that is cut short does not."""
    start, free = int(chunks.starts[number]), int(chunks.free[number])
    if free > chunks.stops[number] or not header_is_sound(chunks, number):
        return False
    told = chunks.number(start + 52, 4)
    return crc32(chunks.bytes[start + CHUNK_HEADER : free]) == told
