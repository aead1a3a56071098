r"""Lines cut by their quotes alone: in most patterns every other border stands a fixed number of bytes from one.

A time has 28 bytes, a status three, `%l` is a dash, and nearly always `%u` is one too: so in `%h %l %u %t "%r" %s %b` each
border is known from the two quotes. All bytes that must stand around a quote are compared at once. That a cut is the only
one is proved as in `_valve_cut`, by counting: between two quotes every field but one is of these, the one is of a kind
whose readers take no blank, so the stretch has as many separators as the pattern. Stretches of which that is not so (two
numbers side by side) have their separators counted. What does not hold is left to `_valve_cut.cut`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.limits import MAX_LINE
from forensics.parsers._fast_bytes import pieces_of
from forensics.parsers._lines import PAD, TAIL
from forensics.parsers._valve import Kind
from forensics.parsers._valve_cut import Cuts, broken_lines, places_of, stands
from forensics.parsers._valve_shape import QUOTE
from forensics.parsers._valve_time import CLF_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Field
    from forensics.parsers._valve_shape import Shape

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

Place = tuple[int, int]
"""An edge and bytes from it. Edges are the quotes by number, the line's start (-1) and its end (the number of quotes)."""

_LF, _CR, _BACKSLASH = 0x0A, 0x0D, 0x5C
_STATUS: Final = 3
_ONE_WORD: Final = frozenset({"host", "count", "number"})
"""Shapes of tokens that hold no blank, as their readers check."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around an edge: masks and values of the words of eight bytes from `start` bytes off it on."""

    edge: int
    start: int
    words: tuple[tuple[np.uint64, np.uint64], ...]


@dataclass(frozen=True, slots=True)
class Pins:
    """How lines are cut by quotes: where each literal begins, None where separators are counted for it.

    `widths` are of the fields that have one and whose borders hang on different edges. `counted` are the stretches whose
    separators are counted: stretch n lies in front of quote n.
    """

    begins: tuple[Place | None, ...]
    frames: tuple[Frame, ...]
    widths: tuple[tuple[int, int], ...]
    counted: tuple[int, ...]


@cache
def pins_of(shape: Shape) -> Pins | None:
    """Return how lines of a shape are cut by quotes; None where they cannot be."""
    if not shape.quotes:
        return None
    stretches = [_quotes_in(shape.literals[: number + 1]) for number in range(len(shape.fields))]
    widths = [
        _width(field) if shape.marks[stretch] >= 0 else None
        for field, stretch in zip(shape.fields, stretches, strict=True)
    ]
    begins = _pinned(shape, widths)
    loose = set()
    for number, (field, stretch) in enumerate(zip(shape.fields, stretches, strict=True)):
        held = begins[number] is not None and begins[number + 1] is not None
        plain = widths[number] is not None or (field.kind is Kind.TOKEN and field.shape in _ONE_WORD)
        if shape.marks[stretch] >= 0 and not (held and plain):
            loose.add(stretch)
    for number, anchor in enumerate(shape.anchors, 1):
        if anchor.mark >= 0 and anchor.quote in loose:
            begins[number] = None
    frames = _frames(_known(shape, begins, widths, [stretch in loose for stretch in stretches]), shape.quotes)
    apart = []
    for number, field in enumerate(shape.fields):
        width = widths[number]
        if stretches[number] in loose:
            width = CLF_LENGTH if field.kind is Kind.TIME else None
        before, after = begins[number], begins[number + 1]
        if width is not None and (before is None or after is None or before[0] != after[0]):
            apart.append((number, width))
    return Pins(tuple(begins), frames, tuple(apart), tuple(sorted(loose))) if frames is not None else None


def _quotes_in(literals: Sequence[bytes]) -> int:
    return sum(text.count(b'"') for text in literals)


def _width(field: Field) -> int | None:
    """Return how many bytes a field's values have in most lines, or in all of them."""
    if field.kind is Kind.TIME:
        return CLF_LENGTH
    if field.shape == "dash" or (field.letter == "u" and not field.key):
        return 1
    return _STATUS if field.shape == "status" else None


def _pinned(shape: Shape, widths: Sequence[int | None]) -> list[Place | None]:
    """Return where literals begin: those with a quote by their first one, others by fields of fixed width between."""
    places: list[Place | None] = []
    for number, text in enumerate(shape.literals):
        ahead = text.find(b'"')
        places.append((_quotes_in(shape.literals[:number]), -ahead) if ahead >= 0 else None)
    places[0] = places[0] or (-1, 0)
    places[-1] = places[-1] or (shape.quotes, -len(shape.literals[-1]))
    # From the right first: what stands in front of a time is pinned to the quote behind it.
    for number in range(len(widths) - 1, -1, -1):
        after, width = places[number + 1], widths[number]
        if places[number] is None and after is not None and width is not None:
            places[number] = (after[0], after[1] - width - len(shape.literals[number]))
    for number, width in enumerate(widths):
        before = places[number]
        if places[number + 1] is None and before is not None and width is not None:
            places[number + 1] = (before[0], before[1] + len(shape.literals[number]) + width)
    return places


def _known(
    shape: Shape, begins: Sequence[Place | None], widths: Sequence[int | None], loose: Sequence[bool]
) -> dict[Place, int]:
    """Return the bytes that must stand somewhere: literals, dashes, and the brackets of times."""
    known: dict[Place, int] = {}
    for number, text in enumerate(shape.literals):
        at = begins[number]
        if at is None:
            continue
        for ahead, byte in enumerate(text):
            known[at[0], at[1] + ahead] = byte
        if number < len(widths) and widths[number] is not None and not loose[number]:
            opening, width = at[1] + len(text), widths[number] or 0
            if width == CLF_LENGTH:
                known |= {(at[0], opening): 0x5B, (at[0], opening + width - 1): 0x5D}
            elif width == 1:
                known[at[0], opening] = 0x2D
    return known


