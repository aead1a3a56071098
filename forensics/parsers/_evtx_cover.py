"""What became of every byte of some chunks: records by their fate, headers, free space, and what lies between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.parsers._evtx_chunks import CHUNK, CHUNK_HEADER, Chunks
from forensics.schemas import REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_ORDER: Final = {"": 0}


@dataclass(slots=True)
class Cover:
    """Collects the skips and rejects of a run of chunks; `offset` is where the buffer starts in the stream."""

    chunks: Chunks
    used: int
    offset: int
    evidence_id: str
    _skips: list[tuple[Ints, Ints, str, int]] = field(default_factory=list)
    _rejects: list[dict[str, Any]] = field(default_factory=list)

    def skip_records(self, rows: Ints, reason: str) -> None:
        """Records that were read as far as needed and hold nothing asked for."""
        if len(rows):
            self._skips.append((self.chunks.place[rows], self.chunks.size[rows], reason, 1))

    def skip_places(self, places: Ints, sizes: Ints, reason: str) -> None:
        """Records given by their places in the buffer."""
        self._skips.append((places, sizes, reason, 1))

    def reject_records(self, rows: Ints, reason: str, detail: str) -> None:
        """Records that cannot be read."""
        for row in rows.tolist():
            self._reject(
                int(self.chunks.place[row]), int(self.chunks.size[row]), reason, detail, 1, self._header_id(row)
            )

    def rest(self) -> None:
        """Account for everything that is no record."""
        chunks = self.chunks
        for number, start in enumerate(chunks.starts.tolist()):
            end = min(start + CHUNK, self.used)
            if chunks.empty[number]:
                self._skips.append((np.array([start]), np.array([end - start]), "empty_chunk", 0))
                continue
            head = min(CHUNK_HEADER, end - start)
            if chunks.bad_magic[number]:
                detail = f"starts with {chunks.bytes[start : start + 8].tobytes().hex()}"
                self._reject(start, head, "bad_chunk_magic", detail, 0, None)
            else:
                self._skips.append((np.array([start]), np.array([head]), "chunk_header", 0))
            self._between(number, start + head, end)

    def tables(self) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Return (rejects, skips) in order of their places; skips of one reason that adjoin are one row."""
        rejects = sorted(self._rejects, key=lambda row: row["log_offset"])
        one = table(rejects, REJECTS).combine_chunks().to_batches()[0] if rejects else empty(REJECTS)
        return one, self._merged()

    def _between(self, number: int, start: int, end: int) -> None:
        """Account for the bytes of one chunk between its header and its end that lie in no record."""
        chunks = self.chunks
        first, last = np.searchsorted(chunks.place, [start, end])
        at = start
        free = int(chunks.free[number])
        stops = chunks.place[first:last].tolist()
        ends = (chunks.place[first:last] + chunks.size[first:last]).tolist()
        for stop, following in zip([*stops, end], [*ends, end], strict=True):
            if stop > at:
                self._gap(at, min(stop, max(at, free)), stop)
            at = max(at, following)

    def _gap(self, at: int, middle: int, stop: int) -> None:
        if middle > at:
            damaged = self.chunks.bytes[at:middle].any()
            self._reject(
                at, middle - at, "damaged_bytes" if damaged else "zeroed_bytes", "no record starts here", 0, None
            )
        if stop > middle:
            self._skips.append((np.array([middle]), np.array([stop - middle]), "free_space", 0))

    def _header_id(self, row: int) -> int:
        return int(self.chunks.words[self.chunks.place[row] + 8].astype(np.int64))

    def _reject(self, at: int, length: int, reason: str, detail: str, records: int, ordinal: int | None) -> None:
        self._rejects.append(
            {
                "evidence_id": self.evidence_id,
                "log_offset": at + self.offset,
                "log_length": length,
                "log_ordinal": ordinal,
                "reason": reason,
                "detail": detail,
                "records": records,
            }
        )

    def _merged(self) -> pa.RecordBatch:
        if not self._skips:
            return empty(SKIPS)
        reasons = sorted({reason for _, _, reason, _ in self._skips})
        at = np.concatenate([places for places, _, _, _ in self._skips])
        size = np.concatenate([sizes for _, sizes, _, _ in self._skips])
        word = np.concatenate([np.full(len(p), reasons.index(r)) for p, _, r, _ in self._skips])
        records = np.concatenate([np.full(len(p), n) for p, _, _, n in self._skips])
        order = np.argsort(at, kind="stable")
        at, size, word, records = at[order], size[order], word[order], records[order]
        new = np.ones(len(at), bool)
        new[1:] = (at[1:] != at[:-1] + size[:-1]) | (word[1:] != word[:-1])
        first = np.flatnonzero(new)
        rows = {
            "evidence_id": [self.evidence_id] * len(first),
            "log_offset": at[first] + self.offset,
            "log_length": np.add.reduceat(size, first),
            "reason": [reasons[i] for i in word[first].tolist()],
            "records": np.add.reduceat(records, first),
        }
        import pyarrow as pa  # noqa: PLC0415

        return pa.RecordBatch.from_arrays([pa.array(rows[f.name], f.type) for f in SKIPS], schema=SKIPS)
