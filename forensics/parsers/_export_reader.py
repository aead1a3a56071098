"""One reader for text exports: pieces in, rows out, by a fast path for blocks and a strict one for what is left over.

The strict reader of a format takes one piece after another and decides; the fast path takes the pieces that it can prove to be
one record each, and gives back what it cannot read. Both give the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._export_columns import Places
from forensics.parsers._export_pieces import BEFORE, HALF, LONG, MOST, RECORD, cuts, stored_length
from forensics.parsers._export_shapes import distinct
from forensics.parsers._exported import Collected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from forensics.model import Batch, Span
    from forensics.parsers._export_columns import Columnar
    from forensics.parsers._export_pieces import Cut, Mark
    from forensics.parsers._export_shapes import Tokens
    from forensics.stream import Stream

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_FEW: Final = 16
"""Pieces of a block below which the fast path takes longer than the strict one."""


class Proven:
    """Pieces of a block that are one record each, as texts with their values."""

    __slots__ = ("columnar", "ends", "numbers", "tokens")

    def __init__(self, columnar: Columnar, tokens: Tokens, numbers: Ints, ends: Ints) -> None:
        self.columnar = columnar
        self.tokens = tokens
        self.numbers = numbers
        """The number of each text's piece."""
        self.ends = ends
        """Where each record ends in the block; what follows of its piece is for the strict reader."""


class Reader(ABC):
    """Turns the pieces of one span into rows, in their order."""

    def __init__(self, span: Span, name: str) -> None:
        self.span = span
        self.encoding = span.setting("encoding", "utf-8")
        self.at = span.start
        """Where the next byte stands that is not told of yet."""
        self.ordinal = 0
        """The number of the last record."""
        self.last = False
        """Whether the stream ends with this piece."""
        self._name = name
        self.out = self._new()

    def _new(self) -> Collected:
        return Collected(self.span, self._name, self.span.setting("zone"))

    def batches(self, stream: Stream, mark: Mark) -> Iterator[Batch]:
        """Yield what became of the stream, a block at a time."""
        for cut in cuts(stream, mark, self.encoding, self.span.start):
            self._cut(cut)
            yield self._batch()
        self.close()
        yield self._batch()

    def _batch(self) -> Batch:
        out, self.out = self.out, self._new()
        return out.batch()

    @abstractmethod
    def record(self, piece: bytes) -> None:
        """Read a piece that starts with a head."""

    @abstractmethod
    def gap(self, raw: bytes) -> None:
        """Account for what stands between records."""

    def markup(self, raw: bytes) -> bool:  # noqa: ARG002  # most formats have none
        """Say whether `gap` would pass over all of that as markup."""
        return False

    @abstractmethod
    def proven(self, cut: Cut, numbers: Ints) -> Proven | None:
        """Return which of some pieces the fast path reads."""

    def close(self) -> None:  # noqa: B027  # most formats never wait
        """Tell what waits."""

    def busy(self) -> bool:
        """Say whether the next piece may belong to the last one's record."""
        return False

    def changed(self) -> bool:
        """Say, once, whether the last piece changed what the next ones must look like."""
        return False

    def take(self, kind: str, piece: bytes) -> None:
        """Take the next piece."""
        if kind == RECORD:
            self.record(piece)
            return
        self.close()
        if kind == BEFORE:
            self.gap(piece)
        elif kind == HALF:
            self.reject(piece, "truncated_text", "half a character", 0, len(piece))
        else:
            self.ordinal += kind == LONG
            self.reject(piece, "event_too_long", f"over {MOST} bytes without an end", int(kind == LONG))

    def skip(self, raw: bytes, reason: str, records: int) -> None:
        """Pass over the next bytes."""
        size = stored_length(raw, self.encoding)
        self.out.skip(self.at, size, reason, records)
        self.at += size

    def reject(self, raw: bytes, reason: str, detail: str, records: int, size: int | None = None) -> None:
        """Refuse the next bytes."""
        size = stored_length(raw, self.encoding) if size is None else size
        self.out.reject((self.at, size, self.ordinal if records else None), reason, detail, records)
        self.at += size

    def place(self, whole: bytes) -> tuple[int, int, int]:
        """Return where the next bytes stand, which are one record, and pass them."""
        size = stored_length(whole, self.encoding)
        self.at += size
        return self.at - size, size, self.ordinal

    def _cut(self, cut: Cut) -> None:
        counted = np.array([kind in {RECORD, LONG} for kind in cut.kinds])
        before = self.ordinal + np.cumsum(counted) - counted
        simple = np.zeros(len(cut), bool)
        proven = self.proven(cut, np.flatnonzero(counted)) if len(cut) >= _FEW else None
        if proven is not None:
            simple[proven.numbers] = True
        self._walk(cut, simple, before)
        if proven is not None:
            self._quick(cut, proven, simple, before)
        if not self.busy():
            self.at, self.ordinal = int(cut.stored[-1]), int(before[-1] + counted[-1])

    def _walk(self, cut: Cut, simple: Bools, before: Ints) -> None:
        """Let the strict reader take what is not simple, and whatever it takes along with that."""
        odd, number = np.flatnonzero(~simple), 0
        while True:
            if not self.busy():
                at = int(np.searchsorted(odd, number))
                if at == len(odd):
                    return
                number = int(odd[at])
                self.at, self.ordinal = int(cut.stored[number]), int(before[number])
            elif number == len(cut):
                return
            simple[number] = False
            self._take(cut, number)
            number += 1
            if self.changed():
                simple[number:] = False
                odd = np.flatnonzero(~simple)

    def _take(self, cut: Cut, number: int, *, alone: bool = False) -> None:
        self.last = cut.last and number == len(cut) - 1
        if alone:
            self.single(cut.piece(number))
        else:
            self.take(cut.kinds[number], cut.piece(number))

    def _quick(self, cut: Cut, proven: Proven, simple: Bools, before: Ints) -> None:
        """Let the fast path read the simple pieces; what it gives back is the strict reader's."""
        numbers, kept = proven.numbers, simple[proven.numbers]
        start = cut.stored[numbers]
        length = cut.stored[numbers + 1] - start
        tails = np.flatnonzero(proven.ends < cut.bounds[numbers + 1])
        told = distinct(cut.text, proven.ends[tails], cut.bounds[numbers[tails] + 1], pa.binary())
        codes, words = told.indices.to_numpy(), told.dictionary.to_pylist()
        size = np.zeros(len(numbers), np.int64)
        size[tails] = np.array([stored_length(tail, self.encoding) for tail in words] or [0])[codes]
        length -= size
        plain = np.zeros(len(numbers), bool)
        plain[tails] = np.array([self.markup(tail) for tail in words] or [False])[codes]
        left = proven.columnar.read(proven.tokens, Places(start, length, before[numbers] + 1), kept, self.out)
        plain &= kept & ~left
        self.out.skip_all((start + length)[plain], size[plain], "markup", 0)
        at, ordinal = self.at, self.ordinal
        for text in np.flatnonzero(kept & ~plain & (left | (size > 0))).tolist():
            number = int(numbers[text])
            self.ordinal, self.at = int(before[number]), int(start[text])
            if left[text]:
                self._take(cut, number, alone=True)
            else:
                self.at += int(length[text])
                self.gap(cut.text[proven.ends[text] : cut.bounds[number + 1]])
        self.at, self.ordinal = at, ordinal

    def single(self, piece: bytes) -> None:
        """Read a piece that is known to be one record."""
        self.record(piece)
