"""Instants: microseconds since 1970 UTC in, ISO 8601 with `Z` out; zones by name; nothing reads the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forensics.errors import UsageError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US: Final = 1_000_000
HOUR_US: Final = 3_600 * SECOND_US
DAY_US: Final = 24 * HOUR_US
FILETIME_EPOCH_US: Final = 11_644_473_600 * SECOND_US
"""Microseconds from 1601-01-01, where FILETIME starts, to 1970-01-01."""

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def microseconds(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 UTC, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """Return microseconds since 1970 UTC as an aware datetime."""
    return EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """Return an instant as `2017-01-18T09:03:09Z`, with milliseconds or microseconds only where it has them."""
    when = moment(us)
    text = when.strftime("%Y-%m-%dT%H:%M:%S") if when.year >= 1000 else when.isoformat()[:19]
    fraction = us % SECOND_US
    if fraction == 0:
        return text + "Z"
    if fraction % 1000 == 0:
        return f"{text}.{fraction // 1000:03d}Z"
    return f"{text}.{fraction:06d}Z"


def day_of(time: str) -> str:
    """Return SQL for the UTC day of an event's time (after 1990, see TIME_MIN_US).

    A cast to DATE asks the calendar of time zones for every row, which takes six times as long.
    """
    return f"make_date(CAST(epoch_us({time}) // {DAY_US} AS INTEGER))"


def hour_of(time: str) -> str:
    """Return SQL for the beginning of the UTC hour of an event's time, as `day_of` does for the day."""
    return f"make_timestamptz(epoch_us({time}) // {HOUR_US} * {HOUR_US})"


def zone(name: str) -> tzinfo:
    """Return the zone that `Europe/Paris`, `UTC` or `+01:00` names; UsageError if there is none."""
    if name[:1] in "+-" and len(name) == 6 and name[3] == ":" and (name[1:3] + name[4:]).isdigit() and name.isascii():
        minutes = int(name[1:3]) * 60 + int(name[4:])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if name[0] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"no zone is called '{name}'; use a tz name such as Europe/Paris, or an offset such as +01:00"
        ) from error


def bound(text: str) -> int:
    """Return what the analyst typed as a time bound, `2017-01-18` or `2017-01-18T09:00[:00][Z|+01:00]`, in microseconds UTC."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no time; write 2017-01-18 or 2017-01-18T09:00Z") from error
    return microseconds(when if when.tzinfo else when.replace(tzinfo=UTC))


def typed_date(text: str) -> date:
    """Return a date the analyst typed as YYYY-MM-DD; UsageError if it is none."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"'{text}' is no date; write YYYY-MM-DD") from error
