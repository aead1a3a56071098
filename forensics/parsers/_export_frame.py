"""Wanted events of an export as rows of the events table, a column at a time: the columnar twin of `Collected.event`.

It shares the frame of EVTX records: what differs is where the texts of a group come from, which are values of the export's
own text here. What it cannot prove is named, and is for the strict reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.columns import TIME
from forensics.model import TIME_BASES
from forensics.parsers._evtx_meaning import NOT_KEPT, READERS, guid, integer, present
from forensics.parsers._evtx_rows import Rows, key_of, meant_columns, outcomes, unmapped_column
from forensics.parsers._evtx_values import Words, nothing
from forensics.parsers._export_fields import number_of
from forensics.parsers._export_moments import BASES, moments_of
from forensics.parsers._exported import canonical
from forensics.parsers._fast_columns import coded, constant, nulls
from forensics.parsers._json_events import DELAY, FARTHEST, QUARTER, moment_by
from forensics.schemas import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._export_shapes import Slot, Tokens
    from forensics.parsers._exported import Moment
    from forensics.parsers._rdp import Meaning

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_BASES: Final = tuple(TIME_BASES)
_ASSUMED: Final = _BASES.index("zone_assumed")


@dataclass(frozen=True, slots=True)
class Times:
    """Times of rows: microseconds UTC, -1 for none, the numbers of their bases, and their flags."""

    us: Ints
    basis: NDArray[np.int32]
    flags: Words

    @classmethod
    def read(cls, written: Words, moment: Callable[[str], tuple[Moment, str | None]]) -> Times:
        """Read each distinct time once."""
        told = [moment(word) for word in written.words]
        us = np.array([-1 if one.us is None else one.us for one, _ in told] + [-1], np.int64)
        basis = np.array([_BASES.index(one.basis) if one.us is not None else 0 for one, _ in told] + [0], np.int32)
        flags = Words(written.codes, [said or "" for _, said in told]).map(str)
        return cls(us[written.codes], basis[written.codes], flags)

    @classmethod
    def read_plain(cls, written: Words, zone: str, *, utc: bool) -> Times:
        """Read times as `moment_by` does, most of them at once."""
        us, suffix, sure = moments_of(written.words)
        basis = np.array([_BASES.index("utc_by_format" if utc and word == "zone_assumed" else word) for word in BASES])[
            suffix
        ]
        if zone and not utc:
            sure &= suffix > 0
        for number in np.flatnonzero(~sure).tolist():
            one = moment_by(written.words[number], zone, utc=utc)
            us[number], basis[number] = (-1, 0) if one.us is None else (one.us, _BASES.index(one.basis))
        codes = written.codes
        return cls(np.append(us, -1)[codes], np.append(basis, 0)[codes].astype(np.int32), nothing(len(codes)))

    def by_clocks(self, local: Times, received: Times) -> Times:
        """Place local times by the collector's own clock: `collected`, for all rows at once."""
        quarters = np.rint((received.us - local.us) / QUARTER).astype(np.int64)
        known = (self.us >= 0) & (self.basis == _ASSUMED) & (local.us >= 0) & (local.basis == _ASSUMED)
        known &= (received.us >= 0) & (received.basis != _ASSUMED) & (np.abs(quarters) <= FARTHEST)
        known &= np.abs(received.us - local.us - quarters * QUARTER) <= DELAY
        us = np.where(known, self.us + quarters * QUARTER, self.us)
        return Times(us, np.where(known, np.int32(_BASES.index("zone_from_evidence")), self.basis), self.flags)


@dataclass(frozen=True, slots=True)
class Group:
    """What is the same of wanted events of one meaning and one shape.

    `system` says where what System says of an event stands, by the names of `Parts`; `fields` the same of its own fields; `log`
    names the log where System does not.
    """

    provider: str
    event_id: int
    meaning: Meaning
    system: Mapping[str, Slot]
    fields: Mapping[str, Slot]
    log: str = ""
    flag: str | None = None


