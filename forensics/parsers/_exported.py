"""Windows events out of an export: rendered fields in, rows of the events table out, by the meanings of `_rdp`.

Exports write what a viewer rendered: GUIDs in braces, times with up to nine digits. What has no column is kept as in an EVTX
file, so that an export and its log give the same rows but for their places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.instants import microseconds
from forensics.instants import zone as zone_named
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.model import Batch
from forensics.parsers._evtx_exact import event, logon_type
from forensics.parsers._evtx_render import Rendered
from forensics.parsers._rdp import LOGON_TYPE_OF, SKIPPED_LOGON_TYPES, meaning_of
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.model import Span

    Ints = NDArray[np.int64]

_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?[ ]?(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_GUID: Final = re.compile(
    r"\{?([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})\}?", re.ASCII
)
UNPROVEN: Final = "date_order_unknown"
_REFUSALS: Final = frozenset({UNPROVEN, "bad_time"})
_LONGEST_DETAIL: Final = 200


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of an export: microseconds UTC, None if it is none; how its zone was known, or why it was refused."""

    us: int | None
    basis: str


@lru_cache(maxsize=4096)
def _utc_second(day: str, clock: str) -> int | None:
    try:
        return microseconds(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=UTC))
    except ValueError:
        return None


def moment_of(text: str, zone: str) -> Moment:
    """Read `2017-01-18T12:00:00.1234567Z`; a time without a zone is placed by the given one, else as UTC and said so."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return Moment(None, "")
    day, clock, fraction, offset = match.groups()
    if offset == "Z":
        us = _utc_second(day, clock)
        us = us if us is None else us + int((fraction or "0")[:6].ljust(6, "0"))
        return Moment(us if us is not None and TIME_MIN_US <= us <= TIME_MAX_US else None, "filetime_utc" if us else "")
    basis = "filetime_utc" if offset == "Z" else "offset_in_log" if offset else "zone_given" if zone else "zone_assumed"
    place: tzinfo = zone_named(zone) if zone and not offset else UTC
    try:
        when = datetime.fromisoformat(f"{day}T{clock}{offset if offset and offset != 'Z' else ''}")
        us = microseconds(when if when.tzinfo else when.replace(tzinfo=place))
    except (ValueError, OverflowError):
        return Moment(None, "")
    us += int((fraction or "0")[:6].ljust(6, "0"))
    return Moment(us if TIME_MIN_US <= us <= TIME_MAX_US else None, basis)


def canonical(text: str) -> str:
    """Bring GUIDs to the form of the EVTX reader: lower case, no braces. Any other text stays."""
    if len(text) not in (36, 38):
        return text
    match = _GUID.fullmatch(text)
    return match.group(1).lower() if match else text


def free_name(name: str, named: dict[str, str]) -> str:
    """Return a name that no field has yet: a second `User` is `User#2`."""
    free, number = name, 2
    while free in named:
        free, number = f"{name}#{number}", number + 1
    return free


@dataclass(slots=True)
class Collected:
    """Rows of one batch while it is filled: events, rejects, and runs of skipped bytes."""

    span: Span
    log_format: str
    zone: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    skips: list[tuple[int, int, str, int]] = field(default_factory=list)
    quick: list[pa.RecordBatch] = field(default_factory=list)
    """Events that the fast path made."""
    runs: list[tuple[Ints, Ints, str, Ints]] = field(default_factory=list)
    """What the fast path passed over: offsets, lengths, the reason and how many records each is."""

    def event(
        self,
        place: tuple[int, int, int],
        record: Rendered,
        written: str,
        flags: str | None = None,
        when: Moment | None = None,
    ) -> None:
        """Keep a record at (offset, length, ordinal) if it is wanted; `written` is its time as the export has it.

        `when` is that time where its form is another than `moment_of` reads.
        """
        offset, length, ordinal = place
        kind = meaning_of(record.provider, record.event_id)
        if kind is None:
            self.skip(offset, length, "unwanted_event", 1)
            return
        if (record.provider, record.event_id) in LOGON_TYPE_OF and logon_type(record) in SKIPPED_LOGON_TYPES:
            self.skip(offset, length, "unwanted_logon_type", 1)
            return
        when = when or moment_of(written, self.zone)
        if when.us is None:
            self.reject(place, when.basis if when.basis in _REFUSALS else "bad_time", written)
            return
        timed = Rendered(
            record.provider,
            record.event_id,
            when.us,
            record.record_id,
            record.computer,
            record.channel,
            record.activity,
            record.named,
        )
        self.events.append(
            event(timed, written)
            | {
                "time_basis": when.basis,
                "log_format": self.log_format,
                "evidence_id": self.span.evidence.id,
                "log_offset": offset,
                "log_length": length,
                "log_ordinal": ordinal,
                "flags": flags,
            }
        )

    def reject(self, place: tuple[int, int, int | None], reason: str, detail: str, records: int = 1) -> None:
        """Keep bytes that could not be read."""
        offset, length, ordinal = place
        self.rejects.append(
            {
                "evidence_id": self.span.evidence.id,
                "log_offset": offset,
                "log_length": length,
                "log_ordinal": ordinal,
                "reason": reason,
                "detail": detail[:_LONGEST_DETAIL],
                "records": records,
            }
        )

    def skip(self, offset: int, length: int, reason: str, records: int = 0) -> None:
        """Pass over bytes."""
        if length:
            self.skips.append((offset, length, reason, records))

    def skip_all(self, offsets: Ints, lengths: Ints, reason: str, records: Ints) -> None:
        """Pass over many places of one reason; `records` is how many each is."""
        if len(offsets):
            self.runs.append((offsets, lengths, reason, records))

    def batch(self) -> Batch:
        """Return what was collected, in order of places; runs of skipped bytes of one reason that adjoin are one row."""
        return Batch(self._told(), _one(_by_place(self.rejects), REJECTS), self._skipped())

    def _told(self) -> pa.RecordBatch:
        slow = _one(_by_place(self.events), EVENTS)
        tables = [one for one in (*self.quick, slow) if one.num_rows]
        if len(tables) < 2:
            return tables[0] if tables else slow
        joined = pa.Table.from_batches(tables).unify_dictionaries().combine_chunks()
        return joined.take(pc.sort_indices(joined["log_offset"])).to_batches()[0]

    def _skipped(self) -> pa.RecordBatch:
        reasons = sorted({one[2] for one in self.skips} | {one[2] for one in self.runs})
        number = {reason: code for code, reason in enumerate(reasons)}
        rows = np.array([(at, size, number[reason], records) for at, size, reason, records in self.skips], np.int64)
        parts = [rows.reshape(-1, 4).T] + [
            np.stack([at, size, np.full(len(at), number[reason]), records]) for at, size, reason, records in self.runs
        ]
        at, size, code, records = (joined := np.concatenate(parts, 1))[:, np.argsort(joined[0], kind="stable")]
        if not len(at):
            return empty(SKIPS)
        first = np.flatnonzero(np.append(True, (at[1:] != at[:-1] + size[:-1]) | (code[1:] != code[:-1])))
        columns: dict[str, pa.Array] = {
            "evidence_id": pa.array([self.span.evidence.id] * len(first)),
            "log_offset": pa.array(at[first]),
            "log_length": pa.array(np.add.reduceat(size, first)),
            "log_ordinal": pa.nulls(len(first), pa.int64()),
            "reason": pa.array([reasons[one] for one in code[first].tolist()]),
            "records": pa.array(np.add.reduceat(records, first)),
        }
        return pa.RecordBatch.from_arrays([columns[f.name] for f in SKIPS], schema=SKIPS)


def _by_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["log_offset"], row["log_length"]))


def _one(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    return table(rows, schema).combine_chunks().to_batches()[0] if rows else empty(schema)
