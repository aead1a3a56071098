"""The server's clock from access logs whose lines are in UTC.

The W3C valve writes GMT but turns its files at the server's own midnight and names them for the server's day (AccessLogValve formats
the date of the name in the default zone, ExtendedAccessLogValve inherits that; Tomcat 6 to 11). So no line of the file
of a day is from before that day began there, or after it ended. Over some days that leaves one offset, or none that can be told.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from forensics.model import Hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.model import Head

HINT: Final = "utc_day"
"""Kind of a hint whose value is `2017-01-18 LEAST MOST`: minutes between which that day's offset lies, and which applies to its folder."""

_NAMED: Final = re.compile(r"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])")
_STAMP: Final = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2})[ \t]+([0-9]{2}:[0-9]{2}:[0-9]{2})[ \t]")
_HALVES: Final = (-570, -210, 210, 270, 330, 345, 390, 510, 525, 570, 630, 765)
"""Offsets that are kept somewhere and are no whole hours (tz database): minutes east."""
_OFFSETS: Final = tuple(sorted({*range(-720, 841, 60), *_HALVES}))
_SLACK: Final = 2
"""Minutes: a request is stamped by its end and written after it, so a line can stand in the neighbouring day's file."""
_AROUND: Final = timedelta(days=6)
"""Days that have one offset, but where the clock was set forward or back among them."""


def day_hints(head: Head) -> Sequence[Hint]:
    """Return between which offsets the day lies that a file of UTC lines is named for; none where its name holds no day."""
    folder, _, name = head.label.rpartition("/")
    named = _NAMED.search(name)
    stamps = [found for line in head.start.split(b"\n") if (found := _STAMP.match(line[:64])) is not None]
    try:
        day = date.fromisoformat(named[1]) if named else None
        first, last = (_moment(stamps[place]) for place in (0, -1)) if stamps else (None, None)
    except ValueError:
        return ()
    if day is None or first is None or last is None:
        return ()
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    least = (begin - first) / timedelta(minutes=1) - _SLACK
    most = (begin + timedelta(days=1) - (last if head.complete else first)) / timedelta(minutes=1) + _SLACK
    return [Hint(HINT, f"{day.isoformat()} {least:.0f} {most:.0f}", folder, head.label)]


def _moment(stamp: re.Match[bytes]) -> datetime:
    return datetime.fromisoformat(f"{stamp[1].decode()}T{stamp[2].decode()}+00:00")


def offsets(hints: Sequence[Hint]) -> list[str]:
    """Return `2017-01-18 +01:00` for each day whose offset only one value fits, in the order of days."""
    days: dict[date, tuple[int, int]] = {}
    for hint in hints:
        text, least, most = hint.value.split(" ")
        known = days.get(date.fromisoformat(text), (int(least), int(most)))
        days[date.fromisoformat(text)] = max(known[0], int(least)), min(known[1], int(most))
    whole = _fitting(list(days.values()))
    out = []
    for day in sorted(days):
        fit = whole if len(whole) == 1 else _fitting([days[one] for one in days if abs(one - day) <= _AROUND])
        if len(fit) == 1:
            out.append(f"{day.isoformat()} {'-' if fit[0] < 0 else '+'}{abs(fit[0]) // 60:02}:{abs(fit[0]) % 60:02}")
    return out


def _fitting(bounds: list[tuple[int, int]]) -> list[int]:
    least, most = max((low for low, _ in bounds), default=0), min((high for _, high in bounds), default=-1)
    return [offset for offset in _OFFSETS if least <= offset <= most]
