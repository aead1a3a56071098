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
from forensics.parsers._exported import moment_of
from forensics.parsers._json_events import moment_by
from forensics.parsers._rdp import LOGON_TYPE_OF, NETWORK, SKIPPED_LOGON_TYPES, meaning_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._export_shapes import Slot, Tokens
    from forensics.parsers._exported import Collected

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Glue = tuple[bytes, ...]

T = TypeVar("T")

_ENOUGH: Final = 4
"""Texts of a shape in one block that make it worth learning: the strict reader takes as long for as many."""
_MOST_SHAPES: Final = 4096
_NUMBERED: Final = re.compile(r"#[0-9]+\Z")
_MOST_IDS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Learned:
    """What a shape says: where System's parts stand, by the names of `Parts`; the own fields for a provider.

    `fields` raises ValueError where they are for the strict reader. `fills`: a message may fill them. `utc`: times without a
    zone are UTC.
    """

    system: Mapping[str, Slot]
    fields: Callable[[str], Mapping[str, Slot]]
    fills: bool = False
    utc: bool = False


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
        if count < _ENOUGH or len(self.known) >= _MOST_SHAPES:
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
    """The JSON texts in which some forms hold an event's own fields: of each row its text and its shape, -1 for none."""

    tokens: Tokens
    text: Ints
    code: Ints
    fields: list[Mapping[str, Slot] | None]


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


@dataclass(slots=True)
class Columnar:
    """Reads the texts of one file a block at a time, as columns. `payload` cuts the JSON texts that hold the own fields."""

    shapes: Shapes[Learned]
    payload: Callable[[Sequence[str]], tuple[Tokens, Bools]] | None = None
    payload_shapes: Shapes[Mapping[str, Slot]] | None = None

    def read(self, tokens: Tokens, places: Places, kept: Bools, out: Collected) -> Bools:
        """Read the texts that are kept; say which of them are for the strict reader."""
        codes, learned = self.shapes.of(tokens)
        learned = _of_one_form(learned)
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
            when = _times(frame, form, out.zone)
            made, wrong = events(frame, when, columns, (out.log_format, out.span.evidence.id))
            out.quick.append(made.filter(pa.array(~wrong)) if wrong.any() else made)
            left[wanted[~wrong]] = False
        return left

    @staticmethod
    def _skip(texts: Ints, places: Places, out: Collected, reason: str) -> None:
        out.skip_all(places.offset[texts], places.length[texts], reason)

    def _sorted(
        self, tokens: Tokens, texts: Ints, codes: Ints, learned: Sequence[Learned | None]
    ) -> tuple[_Sorted, Tokens]:
        """Sort rows by shape, provider and event id."""
        systems = [one.system if one is not None else {} for one in learned]
        provider = tokens.pick(texts, codes, [part.get("provider") for part in systems]).map(str.strip)
        number = tokens.pick(texts, codes, [part.get("number") for part in systems])
        found = [number_of(word, _MOST_IDS) for word in number.words]
        ids = np.array([-1 if one is None else one for one in found] + [-1], np.int64)[number.codes]
        inner = self._inner(tokens, texts, codes, [part.get("payload") for part in systems])
        own = inner.code if inner is not None else np.full(len(texts), -1)
        key = ((codes * (int(own.max()) + 2) + own + 1) * (len(provider.words) + 1) + provider.codes + 1) * _MOST_IDS
        coded = pa.array(key + ids, mask=(ids < 0) | (own < -1)).dictionary_encode()
        group = coded.indices.fill_null(-1).to_numpy()
        known = np.flatnonzero(group >= 0)[::-1]
        firsts = np.zeros(len(coded.dictionary), np.int64)
        firsts[group[known]] = known
        groups: list[Group] = []
        numbers = []
        for row in firsts.tolist():
            shape = learned[codes[row]]
            name = provider.words[provider.codes[row]] if provider.codes[row] >= 0 else ""
            made = _group(
                shape, name, int(ids[row]), inner.fields[own[row]] if inner is not None and own[row] >= 0 else None
            )
            numbers.append(made if isinstance(made, int) else len(groups))
            groups += [made] if isinstance(made, Group) else []
        of = np.array([*numbers, -2], np.int64)[group]
        if inner is None:
            return _Sorted(texts, of, groups, texts), tokens
        return _Sorted(texts, of, groups, inner.text), inner.tokens

    def _inner(self, tokens: Tokens, texts: Ints, codes: Ints, slots: Sequence[Slot | None]) -> _Inner | None:
        if self.payload is None or self.payload_shapes is None or not any(isinstance(slot, int) for slot in slots):
            return None
        column = tokens.pick(texts, codes, slots)
        words = [*column.words, ""]
        told = [words[code] for code in column.codes.tolist()]
        made, good = self.payload(told)
        number, fields = self.payload_shapes.of(made) if len(made.begin) else (np.zeros(0, np.int64), [])
        at = np.cumsum(good) - 1
        code = np.full(len(texts), -2)
        code[good] = np.where(np.array([one is not None for one in fields], bool)[number], number, -2)
        code[column.codes < 0] = -1
        return _Inner(made, np.where(good, at, 0), code, fields)

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


def _group(shape: Learned | None, provider: str, event_id: int, own: Mapping[str, Slot] | None) -> Group | int:
    """Return the group of some records: -1 if they are not wanted, -2 if they are for the strict reader."""
    meaning = meaning_of(provider, event_id)
    if shape is None:
        return -2
    if meaning is None:
        return -1
    try:
        fields = shape.fields(provider) if own is None else own
    except (ValueError, RecursionError):
        return -2
    keys = {key_of(provider, event_id, name) for name in fields}
    # Which of two fields has the plain name depends on which of them is empty.
    if len(keys) < len(fields) or any(_NUMBERED.search(name) for name in fields):
        return -2
    return Group(provider, event_id, meaning, shape.system, fields)


def _times(frame: ExportFrame, form: Learned, zone: str) -> Times:
    when = Times.read(frame.system("written"), lambda text: moment_by(text, zone, utc=form.utc))
    if "local" not in form.system:
        return when
    local, received = (
        Times.read(frame.system(name), lambda text: moment_of(text, "")) for name in ("local", "received")
    )
    return when.by_clocks(local, received)
