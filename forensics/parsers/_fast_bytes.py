"""Times and numbers out of eight bytes at a time, without a Python object a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.instants import MONTHS, SECOND_US
from forensics.limits import TIME_MAX_US, TIME_MIN_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Bools = NDArray[np.bool_]


def word(text: bytes) -> int:
    """Return up to eight bytes as a little-endian number, filled up with zeros."""
    return int.from_bytes(text.ljust(8, b"\0"), "little")


_MONTH_WORDS: Final = np.array([word(m.encode()) for m in MONTHS], np.int64)
_MONTH_ORDER: Final = np.argsort(_MONTH_WORDS)
_MONTHS_SORTED: Final = _MONTH_WORDS[_MONTH_ORDER]
_MONTH_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
# Bytes 18 to 25 of the text stand at columns 24 to 31, since the last word starts at byte 18.
_DIGITS: Final = [0, 1, 7, 8, 9, 10, 12, 13, 15, 16, 18, 19, 28, 29, 30, 31]
_MARKS: Final = ((2, 0x2F), (6, 0x2F), (11, 0x3A), (14, 0x3A), (17, 0x3A), (26, 0x20))


def clf_times(text: NDArray[np.uint8]) -> tuple[Ints, Bools]:
    """Return microseconds UTC of `dd/MMM/yyyy:HH:mm:ss +zzzz` texts, and which are possible times.

    A text is given as 32 bytes: its bytes 0 to 23, then its bytes 18 to 25 once more.
    """
    d = text.astype(np.int64) - 0x30
    good = ((d[:, _DIGITS] >= 0) & (d[:, _DIGITS] <= 9)).all(1)
    for column, mark in _MARKS:
        good &= text[:, column] == mark
    sign = text[:, 27]
    good &= (sign == 0x2B) | (sign == 0x2D)
    month = month_numbers(text, 3, good)
    day, year = d[:, 0] * 10 + d[:, 1], d[:, 7] * 1000 + d[:, 8] * 100 + d[:, 9] * 10 + d[:, 10]
    hour, minute, second = d[:, 12] * 10 + d[:, 13], d[:, 15] * 10 + d[:, 16], d[:, 18] * 10 + d[:, 19]
    off_hour, off_minute = d[:, 28] * 10 + d[:, 29], d[:, 30] * 10 + d[:, 31]
    offset = np.where(sign == 0x2D, -1, 1) * (off_hour * 60 + off_minute)
    days = days_of(year, month, day, good)
    good &= (hour < 24) & (minute < 60) & (second < 60) & (off_minute < 60) & (np.abs(offset) <= 18 * 60)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset * 60
    us = seconds * SECOND_US
    return us, good & (us >= TIME_MIN_US) & (us <= TIME_MAX_US)


def month_numbers(text: NDArray[np.uint8], column: int, good: Bools) -> Ints:
    """Return the months 1 to 12 whose English names stand from a column on; clears `good` where none does."""
    name = sum(text[:, column + ahead].astype(np.int64) << 8 * ahead for ahead in range(3))
    found = np.minimum(np.searchsorted(_MONTHS_SORTED, name), 11)
    good &= _MONTHS_SORTED[found] == name
    result: Ints = _MONTH_ORDER[found] + 1
    return result


def days_of(year: Ints, month: Ints, day: Ints, good: Bools) -> Ints:
    """Return days since 1970-01-01; clears `good` where there is no such day."""
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    known = np.clip(month, 0, 12)
    good &= (month >= 1) & (month <= 12) & (year >= 1)
    good &= (day >= 1) & (day <= _MONTH_DAYS[known] + ((month == 2) & leap))
    return _days(year, month, day)


def _days(year: Ints, month: Ints, day: Ints) -> Ints:
    """Days since 1970-01-01 in the Gregorian calendar, counted in eras of 400 years that start in March."""
    year = year - (month <= 2)
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    result: Ints = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return result


def utc_times(a: NDArray[np.uint8], date: Ints, time: Ints) -> tuple[Ints, Bools]:
    """Return microseconds UTC of `yyyy-MM-dd` at `date` and `HH:mm:ss` at `time`, and which are possible times."""
    d = a[np.concatenate([date[:, None] + np.arange(10), time[:, None] + np.arange(8)], 1)].astype(np.int64) - 0x30
    digits = d[:, [0, 1, 2, 3, 5, 6, 8, 9, 10, 11, 13, 14, 16, 17]]
    good = ((digits >= 0) & (digits <= 9)).all(1)
    for column, mark in ((4, 0x2D), (7, 0x2D), (12, 0x3A), (15, 0x3A)):
        good &= d[:, column] == mark - 0x30
    year, month, day = digits[:, :4] @ [1000, 100, 10, 1], digits[:, 4:6] @ [10, 1], digits[:, 6:8] @ [10, 1]
    hour, minute, second = (digits[:, at : at + 2] @ [10, 1] for at in (8, 10, 12))
    days = days_of(year, month, day, good)
    good &= (hour < 24) & (minute < 60) & (second < 60)
    us = (days * 86400 + hour * 3600 + minute * 60 + second) * SECOND_US
    return us, good & (us >= TIME_MIN_US) & (us <= TIME_MAX_US)


def pieces_of(a: NDArray[np.uint8], at: Ints, words: int) -> Words:
    """Return the bytes at each of some places as rows of words; bytes and places must be there.

    A line's bytes gathered as one opaque piece cost what gathering one word of them does.
    """
    size = 8 * words
    pieces = np.ndarray((len(a) - size + 1,), f"V{size}", a, 0, (1,))[at]
    return pieces.view("<u8").reshape(-1, words)


def all_digits(word: Words) -> Bools:
    """Say of eight bytes in a word whether all are ASCII digits."""
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    result: Bools = ((word & high) | (((word + np.uint64(0x0606060606060606)) & high) >> np.uint64(4))) == np.uint64(
        0x3333333333333333
    )
    return result


def eight_digits(word: Words) -> Ints:
    """Turn eight ASCII digits in a little-endian word into their value, by pairs, fours and eight."""
    v = word - np.uint64(0x3030303030303030)
    v = v * np.uint64(10) + (v >> np.uint64(8))
    low = (v & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    high = ((v >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return ((low + high) >> np.uint64(32)).astype(np.int64)
