r"""The fast path: blocks of lines cut by counting (`_valve_cut`), their fields turned a column at a time, doubtful lines left over.

Every assumption is checked, and what fails a check is named in `Fast.doubtful`: the strict path (`_valve_rows`) decides
there. The fields of the stock patterns are read where they lie, eight bytes at a time (`_valve_in_place`); the texts of all
others by `_field_columns`, those of several blocks at once, since most of their values stand in every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.limits import BLOCK_BYTES, SPAN_BYTES
from forensics.parsers._fast_columns import texts
from forensics.parsers._field_columns import columns_of, events_of
from forensics.parsers._field_roles import Role, roles_of
from forensics.parsers._lines import PAD, TAIL, Block
from forensics.parsers._valve import Kind
from forensics.parsers._valve_cut import cut
from forensics.parsers._valve_in_place import begin, reader_of
from forensics.parsers._valve_pins import cut as cut_by_quotes
from forensics.parsers._valve_pins import pins_of
from forensics.parsers._valve_rows import LOG_FORMAT
from forensics.parsers._valve_shape import BLANK, Shape
from forensics.parsers._valve_shape import shape_of as cut_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._valve import Pattern
    from forensics.parsers._valve_cut import Cuts
    from forensics.parsers._valve_in_place import Reader

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Columns = dict[str, Any]

_LF: Final = 0x0A
_AT_ONCE: Final = SPAN_BYTES + BLOCK_BYTES
"""A span is a line more than SPAN_BYTES."""
_MANY_LINES: Final = 1 << 20
"""Of such short lines where each lies takes more memory than its bytes: as few blocks together as hold so many."""
_FEW: Final = 32
"""Lines that the strict parser reads in the time that cutting them by counting costs at least."""


@dataclass(frozen=True, slots=True)
class Fast:
    """The simple lines of a block as events, the numbers of the others, where every line starts and ends, the first's number."""

    block: Block
    ordinal: int
    events: Sequence[pa.RecordBatch]
    doubtful: Ints
    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class _How:
    """How lines are read: their pattern, what reads each of its fields in place (None: nothing does), their evidence and zone."""

    shape: Shape
    roles: tuple[Role, ...]
    readers: tuple[Reader | None, ...]
    evidence_id: str
    zone: str


@dataclass(frozen=True, slots=True)
class _Lines:
    """All lines of a block: where they lie in it, the number of the first, which of them are events, and these."""

    block: Block
    starts: Ints
    feeds: Ints
    first: int
    simple: Bools
    events: list[pa.RecordBatch]

    @property
    def rest(self) -> Ints:
        """The numbers of the whole lines that are no events yet."""
        return np.flatnonzero(~self.simple[: len(self.simple) - self.block.torn])

    @property
    def written(self) -> Ints:
        """Those of them that hold anything."""
        rest = self.rest
        return rest[self.feeds[rest] > self.starts[rest]]

    def add(self, columns: Columns, row: Ints, how: _How) -> None:
        """Add events: their columns, and which lines they are."""
        columns["log_offset"] = pa.array(self.starts[row] - PAD + self.block.offset)
        columns["log_length"] = pa.array(self.feeds[row] + 1 - self.starts[row])
        columns["log_ordinal"] = pa.array(row + self.first)
        self.events.append(events_of(columns, len(row), LOG_FORMAT, how.evidence_id))
        self.simple[row] = True

    def fast(self) -> Fast:
        """Return what became of them."""
        moved = self.block.offset - PAD
        doubtful = np.flatnonzero(~self.simple)
        return Fast(self.block, self.first, self.events, doubtful, self.starts + moved, self.feeds + 1 + moved)


@dataclass(frozen=True, slots=True)
class _Half:
    """Cut lines by number, the columns that were made in place, and the texts of the other fields."""

    row: Ints
    columns: Columns
    texts: list[pa.StringArray]


def shape_of(pattern: Pattern, proxies: str = "") -> Shape | None:
    """Return how the fast path cuts lines of a pattern; None where the strict path must read all of them."""
    return cut_of(pattern) if roles_of(pattern.fields, proxies) is not None else None


class Reading:
    """Reads adjoining blocks, as many together as a span has, or fewer if they hold very many lines."""

    def __init__(self, shape: Shape | None, evidence_id: str, zone: str = "") -> None:
        self._how = _how(shape, evidence_id, zone) if shape is not None else None
        self._pins = pins_of(shape) if shape is not None else None
        self._lines: list[_Lines] = []
        self._halves: list[_Half] = []

    def add(self, block: Block, first_ordinal: int) -> int:
        """Cut a block by its quotes, else by counting, and return how many lines it has."""
        if (how := self._how) is None:
            lines = _uncut(block, first_ordinal)
        else:
            cuts = cut_by_quotes(block, how.shape, self._pins) if self._pins else cut(block, how.shape)
            lines = _Lines(block, cuts.starts, cuts.feeds, first_ordinal, np.zeros(len(cuts.starts), bool), [])
            self._halves.append(_half(block, cuts, how))
        self._lines.append(lines)
        return len(lines.starts)

    @property
    def full(self) -> bool:
        """Say whether what was added has to be taken before more is."""
        lines, size = sum(len(one.starts) for one in self._lines), sum(one.block.size for one in self._lines)
        return self._how is None or lines >= _MANY_LINES or size >= _AT_ONCE

    def take(self) -> list[Fast]:
        """Return the simple lines of the blocks as events: those that quotes cut, then those that counting cuts alone."""
        if (how := self._how) is not None and self._lines:
            for one, (columns, row) in zip(self._lines, _wholes(self._halves, how), strict=True):
                one.add(columns, row, how)
            for several in _portions(self._lines) if self._pins else ():
                _cut_again(several, how)
        found = [one.fast() for one in self._lines]
        self._lines, self._halves = [], []
        return found


