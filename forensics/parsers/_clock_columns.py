"""Whole columns of times in a form of the configuration (`%{…}t`), where the form has a fixed width; epochs too.

What a row means is said by `_valve_time.clock`. A row that is not of the form's usual width, or holds something other than
digits where they belong, is marked; the strict path reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.instants import SECOND_US, microseconds
from forensics.instants import zone as zone_named
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.parsers._fast_bytes import days_of, month_numbers
from forensics.parsers._fast_columns import constant
from forensics.parsers._valve_time import letters

if TYPE_CHECKING:
    from datetime import tzinfo

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]
    Columns = dict[str, pa.Array]

_EPOCHS: Final = {"sec": SECOND_US, "msec": 1000}
_DIGITS: Final = {("y", 4), ("M", 2), ("d", 2), ("H", 2), ("m", 2), ("s", 2), ("S", 3)}
_MINUTE_US: Final = 60 * SECOND_US
_MAX_OFFSET: Final = 18 * 60


@dataclass(frozen=True, slots=True)
class Form:
    """A form of fixed width: where its numbers stand, the month's name and the offset (-1: none), and its literal bytes."""

    width: int
    numbers: tuple[tuple[str, int, int], ...]
    month: int
    offset: int
    literals: tuple[tuple[int, int], ...]


@cache
def form_of(text: str) -> Form | None:
    """Return a SimpleDateFormat as a form; None if its width is not fixed, or a part of it is not read by column."""
    numbers: list[tuple[str, int, int]] = []
    literals: list[tuple[int, int]] = []
    at, month, offset = 0, -1, -1
    for letter, count in letters(text):
        if count == 0:
            literals += [(at + ahead, byte) for ahead, byte in enumerate(letter.encode())]
            at += len(letter.encode())
        elif (letter, count) in _DIGITS:
            numbers.append((letter, at, count))
            at += count
        elif (letter, count) == ("M", 3):
            month, at = at, at + 3
        elif (letter, count) == ("Z", 1):
            offset, at = at, at + 5
        else:
            return None
    names = [letter for letter, _, _ in numbers] + ["M"] * (month >= 0)
    whole = len(set(names)) == len(names) and {"y", "M", "d", "H", "m", "s"} <= set(names)
    return Form(at, tuple(numbers), month, offset, tuple(literals)) if whole else None


def clocks(key: str, texts: pa.StringArray, zone: str, bad: Bools) -> Columns | None:
    """Return the columns of times of the form `key`; None for forms that are not read so. Marks rows in `bad`."""
    key = key.removeprefix("begin:").removeprefix("end:")
    if key in _EPOCHS:
        us, told = _epochs(texts, _EPOCHS[key], bad), True
    else:
        form = form_of(key)
        if form is None or not len(texts):
            return None
        us, told = _times(form, texts, zone, bad), form.offset >= 0
    bad |= (us < TIME_MIN_US) | (us > TIME_MAX_US)
    basis = "offset_in_log" if told else "zone_given" if zone else "zone_assumed"
    return {
        "time": pa.array(np.where(bad, 0, us)).cast(TIME),
        "time_original": texts.dictionary_encode(),
        "time_basis": constant(basis, len(texts)),
    }


def _epochs(texts: pa.StringArray, unit: int, bad: Bools) -> Ints:
    digits = pc.match_substring_regex(texts, r"^[0-9]{1,12}$" if unit == SECOND_US else r"^[0-9]{1,15}$")
    bad |= ~digits.to_numpy(zero_copy_only=False)
    result: Ints = pc.if_else(digits, texts, "0").cast(pa.int64()).to_numpy() * unit
    return result


def _times(form: Form, texts: pa.StringArray, zone: str, bad: Bools) -> Ints:
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    fits = np.diff(offsets) == form.width
    bad |= ~fits
    if not fits.any():
        return np.zeros(len(texts), np.int64)
    at = np.where(fits, offsets[:-1], offsets[:-1][np.argmax(fits)])
    pieces = np.ndarray((len(data) - form.width + 1,), f"V{form.width}", data, 0, (1,))[at]
    raw = pieces.view(np.uint8).reshape(-1, form.width)
    good = np.ones(len(texts), bool)
    for place, byte in form.literals:
        good &= raw[:, place] == byte
    value = {letter: _number(raw, place, count, good) for letter, place, count in form.numbers}
    if form.month >= 0:
        value["M"] = month_numbers(raw, form.month, good)
    us = _microseconds(value, good)
    if form.offset >= 0:
        us -= _offsets(raw, form.offset, good) * _MINUTE_US
    elif zone:
        us = _placed(us, zone_named(zone), good)
    bad |= ~good
    return us


def _number(raw: Bytes, place: int, count: int, good: Bools) -> Ints:
    value = np.zeros(len(raw), np.int64)
    for ahead in range(count):
        digit = raw[:, place + ahead] - np.uint8(0x30)
        good &= digit <= 9
        value = value * 10 + digit
    return value


def _microseconds(value: dict[str, Ints], good: Bools) -> Ints:
    """Return the microseconds of days and times of day as if they were UTC; clears `good` where there is no such time."""
    days = days_of(value["y"], value["M"], value["d"], good)
    good &= (value["H"] < 24) & (value["m"] < 60) & (value["s"] < 60)
    seconds = days * 86400 + value["H"] * 3600 + value["m"] * 60 + value["s"]
    us = seconds * SECOND_US
    return us + value["S"] * 1000 if "S" in value else us


def _offsets(raw: Bytes, place: int, good: Bools) -> Ints:
    """Return the minutes of offsets such as `+0100`."""
    sign = raw[:, place]
    good &= (sign == 0x2B) | (sign == 0x2D)
    minutes = _number(raw, place + 1, 2, good) * 60 + _number(raw, place + 3, 2, good)
    good &= minutes <= _MAX_OFFSET
    return np.where(sign == 0x2D, -minutes, minutes)


def _placed(us: Ints, place: tzinfo, good: Bools) -> Ints:
    """Return local times of a zone in UTC. No zone has changed its offset inside a minute since TIME_MIN_US."""
    minutes = us // _MINUTE_US
    good &= (us >= TIME_MIN_US - 86_400 * SECOND_US) & (us <= TIME_MAX_US + 86_400 * SECOND_US)
    distinct, which = np.unique(np.where(good, minutes, 0), return_inverse=True)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    moved = [
        microseconds((start + timedelta(minutes=minute)).replace(tzinfo=place)) - minute * _MINUTE_US
        for minute in distinct.tolist()
    ]
    return us + np.array(moved, np.int64)[which]
