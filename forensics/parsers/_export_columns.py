"""The fast path of exports: records of known shapes as columns, whatever the format; all others are named, for the strict reader.

A format says how its texts are cut into values (`Tokens`) and, once a shape, where the parts of an event stand (`Learned`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_rows import key_of
from forensics.parsers._export_fields import number_of
from forensics.parsers._export_frame import ExportFrame, Group, Times, events
from forensics.parsers._export_shapes import WHOLE
from forensics.parsers._rdp import LOGON_TYPE_OF, NETWORK, SKIPPED_LOGON_TYPES, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._export_shapes import Slot, Tokens
    from forensics.parsers._exported import Collected, Moment

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Glue = tuple[bytes, ...]
    Fields = Callable[[str, int], Mapping[str, Slot]]

T = TypeVar("T")

_ENOUGH: Final = 4
"""Texts of a shape in one block that make it worth learning: the strict reader takes as long for as many."""
_MOST_SHAPES: Final = 2048
_MOST_GLUE: Final = 16 * 1024
"""Bytes of a shape that is kept; those of real events have at most 4 KiB."""
_NUMBERED: Final = re.compile(r"#[0-9]+\Z")
_MOST_IDS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Learned:
    """What a shape says: where System's parts stand, by the names of `Parts`; the own fields for a provider and an event id.

    `fields` raises ValueError where they are for the strict reader. `fills`: a message may fill them; `rendered`: a message is
    all there is of them. `utc`: times without a zone are UTC. `log` names the log where none is said.
    """

    system: Mapping[str, Slot]
    fields: Fields
    fills: bool = False
    utc: bool = False
    rendered: bool = False
    log: Callable[[str], str] = field(default=lambda _provider: "")


@dataclass(slots=True)
class Shapes(Generic[T]):
    """The shapes of one file, each learnt once; None for those that are for the strict reader."""

    learn: Callable[[Glue], T]
    known: dict[Glue, T | None] = field(default_factory=dict)

    def of(self, tokens: Tokens) -> tuple[Ints, list[T | None]]:
        """Return the number of each text's shape, and what is known of every shape."""
        codes, glues = tokens.shapes()
        counts = np.bincount(codes, minlength=len(glues)).tolist()
        return codes.astype(np.int64), [self._one(glue, count) for glue, count in zip(glues, counts, strict=True)]

    def _one(self, glue: Glue, count: int) -> T | None:
        if glue in self.known:
            return self.known[glue]
        if count < _ENOUGH or len(self.known) >= _MOST_SHAPES or sum(map(len, glue)) > _MOST_GLUE:
            return None
        try:
            made = self.learn(glue)
        except (ValueError, KeyError, TypeError, RecursionError):
            made = None
        self.known[glue] = made
        return made


@dataclass(frozen=True, slots=True)
class Places:
    """Where texts lie in the stream, and their numbers from 1."""

    offset: Ints
    length: Ints
    ordinal: Ints

    def take(self, keep: Ints | Bools) -> Places:
        """Return the places of some of the texts."""
        return Places(self.offset[keep], self.length[keep], self.ordinal[keep])


@dataclass(frozen=True, slots=True)
class _Inner:
    """The texts in which some forms hold an event's own fields: of each row its text and its shape, -1 for none."""

    tokens: Tokens
    text: Ints
    code: Ints
    fields: list[Fields | None]


@dataclass(slots=True)
class _Sorted:
    """Rows by their groups: `of` is each row's, -1 for those that are not wanted, -2 for those of the strict reader."""

    texts: Ints
    of: Ints
    groups: list[Group]
    inner: Ints
    """The number of each row's text among those that hold its own fields."""

    def frame(self, outer: Tokens, inner: Tokens) -> ExportFrame:
        """Return the wanted rows as a frame."""
        keep = self.of >= 0
        return ExportFrame(self.groups, self.of[keep], (outer, self.texts[keep]), (inner, self.inner[keep]))


