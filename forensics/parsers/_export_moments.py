"""Times of exports as `moment_of` reads them, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.limits import TIME_MAX_US
from forensics.parsers._fast_bytes import utc_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_SECONDS: Final = 19
"""Characters of `2017-01-18T12:00:00`."""
_MOST_DIGITS: Final = 9
_ZERO_OFFSET: Final = np.frombuffer(b"+00:00", np.uint8)
BASES: Final = ("zone_assumed", "filetime_utc", "offset_in_log")
"""What no suffix, `Z` and `+00:00` say."""


def moments_of(texts: Sequence[str]) -> tuple[Ints, NDArray[np.int64], Bools]:
    """Return microseconds UTC of `2017-01-18T12:00:00.1234567Z` and the like, the number of each one's basis, and which are sure.

    A time that is not sure is of another form, or no time.
    """
    made = pa.array(texts, pa.string())
    offsets = np.frombuffer(made.buffers()[1], np.int32)[: len(made) + 1].astype(np.int64)
    data = made.buffers()[2]
    a = np.concatenate(
        [np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), np.zeros(64, np.uint8)]
    )
    start, end = offsets[:-1], offsets[1:]
    us, sure = utc_times(a, start, start + 11)
    sure &= (end - start >= _SECONDS) & np.isin(a[start + 10], np.frombuffer(b"T ", np.uint8))
    zulu = a[end - 1] == ord("Z")
    zero = (a[np.maximum(end[:, None] - 6, 0) + np.arange(6)] == _ZERO_OFFSET).all(1)
    dot = a[start + _SECONDS] == ord(".")
    count = end - start - _SECONDS - zulu - 6 * zero - dot
    sure &= np.where(dot, (count >= 1) & (count <= _MOST_DIGITS), count == 0)
    for place in range(_MOST_DIGITS):
        there = dot & (count > place)
        digit = a[start + _SECONDS + 1 + place].astype(np.int64) - ord("0")
        sure &= ~there | ((digit >= 0) & (digit <= 9))
        if place < 6:
            us = us + np.where(there, digit * 10 ** (5 - place), 0)
    return us, np.where(zulu, 1, np.where(zero, 2, 0)), sure & (us <= TIME_MAX_US)
