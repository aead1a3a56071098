"""Where a record of java.util.logging starts: one pattern, and the same said of many lines at once without it.

Every head has a clock (`0:00:00`) near its start, so the colons of a block name the few lines that can be heads. Those in
the two commonest forms, with English months, are proved by their bytes alone; the others are matched one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.limits import RECORD_HEAD
from forensics.parsers._java_dates import MEDIUM_DATE, ONE_LINE_DATE, SIMPLE_DATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bytes = NDArray[np.uint8]
    Bools = NDArray[np.bool_]

_NAMED: Final = rb"(?=[^\r\n\x00]{3,300}\r?[\n\x00])[A-Za-z_$][\w$]*(?:\.[\w$\[\]/<>-]+)+(?: [\w$<>]+)?(?=\r?[\n\x00])"
"""`class method` to the end of the line, as the first line of SimpleFormatter has it: what tells a medium date from the
like dates of other programs."""

WRAPPER: Final = rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} (?:Apache )?Commons Daemon procrun std(?:out|err) initialized"
"""The line that the service wrapper puts into the files of standard output at each start of the service (prunsrv.c)."""

_HEAD: Final = rb"(?:%b|%b|%b%b|%b)" % (ONE_LINE_DATE, SIMPLE_DATE, MEDIUM_DATE, _NAMED, WRAPPER)

HEAD: Final = re.compile(_HEAD)
"""A head, at the start of a line; it never needs more than RECORD_HEAD bytes."""

HEAD_BEHIND_A_LINE: Final = re.compile(rb"[\n\x00]" + _HEAD)
"""The same with the byte that ended the line before."""

_CLOCK_WITHIN: Final = 48
"""The first colon of a clock stands at most this far from the start of a head."""

_ONE_LINE_DIGITS: Final = [0, 1, 7, 8, 9, 10, 12, 13, 15, 16, 18, 19]
_ONE_LINE_LETTERS: Final = [3, 4, 5]
_ONE_LINE_MARKS: Final = ((2, 0x2D), (6, 0x2D), (11, 0x20), (14, 0x3A), (17, 0x3A))


def heads(buffer: bytearray, body: Bytes, lines: Ints) -> Ints:
    """Return those of the line starts where a record starts, in order."""
    colons = _clocks(body)
    of_line = np.searchsorted(lines, colons, "right") - 1
    near = (of_line >= 0) & (colons - lines[of_line] <= _CLOCK_WITHIN) if len(lines) else np.zeros(len(colons), bool)
    rows, first = np.unique(of_line[near], return_index=True)
    at, colon = lines[rows], colons[near][first]
    sure = _is_one_line(body, at) | _is_simple(body, at, colon)
    for i in np.flatnonzero(~sure).tolist():
        start = int(at[i])
        sure[i] = HEAD.match(buffer, start, start + RECORD_HEAD) is not None
    found: Ints = at[sure]
    return found


def _clocks(body: Bytes) -> Ints:
    """Return the first colons of all `0:00:00`; the buffer goes on far enough behind its last line."""
    at = np.flatnonzero(body == 0x3A)
    at = at[(at > 0) & (at < len(body) - 6)]
    at = at[body[at + 3] == 0x3A]
    good = _digit(body[at - 1])
    for step in (1, 2, 4, 5):
        good &= _digit(body[at + step])
    found: Ints = at[good]
    return found


def _digit(text: Bytes) -> Bools:
    result: Bools = (text - np.uint8(0x30)) < 10
    return result


def _letter(text: Bytes) -> Bools:
    result: Bools = ((text | np.uint8(0x20)) - np.uint8(0x61)) < 26
    return result


def _is_one_line(body: Bytes, at: Ints) -> Bools:
    """Say of each place whether `18-Jan-2017 10:03:09` stands there, then a blank or milliseconds and a blank."""
    at = np.minimum(at, len(body) - 26)
    text = body[at[:, None] + np.arange(25)]
    good = _digit(text[:, _ONE_LINE_DIGITS]).all(1) & _letter(text[:, _ONE_LINE_LETTERS]).all(1)
    for column, mark in _ONE_LINE_MARKS:
        good &= text[:, column] == mark
    fine = (text[:, 20] == 0x2E) & _digit(text[:, 21:24]).all(1) & (text[:, 24] == 0x20)
    result: Bools = good & ((text[:, 20] == 0x20) | fine)
    return result


def _is_simple(body: Bytes, at: Ints, colon: Ints) -> Bools:
    """Say of each place whether `Jan 18, 2017 10:03:09 ` stands there; day and hour may have one digit."""
    hour = np.where(body[colon - 2] == 0x20, colon - 1, colon - 2)
    comma = np.maximum(hour - 7, at + 4)
    days = comma - at - 4
    text = body[comma[:, None] + np.arange(7)]
    good = _letter(body[at[:, None] + np.arange(3)]).all(1) & (body[at + 3] == 0x20) & (comma == hour - 7)
    good &= ((days == 1) | (days == 2)) & _digit(body[at + 4]) & _digit(body[comma - 1])
    good &= (text[:, 0] == 0x2C) & (text[:, 1] == 0x20) & _digit(text[:, 2:6]).all(1) & (text[:, 6] == 0x20)
    result: Bools = good & _digit(body[hour]) & (body[np.minimum(colon + 6, len(body) - 1)] == 0x20)
    return result
