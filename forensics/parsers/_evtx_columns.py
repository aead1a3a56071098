"""Columns out of EVTX records: all records of one template are decoded together, and only the wanted ones at all.

The event id of every record is known before anything is rendered. Definitions are compared byte by byte with the one that
was walked (name offsets masked, names by their hash), so a forged template under a known GUID is not trusted. Records that
the code cannot prove are `odd`, and the exact renderer reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_chunks import CHUNK, CHUNK_HEADER, Chunks
from forensics.parsers._evtx_template import Odd, Template, walk
from forensics.parsers._evtx_values import BINXML, text_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._evtx_template import Slot

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_MOST_VALUES: Final = 512
_WIDTHS: Final = {0x04: 1, 0x06: 2, 0x08: 4, 0x14: 4, 0x0A: 8, 0x15: 8, 0x11: 8, 0x05: 2, 0x07: 4, 0x09: 8}
_MASK: Final = {1: 0xFF, 2: 0xFFFF, 4: 0xFFFFFFFF, 8: 0xFFFFFFFFFFFFFFFF}
Wanted = Callable[[str, int], bool]


@dataclass(slots=True)
class Values:
    """The substitution values of records that share a template: start, size and type of each, rows by values."""

    start: Ints
    size: Ints
    kind: Ints


@dataclass(slots=True)
class Group:
    """Wanted records of one provider and event id that share both templates. `rows` are numbers in the chunks' records."""

    provider: str
    event_id: int
    rows: Ints
    outer: Template
    outer_values: Values
    inner: Template | None
    inner_values: Values | None


@dataclass(slots=True)
class _Known:
    template: Template
    body: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    names: Ints
    hashes: NDArray[np.uint64]
    inline: NDArray[np.bool_]


