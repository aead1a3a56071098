"""Days of work and of rest: which weekdays stay empty beyond chance, and how holidays were spent."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._clock_zones import holidays_of, weekend_of
from forensics.analysis._words import reason
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHANCE: Final = 0.1
"""A weekday without an act is one of rest where chance alone would leave it empty less often than this."""
_SEEN: Final = 2
"""Times that a weekday must have come round to be one of rest."""
_SHOWN: Final = 3
_SATURDAY, _SUNDAY, _FRIDAY = 5, 6, 4


def rest_days(days: Sequence[date]) -> list[int]:
    """Return the weekdays of rest (Monday is 0): none active, though at the rate of the other days some would be."""
    have, active = _counted(days)
    found = []
    for weekday in range(7):
        others = sum(have) - have[weekday]
        rate = (sum(active) - active[weekday]) / others if others else 0
        if have[weekday] >= _SEEN and not active[weekday] and (1 - rate) ** have[weekday] < _CHANCE:
            found.append(weekday)
    return found


def _counted(days: Sequence[date]) -> tuple[list[int], list[int]]:
    """Return how many of each weekday lie between the first and the last day, and how many of them were active."""
    have, active = [0] * 7, [0] * 7
    for number in range((days[-1] - days[0]).days + 1):
        have[(days[0] + timedelta(days=number)).weekday()] += 1
    for day in days:
        active[day.weekday()] += 1
    return have, active


def week(days: Sequence[date]) -> Iterator[dict[str, Any]]:
    """Say what kind of week was kept, and how surely the empty days are no chance."""
    have, active = _counted(days)
    rest = rest_days(days)
    if not rest:
        empty = [DAYS[n] for n in range(7) if have[n] and not active[n]]
        if empty and sum(have) >= 7:
            yield reason(f"no act on any {_listed(empty)}, which with so few days may be chance", 2)
        return
    of = ", ".join(counted(have[n], DAYS[n]) for n in rest)
    kind = {
        (_SUNDAY,): "a week of six days with Sunday off: North Korea's rule, and kept elsewhere too",
        (_SATURDAY, _SUNDAY): "a week of five days with Saturday and Sunday off: most of the world's",
        (_FRIDAY,): "a week of six days with Friday off, as in Iran",
        (_FRIDAY, _SATURDAY): "a week of five days with Friday and Saturday off, as in much of the Middle East",
    }.get(tuple(rest))
    yield reason(
        f"no act on any of {of}; on the other days {_share(have, active, rest)} had some"
        + (f": {kind}" if kind else ""),
        4,
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _share(have: Sequence[int], active: Sequence[int], rest: Sequence[int]) -> str:
    others = [n for n in range(7) if n not in rest]
    return f"{sum(active[n] for n in others):,} of {sum(have[n] for n in others):,}"


def calendars(names: Iterable[tuple[str, str | None]], days: Sequence[date]) -> Iterator[dict[str, Any]]:
    """Compare the active days with the holidays that fell on days of work, as a check and no more."""
    busy_days = set(days)
    for name, country in names:
        if not country:
            continue
        weekend = weekend_of(country)
        listed = sorted(day for day in holidays_of(country, days[0], days[-1]) if day.weekday() not in weekend)
        if not listed:
            continue
        busy = [day for day in listed if day in busy_days]
        span = [days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days + 1)]
        plain = [day for day in span if day.weekday() not in weekend and day not in listed]
        usual = sum(day in busy_days for day in plain) / len(plain) if plain else 0
        when = (
            f" ({', '.join(f'{day}' for day in busy[:_SHOWN])}{' and others' if len(busy) > _SHOWN else ''})"
            if busy
            else ""
        )
        yield reason(
            f"{name}: at work on {len(busy)} of {counted(len(listed), 'public holiday')} of {country} on days of work{when}, "
            f"on {usual:.0%} of the other days of work",
            3 if not busy and usual * len(listed) >= 2 else 2,
        )