@dataclass(frozen=True, slots=True)
class Columnar:
    """Reads the texts of one file a block at a time, as columns.

    `payload` cuts the texts that hold the own fields of some events, if they stand apart, and `payloads` are the shapes of those. `moment`
    reads a time and says its flags, where times are of another form than `moment_of` reads.
    """

    payloads: Shapes[Fields] | None = None
    payload: Callable[[Sequence[str], Sequence[tuple[str, int]]], tuple[Tokens, Bools]] | None = None
    moment: Callable[[str], tuple[Moment, str | None]] | None = None

    def read(
        self, tokens: Tokens, shapes: tuple[Ints, Sequence[Learned | None]], places: Places, kept: Bools, out: Collected
    ) -> Bools:
        """Read the texts that are kept; say which of them are for the strict reader. `shapes` are those of the texts."""
        codes, learned = shapes[0], _of_one_form(shapes[1])
        texts = np.flatnonzero(np.array([one is not None for one in learned])[codes] & kept)
        left = kept.copy()
        if not len(texts):
            return left
        rows, inner = self._sorted(tokens, texts, codes[texts], learned)
        form = next(one for one in learned if one is not None)
        dull = self._settle(rows, tokens, inner, fills=form.fills)
        self._skip(texts[rows.of == -1], places, out, "unwanted_event")
        self._skip(texts[dull], places, out, "unwanted_logon_type")
        left[texts[(rows.of == -1) | dull]] = False
        wanted = texts[rows.of >= 0]
        if len(wanted):
            frame = rows.frame(tokens, inner)
            here = places.take(wanted)
            columns = {
                "log_offset": pa.array(here.offset),
                "log_length": pa.array(here.length),
                "log_ordinal": pa.array(here.ordinal),
            }
            when = self._times(frame, form, out.zone)
            made, wrong = events(frame, when, columns, (out.log_format, out.span.evidence.id))
            out.quick.append(made.filter(pa.array(~wrong)) if wrong.any() else made)
            left[wanted[~wrong]] = False
        return left

    @staticmethod
    def _skip(texts: Ints, places: Places, out: Collected, reason: str) -> None:
        out.skip_all(places.offset[texts], places.length[texts], reason, np.ones(len(texts), np.int64))

    def _sorted(
        self, tokens: Tokens, texts: Ints, codes: Ints, learned: Sequence[Learned | None]
    ) -> tuple[_Sorted, Tokens]:
        """Sort rows by provider and event id, and those that are wanted by shape too."""
        systems = [one.system if one is not None else {} for one in learned]
        provider = tokens.pick(texts, codes, [part.get("provider") for part in systems]).map(str.strip)
        number = tokens.pick(texts, codes, [part.get("number") for part in systems])
        found = [number_of(word, _MOST_IDS) for word in number.words]
        ids = np.array([-1 if one is None else one for one in found] + [-1], np.int64)[number.codes]
        event, firsts = _encoded((provider.codes + 1).astype(np.int64), ids)
        names = [*provider.words, ""]
        events = [(names[provider.codes[row]], int(ids[row])) for row in firsts.tolist()]
        of = np.array([-2 if one < 0 else -1 if meaning_of(name, one) is None else 0 for name, one in events])[event]
        rows = np.flatnonzero(of == 0)
        wanted = [events[one] for one in event[rows].tolist()]
        inner = self._inner(tokens, texts[rows], codes[rows], [part.get("payload") for part in systems], wanted)
        shape, _ = _encoded(codes[rows], inner.code)
        group, firsts = _encoded(event[rows], shape)
        groups: list[Group] = []
        numbers = []
        for row in firsts.tolist():
            own = int(inner.code[row])
            name, event_id = wanted[row]
            made = _group(learned[codes[rows[row]]], name, event_id, inner.fields[own] if own >= 0 else None)
            numbers.append(-2 if made is None or own < -1 else len(groups))
            groups += [made] if numbers[-1] >= 0 and made is not None else []
        of[rows] = np.array([*numbers, -2], np.int64)[group]
        text = np.zeros(len(texts), np.int64)
        text[rows] = inner.text
        return _Sorted(texts, of, groups, text), inner.tokens

    def _inner(
        self,
        tokens: Tokens,
        texts: Ints,
        codes: Ints,
        slots: Sequence[Slot | None],
        events: Sequence[tuple[str, int]],
    ) -> _Inner:
        """Cut the texts that hold the own fields of some rows; where these stand in the same texts as all else, say so."""
        if self.payload is None or self.payloads is None or not any(isinstance(slot, int) for slot in slots):
            return _Inner(tokens, texts, np.full(len(texts), -1), [])
        column = tokens.pick(texts, codes, slots)
        words = [*column.words, ""]
        made, good = self.payload([words[code] for code in column.codes.tolist()], events)
        number, fields = self.payloads.of(made) if len(made.begin) else (np.zeros(0, np.int64), [])
        at = np.cumsum(good) - 1
        code = np.full(len(texts), -2)
        code[good] = np.where(np.array([one is not None for one in fields], bool)[number], number, -2)
        code[column.codes < 0] = -1
        return _Inner(made, np.where(good, at, 0), code, fields)

    def _times(self, frame: ExportFrame, form: Learned, zone: str) -> Times:
        written = frame.system("written")
        if self.moment is not None:
            return Times.read(written, self.moment)
        when = Times.read_plain(written, zone, utc=form.utc)
        if "local" not in form.system:
            return when
        local, received = (Times.read_plain(frame.system(name), "", utc=False) for name in ("local", "received"))
        return when.by_clocks(local, received)

    @staticmethod
    def _settle(rows: _Sorted, outer: Tokens, inner: Tokens, *, fills: bool) -> Bools:
        """Tell rows apart by their values: those that a message has to fill, logons of nobody, logons over the network."""
        dull = np.zeros(len(rows.of), bool)
        logon = np.array([(group.provider, group.event_id) in LOGON_TYPE_OF for group in rows.groups], bool)
        if not rows.groups or not (fills or logon.any()):
            return dull
        frame, wanted = rows.frame(outer, inner), np.flatnonzero(rows.of >= 0)
        of = rows.of[wanted]
        if fills:
            needs = np.array([bool(group.meaning.columns) for group in rows.groups])[of]
            of = np.where(needs & ~frame.told(), -2, of)
        if logon.any():
            kind = np.where(np.append(logon, [False, False])[of], frame.logon_types(), -1)
            dull[wanted[np.isin(kind, list(SKIPPED_LOGON_TYPES))]] = True
            network = kind == NETWORK
            of = np.where(network, of + len(rows.groups), of)
            rows.groups = rows.groups + [_over_network(group) for group in rows.groups]
        rows.of[wanted] = of
        rows.of[dull] = -3
        return dull


