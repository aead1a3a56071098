"""One reader for text exports: pieces in, rows out, by a fast path for blocks and a strict one for what is left over.

The strict reader of a format takes one piece after another and decides; the fast path takes the pieces that it can prove to be
one record each, and gives back what it cannot read. Both give the same rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._export_columns import Places
from forensics.parsers._export_pieces import BEFORE, HALF, LONG, MOST, RECORD, cuts, stored_length
from forensics.parsers._export_shapes import distinct, ranges
from forensics.parsers._exported import Collected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from forensics.model import Batch, Span
    from forensics.parsers._export_columns import Columnar, Learned
    from forensics.parsers._export_pieces import Cut, Mark
    from forensics.parsers._export_shapes import Tokens
    from forensics.stream import Stream

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_DENSEST: Final = 3
"""Bytes to each mark of a block at least: no real export comes near, and each mark takes a hundred bytes for a while."""
_FEW: Final = 16
"""Pieces of a block below which the fast path takes longer than the strict one."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Pieces of a block that make up records, as texts with their values."""

    columnar: Columnar
    tokens: Tokens
    shapes: tuple[Ints, Sequence[Learned | None]]
    """The shape of each text, and what is known of them."""
    numbers: Ints
    """The number of each text's first piece."""
    lasts: Ints
    """The number of its last piece; nearly always the first one."""
    ends: Ints
    """Where each record ends in the block; behind it follows what is no part of it, up to the next piece."""


class Reader(ABC):
    """Turns the pieces of one span into rows, in their order."""

    marks: ClassVar[tuple[bytes, ...]] = (b'"',)
    """What values stand between."""

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

    def behind(self, raw: bytes) -> str:  # noqa: ARG002  # most formats have nothing there
        """Return the reason by which all of what follows a record is passed over; none if `gap` has to look at it."""
        return ""

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

    def take(self, kind: int, piece: bytes) -> None:
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
        counted = (cut.kinds == RECORD) | (cut.kinds == LONG)
        before = self.ordinal + np.cumsum(counted) - counted
        simple, inside = np.zeros(len(cut), bool), np.ones(len(cut), bool)
        whole = np.flatnonzero(cut.kinds == RECORD)
        dense = _DENSEST * sum(map(cut.text.count, self.marks)) > len(cut.text)
        proven = self.proven(cut, whole) if len(whole) >= _FEW and not dense else None
        if proven is not None:
            inside[proven.numbers] = False
            simple[ranges(proven.numbers, proven.lasts + 1)] = True
        self._walk(cut, simple, inside, before)
        if proven is not None:
            self.quick(cut, proven, simple, before)
        if not self.busy():
            self.at, self.ordinal = int(cut.stored[-1]), int(before[-1] + counted[-1])

    def _walk(self, cut: Cut, simple: Bools, inside: Bools, before: Ints) -> None:
        """Let the strict reader take what is not simple, and whatever it takes along with that.

        A piece `inside` a record goes where the piece before it goes.
        """
        odd, number = np.flatnonzero(~simple), 0
        while True:
            if not self.busy():
                if number == 0 or number == len(cut) or not (simple[number] and inside[number]):
                    at = int(np.searchsorted(odd, number))
                    if at == len(odd):
                        return
                    number = int(odd[at])
                self.at, self.ordinal = int(cut.stored[number]), int(before[number])
            elif number == len(cut):
                return
            simple[number] = False
            self.last = cut.last and number == len(cut) - 1
            self.take(int(cut.kinds[number]), cut.piece(number))
            number += 1
            if self.changed():
                simple[number:] = False
                odd = np.flatnonzero(~simple)

    def quick(self, cut: Cut, proven: Proven, simple: Bools, before: Ints) -> None:
        """Let the fast path read the simple pieces; what it gives back is the strict reader's."""
        numbers, lasts, ends = proven.numbers, proven.lasts, proven.ends
        kept, start = simple[numbers], cut.stored[numbers]
        length = cut.stored[lasts + 1] - start
        tails = np.flatnonzero(ends < cut.bounds[lasts + 1])
        told = distinct(cut.text, ends[tails], cut.bounds[lasts[tails] + 1], pa.binary())
        codes, words = told.indices.to_numpy(), told.dictionary.to_pylist()
        size = np.zeros(len(numbers), np.int64)
        size[tails] = np.array([stored_length(tail, self.encoding) for tail in words], np.int64)[codes]
        length -= size
        reasons = [self.behind(tail) for tail in words]
        places = Places(start, length, before[lasts] + 1)
        left = proven.columnar.read(proven.tokens, proven.shapes, places, kept, self.out)
        told_of = np.zeros(len(numbers), bool)
        for code, reason in enumerate(reasons):
            if reason:
                here = tails[codes == code]
                here = here[kept[here] & ~left[here]]
                self.out.skip_all((start + length)[here], size[here], reason, (lasts - numbers)[here])
                told_of[here] = True
        at, ordinal = self.at, self.ordinal
        for text in np.flatnonzero(kept & ~told_of & (left | (size > 0))).tolist():
            first, last = int(numbers[text]), int(lasts[text])
            self.ordinal, self.at = int(before[first]), int(start[text])
            self.last = cut.last and last == len(cut) - 1
            if left[text]:
                for number in range(first, last + 1):
                    self.record(cut.piece(number))
            else:
                self.at += int(length[text])
                self.gap(cut.text[ends[text] : cut.bounds[last + 1]])
        self.at, self.ordinal = at, ordinal
