"""Sorting EVTX records by what they are, all of a template together, before anything is rendered.

The template of a record says where its event id and provider stand; a table says whether anybody wants them. Only the
wanted records are looked into further. Records that the code cannot prove are odd, and the exact renderer reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_chunks import CHUNK, CHUNK_HEADER
from forensics.parsers._evtx_values import BINXML, NULL, STRINGS, integers, kinds, packed, sizes, starts, words
from forensics.parsers._rdp import (
    IDS,
    LOGON_TYPE_OF,
    MEANINGS,
    NETWORK,
    SECURITY,
    SKIPPED_LOGON_TYPES,
    meaning_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks
    from forensics.parsers._evtx_definitions import Definitions
    from forensics.parsers._evtx_template import Slot, Template
    from forensics.parsers._rdp import Meaning

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_MOST_VALUES: Final = 512
"""Substitutions of one instance; Windows' own events have up to about 60."""
_FRAGMENT: Final = 0x0001010F
_LOW: Final = np.uint64(0xFFFFFFFF)
_UINT16: Final = 0x06


@dataclass(frozen=True, slots=True)
class Group:
    """Wanted records of one meaning that share both templates. `rows` are numbers of the chunks' records, ascending.

    `inner` is the template of the event's own part; the outer one again where that has it all. Values are packed (see
    `_evtx_values`), a row for each record.
    """

    provider: str
    event_id: int
    meaning: Meaning
    rows: Ints
    outer: Template
    outer_values: Ints
    inner: Template
    inner_values: Ints

    def take(self, keep: Ints | Bools, meaning: Meaning | None = None) -> Group:
        """Return the group of some of its records, with another meaning if one is given."""
        outer, inner = self.outer_values[keep], self.inner_values[keep]
        return Group(
            self.provider, self.event_id, meaning or self.meaning, self.rows[keep], self.outer, outer, self.inner, inner
        )


@dataclass(slots=True)
class Sorted:
    """Where the records went: groups of wanted ones, and rows that are odd, unwanted, or logons of unwanted types."""

    groups: list[Group] = field(default_factory=list)
    odd: list[Ints] = field(default_factory=list)
    unwanted: list[Ints] = field(default_factory=list)
    unwanted_logons: list[Ints] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Instances:
    """Template instances: whether they could be read, the place of their definition, and of their values' count."""

    good: Bools
    definition: Ints
    values: Ints
    count: Ints


def sort_out(chunks: Chunks, rows: Ints, definitions: Definitions) -> Sorted:
    """Sort some records; every one of them ends in one place of the result."""
    sorter = _Sorter(chunks, definitions)
    sorter.all(rows)
    return sorter.out