def _over_network(group: Group) -> Group:
    return replace(group, meaning=meaning_of(group.provider, group.event_id, NETWORK) or group.meaning)


def _of_one_form(learned: Sequence[Learned | None]) -> list[Learned | None]:
    """Leave out what is of another form than the first one that is known: tools do not mix."""
    forms = [None if one is None else (one.fills, one.utc, "local" in one.system) for one in learned]
    first = next((form for form in forms if form is not None), None)
    return [one if form == first else None for one, form in zip(learned, forms, strict=True)]


def _group(shape: Learned | None, provider: str, event_id: int, own: Fields | None) -> Group | None:
    """Return the group of some wanted records; None if they are for the strict reader."""
    meaning = meaning_of(provider, event_id)
    if shape is None or meaning is None:
        return None
    try:
        fields = (own or shape.fields)(provider, event_id)
    except (ValueError, RecursionError):
        return None
    keys = {key_of(provider, event_id, name) for name in fields}
    # Which of two fields has the plain name depends on which of them is empty.
    if len(keys) < len(fields) or any(_NUMBERED.search(name) for name in fields):
        return None
    flag = ("from_message" if fields else "message_only") if shape.rendered else None
    if flag == "message_only" and own is not None:
        fields = {"message": WHOLE}
    return Group(provider, event_id, meaning, shape.system, fields, shape.log(provider), flag)


def _encoded(one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Return a number for each pair of two columns of small numbers, and the first row of every pair."""
    coded = pa.array(one * (int(other.max(initial=0)) + 3) + other + 2).dictionary_encode()
    numbers = coded.indices.to_numpy().astype(np.int64)
    firsts = np.zeros(len(coded.dictionary), np.int64)
    firsts[numbers[::-1]] = np.arange(len(numbers))[::-1]
    return numbers, firsts
