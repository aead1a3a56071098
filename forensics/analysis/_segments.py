"""Medians, quartiles and longest runs of many short series at once: one array of values, one of series numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of each series: how many values, quartiles (the middle value in neither half), median deviation from the median."""

    count: Ints
    low: Floats
    middle: Floats
    high: Floats
    deviation: Floats


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
