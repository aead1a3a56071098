"""Sorting EVTX records by what they are, all of a template together, before anything is rendered.

The template of a record says where its event id and provider stand; a table says whether anybody wants them. Only the
wanted records are looked into further, all of them in one step whatever their outer template. Records that the code cannot
prove are odd, and the exact renderer reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._evtx_instances import Values, by_template, instances, of_records, thirds, two_bytes, values
from forensics.parsers._evtx_values import BINXML, NULL, STRINGS, UINT16, grouped, integers, kinds, sizes, starts, words
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
    from forensics.parsers._evtx_instances import Instances
    from forensics.parsers._evtx_template import Slot, Template
    from forensics.parsers._rdp import Meaning

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_USUAL: Final = 3
"""The number of the value that is the event id in Windows' own definitions."""
_PROVIDER: Final = "Event/System/Provider@Name"
_LOGONS: Final = np.array(sorted(number for _, number in LOGON_TYPE_OF))
_DULL: Final = np.array(sorted(SKIPPED_LOGON_TYPES))


@dataclass(frozen=True, slots=True)
class Part:
    """The values of some instances of one template; `at` are their columns among the values."""

    template: Template
    values: Values
    at: Ints

    def take(self, keep: Ints | Bools) -> Part:
        """Return some of the instances."""
        return Part(self.template, self.values, self.at[keep])

    def packed(self, slot: Slot | None) -> Ints | None:
        """Return the values of a slot, packed; None where none of them has it."""
        if slot is None or slot.constant is not None or slot.index >= len(self.values):
            return None
        out: Ints = self.values.packed[slot.index][self.at]
        return out


@dataclass(frozen=True, slots=True)
class Group:
    """Wanted records of one meaning that share both templates. `rows` are numbers of the chunks' records, ascending.

    `inner` is the event's own part; the outer one again where that has it all.
    """

    provider: str
    event_id: int
    meaning: Meaning
    rows: Ints
    outer: Part
    inner: Part

    def take(self, keep: Ints | Bools, meaning: Meaning | None = None) -> Group:
        """Return the group of some of its records, with another meaning if one is given."""
        outer, inner = self.outer.take(keep), self.inner.take(keep)
        return Group(self.provider, self.event_id, meaning or self.meaning, self.rows[keep], outer, inner)


@dataclass(slots=True)
class Sorted:
    """Where the records went: groups of wanted ones, and rows that are odd, unwanted, or logons of unwanted types."""

    groups: list[Group] = field(default_factory=list)
    odd: list[Ints] = field(default_factory=list)
    unwanted: list[Ints] = field(default_factory=list)
    unwanted_logons: list[Ints] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Likely:
    """Records of one outer template whose event id somebody wants, in order of their places.

    `inside` says whose values end where they must. `own` are those that hold the event's own part in the place for it: from
    `start` to `limit`, a line for each of `own`.
    """

    rows: Ints
    event_id: NDArray[np.uint16]
    outer: Part
    inside: Bools
    own: Ints
    start: Ints
    limit: Ints


