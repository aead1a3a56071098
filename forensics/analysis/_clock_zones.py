"""Named time zones, their offsets on a day, and the holidays of the countries that keep them.

Offsets come from the tz database by name, never from a fixed number: Pyongyang stood at UTC+8:30 from 15 August 2015 to
4 May 2018. The `holidays` package knows the holidays; its weekend is not used for North Korea, to which it gives a free
Saturday that it has not (six-day week). Which zones a country has stands in zone.tab of the tz database.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

NAMED: Final[Mapping[str, str | None]] = {
    "Asia/Pyongyang": "KP",
    "Asia/Seoul": "KR",
    "Asia/Tokyo": "JP",
    "Asia/Shanghai": "CN",
    "Asia/Hong_Kong": "HK",
    "Asia/Singapore": "SG",
    "Asia/Vladivostok": None,
    "Asia/Yakutsk": None,
    "Asia/Bangkok": "TH",
    "Asia/Dhaka": "BD",
    "Asia/Kathmandu": "NP",
    "Asia/Kolkata": "IN",
    "Asia/Karachi": "PK",
    "Asia/Dubai": "AE",
    "Asia/Tehran": "IR",
    "Europe/Moscow": "RU",
    "Africa/Nairobi": "KE",
    "Europe/Kyiv": "UA",
    "Africa/Windhoek": "NA",
    "Europe/Paris": "FR",
    "Europe/London": "GB",
    "America/Sao_Paulo": "BR",
    "America/New_York": "US",
    "America/Chicago": None,
    "America/Los_Angeles": None,
    "Australia/Sydney": "AU",
}
"""Zones that are named beside an offset, with the country whose holidays are compared; None where a country is named already."""

_SUNDAY: Final = 6
_OWN_WEEKEND: Final[Mapping[str, frozenset[int]]] = {"KP": frozenset({_SUNDAY})}
"""Weekends that `holidays` has otherwise: Monday is 0."""


def offset_minutes(name: str, when: datetime) -> int:
    """Return how far a zone's clocks stood from UTC at a moment, in minutes east."""
    shift = when.astimezone(ZoneInfo(name)).utcoffset()
    return int(shift.total_seconds()) // 60 if shift else 0


def text_of(minutes: int) -> str:
    """Return an offset as `+08:30`."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


@cache
def places() -> Mapping[str, str]:
    """Return every place of the tz database with its country: `Asia/Pyongyang` with `KP`."""
    lines = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="ascii").splitlines()
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {row[2]: row[0] for row in rows}


@cache
def _of_countries() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, country in sorted(places().items()):
        found[country].append(name)
    return {country: tuple(names) for country, names in found.items()}


def offsets_of(country: str, when: datetime) -> set[int]:
    """Return the offsets that the clocks of a country kept at a moment; several where it is wide, none where it is unknown."""
    return {offset_minutes(name, when) for name in _of_countries().get(country, ())}


def weekend_of(country: str) -> frozenset[int]:
    """Return the weekdays on which a country rests (Monday is 0)."""
    import holidays  # noqa: PLC0415  # large, and needed by one rule

    return _OWN_WEEKEND.get(country) or frozenset(holidays.country_holidays(country, years=2017).weekend)


def holidays_of(country: str, first: date, last: date) -> set[date]:
    """Return the public holidays of a country between two days, both included."""
    import holidays  # noqa: PLC0415

    listed = holidays.country_holidays(country, years=range(first.year, last.year + 1))
    return {day for day in listed if first <= day <= last}


def clocks(names: Iterable[str], when: Iterable[datetime]) -> dict[str, tuple[int, ...]]:
    """Return, by zone, the offset of its clocks at each of several moments."""
    moments = list(when)
    return {name: tuple(offset_minutes(name, moment) for moment in moments) for name in names}