class _Sorter:
    """Sorts records of some chunks, step by step, into `out`."""

    def __init__(self, chunks: Chunks, definitions: Definitions) -> None:
        self._chunks = chunks
        self._definitions = definitions
        self.out = Sorted()

    def all(self, rows: Ints) -> None:
        """Tell the records apart by their template."""
        chunks = self._chunks
        found = _instances(chunks, chunks.place[rows] + 24, chunks.base(rows), _end_of_values(chunks, rows))
        for template, part in _by_template(chunks, found, self._definitions):
            if template is None:
                self.out.odd.append(rows[part])
            else:
                self._by_id(template, rows[part], found.values[part], int(found.count[part[0]]))

    def _by_id(self, template: Template, rows: Ints, at: Ints, count: int) -> None:
        """Tell the wanted from the unwanted by event id, before anything else of them is looked at."""
        event_id, sure = _event_ids(self._chunks, template, rows, at, count)
        provider = template.slots.get("Event/System/Provider@Name")
        if provider is None:
            self.out.odd.append(rows)
            return
        if not sure.all():
            self.out.odd.append(rows[~sure])
            rows, at, event_id = rows[sure], at[sure], event_id[sure]
        likely = _wanted_ids(provider.constant)[event_id]
        self.out.unwanted.append(rows[~likely])
        if likely.any():
            self._by_provider(template, rows[likely], at[likely], count, event_id[likely])

    def _by_provider(self, template: Template, rows: Ints, at: Ints, count: int, event_id: Ints) -> None:
        """Tell the wanted from the unwanted by provider, where the record and not its template names it."""
        rows, at, event_id = self._people(template, rows, at, count, event_id)
        values = _values(self._chunks, at, count)
        inside = _inside(values, _end_of_values(self._chunks, rows))
        if not inside.all():
            self.out.odd.append(rows[~inside])
            rows, values, event_id = rows[inside], values[inside], event_id[inside]
        for name, part in _providers(self._chunks, template.slots["Event/System/Provider@Name"], values):
            for number in np.unique(event_id[part]).tolist():
                here = part[event_id[part] == number]
                if name is None:
                    self.out.odd.append(rows[here])
                elif (name, number) not in MEANINGS:
                    self.out.unwanted.append(rows[here])
                else:
                    self._wanted((name, number), template, rows[here], values[here])

    def _people(self, outer: Template, rows: Ints, at: Ints, count: int, event_id: Ints) -> tuple[Ints, Ints, Ints]:
        """Leave out logons that no person made, by the one value that says so, before any other is looked at.

        They are most of a busy Security log. What cannot be told so quickly is told by `_keep`.
        """
        chunks, body = self._chunks, outer.body
        logons = np.flatnonzero(np.isin(event_id, [number for _, number in LOGON_TYPE_OF]))
        if outer.slots["Event/System/Provider@Name"].constant != SECURITY or not len(logons):
            return rows, at, event_id
        if body is None or not 0 <= body.index < count:
            return rows, at, event_id
        size, kind = _descriptors(chunks, at[logons], body.index + 1)
        start = at[logons] + 4 + 4 * count + size[:, :-1].sum(1, dtype=np.int64)
        limit = start + size[:, -1]
        sure = (kind[:, -1] == BINXML) & (limit <= _end_of_values(chunks, rows[logons]))
        logons, start, limit = logons[sure], start[sure], limit[sure]
        found = _instances(chunks, start, chunks.base(rows[logons]), limit)
        person = np.ones(len(rows), bool)
        for inner, part in _by_template(chunks, found, self._definitions):
            slot = inner.fields.get("LogonType") if inner is not None else None
            if slot is None or not 0 <= slot.index < found.count[part[0]]:
                continue
            values = _values(chunks, found.values[part], slot.index + 1, int(found.count[part[0]]))
            number, present = integers(chunks, values[:, -1])
            dull = present & np.isin(number, list(SKIPPED_LOGON_TYPES)) & _inside(values, limit[part])
            person[logons[part[dull]]] = False
        self.out.unwanted_logons.append(rows[~person])
        return rows[person], at[person], event_id[person]

    def _wanted(self, event: tuple[str, int], outer: Template, rows: Ints, values: Ints) -> None:
        """Find the event's own part: an instance of another template in one value, or the outer template itself."""
        nested = kinds(values) == BINXML
        column = outer.body.index if outer.body is not None else -1
        has = nested[:, column] if 0 <= column < values.shape[1] else np.zeros(len(rows), bool)
        alone = ~nested.any(1) if event not in LOGON_TYPE_OF else np.zeros(len(rows), bool)
        has &= nested.sum(1) == 1
        self.out.odd.append(rows[~has & ~alone])
        if alone.any():
            own = values[alone]
            self._keep(Group(*event, MEANINGS[event], rows[alone], outer, own, outer, own))
        if has.any():
            self._nested(event, outer, rows[has], values[has], column)

    def _nested(self, event: tuple[str, int], outer: Template, rows: Ints, values: Ints, column: int) -> None:
        """Read the event's own part as an instance of its template."""
        chunks, start = self._chunks, starts(values[:, column])
        limit = start + sizes(values[:, column])
        found = _instances(chunks, start, chunks.base(rows), limit)
        for inner, some in _by_template(chunks, found, self._definitions):
            if inner is None:
                self.out.odd.append(rows[some])
                continue
            count = int(found.count[some[0]])
            own = _values(chunks, found.values[some], count)
            inside = _inside(own, limit[some])
            if not inside.all():
                self.out.odd.append(rows[some[~inside]])
            part, own = some[inside], own[inside]
            if len(part):
                self._keep(Group(*event, MEANINGS[event], rows[part], outer, values[part], inner, own))

    def _keep(self, group: Group) -> None:
        """Keep a group; network logons mean a little more. Unnamed lists are odd, since only the renderer spreads them."""
        odd = np.zeros(len(group.rows), bool)
        for name, slot in group.inner.fields.items():
            if name.startswith("Data") and 0 <= slot.index < group.inner_values.shape[1]:
                odd |= kinds(group.inner_values[:, slot.index]) == STRINGS
        event = group.provider, group.event_id
        kind, told = self._logon_types(group) if event in LOGON_TYPE_OF else (np.full(len(odd), -1), ~odd)
        odd |= ~told
        dull = ~odd & np.isin(kind, list(SKIPPED_LOGON_TYPES))
        network = kind == NETWORK
        self.out.odd.append(group.rows[odd])
        self.out.unwanted_logons.append(group.rows[dull])
        rest = ~network & ~odd & ~dull
        for keep, meaning in ((network & ~odd, meaning_of(*event, NETWORK)), (rest, group.meaning)):
            if keep.any():
                self.out.groups.append(group.take(keep, meaning))

    def _logon_types(self, group: Group) -> tuple[Ints, Bools]:
        """Return each record's LogonType, -1 where it has none, and whether what it has is a number."""
        slot, values = group.inner.fields.get("LogonType"), group.inner_values
        count = len(group.rows)
        if slot is None or slot.constant is not None or slot.index >= values.shape[1]:
            return np.full(count, -1), np.full(count, slot is None or slot.constant is None)
        number, present = integers(self._chunks, values[:, slot.index])
        return np.where(present, number, -1), present | (kinds(values[:, slot.index]) == NULL)


