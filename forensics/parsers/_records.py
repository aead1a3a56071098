r"""Logs of records over several lines: a record starts where a line has the shape of a head, and reaches to the next.

Lines start behind LF, and behind NUL too: a crash of Windows leaves blocks of NULs in a log that is then written on.
Whether a line is a head is decided by its first RECORD_HEAD bytes, so memory stays bounded whatever the length of lines and
records. What stands before the first head is a record of its own, so that every byte belongs to one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.limits import BLOCK_BYTES, RECORD_HEAD, RECORD_HELD, SPAN_BYTES
from forensics.model import Batch
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table
from forensics.stream import Recount
from forensics.text import decode, visible

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from forensics.model import Span
    from forensics.stream import Stream

    Ints = NDArray[np.int64]

Row = dict[str, Any]

_TAIL: Final = 64
_DETAIL: Final = 200
_BOM: Final = b"\xef\xbb\xbf"
_OTHER, _TOLD, _BLANK = 0, 1, 2
_SKIPPED: Final = {_OTHER: "other_record", _BLANK: "blank_line"}


class Refused(Exception):  # noqa: N818  # it is an outcome, told as one
    """The record is one that is wanted and cannot be read: `reason` and `detail` of its reject."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Format:
    """What makes a record of one format.

    `head` matches at the start of a line that is a head. `heads` says the same of many lines of a buffer at once.
    `wanted` is an RE2 pattern without which no record can be an event, looked for in the record's first RECORD_HEAD bytes.
    `meaning` returns the columns of an event for a record's first RECORD_HELD bytes, or None if it is none; it may raise Refused.
    """

    name: str
    head: re.Pattern[bytes]
    heads: Callable[[bytearray, NDArray[np.uint8], Ints], Ints]
    wanted: str
    meaning: Callable[[bytes, Span], Row | None]


@dataclass(slots=True)
class _Chunk:
    """A stretch of the stream. Line starts in [0 or 1, judged] are decided here, later ones in the next chunk.

    Behind `size` bytes stand an LF and zeros, so that looking ahead stays inside.
    """

    buffer: bytearray
    size: int
    base: int
    judged: int
    first: bool
    final: bool

    def lines(self) -> tuple[NDArray[np.uint8], Ints, Ints]:
        """Return the bytes, the starts of lines that are decided here, and the places of all LFs."""
        body = np.frombuffer(self.buffer, np.uint8)
        feeds = np.flatnonzero(body[: self.size] == 0x0A)
        nuls = np.flatnonzero(body[: self.size] == 0)
        ends = np.sort(np.concatenate([feeds, nuls])) if len(nuls) else feeds
        starts = ends + 1
        starts = starts[(starts <= self.judged) & (starts < self.size)]
        if self.first:
            marked = self.base == 0 and self.buffer.startswith(_BOM)
            opening = [3] * (self.size > 3) if marked else [0]
            starts = np.concatenate([np.array(opening, np.int64), starts])
        return body, starts, feeds


def _chunks(stream: Stream) -> Iterator[_Chunk]:
    carry, first = b"", True
    while True:
        buffer = bytearray(len(carry) + BLOCK_BYTES + _TAIL)
        buffer[: len(carry)] = carry
        base = stream.position - len(carry)
        view = memoryview(buffer)
        got = stream.readinto(view[len(carry) : len(carry) + BLOCK_BYTES])
        view.release()
        size = len(carry) + got
        final = got < BLOCK_BYTES
        buffer[size : size + _TAIL] = b"\n".ljust(_TAIL, b"\0")
        del buffer[size + _TAIL :]
        judged = size - 1 if final else size - RECORD_HEAD
        if size:
            yield _Chunk(buffer, size, base, judged, first, final)
        if final:
            return
        # The byte before a line start goes along: it is what makes it one.
        carry, first = bytes(buffer[judged:size]), False


def record_spans(form: Format, stream: Stream, whole: Span) -> Iterator[Span]:
    """Yield spans of about SPAN_BYTES that start at heads while `stream` is read once; they adjoin and cover `whole`."""
    start, first, number = whole.start, whole.first_ordinal, whole.first_ordinal
    for chunk in _chunks(stream):
        due = start + SPAN_BYTES
        if chunk.base + chunk.size > due:
            body, lines, feeds = chunk.lines()
            for at in form.heads(chunk.buffer, body, lines).tolist():
                if chunk.base + at >= start + SPAN_BYTES:
                    line = number + int(np.searchsorted(feeds, at))
                    yield replace(whole, start=start, stop=chunk.base + at, first_ordinal=first)
                    start, first = chunk.base + at, line
        number += chunk.buffer.count(b"\n", 0, chunk.size if chunk.final else chunk.judged)
    if stream.position > start or start == whole.start:
        yield replace(whole, start=start, stop=stream.position, first_ordinal=first)


