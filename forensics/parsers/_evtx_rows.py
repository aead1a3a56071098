"""Groups of EVTX records as rows of the events table: one frame over all of them, one column at a time.

A frame knows for each of its records, in order of their places, which value fills which column; each distinct value is
rendered and read once, whatever events it stands in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.instants import FILETIME_EPOCH_US
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.parsers._evtx_cover import LARGEST_ORDINAL
from forensics.parsers._evtx_meaning import NOT_KEPT, NUMBERS, READERS, guid, kept, outcome, present
from forensics.parsers._evtx_values import Words, integers, words
from forensics.parsers._fast_columns import constant, nulls
from forensics.parsers._rdp import RENAMED
from forensics.schemas import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks
    from forensics.parsers._evtx_columns import Group, Part
    from forensics.parsers._evtx_template import Slot
    from forensics.parsers._rdp import Meaning

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

LOG_FORMAT: Final = "evtx"
CHANNEL: Final = "channel"
"""The key in `unmapped` under which System's channel is kept."""
_SYSTEM: Final = "Event/System/"


class Alike(Protocol):
    """What is the same of all records of a group."""

    @property
    def provider(self) -> str: ...
    @property
    def event_id(self) -> int: ...
    @property
    def meaning(self) -> Meaning: ...


class Rows(ABC):
    """Wanted records in order of their places, each in a group of those that are alike: `of` is the number of each one's group."""

    def __init__(self, groups: Sequence[Alike], of: Ints) -> None:
        self._groups = groups
        self._of = of

    def __len__(self) -> int:
        return len(self._of)

    @abstractmethod
    def own(self, names: Sequence[str | None]) -> Words:
        """Return as text the field of the event's own part that has the name given for its group."""

    def texts(self, names: Sequence[str | None]) -> Words:
        """Return the same where it need not be that words differ: a word may be there twice, or empty."""
        return self.own(names)

    @abstractmethod
    def kept_fields(self, where: Callable[[str], bool]) -> list[list[str]]:
        """Return, for each group, the fields that `unmapped` keeps and whose keys pass a test, in order of their keys."""

    def meant(self, say: Callable[[Alike], str | None]) -> Words:
        """Return as text the field that `say` names for each group."""
        return self.own([say(group) for group in self._groups])

    def each(self, say: Callable[[Alike], str]) -> Words:
        """Return one word for all the records of a group."""
        return Words(self._of.astype(np.int32), [say(group) for group in self._groups]).map(str)

    def keyed(self, names: Sequence[str | None], form: str) -> pa.Array:
        """Return one field of each group as `"key": "text"` in a form (`{}, `), null where there is no text."""
        values = self.texts(names)
        keys = [
            key_of(group.provider, group.event_id, name) if name else ""
            for group, name in zip(self._groups, names, strict=True)
        ]
        distinct = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        span, listed = len(values.words) + 1, list(distinct)
        pair = values.codes + np.array([distinct[key] * span for key in keys], np.int64)[self._of]
        pair[values.codes < 0] = span - 1
        seen, number = _numbered(pair, span * len(listed))
        told = [""] * len(seen)
        for code, (key, word) in enumerate(zip(*(n.tolist() for n in divmod(seen, span)), strict=True)):
            text = kept(listed[key], values.words[word]) if word < span - 1 else None
            if text:
                told[code] = form.format(f"{as_json(listed[key])}: {as_json(text)}")
        absent = np.array([not text for text in told], bool)[number]
        return pa.array(told, pa.string()).take(pa.array(number, mask=absent if absent.any() else None))


