"""From the wanted records of some chunks to `Fields`: columnar where proven, rendered where odd, accounted for either way."""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_chunks import CHUNK, Chunks
from forensics.parsers._evtx_columns import Group, numbers, texts
from forensics.parsers._evtx_render import Rendered, render
from forensics.parsers._evtx_rows import Fields, time_is_possible
from forensics.parsers._rdp import IDS, LOGON_TYPE_OF, MEANINGS, SKIPPED_LOGON_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.parsers._evtx_columns import Columns, Values
    from forensics.parsers._evtx_cover import Cover
    from forensics.parsers._evtx_template import Slot, Template

    Ints = NDArray[np.int64]

_SEPARATOR: Final = "\u241f"
_NOT_KEPT: Final = frozenset({"Binary"})
_HOSTILE: Final = (IndexError, ValueError, OverflowError, struct.error, pa.ArrowInvalid, KeyError, TypeError)
"""What the vectorised code may meet in bytes that were made to break it; such chunks are rendered one by one."""


def wanted(provider: str, event_id: int) -> bool:
    """Say whether an event is in the table of meanings; with no provider, whether its number alone could be."""
    return (provider, event_id) in MEANINGS if provider else event_id in IDS


class Reader:
    """Reads the records of some chunks; what does not become Fields goes to the cover."""

    def __init__(
        self, chunks: Chunks, cover: Cover, flags: pa.DictionaryArray, offset: int, seen: set[tuple[object, ...]] | None
    ) -> None:
        self._chunks = chunks
        self._cover = cover
        self._flags = flags
        self._offset = offset
        self._seen = seen

    def read(self, columns: Columns, rows: Ints) -> Iterator[Fields]:
        """Yield the wanted records among `rows`, the live ones before those found in slack."""
        live = self._chunks.live[rows]
        for part in (rows[live], rows[~live]):
            for fields in self._read(columns, part):
                kept = self._first_copies(fields)
                if kept is not None:
                    yield kept

    def _first_copies(self, fields: Fields) -> Fields | None:
        """Leave out what was recovered and is a copy of a record already read: same computer, channel, number and time."""
        if self._seen is None:
            return fields
        names = (
            fields.computer.to_pylist(),
            fields.channel.to_pylist(),
            fields.record_id.tolist(),
            fields.ticks.tolist(),
        )
        keys = list(zip(*names, strict=True))
        slack = ["recovered" in (flag or "") for flag in fields.flags.to_pylist()]
        keep = np.array([not (old and key in self._seen) for key, old in zip(keys, slack, strict=True)], bool)
        self._seen.update(keys)
        if keep.all():
            return fields
        self._cover.skip_places(fields.offset[~keep] - self._offset, fields.length[~keep], "slack_copy")
        return fields.only(keep) if keep.any() else None

    def _read(self, columns: Columns, rows: Ints) -> Iterator[Fields]:
        odd: list[Ints] = []
        for part in self._parts(columns, rows):
            if isinstance(part, Fields):
                yield part
            else:
                odd.append(part)
        if odd:
            yield from self._rendered(np.sort(np.concatenate(odd)))

    def _parts(self, columns: Columns, rows: Ints) -> Iterator[Fields | Ints]:
        """Decode all chunks at once; if hostile bytes break an assumption, chunk by chunk, and a chunk that breaks is odd."""
        try:
            parts, unwanted = self._decode(columns, rows)
        except _HOSTILE:
            pass
        else:
            yield from self._done(parts, unwanted)
            return
        for base in np.unique(self._chunks.base[rows]).tolist():
            here = rows[self._chunks.base[rows] == base]
            try:
                parts, unwanted = self._decode(columns, here)
            except _HOSTILE:
                yield here
                continue
            yield from self._done(parts, unwanted)

    def _done(self, parts: list[Fields | Ints], unwanted: list[tuple[Ints, str]]) -> Iterator[Fields | Ints]:
        for rows, reason in unwanted:
            if reason == "bad_time":
                self._cover.reject_records(rows, reason, "the record's time lies outside 1990 to 2100")
            else:
                self._cover.skip_records(rows, reason)
        yield from parts

    def _decode(self, columns: Columns, rows: Ints) -> tuple[list[Fields | Ints], list[tuple[Ints, str]]]:
        groups, odd, unwanted = columns.groups(self._chunks, rows, wanted)
        parts: list[Fields | Ints] = [odd] if len(odd) else []
        left: list[tuple[Ints, str]] = [(unwanted, "unwanted_event")]
        for group in groups:
            group, skipped = self._drop_logons(group)  # noqa: PLW2901  # the group without them
            left.append((skipped, "unwanted_logon_type"))
            made, odd_rows, bad = self._fields(group)
            left.append((bad, "bad_time"))
            if len(odd_rows):
                parts.append(odd_rows)
            if made is not None:
                parts.append(made)
        return parts, left

    def _drop_logons(self, group: Group) -> tuple[Group, Ints]:
        """Leave out logons that no person made, by the value in the record, before anything is rendered."""
        if (group.provider, group.event_id) not in LOGON_TYPE_OF or group.inner is None or group.inner_values is None:
            return group, np.zeros(0, np.int64)
        kind, absent = numbers(
            self._chunks, group.inner.leaf("EventData/LogonType"), group.inner_values, len(group.rows)
        )
        drop = ~absent & np.isin(kind, list(SKIPPED_LOGON_TYPES))
        keep = np.flatnonzero(~drop)
        return _subset(group, keep), group.rows[drop]

    def _fields(self, group: Group) -> tuple[Fields | None, Ints, Ints]:
        """Return the group's fields, the rows without a readable time, and the rows whose time is impossible."""
        count = len(group.rows)
        ticks, absent = numbers(
            self._chunks, group.outer.leaf("Event/System/TimeCreated@SystemTime"), group.outer_values, count
        )
        possible = time_is_possible(ticks)
        keep = np.flatnonzero(~absent & possible)
        odd, bad = group.rows[absent], group.rows[~absent & ~possible]
        if not len(keep):
            return None, odd, bad
        group = _subset(group, keep)
        count, outer, values = len(group.rows), group.outer, group.outer_values
        record_id, no_id = numbers(self._chunks, outer.leaf("Event/System/EventRecordID"), values, count)

        def system(path: str) -> pa.DictionaryArray:
            return texts(self._chunks, outer.leaf(f"Event/System/{path}"), values, count)

        place = self._chunks.place[group.rows]
        fields = Fields(
            provider=group.provider,
            event_id=group.event_id,
            offset=place + self._offset,
            length=self._chunks.size[group.rows],
            header_id=self._chunks.words[place + 8].astype(np.int64),
            ticks=ticks[keep],
            record_id=record_id,
            record_id_absent=no_id,
            computer=system("Computer"),
            channel=system("Channel"),
            activity=system("Correlation@ActivityID"),
            named=self._named(group, count),
            flags=self._flags.take(pa.array(group.rows)),
        )
        return fields, odd, bad

    def _named(self, group: Group, count: int) -> dict[str, pa.DictionaryArray]:
        template, values = (
            (group.inner, group.inner_values) if group.inner is not None else (group.outer, group.outer_values)
        )
        meaning = MEANINGS[group.provider, group.event_id]
        asked = set(meaning.columns.values()) | set(meaning.rest)
        named: dict[str, pa.DictionaryArray] = {}
        for name, slot in _own_places(template):
            if name in _NOT_KEPT or not ("*" in meaning.rest or name in asked):
                continue
            column = texts(self._chunks, slot, values, count)  # type: ignore[arg-type]  # both are there
            named |= _spread(name, column)
        return named

    def _rendered(self, rows: Ints) -> Iterator[Fields]:
        """Render the chunks of odd rows; match by the number in the record's header, then by order."""
        groups: dict[tuple[str, int], list[tuple[int, Rendered]]] = defaultdict(list)
        lost: list[int] = []
        unwanted: list[int] = []
        for base in np.unique(self._chunks.base[rows]).tolist():
            chunk = self._chunks.bytes[base : base + CHUNK].tobytes()
            by_id: dict[int, list[Rendered]] = defaultdict(list)
            for record in render(chunk):
                by_id[record.header_id].append(record)
            for row in rows[self._chunks.base[rows] == base].tolist():
                matches = by_id.get(int(self._chunks.words[self._chunks.place[row] + 8]), [])
                if not matches:
                    lost.append(row)
                    continue
                record = matches.pop(0)
                if not wanted(record.provider or "?", record.event_id):
                    unwanted.append(row)
                else:
                    groups[record.provider, record.event_id].append((row, record))
        self._cover.reject_records(np.array(lost, np.int64), "undecodable_record", "neither reader can decode it")
        self._cover.skip_records(np.array(unwanted, np.int64), "unwanted_event")
        for (provider, event_id), found in sorted(groups.items()):
            fields = self._from_rendered(provider, event_id, found)
            if fields is not None:
                yield fields

    def _from_rendered(self, provider: str, event_id: int, found: list[tuple[int, Rendered]]) -> Fields | None:
        if (provider, event_id) in LOGON_TYPE_OF:
            dull = [row for row, r in found if r.named.get("LogonType", "") in {str(t) for t in SKIPPED_LOGON_TYPES}]
            self._cover.skip_records(np.array(dull, np.int64), "unwanted_logon_type")
            found = [pair for pair in found if pair[0] not in set(dull)]
        ticks = np.array([r.ticks for _, r in found], np.int64)
        possible = time_is_possible(ticks) if found else np.zeros(0, bool)
        bad = np.array([row for (row, _), good in zip(found, possible.tolist(), strict=True) if not good], np.int64)
        self._cover.reject_records(bad, "bad_time", "the record's time lies outside 1990 to 2100")
        found = [pair for pair, good in zip(found, possible.tolist(), strict=True) if good]
        if not found:
            return None
        rows = np.array([row for row, _ in found], np.int64)
        records = [record for _, record in found]
        place = self._chunks.place[rows]
        names = sorted({name for r in records for name in r.named} - _NOT_KEPT)

        def column(values: list[str | None]) -> pa.DictionaryArray:
            return pa.array([v or None for v in values], pa.string()).dictionary_encode()

        return Fields(
            provider=provider,
            event_id=event_id,
            offset=place + self._offset,
            length=self._chunks.size[rows],
            header_id=self._chunks.words[place + 8].astype(np.int64),
            ticks=ticks[possible],
            record_id=np.array([r.record_id or 0 for r in records], np.int64),
            record_id_absent=np.array([r.record_id is None for r in records], bool),
            computer=column([r.computer for r in records]),
            channel=column([r.channel for r in records]),
            activity=column([r.activity for r in records]),
            named={name: column([r.named.get(name) for r in records]) for name in names},
            flags=self._flags.take(pa.array(rows)),
        )