@dataclass(slots=True)
class Columns:
    """Decodes the records of some chunks; `known` definitions live as long as the reader of a span."""

    known: dict[int, list[_Known]] = field(default_factory=dict)

    def groups(self, chunks: Chunks, rows: Ints, wanted: Wanted) -> tuple[list[Group], Ints, Ints]:
        """Return the groups of the wanted ones among `rows`, the odd rows, and the rows that nobody wants."""
        odd: list[Ints] = []
        unwanted: list[Ints] = []
        found: list[Group] = []
        good, key, definition, values, count, size = _instances(chunks, chunks.place[rows] + 24, chunks.base[rows])
        odd.append(rows[~good])
        sure = np.flatnonzero(good)
        for template, part in self._by_template(
            chunks, key[sure], definition[sure], chunks.base[rows[sure]], size[sure]
        ):
            here = sure[part]
            if template is None:
                odd.append(rows[here])
                continue
            self._outer(chunks, template, rows[here], values[here], int(count[here[0]]), wanted, (found, odd, unwanted))
        return found, _joined(odd), _joined(unwanted)

    def _outer(
        self,
        chunks: Chunks,
        template: Template,
        rows: Ints,
        at: Ints,
        count: int,
        wanted: Wanted,
        out: tuple[list[Group], list[Ints], list[Ints]],
    ) -> None:
        found, odd, unwanted = out
        event_id, sure = _event_ids(chunks, template, rows, at, count)
        odd.append(rows[~sure])
        rows, at, event_id = rows[sure], at[sure], event_id[sure]
        provider = template.leaf("Event/System/Provider@Name")
        if provider is None:
            odd.append(rows)
            return
        names = [provider.constant] * len(rows) if provider.constant is not None else None
        for number in np.unique(event_id).tolist():
            part = np.flatnonzero(event_id == number)
            if names is not None and not wanted(str(provider.constant), number):
                unwanted.append(rows[part])
                continue
            if names is None and not wanted("", number):
                unwanted.append(rows[part])
                continue
            self._wanted(chunks, template, rows[part], at[part], count, number, wanted, out)
        del found

    def _wanted(
        self,
        chunks: Chunks,
        template: Template,
        rows: Ints,
        at: Ints,
        count: int,
        event_id: int,
        wanted: Wanted,
        out: tuple[list[Group], list[Ints], list[Ints]],
    ) -> None:
        _, odd, unwanted = out
        values = _values(chunks, at, count)
        inside = (
            values.start[:, -1] + values.size[:, -1] <= chunks.base[rows] + CHUNK if count else np.ones(len(rows), bool)
        )
        odd.append(rows[~inside])
        rows, values = rows[inside], _take(values, np.flatnonzero(inside))
        for name, part in _providers(chunks, template, values, len(rows)):
            if name is None:
                odd.append(rows[part])
            elif wanted(name, event_id):
                self._inner(chunks, template, rows[part], _take(values, part), name, event_id, out)
            else:
                unwanted.append(rows[part])

    def _inner(
        self,
        chunks: Chunks,
        template: Template,
        rows: Ints,
        values: Values,
        provider: str,
        event_id: int,
        out: tuple[list[Group], list[Ints], list[Ints]],
    ) -> None:
        found, odd, _ = out
        nested = [s.index for s in template.slots.values() if s.index >= 0 and s.index < values.kind.shape[1]]
        nested = [i for i in nested if (values.kind[:, i] == BINXML).any()] if len(rows) else []
        if not nested:
            if len(rows):
                found.append(Group(provider, event_id, rows, template, values, None, None))
            return
        column = nested[-1]
        has = values.kind[:, column] == BINXML
        start = np.where(has, values.start[:, column], CHUNK_HEADER)
        good, key, definition, at, count, size = _instances(chunks, start, chunks.base[rows])
        good &= has
        odd.append(rows[~good])
        sure = np.flatnonzero(good)
        for inner, part in self._by_template(chunks, key[sure], definition[sure], chunks.base[rows[sure]], size[sure]):
            here = sure[part]
            if inner is None:
                odd.append(rows[here])
                continue
            inner_values = _values(chunks, at[here], int(count[here[0]]))
            if count[here[0]]:
                fits = inner_values.start[:, -1] + inner_values.size[:, -1] <= chunks.base[rows[here]] + CHUNK
                odd.append(rows[here[~fits]])
                here, inner_values = here[fits], _take(inner_values, np.flatnonzero(fits))
            if len(here):
                found.append(Group(provider, event_id, rows[here], template, _take(values, here), inner, inner_values))

    def _by_template(
        self, chunks: Chunks, key: NDArray[np.uint64], definition: Ints, base: Ints, size: Ints
    ) -> Iterator[tuple[Template | None, Ints]]:
        """Yield (template, rows) for rows whose definitions are the same, byte for byte."""
        keys, back = np.unique(key, return_inverse=True)
        order = np.argsort(back, kind="stable")
        cuts = np.searchsorted(back[order], np.arange(len(keys) + 1))
        for number, name in enumerate(keys.tolist()):
            rows = order[cuts[number] : cuts[number + 1]]
            places, first, inverse = np.unique(definition[rows], return_index=True, return_inverse=True)
            which = self._match(chunks, name, places, base[rows][first], size[rows][first])
            known = self.known.get(name, [])
            for index in sorted(set(which.tolist())):
                yield (None if index < 0 else known[index].template), rows[which[inverse] == index]

    def _match(self, chunks: Chunks, key: int, places: Ints, bases: Ints, sizes: Ints) -> Ints:
        """Return, for each definition, the number of the known one it equals, or -1."""
        known = self.known.setdefault(key, [])
        which = np.full(len(places), -2)
        for index, one in enumerate(known):
            _compare(chunks, one, index, places, bases, sizes, which)
        while (left := np.flatnonzero(which == -2)).size:
            number = int(left[0])
            try:
                one = _learn(chunks, int(places[number]), int(bases[number]))
            except Odd:
                which[number] = -1
                continue
            known.append(one)
            _compare(chunks, one, len(known) - 1, places, bases, sizes, which)
            if which[number] == -2:
                which[number] = -1
        return which


def _u32(chunks: Chunks, at: Ints) -> Ints:
    return (chunks.words[at] & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _joined(parts: list[Ints]) -> Ints:
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)


