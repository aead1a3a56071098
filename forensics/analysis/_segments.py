"""Medians, quartiles and longest runs of many short series at once: one array of values, one of series numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


_KEY_BITS: Final = np.uint64(34)
_KEY: Final = 1 << 34
"""Half units that share a word with the number of the series: 8 GiB, 272 years, a thousand million series."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Of each series: how many values, quartiles (the middle value in neither half), median deviation from the median."""

    count: Ints
    low: Floats
    middle: Floats
    high: Floats
    deviation: Floats

    def filled(self, places: Ints, other: Spread, rows: Ints) -> Spread:
        """Return it with what `other` has of some rows in these places."""
        columns = {name: getattr(self, name).copy() for name in Spread.__slots__}
        for name, column in columns.items():
            column[places] = getattr(other, name)[rows]
        return Spread(**columns)


def spread(series: Ints, values: Floats, total: int) -> Spread:
    """Return the spread of each of `total` series; those without values have 0 everywhere.

    Quartiles are medians of the lower and upper half, as RITA (montanaflynn/stats) takes them.
    """
    ordered = _sorted(series, values)
    count = np.bincount(series, minlength=total).astype(np.int64)
    start = np.cumsum(count) - count
    half = count // 2
    middle = _median(ordered, start, count)
    low = _median(ordered, start, half)
    high = _median(ordered, start + count - half, half)
    away = _sorted(series, np.abs(values - middle[series]))
    return Spread(count, low, middle, high, _median(away, start, count))


def _sorted(series: Ints, values: Floats) -> Floats:
    """Return the values in order of series and value."""
    halves = values * 2
    if len(values) and halves.min() >= 0 and halves.max() < _KEY and (halves == np.floor(halves)).all():
        # Seconds, bytes and medians of them are whole or half: series and value are one number, and that sorts ten times faster.
        key = (series.astype(np.uint64) << _KEY_BITS) | halves.astype(np.uint64)
        key.sort()
        return (key & np.uint64(_KEY - 1)).astype(np.float64) / 2
    result: Floats = values[np.lexsort((values, series))]
    return result


def _median(ordered: Floats, start: Ints, count: Ints) -> Floats:
    out = np.zeros(len(start))
    some = count > 0
    first, many = start[some], count[some]
    out[some] = (ordered[first + (many - 1) // 2] + ordered[first + many // 2]) / 2
    return out


def longest_run(bars: Bools) -> Ints:
    """Return, for each line, the longest run of set columns, the line taken as a ring."""
    best = np.zeros(len(bars), np.int64)
    run = np.zeros(len(bars), np.int64)
    for column in np.concatenate([bars, bars], axis=1).T:
        run = (run + 1) * column
        best = np.maximum(best, run)
    return np.minimum(best, bars.shape[1])
