r"""Where the fields of many lines lie, for any pattern, as far as it can be proved by counting.

A pattern's literals are held by *anchors*: its quotes, and one more byte (mostly the blank) that stands between fields. Each
cut of a line puts every quote of the pattern on an unescaped quote of the line, in order. So where a line has exactly as
many, there is one way to place them; and where a stretch between two quotes has exactly as many of the other byte as the
pattern has there, one way to place those. A field between quotes alone may hold any number. What cannot be counted so is
left to the strict parser, which tries every cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.limits import MAX_LINE
from forensics.parsers._lines import PAD
from forensics.parsers._valve import Kind
from forensics.parsers._valve_raw import Marks, raw_quotes
from forensics.parsers._valve_shape import QUOTE
from forensics.parsers._valve_time import CLF_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve_shape import Shape

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

_LF, _BACKSLASH, _CR = 0x0A, 0x5C, 0x0D
_PIECE: Final = 1 << 17  # 128 KiB: the comparison's temporaries stay in cache


@dataclass(slots=True)
class Cuts:
    """Lines of a block, and of those that could be cut the start and end of each field.

    `starts` and `feeds` are places in the buffer, of every line; `row` are the numbers of the lines that were cut.
    """

    a: Bytes
    starts: Ints
    feeds: Ints
    row: Ints
    end: Ints
    opening: list[Ints]
    closing: list[Ints]


def cut(block: Block, shape: Shape) -> Cuts:
    """Cut the lines of a block that can be."""
    a = np.frombuffer(block.buffer, np.uint8)
    found = places_of(a[: PAD + block.size], PAD - 1, QUOTE, _LF, _BACKSLASH, shape.separator)
    found, slashes, escaped = drop_escaped(a, found)
    kinds = a[found]
    breaks = np.flatnonzero(kinds == _LF)
    feeds = found[breaks]
    starts, feeds = feeds[:-1] + 1, feeds[1:]
    quoted = np.flatnonzero(kinds == QUOTE)
    rank = np.searchsorted(quoted, breaks)
    quotes, simple = np.diff(rank), feeds - starts <= MAX_LINE
    if block.torn:
        simple[-1] = False
    simple[broken_lines(block, a, starts)] = False
    if shape.never_escaped:
        simple[np.searchsorted(feeds, escaped)] = False
    exact, more = simple & (quotes == shape.quotes), simple & (quotes > shape.quotes)
    row = np.flatnonzero(exact)
    chosen = quoted[rank[row][:, None] + np.arange(shape.quotes)]
    if shape.numbers_at is not None and more.any():
        row, chosen = _with_raw(Marks(a, found, quoted, rank, starts, feeds, slashes), shape, more, row, chosen)
    edges = [breaks[row], *chosen.T, breaks[row + 1]]
    good = np.ones(len(row), bool)
    for number, count in enumerate(shape.marks):
        if count >= 0:
            good &= edges[number + 1] - edges[number] == count + 1
    if not good.all():
        row, edges = row[good], [edge[good] for edge in edges]
    return _fields(Cuts(a, starts, feeds, row, feeds[row], [], []), shape, edges, found)


def _with_raw(marks: Marks, shape: Shape, more: Bools, row: Ints, chosen: Ints) -> tuple[Ints, Ints]:
    """Add the lines with more quotes than the pattern whose own quotes are known, in the order of lines."""
    rows, quotes = raw_quotes(marks, shape, np.flatnonzero(more))
    row, chosen = np.concatenate([row, rows]), np.concatenate([chosen, quotes])
    order = np.argsort(row, kind="stable")
    return row[order], chosen[order]


def _fields(cuts: Cuts, shape: Shape, edges: Sequence[Ints], found: Ints) -> Cuts:
    """Fill in where the fields lie; lines whose literals do not stand where the anchors put them are left out."""
    a, start = cuts.a, cuts.starts[cuts.row]
    end = cuts.end - ((a[cuts.end - 1] == _CR) & (cuts.end > start))
    first, last = shape.literals[0], shape.literals[-1]
    # All places where a literal begins: the line's start, the anchors, the line's end.
    begins = [start]
    for anchor in shape.anchors:
        edge = edges[anchor.quote]
        begins.append(found[edge if anchor.mark < 0 else edge + 1 + anchor.mark] - anchor.place)
    begins.append(end - len(last))
    good = (end - start >= len(first) + len(last)) & (begins[-1] >= start)
    opening, closing = [], []
    for number, field in enumerate(shape.fields):
        opens, closes = begins[number] + len(shape.literals[number]), begins[number + 1]
        good &= closes - opens >= (field.kind is not Kind.FREE)
        if field.kind is Kind.TIME:
            good &= closes - opens == CLF_LENGTH
        opening.append(opens)
        closing.append(closes)
    # A short line's last literal would begin before the buffer: such a line is not looked at again.
    begins = [np.where(good, begin, PAD) for begin in begins] if not good.all() else begins
    held = good
    for number, text in enumerate(shape.literals):
        # A literal of one byte between two fields is the anchor that was counted.
        if len(text) > 1 or number in {0, len(shape.fields)}:
            held &= stands(a, begins[number], text)
    row = np.flatnonzero(held)
    return Cuts(
        a, cuts.starts, cuts.feeds, cuts.row[row], end[row], [o[row] for o in opening], [c[row] for c in closing]
    )


def stands(a: Bytes, at: Ints, text: bytes) -> Bools:
    """Say of which places a text of at most some dozen bytes stands there."""
    result = np.ones(len(at), bool)
    words = np.ndarray((len(a) - 7,), "<u8", a, 0, (1,))
    for ahead in range(0, len(text), 8):
        mask, word = _word(text[ahead : ahead + 8])
        result &= (words[at + ahead] & mask) == word
    return result


def _word(text: bytes) -> tuple[np.uint64, np.uint64]:
    """Return up to eight bytes as a little-endian number, and the mask that leaves so many of it."""
    return np.uint64((1 << 8 * len(text)) - 1), np.uint64(int.from_bytes(text, "little"))


def places_of(a: Bytes, start: int, *marks: int) -> Ints:
    """Return where any of the marks stands, from `start` on."""
    found = []
    for at in range(start, len(a), _PIECE):
        piece = a[at : at + _PIECE]
        mask = piece == marks[0]
        for mark in marks[1:]:
            mask |= piece == mark
        hits = np.flatnonzero(mask)
        hits += at
        found.append(hits)
    return np.concatenate(found)


def drop_escaped(a: Bytes, places: Ints) -> tuple[Ints, Ints, Ints]:
    """Drop backslashes, and the quotes behind an odd run of them; return what is left, and where each of the two stood."""
    slash = a[places] == _BACKSLASH
    if not slash.any():
        return places, places[:0], places[:0]
    where = places[slash]
    opens = np.ones(len(where), bool)
    opens[1:] = where[1:] != where[:-1] + 1
    index = np.arange(len(where))
    within = index - np.maximum.accumulate(np.where(opens, index, 0))
    behind = where[within % 2 == 0] + 1
    drop = slash.copy()
    found = np.searchsorted(places, behind)
    inside = found < len(places)
    found, behind = found[inside], behind[inside]
    hit = found[places[found] == behind]
    hit = hit[a[places[hit]] == QUOTE]
    drop[hit] = True
    return places[~drop], where, places[hit]


def broken_lines(block: Block, a: Bytes, starts: Ints) -> Ints:
    """Return the numbers of lines that are no UTF-8."""
    if block.buffer.isascii():
        return np.zeros(0, np.int64)
    body = memoryview(block.buffer)[PAD : PAD + block.size]
    try:
        str(body, "utf-8")
    except UnicodeDecodeError:
        high = np.flatnonzero(a[PAD : PAD + block.size] >= 0x80) + PAD
        rows = np.unique(np.searchsorted(starts, high, "right") - 1)
        return np.array([r for r in rows.tolist() if not _is_text(block, starts, r)], np.int64)
    return np.zeros(0, np.int64)


def _is_text(block: Block, starts: Ints, row: int) -> bool:
    end = int(starts[row + 1]) if row + 1 < len(starts) else PAD + block.size
    try:
        block.buffer[int(starts[row]) : end].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