def _uncut(block: Block, first_ordinal: int) -> _Lines:
    feeds = np.flatnonzero(np.frombuffer(block.buffer, np.uint8)[PAD : PAD + block.size] == _LF) + PAD
    starts = np.concatenate([[PAD], feeds[:-1] + 1])
    return _Lines(block, starts, feeds, first_ordinal, np.zeros(len(starts), bool), [])


def _how(shape: Shape, evidence_id: str, zone: str) -> _How:
    roles = roles_of(shape.fields, "") or ()
    readers = [
        reader_of(field) if role is Role.FILLS and not (field.kind is Kind.TIME and Role.ADDS in roles) else None
        for field, role in zip(shape.fields, roles, strict=True)
    ]
    return _How(shape, roles, tuple(readers), evidence_id, zone)


def _half(block: Block, cuts: Cuts, how: _How) -> _Half:
    """Check the fields that can be looked at in place, then make the columns of the lines that pass."""
    lines = begin(block, cuts)
    fields = list(zip(how.readers, cuts.opening, cuts.closing, strict=True))
    makers = [reader(lines, opening, closing) for reader, opening, closing in fields if reader is not None]
    keep = np.flatnonzero(lines.ok)
    columns: Columns = {}
    for make in makers:
        columns |= make(keep)
    others = [
        texts(block.buffer, opening[keep], closing[keep]) for reader, opening, closing in fields if reader is None
    ]
    return _Half(cuts.row[keep], columns, others)


def _wholes(halves: Sequence[_Half], how: _How) -> Iterator[tuple[Columns, Ints]]:
    """Yield all columns of the lines of each half whose other fields pass too, and the numbers of these lines."""
    others = [number for number, reader in enumerate(how.readers) if reader is None]
    fields = [how.shape.fields[number] for number in others]
    values = [pa.concat_arrays(column) for column in zip(*(half.texts for half in halves), strict=True)]
    size = sum(len(half.row) for half in halves)
    columns, bad = columns_of(fields, values, how.zone, size, [how.roles[number] for number in others])
    if how.shape.separator != BLANK:
        for field, column in zip(fields, values, strict=True):
            if field.kind is Kind.TOKEN:
                bad |= pc.match_substring(column, " ").to_numpy(zero_copy_only=False)
    at = 0
    for half in halves:
        end = at + len(half.row)
        made = {name: column[at:end] for name, column in columns.items()} | half.columns
        row, wrong, at = half.row, bad[at:end], end
        if wrong.any():
            good = np.flatnonzero(~wrong)
            made, row = {name: column.take(pa.array(good)) for name, column in made.items()}, row[good]
        yield made, row


def _portions(lines: Sequence[_Lines]) -> Iterator[list[_Lines]]:
    """Yield blocks with enough lines left over, as many at a time as these lines have the bytes of one block."""
    several: list[_Lines] = []
    size = 0
    for one in lines:
        if len(one.rest) <= _FEW:
            continue
        written = one.written
        more = int((one.feeds[written] + 1 - one.starts[written]).sum())
        if several and size + more > BLOCK_BYTES:
            yield several
            several, size = [], 0
        several.append(one)
        size += more
    if several:
        yield several


def _cut_again(several: Sequence[_Lines], how: _How) -> None:
    """Cut by counting what quotes alone could not."""
    rests = [one.written for one in several]
    apart = _apart(several, rests)
    ((columns, row),) = _wholes([_half(apart, cut(apart, how.shape), how)], how)
    first = 0
    for one, rest in zip(several, rests, strict=True):
        start, stop = np.searchsorted(row, [first, first + len(rest)]).tolist()
        one.add({name: column[start:stop] for name, column in columns.items()}, rest[row[start:stop] - first], how)
        first += len(rest)


def _apart(several: Sequence[_Lines], rests: Sequence[Ints]) -> Block:
    """Return some lines of blocks as a block of their own."""
    lines = []
    for one, rest in zip(several, rests, strict=True):
        view = memoryview(one.block.buffer)
        places = zip(one.starts[rest].tolist(), (one.feeds[rest] + 1).tolist(), strict=True)
        lines += [view[start:end] for start, end in places]
    text = b"".join(lines)
    return Block(bytearray(b"\n".rjust(PAD, b"\0") + text + bytes(TAIL)), len(text), 0, torn=False)