@dataclass(slots=True)
class _Nested:
    """The own parts of all likely records: the record, its column among the outer values, and the instance."""

    rows: Ints
    at: Ints
    found: Instances
    inner: list[tuple[Template | None, Ints]]
    event: Ints
    """The number of a wanted event; 0 for none."""


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
        self._events: list[tuple[str, int, Part]] = []
        """Provider and event id that are wanted, and the outer values among which their records are; numbered from 1."""
        self._kept: list[tuple[int, int, Group]] = []
        """Groups by the number of their event and the first record of their own part's template."""
        self.out = Sorted()

    def all(self, rows: Ints) -> None:
        """Tell the records apart by their template, then the likely ones by the template of their own part."""
        found = of_records(self._chunks, rows)
        likely: list[_Likely] = []
        usual = thirds(self._chunks, rows, found)
        for template, part in by_template(self._chunks, found, self._definitions):
            if template is None:
                self.out.odd.append(rows[part])
            else:
                self._by_id(template, rows, found, part, usual, likely)
        if likely:
            nested = self._own_parts(likely)
            self._by_event(likely, nested)
            self._by_own_part(nested)
        self._kept.sort(key=lambda kept: kept[:2])
        self.out.groups += [group for _, _, group in self._kept]

    def _by_id(
        self,
        template: Template,
        rows: Ints,
        found: Instances,
        part: Ints,
        usual: tuple[NDArray[np.uint16], Bools],
        likely: list[_Likely],
    ) -> None:
        """Tell the wanted from the unwanted by event id, before anything else of them is looked at."""
        chunks, count = self._chunks, int(found.count[part[0]])
        slot = template.slots.get("Event/System/EventID")
        if slot is not None and slot.index == _USUAL:
            event_id, sure = usual[0][part], usual[1][part]
        else:
            event_id, sure = _event_ids(chunks, slot, found.values[part], found.limit[part], count)
        provider = template.slots.get(_PROVIDER)
        if provider is None:
            self.out.odd.append(rows[part])
            return
        if not sure.all():
            self.out.odd.append(rows[part[~sure]])
            part, event_id = part[sure], event_id[sure]
        wanted = _wanted_ids(provider.constant)[event_id]
        self.out.unwanted.append(rows[part[~wanted]])
        part, event_id = part[wanted], event_id[wanted]
        if not len(part):
            return
        rows, limit = rows[part], found.limit[part]
        told = values(chunks, found.values[part], count)
        outer = Part(template, told, np.arange(len(rows)))
        body = template.body.index if template.body is not None else -1
        inside = told.ends <= limit
        if not 0 <= body < count:
            none = np.zeros(0, np.int64)
            likely.append(_Likely(rows, event_id, outer, inside, none, none, none))
            return
        start = starts(told.packed[body])
        stop = start + sizes(told.packed[body])
        own = np.flatnonzero((kinds(told.packed[body]) == BINXML) & (stop <= limit))
        likely.append(_Likely(rows, event_id, outer, inside, own, start[own], stop[own]))

    def _own_parts(self, likely: list[_Likely]) -> _Nested:
        """Read the own parts of likely records as instances of their templates, whatever holds them."""
        rows = np.concatenate([one.rows[one.own] for one in likely])
        start, limit = (np.concatenate([getattr(one, name) for one in likely]) for name in ("start", "limit"))
        found = instances(self._chunks, start, limit)
        inner = list(by_template(self._chunks, found, self._definitions))
        at = np.concatenate([one.own for one in likely])
        return _Nested(rows, at, found, inner, np.zeros(len(rows), np.int64))

    def _by_event(self, likely: list[_Likely], nested: _Nested) -> None:
        """Tell the wanted from the unwanted by provider and type of logon; number the events of the wanted ones."""
        dull = self._dull(likely, nested)
        done = 0
        for one in likely:
            here = slice(done, done := done + len(one.own))
            event = np.zeros(len(one.rows), np.int64)
            left = np.ones(len(one.rows), bool)
            left[one.own[dull[here]]] = False
            self.out.unwanted_logons.append(one.rows[~left])
            self._of_outer(one, left, event)
            nested.event[here] = event[one.own]

    def _dull(self, likely: list[_Likely], nested: _Nested) -> Bools:
        """Say which logons no person made, by the one value that says so, before any other is looked at.

        They are most of a busy Security log. What cannot be told so quickly is told by `_keep`.
        """
        logons = np.concatenate(
            [
                np.isin(one.event_id[one.own], _LOGONS) & (one.outer.template.slots[_PROVIDER].constant == SECURITY)
                for one in likely
            ]
        )
        dull = np.zeros(len(logons), bool)
        for inner, every in nested.inner:
            slot = inner.fields.get("LogonType") if inner is not None else None
            part = every[logons[every]]
            if slot is None or not len(part) or not 0 <= slot.index < nested.found.count[part[0]]:
                continue
            told = values(self._chunks, nested.found.values[part], slot.index + 1, int(nested.found.count[part[0]]))
            number, present = integers(self._chunks, told.packed[-1])
            dull[part] = present & np.isin(number, _DULL) & (told.ends <= nested.found.limit[part])
        return dull

    def _of_outer(self, one: _Likely, left: Bools, event: Ints) -> None:
        """Sort the records of one outer template that are left; number the events of those with a part of their own."""
        if not one.inside.all():
            self.out.odd.append(one.rows[left & ~one.inside])
            left = left & one.inside
        at = np.flatnonzero(left)
        nested = one.outer.values.count_of(BINXML)
        alone = nested == 0
        has = np.zeros(len(alone), bool)
        has[one.own] = nested[one.own] == 1
        outer = one.outer.take(at)
        for name, part in _providers(self._chunks, outer):
            number = one.event_id[at[part]]
            for event_id in np.unique(number).tolist():
                here = at[part[number == event_id]]
                if name is None:
                    self.out.odd.append(one.rows[here])
                elif (name, event_id) not in MEANINGS:
                    self.out.unwanted.append(one.rows[here])
                else:
                    self._events.append((name, event_id, one.outer))
                    event[here[has[here]]] = len(self._events)
                    self._whole(one, here[~has[here]], alone)

    def _whole(self, one: _Likely, at: Ints, alone: Bools) -> None:
        """Keep the records whose outer template has all of the event; the others are odd."""
        name, event_id, outer = self._events[-1]
        if (name, event_id) in LOGON_TYPE_OF:
            self.out.odd.append(one.rows[at])
            return
        self.out.odd.append(one.rows[at[~alone[at]]])
        at = at[alone[at]]
        if len(at):
            own = outer.take(at)
            meaning = MEANINGS[name, event_id]
            self._keep(len(self._events), -1, Group(name, event_id, meaning, one.rows[at], own, own))

    def _by_own_part(self, nested: _Nested) -> None:
        """Make groups of the wanted records that share both templates."""
        for template, part in nested.inner:
            here = part[nested.event[part] > 0]
            if template is None:
                self.out.odd.append(nested.rows[here])
            elif len(here):
                self._of_inner(template, here, nested)

    def _of_inner(self, template: Template, here: Ints, nested: _Nested) -> None:
        own = values(self._chunks, nested.found.values[here], int(nested.found.count[here[0]]))
        inside = own.ends <= nested.found.limit[here]
        for event, part in grouped(nested.event[here]):
            name, event_id, outer = self._events[event - 1]
            first = int(nested.rows[here[part[0]]])
            if not inside[part].all():
                self.out.odd.append(nested.rows[here[part[~inside[part]]]])
                part = part[inside[part]]  # noqa: PLW2901
            some = here[part]
            if len(some):
                both = outer.take(nested.at[some]), Part(template, own, part)
                self._keep(event, first, Group(name, event_id, MEANINGS[name, event_id], nested.rows[some], *both))

    def _keep(self, event: int, first: int, group: Group) -> None:
        """Keep a group; network logons mean a little more. Unnamed lists are odd, since only the renderer spreads them."""
        odd = np.zeros(len(group.rows), bool)
        inner = group.inner
        for name, slot in inner.template.fields.items():
            if name.startswith("Data") and 0 <= slot.index < len(inner.values):
                odd |= kinds(inner.values.packed[slot.index][inner.at]) == STRINGS
        if (group.provider, group.event_id) not in LOGON_TYPE_OF:
            self._keep_some(event, first, group, ~odd)
            self.out.odd.append(group.rows[odd])
            return
        kind, told = self._logon_types(inner)
        odd |= ~told
        dull = ~odd & np.isin(kind, _DULL)
        network = ~odd & (kind == NETWORK)
        self.out.odd.append(group.rows[odd])
        self.out.unwanted_logons.append(group.rows[dull])
        meaning = meaning_of(group.provider, group.event_id, NETWORK)
        self._keep_some(event, first, group, network, meaning)
        self._keep_some(event, first, group, ~network & ~odd & ~dull)

    def _keep_some(self, event: int, first: int, group: Group, keep: Bools, meaning: Meaning | None = None) -> None:
        if keep.all():
            self._kept.append((event, first, replace(group, meaning=meaning or group.meaning)))
        elif keep.any():
            self._kept.append((event, first, group.take(keep, meaning)))

    def _logon_types(self, inner: Part) -> tuple[Ints, Bools]:
        """Return each record's LogonType, -1 where it has none, and whether what it has is a number."""
        slot, count = inner.template.fields.get("LogonType"), len(inner.at)
        value = inner.packed(slot)
        if value is None:
            return np.full(count, -1), np.full(count, slot is None or slot.constant is None)
        number, present = integers(self._chunks, value)
        return np.where(present, number, -1), present | (kinds(value) == NULL)


