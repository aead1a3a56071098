"""Times of exports without an offset: as .NET writes them in the language of Windows, and as collectors write them.

The order of day and month is taken where it is proven: the year stands first, a number is over 12, the separator is a dot
(no culture of .NET writes the month before the day with dots), or another time of the same file settles it. Else the time
is refused; the zone is the analyst's, or UTC and said so.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from forensics.parsers._exported import UNPROVEN, Moment

if TYPE_CHECKING:
    from forensics.parsers._local_time import LocalTime

DAY_FIRST: Final = "day first"
MONTH_FIRST: Final = "month first"
UNSURE: Final = ""
_AFTERNOON: Final = {"PM", "P.M.", "下午", "午後", "오후"}
_HALF: Final = "AM|PM|A\\.M\\.|P\\.M\\.|上午|下午|午前|午後|오전|오후"
_MONTHS_A_YEAR: Final = 12
_LOCAL: Final = re.compile(
    r"([0-9]{1,4})(?P<mark>[./-])[ ]?([0-9]{1,2})(?P=mark)[ ]?([0-9]{1,4})\.?,?[ ]{1,2}"
    rf"(?:({_HALF})[ ])?([0-9]{{1,2}})[:.]([0-9]{{2}})[:.]([0-9]{{2}})(?:[.,]([0-9]{{1,7}}))?(?:[ \u00a0\u202f]({_HALF}))?",
    re.IGNORECASE,
)
_CELL: Final = re.compile(f'(?<!")"{_LOCAL.pattern}"(?!")', re.IGNORECASE)


def order_of(text: str) -> str:
    """Return the order of day and month that the cells of a CSV prove; none where they prove both or nothing."""
    orders = {order for cell in _CELL.finditer(text) if (order := _proven(cell[0].strip('"')))}
    return orders.pop() if len(orders) == 1 else UNSURE


def _proven(text: str) -> str:
    match = _LOCAL.fullmatch(text.strip())
    if match is None or len(match[1]) > 2:
        return UNSURE
    first, second = int(match[1]), int(match[3])
    if match[2] == "." or first > _MONTHS_A_YEAR:
        return DAY_FIRST
    return MONTH_FIRST if second > _MONTHS_A_YEAR else UNSURE


def local_moment(text: str, order: str, clock: LocalTime) -> tuple[Moment, str | None]:
    """Return the moment of a localised time and its flags; Moment.basis is the reason of refusal where `us` is None."""
    match = _LOCAL.fullmatch(text.strip())
    if match is None:
        return Moment(None, "bad_time"), None
    first, _, second, third, before, hour, minute, rest, fraction, behind = match.groups()
    if len(first) == 4:
        year, month, day = int(first), int(second), int(third)
    else:
        order = _proven(text) or order
        # Where both are the same number the order says nothing.
        if not order and first.lstrip("0") != second.lstrip("0"):
            return Moment(None, UNPROVEN), None
        day, month = (int(second), int(first)) if order == MONTH_FIRST else (int(first), int(second))
        year = int(third)
    half = (before or behind or "").upper()
    at = int(hour)
    if half:
        if not 1 <= at <= _MONTHS_A_YEAR:
            return Moment(None, "bad_time"), None
        at = at % _MONTHS_A_YEAR + (_MONTHS_A_YEAR if half in _AFTERNOON else 0)
    try:
        local = datetime(year, month, day, at, int(minute), int(rest), int((fraction or "0")[:6].ljust(6, "0")))  # noqa: DTZ001
    except ValueError:
        return Moment(None, "bad_time"), None
    us, basis, flags = clock.instant(local)
    return (Moment(us, basis), ";".join(flags) or None) if us is not None else (Moment(None, "bad_time"), None)