@dataclass(slots=True)
class _Open:
    """The record whose end has not come yet: where it starts, its line, its first bytes; `headless` before the first head."""

    start: int
    line: int
    held: bytearray
    headless: bool


class RecordCount(Recount):
    """Counts records by one regular expression over the bytes; what stands before the first head is one."""

    __slots__ = ("_carry", "_pattern", "_start")

    def __init__(self, pattern: re.Pattern[bytes], start: int) -> None:
        super().__init__()
        self._pattern = pattern
        self._carry = b""
        self._start: int | None = start

    def feed(self, block: memoryview) -> None:
        """Count the heads in `block` that lie far enough before its end to be known."""
        self._carry += bytes(block)
        self._begin()
        if self._start is None:
            self._count(len(self._carry) - RECORD_HEAD - 2)

    def total(self) -> int:
        """Return the count."""
        if self._carry:
            self._begin(last=True)
            self._carry += b"\n"
            self._count(len(self._carry))
        return self.records

    def _begin(self, *, last: bool = False) -> None:
        """Put a line end before the first line, and say whether the stream starts with a head."""
        if self._start is None or (len(self._carry) <= RECORD_HEAD and not last):
            return
        head = self._carry
        if self._start == 0 and head[:3] == _BOM:
            self._carry = _BOM[:2] + b"\n" + head[3:]
            self.records = 1
        else:
            self._carry = b"\n" + head
            self.records = 0 if self._pattern.match(self._carry + (b"\n" if last else b"")) else 1
        self._start = None

    def _count(self, limit: int) -> None:
        if limit < 0:
            return
        for found in self._pattern.finditer(self._carry):
            if found.start() > limit:
                break
            self.records += 1
        self._carry = self._carry[limit + 1 :]


def read_records(form: Format, span: Span, stream: Stream) -> Iterator[Batch]:
    """Yield batches of the records of a span, each up to the last record that is known to be whole."""
    state: _Open | None = None
    number = span.first_ordinal
    for chunk in _chunks(stream):
        body, lines, feeds = chunk.lines()
        heads = form.heads(chunk.buffer, body, lines)
        if state is None and (not len(heads) or heads[0] > 0):
            state = _Open(chunk.base, number, bytearray(), headless=True)
        batch = _Run(form, span, chunk)
        if state is not None:
            _hold(state, chunk, int(heads[0]) if len(heads) else chunk.size)
            if len(heads):
                batch.close(state, chunk.base + int(heads[0]))
        if len(heads):
            batch.add(heads, number + np.searchsorted(feeds, heads))
            last = int(heads[-1])
            state = _Open(chunk.base + last, int(number + np.searchsorted(feeds, last)), bytearray(), headless=False)
            _hold(state, chunk, chunk.size)
        if chunk.final and state is not None:
            batch.close(state, chunk.base + chunk.size)
        yield batch.done()
        number += int(np.searchsorted(feeds, chunk.judged))


def _hold(state: _Open, chunk: _Chunk, stop: int) -> None:
    """Keep the first bytes of an open record as they come."""
    at = state.start + len(state.held) - chunk.base
    if 0 <= at < stop and len(state.held) < RECORD_HELD:
        state.held += chunk.buffer[at : min(stop, at + RECORD_HELD - len(state.held))]