def _take(values: Values, rows: Ints) -> Values:
    return Values(values.start[rows], values.size[rows], values.kind[rows])


def _instances(chunks: Chunks, at: Ints, base: Ints) -> tuple[Bools, NDArray[np.uint64], Ints, Ints, Ints, Ints]:
    """Read template instances: good ones, a key for their definition, its place, its size, where values start and how many."""
    end = len(chunks.bytes) - 16
    # A nested fragment may lack its own four-byte header.
    at = np.where(_u32(chunks, np.minimum(at, end)) == 0x0001010F, at, at - 4)
    at = np.clip(at, 0, end)
    good = chunks.bytes[at + 4] == 0x0C
    offset = _u32(chunks, np.minimum(at + 10, end))
    good &= (offset >= CHUNK_HEADER) & (offset + 28 <= CHUNK)
    offset = np.where(good, offset, CHUNK_HEADER)
    definition = np.minimum(base + offset, end - 24)
    inline = definition == at + 14
    size = _u32(chunks, definition + 20)
    good &= offset + 24 + size <= CHUNK
    values = np.where(inline, definition + 24 + np.where(good, size, 0), at + 14)
    count = _u32(chunks, np.minimum(values, end))
    good &= (count <= _MOST_VALUES) & (values + 4 + 4 * count <= np.minimum(base + CHUNK, end))
    key = chunks.words[definition + 4] ^ (
        chunks.words[np.minimum(definition + 12, end)] * np.uint64(0x9E3779B97F4A7C15)
    )
    return good, key ^ (count.astype(np.uint64) << np.uint64(48)), definition, values, count, size


def _values(chunks: Chunks, at: Ints, count: int) -> Values:
    descriptor = _u32(chunks, (at + 4)[:, None] + 4 * np.arange(count))
    size = descriptor & 0xFFFF
    start = np.cumsum(size, 1) - size + (at + 4 + 4 * count)[:, None]
    return Values(start, size, (descriptor >> 16) & 0xFF)


def _event_ids(chunks: Chunks, template: Template, rows: Ints, at: Ints, count: int) -> tuple[Ints, Bools]:
    slot = template.leaf("Event/System/EventID")
    if slot is None or (slot.constant is None and slot.index >= count):
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    if slot.constant is not None:
        known = slot.constant.isdigit() and slot.constant.isascii()
        return np.full(len(rows), int(slot.constant) if known else 0), np.full(len(rows), known)
    descriptor = _u32(chunks, (at + 4)[:, None] + 4 * np.arange(slot.index + 1))
    place = at + 4 + 4 * count + (descriptor[:, :-1] & 0xFFFF).sum(1)
    sure = ((descriptor[:, -1] >> 16) & 0xFF) == 6
    sure &= ((descriptor[:, -1] & 0xFFFF) == 2) & (place + 2 <= chunks.base[rows] + CHUNK)
    return (chunks.words[np.where(sure, place, 0)] & np.uint64(0xFFFF)).astype(np.int64), sure


def _providers(chunks: Chunks, template: Template, values: Values, count: int) -> Iterator[tuple[str | None, Ints]]:
    slot = template.leaf("Event/System/Provider@Name")
    if slot is None:
        yield None, np.arange(count)
        return
    column = texts(chunks, slot, values, count)
    codes = column.indices.to_numpy(zero_copy_only=False)
    for code, name in enumerate(column.dictionary.to_pylist()):
        yield name, np.flatnonzero(codes == code)
    if column.null_count:
        yield None, np.flatnonzero(np.isnan(codes))


def _learn(chunks: Chunks, place: int, base: int) -> _Known:
    chunk = chunks.bytes[base : base + CHUNK].tobytes()
    template = walk(chunk, place - base)
    names = np.array(template.names, np.int64)
    body = chunks.bytes[place + 24 : place + 24 + template.size].copy()
    mask = np.ones(template.size, bool)
    offsets = _u32(chunks, place + 24 + names)
    inline = offsets == place - base + 24 + names + 4
    for name, own in zip(names.tolist(), inline.tolist(), strict=True):
        mask[name : name + (8 if own else 4)] = False
    return _Known(template, body, mask, names, chunks.words[base + offsets] >> np.uint64(32), inline)


