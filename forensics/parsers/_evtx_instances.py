"""Template instances: where a record or a value uses a definition, and where the values that it fills in lie.

An instance is a fragment header (4 bytes), 0x0C, a version, the template's short id (4), the place of its definition in the
chunk (4), then the count of its values; the definition itself lies between where it is used first. Of each value follow its
size (2 bytes) and type (2), then all their bytes. Layout: libyal's EVTX format description, section Binary XML.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_chunks import CHUNK, CHUNK_HEADER
from forensics.parsers._evtx_values import UINT16, grouped, kinds, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks
    from forensics.parsers._evtx_definitions import Definitions
    from forensics.parsers._evtx_template import Template

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_MOST_VALUES: Final = 512
"""Substitutions of one instance; Windows' own events have up to about 60."""
_FRAGMENT: Final = 0x0001010F
_INSTANCE: Final = 0x0C
_LOW: Final = np.uint64(0xFFFFFFFF)
_START: Final = np.uint64(_INSTANCE << 32 | _FRAGMENT)
_START_BITS: Final = np.uint64(0xFF_FFFFFFFF)
_VALUES: Final = 14
"""Bytes of an instance before the count of its values, its definition left out."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Template instances: whether they could be read, the place of their definition, and of their values' count.

    `limit` is where their values must end at the latest; `plain` says that the definition lies elsewhere.
    """

    good: Bools
    definition: Ints
    values: Ints
    count: Ints
    limit: Ints
    plain: Bools


@dataclass(frozen=True, slots=True)
class Values:
    """The values of instances that have as many: a line a value, a column an instance.

    `packed` says of each where it lies (see `_evtx_values`), `ends` where those of an instance end.
    """

    packed: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.packed)

    def count_of(self, kind: int) -> Ints:
        """Return how many values of a type each instance has."""
        out: Ints = (kinds(self.packed) == kind).sum(0)
        return out


def values(chunks: Chunks, at: Ints, count: int, of: int | None = None) -> Values:
    """Return the first `count` of `of` values (all of them if not said) of the instances whose values stand at `at`."""
    told = chunks.run(at + 4, (count + 1) // 2).view("<u4")[:, :count].T
    out = np.empty((count, len(at)), np.int64)
    np.bitwise_and(told, 0xFFFFFF, out=out)
    out <<= 32
    start = at + (4 + 4 * (count if of is None else of))
    for number in range(count):
        out[number] |= start
        start += sizes(out[number])
    return Values(out, start)


def of_records(chunks: Chunks, rows: Ints) -> Instances:
    """Read the instances that records start with."""
    heads, place, size = chunks.heads, chunks.place, chunks.size
    if len(rows) < len(place):
        heads, place, size = heads[rows], place[rows], size[rows]
    at, limit = place + 24, place + size
    limit -= 4
    if ((heads[:, 3] & _START_BITS) != _START).any():
        return instances(chunks, at, limit)
    halves = heads.view("<u2")
    offset = halves[:, 17] | halves[:, 18].astype(np.int64) << 16
    count = halves[:, 19] | halves[:, 20].astype(np.int64) << 16
    return _instances(chunks, at, limit, offset, count)


def instances(chunks: Chunks, at: Ints, limit: Ints) -> Instances:
    """Read the instances at some places, whose values must end before `limit`."""
    line = chunks.run(at, 3)
    bare = np.flatnonzero((line[:, 0] & _LOW) != _FRAGMENT)
    if len(bare):
        # A nested fragment may lack its own header.
        at = at.copy()
        at[bare] -= 4
        line[bare] = chunks.run(at[bare], 3)
    halves = line.view("<u2")
    offset = halves[:, 5].astype(np.int64) | halves[:, 6].astype(np.int64) << 16
    count = halves[:, 7].astype(np.int64) | halves[:, 8].astype(np.int64) << 16
    found = _instances(chunks, at, limit, offset, count)
    found.good[halves[:, 2] & 0xFF != _INSTANCE] = False
    return found


def _instances(chunks: Chunks, at: Ints, limit: Ints, offset: Ints, count: Ints) -> Instances:
    good = (offset >= CHUNK_HEADER) & (offset <= CHUNK - 28)
    # Chunks lie in the buffer as in the file, each at a multiple of its size.
    definition = at & -CHUNK
    definition += offset if good.all() else np.where(good, offset, CHUNK_HEADER)
    place = at + _VALUES
    plain = definition != place
    inline = np.flatnonzero(good & ~plain)
    if len(inline):
        place[inline] += 24 + _u32(chunks, definition[inline] + 20)
        good[inline] &= place[inline] + 4 <= limit[inline]
        inline = inline[good[inline]]
        count[inline] = _u32(chunks, place[inline])
    good &= count <= _MOST_VALUES
    good &= place + 4 + 4 * count <= limit
    return Instances(good, definition, place, count, limit, plain)


def _u32(chunks: Chunks, at: Ints) -> Ints:
    return (chunks.word(at) & _LOW).astype(np.int64)


def by_template(chunks: Chunks, found: Instances, definitions: Definitions) -> Iterator[tuple[Template | None, Ints]]:
    """Yield (template, rows) for rows whose definitions are the same and that have as many values; None for odd rows."""
    odd = np.flatnonzero(~found.good)
    if len(odd):
        yield None, odd
    sure: Ints | slice = np.flatnonzero(found.good) if len(odd) else slice(None)
    coded = pa.array(found.definition[sure]).dictionary_encode()
    codes, places = coded.indices.to_numpy(), coded.dictionary.to_numpy()
    templates, which = definitions.identify(chunks, places, places & -CHUNK)
    pair = which[codes]
    pair *= _MOST_VALUES + 1
    pair += found.count[sure]
    for value, rows in grouped(pair):
        yield templates[value // (_MOST_VALUES + 1)], rows if isinstance(sure, slice) else sure[rows]


def thirds(chunks: Chunks, rows: Ints, found: Instances) -> tuple[NDArray[np.uint16], Bools]:
    """Return the value of number 3 of the instances that records start with, and whether it is a 16-bit number.

    That is where Windows has the event id.
    """
    heads = chunks.heads if len(rows) == len(chunks.place) else chunks.heads[rows]
    # Size and type of the first value stand at byte 42 of a record that does not bring its definition along.
    told = heads.view("<u2")[:, 21:29]
    start = found.values + 4 * found.count
    start += 4
    for number in range(3):
        start += told[:, 2 * number]
    sure = (told[:, 6] == 2) & ((told[:, 7] & 0xFF) == UINT16)
    other = np.flatnonzero(found.good & ~found.plain)
    line = chunks.run(found.values[other] + 4, 2).view("<u2")
    start[other] = found.values[other] + 4 + 4 * found.count[other] + line[:, 0] + line[:, 2] + line[:, 4]
    sure[other] = (line[:, 6] == 2) & ((line[:, 7] & 0xFF) == UINT16)
    sure &= found.good & (found.count > 3) & (start + 2 <= found.limit)
    return two_bytes(chunks, start, sure), sure


def two_bytes(chunks: Chunks, at: Ints, sure: Bools) -> NDArray[np.uint16]:
    """Return the numbers of two bytes at the places that are sure; places are used up."""
    if not sure.all():
        at[~sure] = 0
    low, high = chunks.bytes[at], chunks.bytes[at + 1]
    return low | high.astype(np.uint16) << np.uint16(8)
