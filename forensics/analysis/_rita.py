"""The beacon score of RITA v5 (Active Countermeasures; its analysis/beacons.go), of many series of requests at once.

Written after the published formulas, with one difference that is the log's: an access log counts the bytes the server sent,
RITA those the client sent. A series is one address on one path, over the whole log or over one day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.analysis._segments import Spread, longest_run, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

LEAST_TIMES: Final = 4
"""Requests at different seconds that a series must have to be scored."""
STROBE: Final = 86_400
"""From so many requests on it is one a second: no beacon, but a strobe."""
_BINS: Final = 24
_SMALL_SPREAD: Final = 10
_MODE_BARS: Final = 11
_MODE_WIDTH: Final = 0.05
_DURATION_BARS: Final = 6
_LONG_RUN: Final = 12


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores from 0 to 1, and what they rest on: the gaps between requests at different seconds, and the bytes of the answers."""

    score: Floats
    times: Floats
    sizes: Floats
    duration: Floats
    histogram: Floats
    gaps: Spread
    bytes: Spread
    unique: Ints


def spreads(series: Ints, seconds: Ints, sizes: Ints, total: int) -> tuple[Spread, Spread]:
    """Return the spread of the gaps and of the sizes of each of `total` series, as `scores` takes them."""
    gap = np.diff(seconds)
    real = (np.diff(series) == 0) & (gap > 0)
    gaps = spread(series[1:][real], gap[real].astype(np.float64), total)
    return gaps, spread(series, sizes.astype(np.float64), total)


def scores(
    series: Ints, seconds: Ints, sizes: Ints, since: Ints, until: Ints, known: tuple[Spread, Spread] | None = None
) -> Scores:
    """Score series of requests: number of the series, time in whole seconds, bytes; rows ordered by series, then time.

    `since` and `until` are, for each series, the ends of the time it is looked at in; `known` is what `spreads` gives, if it is
    known already. Series with fewer than LEAST_TIMES different seconds score 0.
    """
    total = len(since)
    gaps, of_sizes = known or spreads(series, seconds, sizes, total)
    unique = gaps.count + (np.bincount(series, minlength=total) > 0)
    times_score = _statistical(gaps, 1.0)
    size_score = _statistical(of_sizes, 0.0)
    bars = _histogram(series, seconds, since, until)
    histogram_score = np.maximum(_evenness(bars), _bimodal(bars))
    duration_score = _duration(bars, series, seconds, since, until)
    whole = np.round((times_score + size_score + duration_score + histogram_score) / 4, 3)
    enough = (unique >= LEAST_TIMES) & (of_sizes.count < STROBE)
    return Scores(
        np.where(enough, whole, 0.0), times_score, size_score, duration_score, histogram_score, gaps, of_sizes, unique
    )


def _statistical(of: Spread, default: float) -> Floats:
    """Return the mean of a symmetry score (Bowley skew) and a steadiness score (median deviation over the median)."""
    width = of.high - of.low
    flat = (width < _SMALL_SPREAD) | (of.middle == of.low) | (of.middle == of.high)
    skew = np.divide(of.low + of.high - 2 * of.middle, width, out=np.zeros(len(width)), where=~flat)
    steady = np.divide(of.middle - of.deviation, of.middle, out=np.full(len(width), default), where=of.middle >= 1)
    result: Floats = np.round((1 - np.abs(skew) + np.maximum(steady, 0)) / 2, 3)
    return np.where(of.count >= LEAST_TIMES - 1, result, 0.0)


def _histogram(series: Ints, seconds: Ints, since: Ints, until: Ints) -> Ints:
    """Count the requests of each series in 24 equal parts of its time; the last takes its end."""
    width = np.maximum(until - since, 1)
    part = np.clip((seconds - since[series]) * _BINS // width[series], 0, _BINS - 1)
    return (
        np.bincount(series * _BINS + part, minlength=len(since) * _BINS).reshape(-1, _BINS).astype(np.int64, copy=False)
    )


def _evenness(bars: Ints) -> Floats:
    mean = bars.mean(1)
    variation = np.divide(bars.std(1), mean, out=np.full(len(mean), 2.0), where=mean > 0)
    return np.where(variation > 1, 0.0, np.round(1 - variation, 3))


def _bimodal(bars: Ints) -> Floats:
    """Return the share of bars that have one of the two most frequent heights: a client with a day and a night rhythm."""
    filled = bars > 0
    count = filled.sum(1)
    out = np.zeros(len(bars))
    many = np.flatnonzero(count >= _MODE_BARS)
    if not len(many):
        return out
    some, on = bars[many], filled[many]
    width = np.ceil(some.max(1) * _MODE_WIDTH).astype(np.int64)[:, None]
    height = np.where(on, some // width * width, -1)
    alike = ((height[:, :, None] == height[:, None, :]) & on[:, None, :]).sum(2)
    alike[~on] = 0
    best = alike.argmax(1)
    line = np.arange(len(many))
    first = alike[line, best]
    second = np.where(height == height[line, best][:, None], 0, alike).max(1)
    out[many] = np.minimum(1.0, np.round((first + second) / np.maximum(count[many] - 1, 1), 3))
    return out


def _duration(bars: Ints, series: Ints, seconds: Ints, since: Ints, until: Ints) -> Floats:
    total = len(since)
    end = np.cumsum(np.bincount(series, minlength=total))
    some = np.diff(end, prepend=0) > 0
    reach = np.zeros(total, np.int64)
    reach[some] = seconds[end[some] - 1] - seconds[np.concatenate([[0], end[:-1]])[some]]
    covered = np.minimum(1.0, _ceil3(reach / np.maximum(until - since, 1)))
    steady = np.minimum(1.0, _ceil3(longest_run(bars > 0) / _LONG_RUN))
    return np.where((bars > 0).sum(1) >= _DURATION_BARS, np.maximum(covered, steady), 0.0)


def _ceil3(value: Floats) -> Floats:
    # Twelve digits are kept, so that a product that is whole on paper is not lifted over its neighbour.
    result: Floats = np.ceil(np.round(value * 1000, 9)) / 1000
    return result
