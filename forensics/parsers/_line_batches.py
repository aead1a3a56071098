"""Lines of one block on their way into a batch: events by a strict reader, rejects with their reason, merged skips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.model import Batch
from forensics.parsers._lines import PAD
from forensics.parsers._valve_rows import NotALine, Row, table_of
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from forensics.model import Span
    from forensics.parsers._lines import Block, LongLine

    Ints = NDArray[np.int64]

_DETAIL: Final = 200
_CALM: Final = 1024
"""Lines that did not go to the fast path, of a block of some 20,000, whose rows may wait for those of other blocks."""


@dataclass(slots=True)
class Lines:
    """What became of the lines of one block; `starts` and `ends` are offsets of the stream, the LF included."""

    block: Block
    span: Span
    ordinal: int
    starts: Ints
    ends: Ints
    rows: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    skips: list[Row] = field(default_factory=list)

    def text(self, number: int) -> bytes:
        """Return a line without its end."""
        at = PAD + int(self.starts[number]) - self.block.offset
        size = int(self.ends[number]) - int(self.starts[number])
        return bytes(self.block.buffer[at : at + size - 1]).removesuffix(b"\r")

    def torn(self, number: int) -> bool:
        """Say whether the stream ended inside this line."""
        return self.block.torn and number == len(self.starts) - 1

    def skip(self, number: int, reason: str) -> None:
        """Pass over a line that holds no event."""
        length = int(self.ends[number]) - int(self.starts[number]) - self.torn(number)
        row = {"log_offset": int(self.starts[number]), "log_length": length, "reason": reason, "records": 1}
        self.skips.append({"evidence_id": self.span.evidence.id, **row})

    def read(self, numbers: Ints, row_of: Callable[[bytes], Row]) -> None:
        """Read lines one by one; NotALine of `row_of` makes a reject. Empty lines are passed over a run at a time."""
        empty = self.ends[numbers] - self.starts[numbers] == 1
        if empty.any():
            self._skip_empty(numbers[empty])
            numbers = numbers[~empty]
        for number in numbers.tolist():
            text = self.text(number)
            if not text.strip(b" \t"):
                self.skip(number, "blank_line")
            else:
                self._read(number, text, row_of)

    def _skip_empty(self, numbers: Ints) -> None:
        """Pass over lines that are an LF alone."""
        firsts = np.flatnonzero(np.diff(numbers, prepend=-2) != 1)
        lasts = np.append(firsts[1:], len(numbers)) - 1
        for first, last in zip(numbers[firsts].tolist(), numbers[lasts].tolist(), strict=True):
            start, end = int(self.starts[first]), int(self.ends[last])
            row = {"log_offset": start, "log_length": end - start, "reason": "blank_line", "records": last - first + 1}
            self.skips.append({"evidence_id": self.span.evidence.id, **row})

    def _read(self, number: int, text: bytes, row_of: Callable[[bytes], Row]) -> None:
        offset, torn = int(self.starts[number]), self.torn(number)
        place: Row = {"log_offset": offset, "log_length": int(self.ends[number]) - offset - torn}
        place["log_ordinal"] = self.ordinal + number
        try:
            row = row_of(text)
        except NotALine as why:
            reason = "torn_line" if torn and why.reason == "not_access_log" else why.reason
            detail = why.detail or visible(text[:_DETAIL].decode("latin-1"))
            told = {"evidence_id": self.span.evidence.id, "reason": reason, "detail": detail, "records": 1}
            self.rejects.append(place | told)
            return
        if torn:
            row["flags"].append("torn")
        self.rows.append(row | place)

    def batch(self, quick: Sequence[pa.RecordBatch], log_format: str) -> Batch:
        """Return everything as a batch, behind the events that a fast path made."""
        tables = [made for made in quick if made.num_rows]
        if self.rows:
            tables.append(table_of(self.rows, self.span.evidence.id, log_format))
        return Batch(_events(tables), one_batch(self.rejects, REJECTS), one_batch(merged(self.skips), SKIPS))


def batches(blocks: Iterable[tuple[Lines, Sequence[pa.RecordBatch]]], log_format: str) -> Iterator[Batch]:
    """Yield adjoining blocks as few batches, each block with the events of its fast path in front of the others.

    Where nearly all went to the fast path, the rest of several blocks is turned into columns at once.
    """
    calm: list[tuple[Lines, Sequence[pa.RecordBatch]]] = []
    for lines, quick in blocks:
        if len(lines.rows) + len(lines.rejects) + len(lines.skips) <= _CALM:
            calm.append((lines, quick))
            continue
        if calm:
            yield _joined(calm, log_format)
            calm = []
        yield lines.batch(quick, log_format)
    if calm:
        yield _joined(calm, log_format)


def _joined(blocks: Sequence[tuple[Lines, Sequence[pa.RecordBatch]]], log_format: str) -> Batch:
    rows = [row for lines, _ in blocks for row in lines.rows]
    others = table_of(rows, blocks[0][0].span.evidence.id, log_format) if rows else empty(EVENTS)
    tables: list[pa.RecordBatch] = []
    at = 0
    for lines, quick in blocks:
        tables += [made for made in (*quick, others.slice(at, len(lines.rows))) if made.num_rows]
        at += len(lines.rows)
    rejects = [row for lines, _ in blocks for row in lines.rejects]
    skips = [row for lines, _ in blocks for row in merged(lines.skips)]
    return Batch(_events(tables), one_batch(rejects, REJECTS), one_batch(skips, SKIPS))


def _events(tables: list[pa.RecordBatch]) -> pa.RecordBatch | pa.Table:
    return tables[0] if len(tables) == 1 else pa.Table.from_batches(tables) if tables else empty(EVENTS)


def merged(skips: list[Row]) -> list[Row]:
    """Return skips in order, adjoining ones of one reason as one."""
    out: list[Row] = []
    for row in sorted(skips, key=lambda skip: int(skip["log_offset"])):
        last = out[-1] if out else None
        adjoins = last is not None and last["log_offset"] + last["log_length"] == row["log_offset"]
        if last is not None and adjoins and last["reason"] == row["reason"]:
            last["log_length"] += row["log_length"]
            last["records"] += row["records"]
        else:
            out.append(dict(row))
    return out


def long_line(line: LongLine, span: Span, ordinal: int) -> Batch:
    """Return the reject of a line that was too long to hold."""
    reject = {
        "evidence_id": span.evidence.id,
        "log_offset": line.offset,
        "log_length": line.length,
        "log_ordinal": ordinal,
        "reason": "line_too_long",
        "detail": f"{line.length - (not line.torn)} bytes",
        "records": 1,
    }
    return Batch(empty(EVENTS), one_batch([reject], REJECTS), empty(SKIPS))


def one_batch(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as one record batch."""
    if not rows:
        return empty(schema)
    return pa.RecordBatch.from_arrays([pa.array([r.get(f.name) for r in rows], f.type) for f in schema], schema=schema)
