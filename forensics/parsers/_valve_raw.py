r"""Lines with more quotes than their pattern: old Tomcats wrote a client's quotes as they came.

In a pattern like the stock ones the server's own quotes can be told where there is one way to place them. The time is known
when the line has one bracket that opens, and the request begins behind it. The numbers behind the request are known when
one quote alone is followed by as many separators as the pattern has there, up to the very next quote. Each border between
two headers is a quote, a blank and a quote; there must be as many as the pattern has. The last quote is the last.
A line with a backslash, or with one candidate more, is left to the strict parser, which says how it is ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._valve_shape import BLANK, QUOTE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._valve_shape import Shape

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

_BRACKET, _DASH, _ZERO, _NINE = 0x5B, 0x2D, 0x30, 0x39
_LONGEST_NUMBERS: Final = 128


@dataclass(frozen=True, slots=True)
class Marks:
    """What was found in a block: `found` are places of separators, quotes and line feeds; `quoted` numbers its quotes.

    `rank[i]` is the number of quotes in front of line `i`; `slashes` are the places of all backslashes.
    """

    a: Bytes
    found: Ints
    quoted: Ints
    rank: Ints
    starts: Ints
    feeds: Ints
    slashes: Ints


def raw_quotes(marks: Marks, shape: Shape, rows: Ints) -> tuple[Ints, Ints]:
    """Return those of the lines `rows` whose quotes can be told, and for each which of `found` are the pattern's quotes."""
    marked = np.zeros(len(marks.starts), bool)
    marked[np.searchsorted(marks.feeds, marks.slashes)] = True
    brackets = _count(marks, rows, _BRACKET)
    rows = rows[~marked[rows] & (brackets == 1)]
    first, last = marks.rank[rows], marks.rank[rows + 1] - 1
    line = np.repeat(np.arange(len(rows)), last - first + 1)
    # All quotes of the lines, one after the other; `number` is the place of each among all quotes of the block.
    number = (
        np.arange(len(line))
        - np.repeat(np.cumsum(last - first + 1) - (last - first + 1), last - first + 1)
        + first[line]
    )
    ok = np.ones(len(rows), bool)
    begin = first
    columns = [first]
    if shape.numbers_at:
        inner = (number > first[line]) & (number < last[line])
        candidate = inner & _numbers(marks, number, shape.marks[2])
        ok &= np.bincount(line[candidate], minlength=len(rows)) == 1
        begin = np.zeros(len(rows), np.int64)
        begin[line[candidate]] = number[candidate]
        columns += [begin, begin + 1]
        begin = begin + 1
    pairs = (shape.quotes - len(columns) - 1) // 2
    border = (number > begin[line]) & (number < last[line]) & _borders(marks, number)
    ok &= np.bincount(line[border], minlength=len(rows)) == pairs
    chosen = number[border & ok[line]].reshape(-1, pairs) if pairs else np.zeros((int(ok.sum()), 0), np.int64)
    for place in range(pairs):
        columns += [_spread(chosen[:, place], ok), _spread(chosen[:, place] + 1, ok)]
    columns.append(last)
    quotes = np.stack(columns, 1)[ok]
    ascending = (np.diff(quotes, axis=1) > 0).all(1)
    return rows[ok][ascending], marks.quoted[quotes[ascending]]


def _spread(values: Ints, ok: Bools) -> Ints:
    out = np.zeros(len(ok), np.int64)
    out[ok] = values
    return out


def _count(marks: Marks, rows: Ints, byte: int) -> Ints:
    """Count a byte in each of some lines."""
    places = np.flatnonzero(marks.a[: int(marks.feeds[-1])] == byte)
    return np.searchsorted(places, marks.feeds[rows]) - np.searchsorted(places, marks.starts[rows])


def _numbers(marks: Marks, number: Ints, count: int) -> Bools:
    """Say which quotes are followed by a blank, a digit or dash, and `count` separators up to the next quote."""
    a, here = marks.a, marks.found[marks.quoted[number]]
    following = np.minimum(number + 1, len(marks.quoted) - 1)
    apart = marks.quoted[following] - marks.quoted[number] == count + 1
    opens = a[here + 2]
    result: Bools = apart & (a[here + 1] == BLANK) & ((opens == _DASH) | ((opens >= _ZERO) & (opens <= _NINE)))
    return result


def _borders(marks: Marks, number: Ints) -> Bools:
    """Say which quotes are followed by a blank and a quote."""
    here = marks.found[marks.quoted[number]]
    result: Bools = (marks.a[here + 1] == BLANK) & (marks.a[here + 2] == QUOTE)
    return result