def _own_places(template: Template) -> Iterator[tuple[str, Slot]]:
    for path, slot in template.slots.items():
        if "@" not in path and not path.startswith("Event/System/"):
            yield path.rpartition("/")[2], slot


def _spread(name: str, column: pa.DictionaryArray) -> dict[str, pa.DictionaryArray]:
    """An unnamed Data that holds a list of strings is as many unnamed Data."""
    values = column.dictionary.to_pylist()
    if not name.startswith("Data") or not any(_SEPARATOR in value for value in values):
        return {name: column}
    parts = [value.split(_SEPARATOR) for value in values]
    spread = {}
    for number in range(max(map(len, parts))):
        distinct = pa.array([(p[number] or None) if number < len(p) else None for p in parts], pa.string())
        encoded = distinct.dictionary_encode()
        spread[f"Data{number + 1}"] = pa.DictionaryArray.from_arrays(
            encoded.indices.take(column.indices), encoded.dictionary
        )
    return spread


def _subset(group: Group, keep: Ints) -> Group:
    def part(values: Values | None) -> Values | None:
        return None if values is None else type(values)(values.start[keep], values.size[keep], values.kind[keep])

    outer = part(group.outer_values)
    assert outer is not None  # noqa: S101  # the outer template always has values
    return Group(
        group.provider, group.event_id, group.rows[keep], group.outer, outer, group.inner, part(group.inner_values)
    )
