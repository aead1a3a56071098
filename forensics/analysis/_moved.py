"""Whether the hours of work moved with a clock that changed: summer time, or Pyongyang's half hour."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from statistics import fmean, variance
from typing import TYPE_CHECKING, Any

from forensics.analysis._clock_zones import text_of
from forensics.analysis._words import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime


def moved(
    times: Sequence[datetime], shifts: Sequence[int], clock: str, frame: int | None = None
) -> Iterator[dict[str, Any]]:
    """Compare the mean hour of the days on both sides of a clock's change, with the error that so few days leave.

    Who lives by a clock that is put forward by an hour comes an hour earlier by UTC from then on. Days are taken by the
    offset `frame` (the clock's own first one where none is given), so that no working day is cut at midnight UTC.
    """
    before, after = _two(shifts)
    base = before if frame is None else frame
    sides: dict[int, dict[date, list[int]]] = {before: defaultdict(list), after: defaultdict(list)}
    for time, shift in zip(times, shifts, strict=True):
        if shift in sides:
            local = time + timedelta(minutes=base)
            sides[shift][local.date()].append(local.hour * 60 + local.minute)
    means = [[fmean(minutes) for minutes in sides[side].values()] for side in (before, after)]
    if min(len(side) for side in means) < 2:  # a variance needs two
        return
    seen = fmean(means[1]) - fmean(means[0])
    error = sum(variance(side) / len(side) for side in means) ** 0.5
    due = before - after
    said = (
        f"by UTC the acts of days on which {clock} stood at {text_of(after)} lie {abs(seen):.0f} minutes {'later' if seen > 0 else 'earlier'} "
        f"than those at {text_of(before)} (give or take {error:.0f})"
    )
    if error > abs(due) / 2:
        yield reason(f"{said}: too few days to say whether they moved with its clock", 2)
    elif abs(seen - due) < abs(due) / 2:
        yield reason(f"{said}: they moved with its clock, which changed by {abs(due)} minutes", 5)
    elif abs(seen) < abs(due) / 2:
        yield reason(f"{said}: they did not move with its clock, which changed by {abs(due)} minutes", 5)
    else:
        yield reason(f"{said}: they moved otherwise than its clock, which changed by {abs(due)} minutes", 3)


def _two(shifts: Sequence[int]) -> tuple[int, int]:
    """Return the two offsets at which most acts stand, the earlier first."""
    most = sorted(dict.fromkeys(shifts), key=lambda one: -sum(shift == one for shift in shifts))[:2]
    first, second = sorted(most, key=shifts.index)
    return first, second
