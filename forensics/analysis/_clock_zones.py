"""Named time zones, their offsets on a day, and the holidays of the countries that keep them.

Offsets come from the tz database by name, never from a fixed number: Pyongyang stood at UTC+8:30 from 15 August 2015 to
4 May 2018. The `holidays` package knows the holidays; its weekends are not used, since it gives North Korea a free Saturday,
which it has not (six-day week).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def offset_minutes(name: str, when: datetime) -> int:
    """Return how far a zone's clocks stood from UTC at a moment, in minutes east."""
    shift = when.astimezone(ZoneInfo(name)).utcoffset()
    return int(shift.total_seconds()) // 60 if shift else 0


def zones_at(minutes: int, when: datetime) -> list[str]:
    """Return the named zones that kept an offset at a moment."""
    return [name for name in NAMED if offset_minutes(name, when) == minutes]


def holidays_of(country: str, first: date, last: date) -> set[date]:
    """Return the public holidays of a country between two days, both included."""
    import holidays  # noqa: PLC0415  # large, and needed by one rule

    listed = holidays.country_holidays(country, years=range(first.year, last.year + 1))
    return {day for day in listed if first <= day <= last}
