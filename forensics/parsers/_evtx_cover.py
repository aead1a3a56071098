"""What became of every byte of some chunks: records by their fate, headers, free space, and what lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_chunks import CHUNK_HEADER, SIGNATURE
from forensics.schemas import REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks

    Ints = NDArray[np.int64]
    Pieces = tuple[Ints, Ints, NDArray[np.int8], Ints, Ints]
    """Runs of bytes: where they start, their sizes, their fates, how many records they hold, and the first one's number."""

SKIPPED: Final = (
    "event",
    "reject",
    "unwanted_event",
    "unwanted_logon_type",
    "slack",
    "slack_copy",
    "chunk_header",
    "empty_chunk",
    "free_space",
)
"""Fates by number: the first two make no skip, the last three are no records."""
_EVENT, _REJECT = 0, 1
_HEADER, _EMPTY, _FREE = (SKIPPED.index(word) for word in ("chunk_header", "empty_chunk", "free_space"))
_UNNUMBERED: Final = -1
LARGEST_ORDINAL: Final = 10**18
"""A record number from here on has no place in a locator; no real log counts so far."""


class Cover:
    """Collects the fates of a run of chunks; `offset` is where the buffer starts in the stream."""

    def __init__(self, chunks: Chunks, offset: int, evidence_id: str) -> None:
        self._chunks = chunks
        self._offset = offset
        self._evidence_id = evidence_id
        self._fate = np.zeros(len(chunks.place), np.int8)
        self._rejects: list[dict[str, Any]] = []

    def skip(self, rows: Ints, reason: str) -> None:
        """Records that were read as far as needed and hold nothing asked for."""
        self._fate[rows] = SKIPPED.index(reason)

    def reject(self, rows: Ints, reason: str, detail: str) -> None:
        """Records that cannot be read."""
        self._fate[rows] = _REJECT
        chunks = self._chunks
        for row in rows.tolist():
            number = chunks.number(int(chunks.place[row]) + 8, 8)
            self._reject(int(chunks.place[row]), int(chunks.size[row]), reason, detail, number)

    def tables(self) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Return (rejects, skips) in order of their places; skips of one reason that adjoin are one row."""
        pieces = [self._runs(), self._headers(), self._gaps()]
        at, size, fate, records, first = (np.concatenate(column) for column in zip(*pieces, strict=True))
        order = np.argsort(at)
        rejects = sorted(self._rejects, key=lambda row: row["log_offset"])
        one = table(rejects, REJECTS).combine_chunks().to_batches()[0] if rejects else empty(REJECTS)
        return one, self._skips(*_merged(at[order], size[order], fate[order], records[order], first[order]))

    def _runs(self) -> Pieces:
        """Return runs of adjoining records that were skipped for one reason."""
        chunks = self._chunks
        skipped = self._fate > _REJECT
        at, size, fate = chunks.place[skipped], chunks.size[skipped], self._fate[skipped]
        told = chunks.numbers(skipped)
        number = np.where((told >= 0) & (told < LARGEST_ORDINAL), told, _UNNUMBERED)
        return _merged(at, size, fate, np.ones(len(at), np.int64), number)

    def _headers(self) -> Pieces:
        """Account for the headers of chunks; those of chunks without their magic are rejects."""
        chunks = self._chunks
        size = np.where(chunks.empty, chunks.stops, np.minimum(chunks.starts + CHUNK_HEADER, chunks.stops))
        size = size - chunks.starts
        for number in np.flatnonzero(chunks.bad_magic).tolist():
            start = int(chunks.starts[number])
            found = chunks.bytes[start : min(start + 8, int(chunks.stops[number]))].tobytes().hex()
            self._reject(start, int(size[number]), "bad_chunk_magic", f"a chunk that starts with {found}")
        good = ~chunks.bad_magic
        fate = np.where(chunks.empty[good], _EMPTY, _HEADER).astype(np.int8)
        none = np.zeros(len(fate), np.int64)
        return chunks.starts[good], size[good], fate, none, none + _UNNUMBERED

    def _gaps(self) -> Pieces:
        """Account for what lies in no record: free space is skipped, anything before it is damage."""
        chunks = self._chunks
        body = np.where(chunks.empty, chunks.stops, np.minimum(chunks.starts + CHUNK_HEADER, chunks.stops))
        ends = chunks.place + chunks.size
        before = np.empty_like(ends)
        before[1:] = ends[:-1]
        first = np.ones(len(ends), bool)
        first[1:] = chunks.owner[1:] != chunks.owner[:-1]
        before[first] = body[chunks.owner[first]]
        last = body.copy()
        # Of several records of a chunk the last one counts.
        last[chunks.owner] = ends
        gap, tail = np.flatnonzero(chunks.place > before), np.flatnonzero(chunks.stops > last)
        start = np.concatenate([before[gap], last[tail]])
        stop = np.concatenate([chunks.place[gap], chunks.stops[tail]])
        middle = np.clip(chunks.free[np.searchsorted(chunks.starts, start, "right") - 1], start, stop)
        for row in np.flatnonzero(middle > start).tolist():
            self._damage(int(start[row]), int(middle[row]))
        rest = stop > middle
        count = int(rest.sum())
        none = np.zeros(count, np.int64)
        return middle[rest], (stop - middle)[rest], np.full(count, _FREE, np.int8), none, none + _UNNUMBERED

    def _damage(self, at: int, stop: int) -> None:
        raw = self._chunks.bytes[at:stop]
        if not raw.any():
            reason, detail = "zeroed_bytes", "zeros where records should be"
        elif raw[:4].tobytes() != SIGNATURE:
            reason, detail = "damaged_bytes", "no record starts here"
        else:
            size = int.from_bytes(raw[4:8].tobytes(), "little")
            cut = stop == self._chunks.stops[-1] and size > stop - at
            reason = "truncated_record" if cut else "damaged_record"
            detail = (
                f"a record of {size} bytes by its header, which {'the evidence ends inside' if cut else 'cannot be'}"
            )
        self._reject(at, stop - at, reason, detail)

    def _reject(self, at: int, length: int, reason: str, detail: str, number: int | None = None) -> None:
        """Reject a record by its number, or a run of bytes that is none."""
        self._rejects.append(
            {
                "evidence_id": self._evidence_id,
                "log_offset": at + self._offset,
                "log_length": length,
                "log_ordinal": number if number is not None and number < LARGEST_ORDINAL else None,
                "reason": reason,
                "detail": detail,
                "records": 0 if number is None else 1,
            }
        )

    def _skips(self, at: Ints, size: Ints, fate: NDArray[np.int8], records: Ints, first: Ints) -> pa.RecordBatch:
        words = pa.DictionaryArray.from_arrays(pa.array(fate.astype(np.int32)), pa.array(SKIPPED))
        columns = {
            "evidence_id": pa.repeat(pa.scalar(self._evidence_id), len(at)),
            "log_offset": pa.array(at + self._offset),
            "log_length": pa.array(size),
            "log_ordinal": pa.array(first, mask=first == _UNNUMBERED),
            "reason": words.cast(pa.string()),
            "records": pa.array(records),
        }
        return pa.RecordBatch.from_arrays([columns[f.name] for f in SKIPS], schema=SKIPS)


def _merged(at: Ints, size: Ints, fate: NDArray[np.int8], records: Ints, number: Ints) -> Pieces:
    """Make one piece of those that adjoin, share their fate, and whose numbers follow each other or are none."""
    if not len(at):
        return at, size, fate, records, number
    new = np.ones(len(at), bool)
    new[1:] = (at[1:] != at[:-1] + size[:-1]) | (fate[1:] != fate[:-1])
    numbered = number[1:] != _UNNUMBERED
    new[1:] |= numbered != (number[:-1] != _UNNUMBERED)
    new[1:] |= numbered & (number[1:] != number[:-1] + records[:-1])
    first = np.flatnonzero(new)
    return at[first], np.add.reduceat(size, first), fate[first], np.add.reduceat(records, first), number[first]
