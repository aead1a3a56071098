"""The ledger: every byte of every stream ends in exactly one of event, reject and skip, and a second count agrees.

Always on. A wrong sum is our bug: it stops the run with LedgerError, and no case is published.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.model import Batch, Span

EVENT, REJECT, SKIP = "event", "reject", "skip"
_MANY: Final = 256
"""Rows from which on summing in Arrow is faster than one by one."""


@dataclass(slots=True)
class Tally:
    """Records and bytes by (outcome, reason); the reason of an event is its log format."""

    records: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, outcome: str, reason: str, records: int, size: int) -> None:
        """Count `records` records that took `size` bytes."""
        self.records[outcome, reason] += records
        self.bytes[outcome, reason] += size

    def merge(self, other: Tally) -> None:
        """Add what another tally counted."""
        self.records.update(other.records)
        self.bytes.update(other.bytes)

    def rows(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield (outcome, reason, records, bytes) in order."""
        for key in sorted(self.bytes):
            yield (*key, self.records[key], self.bytes[key])


class Watch:
    """Follows the batches of one span and keeps its tally; raises LedgerError at the first byte missed or taken twice."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._next = span.start
        self.tally = Tally()

    def check(self, batch: Batch) -> None:
        """Account for one batch, which must start at the byte after the last one."""
        offsets, lengths = _places(batch)
        if not len(offsets):
            return
        ends = offsets + lengths
        expected = np.concatenate([[self._next], ends[:-1]])
        wrong = np.flatnonzero(offsets != expected)
        if len(wrong):
            self._fail(f"expected byte {expected[wrong[0]]}, got {offsets[wrong[0]]}")
        self._next = int(ends[-1])
        self._count(batch)

    def close(self, end: int, recount: int) -> None:
        """Check that the span was covered to `end`, where the stream stood, and that the second count agrees."""
        stop = self._span.stop
        if self._next != end or (stop is not None and end != stop):
            self._fail(f"covered to byte {self._next}, the stream ended at {end}, the span at {stop}")
        counted = sum(self.tally.records.values())
        if counted != recount:
            self._fail(f"{counted} records, the second count has {recount}")

    def _count(self, batch: Batch) -> None:
        events = batch.events
        if events.num_rows:
            size = int(events.column("log_length").to_numpy().sum())
            self.tally.add(EVENT, self._span.parser, events.num_rows, size)
        for outcome, table in ((REJECT, batch.rejects), (SKIP, batch.skips)):
            for reason, records, size in _sums(table):
                self.tally.add(outcome, reason, records, size)

    def _fail(self, what: str) -> None:
        span = self._span
        raise LedgerError(
            f"{span.evidence.label}: bytes {span.start} to {span.stop}, read as {span.parser}: {what}. "
            "This is a bug of c2trail; please report it with this line."
        )


def _sums(table: pa.RecordBatch | pa.Table) -> Iterator[tuple[str, int, int]]:
    """Yield (reason, records, bytes) of the rows of rejects or skips: a row each, or a reason each where they are many."""
    columns = ["reason", "records", "log_length"]
    if table.num_rows >= _MANY:
        whole = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
        sums = whole.group_by("reason", use_threads=False).aggregate([(name, "sum") for name in columns[1:]])
        table = sums.select(["reason", "records_sum", "log_length_sum"]).rename_columns(columns)
    return zip(*(table.column(name).to_pylist() for name in columns), strict=True)


def _places(batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return offsets and lengths of all rows of a batch in the order of their places."""
    tables: tuple[pa.RecordBatch | pa.Table, ...] = (batch.events, batch.rejects, batch.skips)
    full = [table for table in tables if table.num_rows]
    if not full:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    offsets = np.concatenate([table.column("log_offset").to_numpy() for table in full])
    lengths = np.concatenate([table.column("log_length").to_numpy() for table in full])
    if len(full) > 1 or np.any(offsets[1:] < offsets[:-1]):
        # A row of no length (a damage at the end) stands behind the row that ends where it starts.
        order = np.argsort(2 * offsets + (lengths == 0), kind="stable")
        offsets, lengths = offsets[order], lengths[order]
    return offsets, lengths


def check_file(label: str, spans: list[tuple[int, int]], stream_size: int, tally: Tally) -> None:
    """Check that the spans of one file adjoin from 0 to its size and that the sums of bytes are that size."""
    at = 0
    for start, stop in sorted(spans):
        if start != at:
            raise LedgerError(f"{label}: spans leave a hole or overlap at byte {at}. This is a bug of c2trail.")
        at = stop
    total = sum(tally.bytes.values())
    if at != stream_size or total != stream_size:
        raise LedgerError(f"{label}: {total} bytes accounted for of {stream_size}. This is a bug of c2trail.")
