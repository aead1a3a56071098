"""The fast path of W3C lines: cut at the blanks outside quotes, checked, and the columns read as columns.

A line is simple when its blanks outside quotes are exactly the pattern's, and each of its quotes opens or closes a wrapped
field. What fails a check is left to the strict path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.limits import MAX_LINE
from forensics.parsers._fast_bytes import utc_times
from forensics.parsers._fast_columns import constant, texts
from forensics.parsers._field_columns import columns_of, events_of, plan
from forensics.parsers._lines import PAD
from forensics.parsers._valve import Field, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Pattern

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

_LF, _CR, _TAB, _BLANK, _DASH = 0x0A, 0x0D, 0x09, 0x20, 0x2D
_PIECE: Final = 1 << 17  # 128 KiB: the comparison's temporaries stay in cache


@dataclass(frozen=True, slots=True)
class Shape:
    """Fields with one blank between each two, a date and its time side by side; `date` is the number of the former."""

    fields: tuple[Field, ...]
    date: int


@lru_cache(maxsize=64)
def shape_of(pattern: Pattern, proxies: str) -> Shape | None:
    """Return the shape of a pattern that the fast path knows, None for others."""
    fields = pattern.fields
    expected = [token for field in fields for token in (field, b" ")][:-1]
    letters = [field.letter for field in fields]
    if list(pattern.tokens) != expected or letters.count("date") != 1 or letters.count("time") != 1:
        return None
    date = letters.index("date")
    if letters[date + 1 : date + 2] != ["time"] or any(field.kind is Kind.LITERAL for field in fields):
        return None
    others = [field for field in fields if field.letter not in {"date", "time"}]
    return Shape(fields, date) if others and plan(others, proxies) else None


def read(
    block: Block, shape: Shape, starts: Ints, ends: Ints, odd: Bools, ordinal: int, names: tuple[str, str]
) -> tuple[pa.RecordBatch, Bools]:
    """Return the simple ones of adjoining lines as events, and which lines those are.

    `starts` and `ends` are places in the buffer, the LF included; `odd` marks lines that are no UTF-8; `ordinal` is the
    number of the first; `names` are those of the log format and the evidence.
    """
    a = np.frombuffer(block.buffer, np.uint8)
    simple, cuts = _cut(a, shape, starts, ends)
    simple &= ~odd & (ends - starts <= MAX_LINE + 1)
    if block.torn and int(ends[-1]) == PAD + block.size:
        simple[-1] = False
    rows = np.flatnonzero(simple)
    text_end = ends[rows] - 1
    text_end = text_end - ((a[text_end - 1] == _CR) & (text_end > starts[rows]))
    opening = np.concatenate([starts[rows][None], cuts[:, rows] + 1])
    closing = np.concatenate([cuts[:, rows], text_end[None]])
    us, good = _times(a, shape, opening, closing)
    made, bad = columns_of(*_values(block, shape, opening, closing), "", len(rows))
    made |= {
        "time": pa.array(us).cast(pa.timestamp("us", tz="UTC")),
        "time_original": texts(block.buffer, opening[shape.date], closing[shape.date + 1]).dictionary_encode(),
        "time_basis": constant("utc_by_format", len(rows)),
        "log_offset": pa.array(starts[rows] - PAD + block.offset),
        "log_length": pa.array(ends[rows] - starts[rows]),
        "log_ordinal": pa.array(rows + ordinal),
    }
    events = events_of(made, len(rows), *names)
    good &= ~bad
    if not good.all():
        events = events.filter(pa.array(good))
        simple[rows[~good]] = False
    return events, simple


def _cut(a: Bytes, shape: Shape, starts: Ints, ends: Ints) -> tuple[Bools, Ints]:
    """Return which lines are cut by their blanks as the shape is, and those blanks, one row a cut, one column a line."""
    base = int(starts[0])
    region = a[base : int(ends[-1])]
    quote = _quote(region, shape)
    places = _structure(region, quote) + base
    kinds = a[places]
    quotes = kinds == quote
    line = np.searchsorted(starts, places, "right") - 1
    seen = np.cumsum(quotes)
    before = np.concatenate([[0], seen])[np.searchsorted(places, starts)]
    outside = ((seen - before[line]) & 1) == 0
    blank = (kinds == _BLANK) & outside
    count = len(shape.fields) - 1
    simple = np.bincount(line[blank], minlength=len(starts)) == count
    simple[line[(kinds == _TAB) & outside]] = False
    cuts = np.zeros((count, len(starts)), np.int64)
    chosen = places[blank & simple[line]]
    cuts[:, simple] = chosen.reshape(-1, count).T
    simple &= _quotes_match(
        a, shape, starts, ends, cuts, simple, np.bincount(line[quotes], minlength=len(starts)), quote
    )
    return simple, cuts


def _quote(region: Bytes, shape: Shape) -> int:
    """Return the quote of the age that the first lines show; a wrong guess costs time, not truth."""
    if all(field.kind is not Kind.WRAPPED for field in shape.fields):
        return 0x22
    first = region[: 1 << 14].tobytes()
    return 0x27 if first.count(b" '") > first.count(b' "') else 0x22


def _structure(region: Bytes, quote: int) -> Ints:
    found = []
    for at in range(0, len(region), _PIECE):
        piece = region[at : at + _PIECE]
        mask = piece == _BLANK
        mask |= piece == quote
        mask |= piece == _TAB
        found.append(np.flatnonzero(mask) + at)
    return np.concatenate(found)


def _quotes_match(
    a: Bytes, shape: Shape, starts: Ints, ends: Ints, cuts: Ints, simple: Bools, quotes: Ints, quote: int
) -> Bools:
    """Say which lines have no quote but those around wrapped fields, and nothing bare in a wrapped field but a dash."""
    text_end = ends - 1
    text_end = text_end - ((a[text_end - 1] == _CR) & (text_end > starts))
    good = simple.copy()
    wrapped = np.zeros(len(starts), np.int64)
    for index, field in enumerate(shape.fields):
        if field.kind is not Kind.WRAPPED:
            continue
        start = starts if index == 0 else cuts[index - 1] + 1
        end = text_end if index == len(shape.fields) - 1 else cuts[index]
        held = simple & (end - start >= 2) & (a[start] == quote) & (a[end - 1] == quote)
        good &= held | ((end - start == 1) & (a[start] == _DASH))
        wrapped += held
    good &= quotes == 2 * wrapped
    return good


def _times(a: Bytes, shape: Shape, opening: Ints, closing: Ints) -> tuple[Ints, Bools]:
    date, time = opening[shape.date], opening[shape.date + 1]
    good = (closing[shape.date] - date == 10) & (closing[shape.date + 1] - time == 8)
    # A short field at the buffer's end may not be looked at beyond it; PAD is as good a place as any.
    us, possible = utc_times(a, np.where(good, date, 0), np.where(good, time, 0))
    return us, good & possible


def _values(block: Block, shape: Shape, opening: Ints, closing: Ints) -> tuple[list[Field], list[pa.StringArray]]:
    fields, values = [], []
    for index, field in enumerate(shape.fields):
        if field.letter in {"date", "time"}:
            continue
        start, end = opening[index], closing[index]
        if field.kind is Kind.WRAPPED:
            held = end - start >= 2
            start, end = start + held, end - held
        fields.append(field)
        values.append(texts(block.buffer, start, end))
    return fields, values
