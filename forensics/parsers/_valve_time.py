"""Times in access logs: the CLF form `[18/Jan/2017:10:03:09 +0100]`, and SimpleDateFormat forms of `%{…}t`.

The letters of SimpleDateFormat are those of the Java platform; month names are English here, since Tomcat's own CLF time is
always en_US and other locales are left to a reject rather than guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Final

from forensics.instants import MONTHS, SECOND_US, microseconds
from forensics.limits import TIME_MAX_US, TIME_MIN_US

CLF_LENGTH: Final = 28
_MONTH: Final = {name.encode(): number for number, name in enumerate(MONTHS, 1)}
_MAX_OFFSET: Final = 18 * 60
# Fixed width and no repetition of choices: it cannot backtrack.
_CLF: Final = re.compile(rb"\[[0-9]{2}/[^ ]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\]", re.DOTALL)


def has_clf_shape(line: bytes, at: int) -> bool:
    """Say whether 28 bytes at `at` have the shape of a CLF time; the date may still be impossible."""
    return _CLF.match(line, at) is not None


@lru_cache(maxsize=65536)
def clf(text: bytes) -> int | None:
    """Return `18/Jan/2017:10:03:09 +0100` (no brackets) in microseconds UTC; None if there is no such time."""
    month = _MONTH.get(text[3:6])
    hours, minutes = int(text[22:24]), int(text[24:26])
    offset = hours * 60 + minutes
    if month is None or minutes > 59 or offset > _MAX_OFFSET:
        return None
    zone = timezone(timedelta(minutes=-offset if text[21:22] == b"-" else offset))
    try:
        when = datetime(
            int(text[7:11]), month, int(text[:2]), int(text[12:14]), int(text[15:17]), int(text[18:20]), tzinfo=zone
        )
        us = microseconds(when)
    except (ValueError, OverflowError):
        return None
    return us if TIME_MIN_US <= us <= TIME_MAX_US else None


@lru_cache(maxsize=65536)
def utc(date: bytes, time: bytes) -> int | None:
    """Return `2017-01-18` and `10:03:09`, both UTC, in microseconds; None if there is no such time."""
    try:
        when = datetime(
            int(date[:4]), int(date[5:7]), int(date[8:]), int(time[:2]), int(time[3:5]), int(time[6:]), tzinfo=UTC
        )
    except ValueError:
        return None
    us = microseconds(when)
    return us if TIME_MIN_US <= us <= TIME_MAX_US else None


@cache
def letters(form: str) -> tuple[tuple[str, int], ...]:
    """Split a SimpleDateFormat into (letter, count) and ("", literal text) parts; a literal part holds its text as letter."""
    parts: list[tuple[str, int]] = []
    at = 0
    while at < len(form):
        char = form[at]
        if char == "'":
            close = form.find("'", at + 1)
            close = len(form) if close < 0 else close
            parts.append((form[at + 1 : close] or "'", 0))
            at = close + 1
        elif char.isascii() and char.isalpha():
            run = at
            while run < len(form) and form[run] == char:
                run += 1
            parts.append((char, run - at))
            at = run
        else:
            parts.append((char, 0))
            at += 1
    return tuple(parts)


def clock_end(line: bytes, at: int, form: str) -> int:
    """Return where a time of `form` that starts at `at` ends, or -1 if none starts there."""
    _, end = _read(line, at, form)
    return end


def clock(text: bytes, form: str, zone: tzinfo | None) -> tuple[int | None, bool]:
    """Return (microseconds UTC or None, whether the text itself told its zone)."""
    found, end = _read(text, 0, form)
    if end != len(text) or found is None:
        return None, False
    if "epoch" in found:
        us = found["epoch"]
        return (us if TIME_MIN_US <= us <= TIME_MAX_US else None), True
    told = "offset" in found
    place = timezone(timedelta(minutes=found["offset"])) if told else (zone or UTC)
    hour = found.get("H", found.get("h", 0) % 12 + (12 if found.get("pm") else 0))
    try:
        when = datetime(
            found.get("y", 1970),
            found.get("M", 1),
            found.get("d", 1),
            hour,
            found.get("m", 0),
            found.get("s", 0),
            tzinfo=place,
        )
        us = microseconds(when) + found.get("S", 0) * 1000
    except (ValueError, OverflowError):
        return None, told
    return (us if TIME_MIN_US <= us <= TIME_MAX_US else None), told


def _read(line: bytes, at: int, form: str) -> tuple[dict[str, int] | None, int]:
    """Return what a time of `form` at `at` holds, and its end; (None, -1) if the bytes do not fit."""
    form = form.removeprefix("begin:").removeprefix("end:")
    if form in {"sec", "msec", "msec_frac"}:
        return _read_epoch(line, at, form)
    found: dict[str, int] = {}
    for letter, count in letters(form):
        if count == 0:
            raw = letter.encode()
            if not line.startswith(raw, at):
                return None, -1
            at += len(raw)
            continue
        at = _read_letter(line, at, letter, count, found)
        if at < 0:
            return None, -1
    return found, at


def _read_epoch(line: bytes, at: int, form: str) -> tuple[dict[str, int] | None, int]:
    end = _digits(line, at, 15)
    if end == at:
        return None, -1
    if form == "msec_frac":
        return {"S": int(line[at:end])}, end
    return {"epoch": int(line[at:end]) * (SECOND_US if form == "sec" else 1000)}, end


_FIXED: Final = {"d": "d", "H": "H", "m": "m", "s": "s", "S": "S", "h": "h", "K": "h", "k": "H", "y": "y", "u": ""}


def _read_letter(line: bytes, at: int, letter: str, count: int, found: dict[str, int]) -> int:
    if letter == "M" and count >= 3:
        name = line[at : at + 3]
        found["M"] = _MONTH.get(name, 0)
        return at + 3 if found["M"] else -1
    if letter == "E":
        return at + 3 if line[at : at + 3].isalpha() else -1
    if letter == "a":
        found["pm"] = int(line[at : at + 2] == b"PM")
        return at + 2 if line[at : at + 2] in (b"AM", b"PM") else -1
    if letter in "ZXz":
        return _read_offset(line, at, found)
    target = "M" if letter == "M" else _FIXED.get(letter)
    if target is None:
        return -1
    end = _digits(line, at, max(count, 4 if letter == "y" else 3 if letter == "S" else 2))
    if end == at:
        return -1
    value = int(line[at:end])
    found[target] = value % 24 if letter == "k" else value + 2000 if letter == "y" and end - at == 2 else value
    return end


def _read_offset(line: bytes, at: int, found: dict[str, int]) -> int:
    for name in (b"UTC", b"GMT", b"Z"):
        if line.startswith(name, at):
            found["offset"] = 0
            return at + len(name)
    raw = line[at : at + 6]
    compact = raw.replace(b":", b"")[:5] if raw[3:4] == b":" else raw[:5]
    if raw[:1] not in (b"+", b"-") or not compact[1:].isdigit() or len(compact) != 5:
        return -1
    minutes = int(compact[1:3]) * 60 + int(compact[3:5])
    if minutes > _MAX_OFFSET:
        return -1
    found["offset"] = -minutes if raw[:1] == b"-" else minutes
    return at + (6 if raw[3:4] == b":" else 5)


def _digits(line: bytes, at: int, most: int) -> int:
    end = at
    while end < len(line) and end - at < most and 0x30 <= line[end] <= 0x39:
        end += 1
    return end