class ExportFrame(Rows):
    """The wanted events of a block, in order of their places: `outer` holds what System says, `inner` their own fields."""

    def __init__(
        self, groups: Sequence[Group], of: Ints, outer: tuple[Tokens, Ints], inner: tuple[Tokens, Ints]
    ) -> None:
        super().__init__(groups, of)
        self._made = groups
        self._system = [group.system for group in groups]
        self._fields = [group.fields for group in groups]
        self._outer, self._inner = outer, inner
        self._told: dict[tuple[str | None, ...], Words] = {}

    def system(self, path: str) -> Words:
        """Return what System says under a name of `Parts`."""
        tokens, texts = self._outer
        told = tokens.pick(texts, self._of, [slots.get(path) for slots in self._system])
        return told.map(str if path == "written" else str.strip)

    def own(self, names: Sequence[str | None]) -> Words:
        """Return as text the field of the event's own part that has the name given for its group."""
        key = tuple(names)
        if key not in self._told:
            tokens, texts = self._inner
            slots = [fields.get(name) if name else None for fields, name in zip(self._fields, names, strict=True)]
            self._told[key] = tokens.pick(texts, self._of, slots).map(_said)
        return self._told[key]

    def kept_fields(self, where: Callable[[str], bool]) -> list[list[str]]:
        """Return, for each group, the fields that `unmapped` keeps and whose keys pass a test, in order of their keys."""
        out = []
        for group, fields in zip(self._groups, self._fields, strict=True):
            used = {*group.meaning.columns.values(), *NOT_KEPT}
            keyed = sorted((key_of(group.provider, group.event_id, name), name) for name in fields if name not in used)
            out.append([name for key, name in keyed if where(key)])
        return out

    def logs(self) -> Words:
        """Return each row's log."""
        told = self.system("channel")
        named = [group.log for group in self._made]
        return told.over(Words(self._of.astype(np.int32), named).map(str)) if any(named) else told

    def flags(self, more: Words) -> Words:
        """Return each row's flags: those of its group, and some more."""
        own = [group.flag for group in self._made]
        if not any(own):
            return more
        span = len(more.words) + 1
        coded = pa.array(self._of * span + more.codes + 1).dictionary_encode()
        told = []
        for value in coded.dictionary.to_pylist():
            parts = {own[value // span] or "", *((more.words[value % span - 1].split(";")) if value % span else [])}
            told.append(";".join(sorted(parts - {""})))
        return Words(coded.indices.to_numpy(), told).map(str)

    def told(self) -> Bools:
        """Say which rows have a field of those that fill columns."""
        out = np.zeros(len(self), bool)
        for meant in READERS:
            out |= self.meant(lambda group, meant=meant: group.meaning.columns.get(meant)).codes >= 0  # type: ignore[misc]
        return out

    def logon_types(self) -> Ints:
        """Return each row's LogonType, -1 where it has none."""
        column = self.own(["LogonType"] * len(self._groups))
        found = [integer(word, 1 << 31) for word in column.words]
        result: Ints = np.array([-1 if one is None else one for one in found] + [-1], np.int64)[column.codes]
        return result


def _said(text: str) -> str | None:
    return None if text.isspace() else canonical(text)


def events(
    frame: ExportFrame, when: Times, places: Mapping[str, pa.Array], names: tuple[str, str]
) -> tuple[pa.RecordBatch, Bools]:
    """Return the rows of a frame as events, and which are not right: no time, or a text where a number should be.

    `places` are the columns of locators; `names` those of the log format and the evidence.
    """
    count = len(frame)
    numbers = frame.system("record")
    found = [number_of(word, 1 << 63) for word in numbers.words]
    sequence = np.array([-1 if one is None else one for one in found] + [-1], np.int64)[numbers.codes]
    columns: dict[str, pa.Array] = {
        "time": pa.array(when.us).cast(TIME),
        "time_original": frame.system("written").arrow(),
        "time_basis": coded(when.basis, None, _BASES),
        "event_action": frame.each(lambda group: group.meaning.action).arrow(),
        "event_outcome": outcomes(frame).arrow(),
        "event_provider": frame.each(lambda group: group.provider).arrow(),
        "event_code": frame.each(lambda group: str(group.event_id)).arrow(),
        "event_sequence": pa.array(sequence, mask=sequence < 0),
        "host_name": frame.system("computer").map(present).arrow(),
        "activity_id": frame.system("activity").map(lambda text: guid(canonical(text))).arrow(),
        "log_format": constant(names[0], count),
        "evidence_id": constant(names[1], count),
        "unmapped": unmapped_column(frame, frame.logs()),
        "flags": frame.flags(when.flags).arrow(),
        **places,
    }
    meant, unread = meant_columns(frame)
    columns |= meant
    arrays = [columns[f.name] if f.name in columns else nulls(f.type, count) for f in EVENTS]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS), unread | (when.us < 0)