class _Run:
    """The records of one chunk that are whole: what became of each, and the tables made of that."""

    def __init__(self, form: Format, span: Span, chunk: _Chunk) -> None:
        self._form = form
        self._span = span
        self._chunk = chunk
        self._starts: list[Ints] = []
        self._ends: list[Ints] = []
        self._fates: list[NDArray[np.int8]] = []
        self._rows: list[Row] = []
        self._rejects: list[Row] = []

    def close(self, state: _Open, end: int) -> None:
        """Take the record that was open, now that its end is known."""
        at_end = self._chunk.final and end == self._chunk.base + self._chunk.size
        torn = at_end and self._chunk.buffer[self._chunk.size - 1] not in b"\n\0"
        # What was held may reach past the end, which was not known then.
        held = bytes(state.held[: end - state.start])
        if state.headless:
            fate = self._headless(held, state, end)
        else:
            fate = self._told(held, state.start, end - state.start, state.line, torn=torn)
        self._append(np.array([state.start]), np.array([end]), np.array([fate], np.int8))

    def add(self, heads: Ints, numbers: Ints) -> None:
        """Take all records between heads of this chunk."""
        starts, ends = heads[:-1], heads[1:]
        fates = np.zeros(len(starts), np.int8)
        base, buffer = self._chunk.base, self._chunk.buffer
        for i in np.flatnonzero(_hopeful(buffer, starts, ends, self._form.wanted)).tolist():
            at, end = int(starts[i]), int(ends[i])
            fates[i] = self._told(
                bytes(buffer[at : min(end, at + RECORD_HELD)]), base + at, end - at, int(numbers[i]), torn=False
            )
        self._append(starts + base, ends + base, fates)

    def done(self) -> Batch:
        """Return the tables."""
        rejects = _batch(self._rejects, REJECTS)
        return Batch(event_table(self._rows, self._span.evidence.id, self._form.name), rejects, self._skips())

    def _append(self, starts: Ints, ends: Ints, fates: NDArray[np.int8]) -> None:
        self._starts.append(starts)
        self._ends.append(ends)
        self._fates.append(fates)

    def _told(self, held: bytes, start: int, length: int, line: int, *, torn: bool) -> int:
        place = {"log_offset": start, "log_length": length, "log_ordinal": line}
        try:
            row = self._form.meaning(held, self._span)
        except Refused as why:
            reason = "torn_record" if torn else why.reason
            self._refuse(place, reason, why.detail or visible(decode(held[:_DETAIL])))
            return _TOLD
        if row is None:
            return _OTHER
        if torn:
            row["flags"].append("torn")
        self._rows.append(row | place)
        return _TOLD

    def _headless(self, held: bytes, state: _Open, end: int) -> int:
        if not held.removeprefix(_BOM).strip(b"\0 \t\r\n") and end - state.start <= len(held):
            return _BLANK
        place = {"log_offset": state.start, "log_length": end - state.start, "log_ordinal": state.line}
        self._refuse(place, "before_first_record", visible(decode(held[:_DETAIL])))
        return _TOLD

    def _refuse(self, place: Row, reason: str, detail: str) -> None:
        self._rejects.append(
            {**place, "evidence_id": self._span.evidence.id, "reason": reason, "detail": detail, "records": 1}
        )

    def _skips(self) -> pa.RecordBatch:
        """Return the skipped records, those of one reason that adjoin in one row."""
        if not self._starts:
            return empty(SKIPS)
        starts, ends, fates = (np.concatenate(each) for each in (self._starts, self._ends, self._fates))
        kept = np.flatnonzero(fates != _TOLD)
        if not len(kept):
            return empty(SKIPS)
        new = np.ones(len(kept), bool)
        new[1:] = (np.diff(kept) != 1) | (fates[kept[1:]] != fates[kept[:-1]])
        opens = np.flatnonzero(new)
        closes = np.append(opens[1:], len(kept)) - 1
        first, last = kept[opens], kept[closes]
        columns = [
            pa.array([self._span.evidence.id] * len(first), pa.string()),
            pa.array(starts[first]),
            pa.array(ends[last] - starts[first]),
            pa.nulls(len(first), pa.int64()),
            pa.array([_SKIPPED[int(fate)] for fate in fates[first]], pa.string()),
            pa.array(closes - opens + 1),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SKIPS)


def _hopeful(buffer: bytearray, starts: Ints, ends: Ints, wanted: str) -> NDArray[np.bool_]:
    """Say of each record whether its first RECORD_HEAD bytes hold what an event must: one pass of RE2, no object a record."""
    if not len(starts):
        return np.zeros(0, bool)
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2] = starts
    offsets[1::2] = np.minimum(ends, starts + RECORD_HEAD)
    offsets[-1] = ends[-1]
    every = pa.Array.from_buffers(pa.binary(), 2 * len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(buffer)])
    found: NDArray[np.bool_] = pc.match_substring_regex(every, wanted).to_numpy(zero_copy_only=False)
    return found[::2]


def event_table(rows: Sequence[Row], evidence_id: str, form: str) -> pa.RecordBatch:
    """Return rows as events. A row's `rest` becomes `unmapped`, its list of `flags` one text; no key is required."""
    if not rows:
        return empty(EVENTS)
    for row in rows:
        rest = {name: value for name, value in row["rest"].items() if value is not None}
        row["unmapped"] = json.dumps(rest, sort_keys=True, ensure_ascii=False) if rest else None
        row["flags"] = ";".join(sorted(set(row["flags"]))) or None
        row |= {"log_format": form, "evidence_id": evidence_id}
    columns = [pa.array([row.get(f.name) for row in rows], _plain(f.type)).cast(f.type) for f in EVENTS]
    return pa.RecordBatch.from_arrays(columns, schema=EVENTS)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    return table(rows, schema).combine_chunks().to_batches()[0] if rows else empty(schema)