def _compare(chunks: Chunks, one: _Known, index: int, places: Ints, bases: Ints, sizes: Ints, which: Ints) -> None:
    """Mark the definitions that equal a known one: same bytes where no name offset stands, same names by hash and length."""
    size = one.template.size
    rows = np.flatnonzero((which == -2) & (sizes == size) & (places + 24 + size <= len(chunks.bytes)))
    if not len(rows):
        return
    body = chunks.bytes[(places[rows] + 24)[:, None] + np.arange(size)]
    same = ((body == one.body) | ~one.mask).all(1)
    offsets = _u32(chunks, (places[rows] + 24)[:, None] + one.names)
    inside = offsets + 8 <= CHUNK
    offsets = np.where(inside, offsets, 0)
    same &= inside.all(1)
    same &= ((chunks.words[bases[rows][:, None] + offsets] >> np.uint64(32)) == one.hashes).all(1)
    same &= ((offsets == (places[rows] - bases[rows] + 24)[:, None] + one.names + 4) == one.inline).all(1)
    which[rows[same]] = index


def numbers(chunks: Chunks, slot: Slot | None, values: Values, count: int) -> tuple[Ints, Bools]:
    """Return a slot's values as integers and which rows have none; a value of another width or type is none."""
    if slot is None or slot.constant is not None or slot.index >= values.kind.shape[1]:
        constant = slot.constant if slot is not None and slot.constant is not None else ""
        known = constant.isdigit() and constant.isascii() and len(constant) < 19
        return np.full(count, int(constant) if known else 0), np.full(count, not known)
    start, size, kind = (array[:, slot.index] for array in (values.start, values.size, values.kind))
    out = np.zeros(count, np.int64)
    absent = np.ones(count, bool)
    for code in np.unique(kind).tolist():
        width = _WIDTHS.get(code, 0)
        here = (kind == code) & (size == width)
        if not width or not here.any():
            continue
        word = chunks.words[np.minimum(start[here], len(chunks.bytes) - 16)] & np.uint64(_MASK[width])
        out[here] = word.astype(np.int64)
        absent[here] = False
    return out, absent


def texts(chunks: Chunks, slot: Slot | None, values: Values, count: int) -> pa.DictionaryArray:
    """Return a slot's values as dictionary-encoded text; each distinct value is rendered once, null and empty are null."""
    if slot is None or (slot.constant is None and slot.index >= values.kind.shape[1]):
        return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), pa.array([], pa.string()))
    if slot.constant is not None:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([slot.constant]))
    start, size, kind = (array[:, slot.index] for array in (values.start, values.size, values.kind))
    absent = (kind == 0) | (size == 0)
    codes = np.zeros(count, np.int32)
    words: list[str] = []
    for code in np.unique(kind[~absent]).tolist():
        rows = np.flatnonzero((kind == code) & ~absent)
        raw = _bytes(chunks, start[rows], size[rows]).dictionary_encode()
        codes[rows] = raw.indices.to_numpy() + len(words)
        words += [text_of(value, code) for value in raw.dictionary.to_pylist()]
    blank = np.array([not word for word in words], bool)
    if blank.any():
        absent |= blank[codes]
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), pa.array(words, pa.string()))


def _bytes(chunks: Chunks, start: Ints, size: Ints) -> pa.BinaryArray:
    """Copy value bytes out of the buffer; ValueError unless rows ascend, do not overlap and lie inside it.

    Values of ascending records do; a descriptor that was made to reach into the next record does not, and Arrow would
    believe the offsets.
    """
    count = len(start)
    if count and ((start[1:] < start[:-1] + size[:-1]).any() or start[-1] + size[-1] > len(chunks.bytes)):
        raise ValueError("values overlap")
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2] = start
    offsets[1::2] = start + size
    offsets[-1] = offsets[-2] if count else 0
    whole = pa.Array.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(chunks.bytes)])
    return whole.take(pa.array(np.arange(0, 2 * count, 2)))