@cache
def _wanted_ids(provider: str | None) -> Bools:
    """Return, by event id, whether a provider's event is wanted; without a provider, whether anybody's is."""
    table = np.zeros(1 << 16, bool)
    table[list(IDS) if provider is None else [i for name, i in MEANINGS if name == provider]] = True
    return table


def _event_ids(
    chunks: Chunks, slot: Slot | None, at: Ints, limit: Ints, count: int
) -> tuple[NDArray[np.uint16], Bools]:
    """Return the event ids of records whose values stand at `at`, and which of them are sure."""
    size = len(at)
    if slot is not None and slot.constant is not None:
        text = slot.constant
        known = text.isdigit() and text.isascii() and len(text) <= 5 and int(text) < 1 << 16
        return np.full(size, int(text) if known else 0, np.uint16), np.full(size, known)
    if slot is None or slot.index >= count:
        return np.zeros(size, np.uint16), np.zeros(size, bool)
    told = chunks.run(at + 4, slot.index // 2 + 1).view("<u4")
    start = at + (4 + 4 * count)
    for number in range(slot.index):
        start += told[:, number] & 0xFFFF
    sure = (told[:, slot.index] & 0xFFFFFF) == UINT16 << 16 | 2
    sure &= start + 2 <= limit
    return two_bytes(chunks, start, sure), sure


def _providers(chunks: Chunks, outer: Part) -> Iterator[tuple[str | None, Ints]]:
    """Yield (provider, rows); None for rows that name none."""
    slot = outer.template.slots[_PROVIDER]
    value = outer.packed(slot)
    if value is None:
        yield slot.constant, np.arange(len(outer.at))
        return
    column = words(chunks, value)
    for code in np.unique(column.codes).tolist():
        yield (None if code < 0 else column.words[code]), np.flatnonzero(column.codes == code)