class Frame(Rows):
    """The wanted records of a run of chunks, in order of their places."""

    def __init__(self, chunks: Chunks, groups: Sequence[Group]) -> None:
        self._chunks = chunks
        self._alike = [group for group in groups if len(group.rows)]
        rows = np.concatenate([group.rows for group in self._alike] or [np.zeros(0, np.int64)])
        order = np.argsort(rows, kind="stable")
        self.rows: Ints = rows[order]
        self._order = order
        """From the records group by group to those in order of their places."""
        counts = [len(group.rows) for group in self._alike]
        super().__init__(self._alike, np.repeat(np.arange(len(counts)), counts)[order])
        self.ticks, self.has_time = self.system_integers("TimeCreated@SystemTime")

    def system(self, path: str) -> Words:
        """Return a place of the System element as text."""
        return self._words(self._of_system(path))

    def system_integers(self, path: str) -> tuple[Ints, Bools]:
        """Return a place of the System element as numbers, and which rows have one."""
        return integers(self._chunks, self._packed(self._of_system(path)))

    def _of_system(self, path: str) -> list[tuple[Part, Slot | None]]:
        return [(group.outer, group.outer.template.slots.get(_SYSTEM + path)) for group in self._alike]

    def own(self, names: Sequence[str | None]) -> Words:
        """Return as text the field of the event's own part that has the name given for its group."""
        return self._words(self._of_own(names))

    def texts(self, names: Sequence[str | None]) -> Words:
        """Return the same where it need not be that words differ: a word may be there twice, or empty."""
        return self._words(self._of_own(names), distinct=False)

    def _of_own(self, names: Sequence[str | None]) -> list[tuple[Part, Slot | None]]:
        named = zip(self._alike, names, strict=True)
        return [(group.inner, group.inner.template.fields.get(name) if name else None) for group, name in named]

    def kept_fields(self, where: Callable[[str], bool]) -> list[list[str]]:
        """Return, for each group, the fields that `unmapped` keeps and whose keys pass a test, in order of their keys."""
        out = []
        for group in self._alike:
            keyed = sorted((key_of(group.provider, group.event_id, name), name) for name in _kept_fields(group))
            out.append([name for key, name in keyed if where(key)])
        return out

    def _packed(self, places: Sequence[tuple[Part, Slot | None]]) -> Ints:
        """Return the value of each record's own slot, packed; nothing where it has none."""
        out = np.zeros(len(self), np.int64)
        done = 0
        for part, slot in places:
            here = slice(done, done := done + len(part.at))
            packed = part.packed(slot)
            if packed is not None:
                out[here] = packed
        return out[self._order]

    def _words(self, places: Sequence[tuple[Part, Slot | None]], *, distinct: bool = True) -> Words:
        out = words(self._chunks, self._packed(places), distinct=distinct)
        slots = [slot for _, slot in places]
        constants = [-1 if slot is None or slot.constant is None else number for number, slot in enumerate(slots)]
        if max(constants, default=-1) < 0:
            return out
        told = [slot.constant or "" if slot is not None else "" for slot in slots]
        return Words(np.array(constants, np.int32)[self._of], told).over(out)


def _numbered(numbers: Ints, limit: int) -> tuple[Ints, Ints]:
    """Return the distinct ones among some numbers below a limit, ascending, and which of them each is."""
    if limit > 4 * len(numbers) + (1 << 16):
        distinct, index = np.unique(numbers, return_inverse=True)
        return distinct, index
    # Where they are dense, no need to sort.
    there = np.zeros(limit, np.int64)
    there[numbers] = 1
    distinct = np.flatnonzero(there)
    there[distinct] = np.arange(len(distinct))
    return distinct, there[numbers]


def _kept_fields(group: Group) -> list[str]:
    used = set(group.meaning.columns.values())
    return [name for name in group.inner.template.fields if name not in used and name not in NOT_KEPT]


def key_of(provider: str, event_id: int, name: str) -> str:
    """Return the key of a field in `unmapped`; System's channel has its own, which no field takes."""
    key = RENAMED.get((provider, event_id, name), name)
    return f"event_{key}" if key == CHANNEL else key


def as_json(text: str) -> str:
    """Return a text as JSON writes it, letters of every script as they are."""
    return encode_basestring(text)


def possible(ticks: Ints) -> Bools:
    """Say which FILETIME values lie within the bounds of limits.py."""
    us = ticks // 10 - FILETIME_EPOCH_US
    return (us >= TIME_MIN_US) & (us <= TIME_MAX_US)


def events(frame: Frame, chunks: Chunks, offset: int, evidence_id: str, flags: Words) -> tuple[pa.RecordBatch, Bools]:
    """Return the records as events, and which rows hold a text where a number should be: those are not right yet."""
    count = len(frame)
    record_id, has_id = frame.system_integers("EventRecordID")
    header_id = chunks.numbers(frame.rows)
    columns: dict[str, pa.Array] = {
        "time": _times(frame.ticks),
        "time_original": _texts_of_times(frame.ticks),
        "time_basis": constant("filetime_utc", count),
        "event_action": frame.each(lambda group: group.meaning.action).arrow(),
        "event_outcome": outcomes(frame).arrow(),
        "event_provider": frame.each(lambda group: group.provider).arrow(),
        "event_code": frame.each(lambda group: str(group.event_id)).arrow(),
        "event_sequence": _numbers(record_id, has_id & (record_id >= 0), pa.int64()),
        "host_name": frame.system("Computer").map(present).arrow(),
        "activity_id": frame.system("Correlation@ActivityID").map(guid).arrow(),
        "log_format": constant(LOG_FORMAT, count),
        "evidence_id": constant(evidence_id, count),
        "log_offset": pa.array(chunks.place[frame.rows] + offset),
        "log_length": pa.array(chunks.size[frame.rows]),
        "log_ordinal": _numbers(header_id, (header_id >= 0) & (header_id < LARGEST_ORDINAL), pa.int64()),
        "unmapped": unmapped_column(frame, frame.system("Channel")),
        "flags": flags.arrow(),
    }
    meant, unread = meant_columns(frame)
    columns |= meant
    arrays = [columns[f.name] if f.name in columns else nulls(f.type, count) for f in EVENTS]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS), unread


