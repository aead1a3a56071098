"""The cells of CSV records in a block, found by counting quotes and delimiters.

A record is left out of `good`, for the strict reader, unless each cell is bare or is one quoted text, and there are as many as the
header has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._export_shapes import Tokens, counted, decodable, those, untouched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Octets = NDArray[np.uint8]

_QUOTE, _LF, _CR = 0x22, 0x0A, 0x0D
_HEADER: Final = re.compile(rb"(?:TimeCreated|TimeGenerated)(?=[\",;\t|\r\n\0])")
_MARK: Final = re.compile(b"\xef\xbb\xbf")


def closed(text: bytes, bounds: Ints, numbers: Ints, waits: int) -> tuple[Ints, Ints]:
    """Return the first and the last of the pieces, of some that adjoin, whose quotes are closed with each other.

    `waits` is 1 if quotes are open where they start.
    """
    quotes = np.flatnonzero(np.frombuffer(text, np.uint8) == _QUOTE)
    odd = counted(quotes, bounds[numbers], bounds[numbers + 1]) % 2
    after = (waits + np.cumsum(odd)) % 2
    starts = np.flatnonzero((after + odd) % 2 == 0)
    ends = np.flatnonzero(after == 0)
    ends = ends[np.searchsorted(ends, starts[0] if len(starts) else len(numbers)) :]
    return numbers[starts[: len(ends)]], numbers[ends]


def tokens_of(
    text: bytes, bounds: tuple[Ints, Ints], delimiter: str, count: int, wanted: Sequence[int]
) -> tuple[Tokens, Bools]:
    """Return some of the cells of the records between some bounds of a padded text, and which records those are.

    The bounds include line ends. A record that may be a header is left out too.
    """
    begin, behind = bounds
    a = np.frombuffer(text, np.uint8)
    quotes = np.flatnonzero(a == _QUOTE)
    good = decodable(text, a, begin, behind) & (counted(quotes, begin, behind) % 2 == 0)
    odd = [np.flatnonzero(a == 0), _found(_HEADER, text), _found(_MARK, text)]
    quotes = those(quotes, begin, behind, good)
    stop = _without_end(a, begin, behind)
    odd.append(_crooked(a, quotes, ord(delimiter), begin, stop))
    good &= untouched(np.sort(np.concatenate(odd)), begin, behind) & (stop > begin)
    ends = np.flatnonzero((a == _LF) | (a == _CR))
    # Outside quotes a line end is the record's own, or stands where it should not.
    ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    good &= (counted(ends, begin, stop) == 0) & (counted(ends[a[ends] == _LF], stop, behind - 1) == 0)
    cuts = np.flatnonzero(a == ord(delimiter))
    cuts = cuts[np.searchsorted(quotes, cuts) % 2 == 0]
    good &= counted(cuts, begin, stop) == count - 1
    inner = those(cuts, begin, stop, good).reshape(-1, count - 1)
    begin, stop = begin[good], stop[good]
    edges = np.concatenate([begin[:, None] - 1, inner, stop[:, None]], 1)
    start = (edges[:, wanted] + 1).reshape(-1)
    end = edges[:, [place + 1 for place in wanted]].reshape(-1)
    quoted = (a[start] == _QUOTE) & (end > start)
    first = len(wanted) * np.arange(len(begin) + 1)
    return Tokens(text, begin, stop, start + quoted, end - quoted, first, unquoted), good


def unquoted(values: Sequence[str]) -> list[str]:
    """Return cells with each doubled quote as one; a bare cell has none."""
    return [text.replace('""', '"') if '"' in text else text for text in values]


def _found(pattern: re.Pattern[bytes], text: bytes) -> Ints:
    return np.array([found.start() for found in pattern.finditer(text)], np.int64)


def _without_end(a: Octets, begin: Ints, behind: Ints) -> Ints:
    """Return where records end without their line ends."""
    stop = behind.copy()
    open_ = np.arange(len(stop))
    while len(open_):
        last = a[stop[open_] - 1]
        open_ = open_[((last == _LF) | (last == _CR)) & (stop[open_] > begin[open_])]
        stop[open_] -= 1
    return stop


def _crooked(a: Octets, quotes: Ints, delimiter: int, begin: Ints, stop: Ints) -> Ints:
    """Return places of quotes that neither open or close a whole cell nor stand for one quote inside one."""
    opened, shut = quotes[0::2], quotes[1::2]
    heads = opened[np.append(True, opened[1:] != shut[:-1] + 1)] if len(opened) else opened
    tails = shut[np.append(opened[1:] != shut[:-1] + 1, True)] if len(shut) else shut
    heads = heads[a[heads - 1] != delimiter]
    tails = tails[a[tails + 1] != delimiter]
    return np.concatenate([heads[~np.isin(heads, begin)], tails[~np.isin(tails + 1, stop)]])