def _frames(known: Mapping[Place, int], quotes: int) -> tuple[Frame, ...] | None:
    """Return the known bytes as words around each edge; None if one would reach out of a block."""
    frames = []
    for edge in range(-1, quotes + 1):
        # A quote itself was found to stand there.
        own = {at: byte for (of, at), byte in known.items() if of == edge and not (at == 0 and 0 <= edge < quotes)}
        if not own:
            continue
        start = min(own)
        words = []
        for first in range(start, max(own) + 1, 8):
            inside = [(own[at], 8 * (at - first)) for at in range(first, first + 8) if at in own]
            mask, value = sum(0xFF << shift for _, shift in inside), sum(byte << shift for byte, shift in inside)
            words.append((np.uint64(mask), np.uint64(value)))
        if start < 8 - PAD or start + 8 * len(words) > TAIL - 8:
            return None
        frames.append(Frame(edge, start, tuple(words)))
    return tuple(frames)


def cut(block: Block, shape: Shape, pins: Pins) -> Cuts:
    """Cut the lines of a block that have the pattern's quotes, no backslash, and the right bytes around their quotes."""
    a = np.frombuffer(block.buffer, np.uint8)
    found = places_of(a[: PAD + block.size], PAD - 1, QUOTE, _LF)
    breaks = np.flatnonzero(a[found] == _LF)
    feeds = found[breaks]
    starts, feeds = feeds[:-1] + 1, feeds[1:]
    simple = np.diff(breaks) == shape.quotes + 1
    simple &= feeds - starts <= MAX_LINE
    if block.torn:
        simple[-1] = False
    simple[broken_lines(block, a, starts)] = False
    if block.buffer.find(b"\\", PAD) >= 0:
        simple[np.searchsorted(feeds, np.flatnonzero(a[: PAD + block.size] == _BACKSLASH))] = False
    row = np.flatnonzero(simple)
    start, feed, first = starts[row], feeds[row], breaks[row] + 1
    end = feed - ((a[feed - 1] == _CR) & (feed > start))
    edges = [*(found[first + number] for number in range(shape.quotes)), end, start]
    good = np.ones(len(row), bool)
    for frame in pins.frames:
        _compare(a, edges[frame.edge] + frame.start, frame, good)
    begins = [edges[at[0]] + at[1] if at else None for at in pins.begins]
    if pins.counted:
        marks = places_of(a[: PAD + block.size], PAD, shape.separator)
        # Behind the last there are always enough to look at, which stand beyond every line.
        marks = np.append(marks, np.full(max(shape.marks) + 1, PAD + block.size))
        _count(a, marks, shape, pins, edges, begins, good)
    return _fields(Cuts(a, starts, feeds, row, end, [], []), shape, pins, start, begins, good)


def _compare(a: Bytes, at: Ints, frame: Frame, good: Bools) -> None:
    """Clear `good` where the bytes from `at` on are not those of a frame."""
    pieces = pieces_of(a, at, len(frame.words))
    for number, (mask, value) in enumerate(frame.words):
        if mask:
            good &= (pieces[:, number] & mask) == value


def _count(
    a: Bytes, marks: Ints, shape: Shape, pins: Pins, edges: Sequence[Ints], begins: list[Ints | None], good: Bools
) -> None:
    """Fill in the literals that hang on separators; clear `good` where a stretch has not as many as the pattern."""
    firsts = {}
    for stretch in pins.counted:
        first, count = np.searchsorted(marks, edges[stretch - 1]), shape.marks[stretch]
        np.minimum(first, len(marks) - count - 1, out=first)
        if count:
            good &= marks[first + count - 1] < edges[stretch]
        good &= marks[first + count] >= edges[stretch]
        firsts[stretch] = first
    for number, anchor in enumerate(shape.anchors, 1):
        if begins[number] is None:
            begins[number] = at = marks[firsts[anchor.quote] + anchor.mark] - anchor.place
            if len(shape.literals[number]) > 1:
                good &= stands(a, at, shape.literals[number])


def _fields(cuts: Cuts, shape: Shape, pins: Pins, start: Ints, begins: Sequence[Ints | None], good: Bools) -> Cuts:
    """Return where the fields of the lines lie that are good."""
    known = [begin for begin in begins if begin is not None]
    # A literal that hangs on a quote has to be where the line begins or ends, too.
    good &= (known[0] == start) & (known[-1] == cuts.end - len(shape.literals[-1]))
    opening = [begin + len(text) for begin, text in zip(known[:-1], shape.literals[:-1], strict=True)]
    closing = known[1:]
    for opens, closes, field in zip(opening, closing, shape.fields, strict=True):
        good &= closes - opens >= (field.kind is not Kind.FREE)
    for number, width in pins.widths:
        good &= closing[number] - opening[number] == width
    if good.all():
        cuts.opening, cuts.closing = opening, closing
        return cuts
    keep = np.flatnonzero(good)
    return Cuts(
        cuts.a,
        cuts.starts,
        cuts.feeds,
        cuts.row[keep],
        cuts.end[keep],
        [o[keep] for o in opening],
        [c[keep] for c in closing],
    )