def _end_of_values(chunks: Chunks, rows: Ints) -> Ints:
    return chunks.place[rows] + chunks.size[rows] - 4


def _instances(chunks: Chunks, at: Ints, base: Ints, limit: Ints) -> _Instances:
    """Read the instances at some places, whose values must end before `limit`.

    An instance is a fragment header (4 bytes), 0x0C, a version, the template's short id (4), the place of its definition
    in the chunk (4), then the count of its values; the definition itself lies between where it is used first.
    """
    line = chunks.run(at, 3).view("<u4")
    bare = np.flatnonzero(line[:, 0] != _FRAGMENT)
    if len(bare):
        # A nested fragment may lack its own header.
        at = at.copy()
        at[bare] -= 4
        line[bare] = chunks.run(at[bare], 3).view("<u4")
    halves = line.view("<u2")
    good = (line[:, 1] & 0xFF) == 0x0C
    offset = halves[:, 5].astype(np.int64) | halves[:, 6].astype(np.int64) << 16
    count = halves[:, 7].astype(np.int64) | halves[:, 8].astype(np.int64) << 16
    good &= (offset >= CHUNK_HEADER) & (offset + 28 <= CHUNK)
    definition = base + np.where(good, offset, CHUNK_HEADER)
    values = at + 14
    inline = np.flatnonzero(good & (definition == values))
    if len(inline):
        values[inline] += 24 + _u32(chunks, definition[inline] + 20)
        good[inline] &= values[inline] + 4 <= limit[inline]
        inline = inline[good[inline]]
        count[inline] = _u32(chunks, values[inline])
    good &= (count <= _MOST_VALUES) & (values + 4 + 4 * count <= limit)
    return _Instances(good, definition, values, count)


def _u32(chunks: Chunks, at: Ints) -> Ints:
    return (chunks.word(at) & _LOW).astype(np.int64)