def _times(ticks: Ints) -> pa.Array:
    return pa.array(ticks // 10 - FILETIME_EPOCH_US).cast(TIME)


def _texts_of_times(ticks: Ints) -> pa.DictionaryArray:
    """Return FILETIMEs as ISO 8601 with seven digits: what `filetime_text` says of one."""
    coded = pa.array(ticks).dictionary_encode()
    distinct = coded.dictionary.to_numpy()
    # Arrow writes `2017-01-18 09:03:09.123456`.
    micro = pa.array(distinct // 10 - FILETIME_EPOCH_US).cast(pa.timestamp("us")).cast(pa.string())
    last = pa.array([f"{digit}Z" for digit in range(10)]).take(pa.array(distinct % 10))
    text = pc.binary_join_element_wise(pc.utf8_replace_slice(micro, 10, 11, "T"), last, "")
    return pa.DictionaryArray.from_arrays(coded.indices, text)


def _numbers(values: Ints, present_at: Bools, kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, mask=None if present_at.all() else ~present_at)


def outcomes(frame: Rows) -> Words:
    """Return what each event's status says, or else what its meaning says."""
    said = frame.meant(lambda group: group.meaning.verdict)
    return said.map(outcome).over(frame.each(lambda group: group.meaning.outcome))


def meant_columns(frame: Rows) -> tuple[dict[str, pa.Array], Bools]:
    """Fill the columns that the table of meanings names; say which rows hold a text where a number should be."""
    texts: dict[str, Words] = {}
    numbers: dict[str, tuple[Ints, Bools]] = {}
    unread = np.zeros(len(frame), bool)
    for meant, (filled, read) in READERS.items():
        column = frame.meant(lambda group, meant=meant: group.meaning.columns.get(meant))  # type: ignore[misc]
        if (column.codes < 0).all():
            continue
        cells = [read(word) for word in column.words]
        for number, name in enumerate(filled):
            found = [cell[number] for cell in cells]
            if not pa.types.is_integer(EVENTS.field(name).type):
                of = dict(zip(column.words, found, strict=True))
                mapped = column.map(lambda word, of=of: of[word])  # type: ignore[misc]
                texts[name] = texts[name].over(mapped) if name in texts else mapped
                continue
            lookup = np.array([-1 if cell is None else cell for cell in found] + [-1], np.int64)
            value = lookup[column.codes]
            if meant in NUMBERS:
                strange = np.array([present(w) is not None for w in column.words] + [False])
                unread |= (value < 0) & strange[column.codes]
            before = numbers.get(name, (np.full(len(frame), -1), unread))[0]
            value = np.where(before < 0, value, before)
            numbers[name] = value, value >= 0
    out = {name: column.arrow() for name, column in texts.items()}
    return out | {name: _numbers(*pair, EVENTS.field(name).type) for name, pair in numbers.items()}, unread


def unmapped_column(frame: Rows, logs: Words) -> pa.Array:
    """Return the fields that fill no column, and the log, as JSON text, keys sorted: joined a column at a time."""
    channel = logs.map(lambda text: f'"{CHANNEL}": {as_json(text)}').arrow().cast(pa.string())
    before = frame.kept_fields(lambda key: key < CHANNEL)
    after = frame.kept_fields(lambda key: key > CHANNEL)
    brace, end = pa.scalar("{"), pa.scalar("}")
    if not channel.null_count:
        # Every row has the one part, so that the others bring their commas along.
        parts = [*_pieces(frame, before, "{}, "), channel, *_pieces(frame, after, ", {}")]
        return pc.binary_join_element_wise(brace, *parts, end, "", null_handling="skip")
    parts = [*_pieces(frame, before, "{}"), channel, *_pieces(frame, after, "{}")]
    # The opening brace is joined like a part, since Arrow leaves out rows of which every part is null.
    opened = pc.binary_join_element_wise(brace, *parts, ", ", null_handling="skip")
    return pc.binary_join_element_wise(pc.utf8_replace_slice(opened, 1, 3, ""), end, "")


def _pieces(frame: Rows, names: Sequence[Sequence[str]], form: str) -> list[pa.Array]:
    """Return the first field of every group, the second of every group, and so on, each as `"key": "text"` in a form."""
    longest = max(map(len, names), default=0)
    return [
        frame.keyed([listed[number] if number < len(listed) else None for listed in names], form)
        for number in range(longest)
    ]