def _by_template(chunks: Chunks, found: _Instances, definitions: Definitions) -> Iterator[tuple[Template | None, Ints]]:
    """Yield (template, rows) for rows whose definitions are the same and that have as many values; None for odd rows."""
    odd = np.flatnonzero(~found.good)
    if len(odd):
        yield None, odd
    sure = np.flatnonzero(found.good)
    coded = pa.array(found.definition[sure]).dictionary_encode()
    codes, places = coded.indices.to_numpy(), coded.dictionary.to_numpy()
    templates = definitions.identify(chunks, places, places - places % CHUNK)
    distinct: list[Template | None] = []
    number_of: dict[int, int] = {}
    for template in templates:
        if id(template) not in number_of:
            number_of[id(template)] = len(distinct)
            distinct.append(template)
    which = np.array([number_of[id(template)] for template in templates], np.int64)[codes] if len(sure) else codes
    pair = which * (_MOST_VALUES + 1) + found.count[sure]
    grouped = pa.array(pair).dictionary_encode()
    values = grouped.dictionary.to_pylist()
    codes = grouped.indices.to_numpy()
    # Sixteen bits are sorted by counting.
    order = np.argsort(codes.astype(np.uint16) if len(values) < 1 << 16 else codes, kind="stable")
    cuts = np.cumsum(np.bincount(codes, minlength=len(values))).tolist()
    for start, stop, value in zip([0, *cuts], cuts, values, strict=False):
        yield distinct[value // (_MOST_VALUES + 1)], sure[order[start:stop]]


@cache
def _wanted_ids(provider: str | None) -> Bools:
    """Return, by event id, whether a provider's event is wanted; without a provider, whether anybody's is."""
    table = np.zeros(1 << 16, bool)
    table[list(IDS) if provider is None else [i for name, i in MEANINGS if name == provider]] = True
    return table


def _event_ids(chunks: Chunks, template: Template, rows: Ints, at: Ints, count: int) -> tuple[Ints, Bools]:
    slot = template.slots.get("Event/System/EventID")
    if slot is not None and slot.constant is not None:
        text = slot.constant
        known = text.isdigit() and text.isascii() and len(text) <= 5 and int(text) < 1 << 16
        return np.full(len(rows), int(text) if known else 0), np.full(len(rows), known)
    if slot is None or slot.index >= count:
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
    size, kind = _descriptors(chunks, at, slot.index + 1)
    start = at + 4 + 4 * count + size[:, :-1].sum(1, dtype=np.int64)
    sure = (kind[:, -1] == _UINT16) & (size[:, -1] == 2) & (start + 2 <= _end_of_values(chunks, rows))
    return (chunks.word(np.where(sure, start, 0)) & np.uint64(0xFFFF)).astype(np.int64), sure


def _descriptors(chunks: Chunks, at: Ints, count: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return the sizes and types of the first `count` values of the instances whose values stand at `at`."""
    halves = chunks.run(at + 4, (count + 1) // 2).view("<u2")
    return halves[:, 0 : 2 * count : 2], halves[:, 1 : 2 * count : 2] & np.uint16(0xFF)


def _values(chunks: Chunks, at: Ints, count: int, of: int | None = None) -> Ints:
    """Return the first `count` of `of` values (all of them if not said) of the instances whose values stand at `at`."""
    sizes16, kinds16 = _descriptors(chunks, at, count)
    size, kind = sizes16.astype(np.int64), kinds16.astype(np.int64)
    start = np.cumsum(size, 1)
    start -= size
    start += (at + 4 + 4 * (count if of is None else of))[:, None]
    return packed(start, size, kind)


def _inside(values: Ints, limit: Ints) -> Bools:
    """Say which rows' values end before a place."""
    if not values.shape[1]:
        return np.ones(len(limit), bool)
    return starts(values[:, -1]) + sizes(values[:, -1]) <= limit


def _providers(chunks: Chunks, slot: Slot, values: Ints) -> Iterator[tuple[str | None, Ints]]:
    """Yield (provider, rows); None for rows that name none."""
    if slot.constant is not None or slot.index >= values.shape[1]:
        yield slot.constant, np.arange(len(values))
        return
    column = words(chunks, values[:, slot.index])
    for code in np.unique(column.codes).tolist():
        yield (None if code < 0 else column.words[code]), np.flatnonzero(column.codes == code)
