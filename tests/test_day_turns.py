"""The server's clock from logs in UTC: which files their lines stand in says where its day lies."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from forensics.model import Head
from forensics.parsers._day_turns import day_hints, offsets


def files(minutes: int, days: int = 4, step: int = 7, first: int = 0) -> list[Head]:
    """W3C files of a server whose clock stands so many minutes east: a request every few minutes."""
    start = datetime(2017, 3, 1, tzinfo=UTC)
    lines: dict[str, list[str]] = {}
    for number in range(first, days * 1440 // step):
        when = start + timedelta(minutes=number * step, seconds=11)
        lines.setdefault(f"{when + timedelta(minutes=minutes):%Y-%m-%d}", []).append(
            f"{when:%Y-%m-%d %H:%M:%S} 1.2.3.4 GET /"
        )
    header = "#Fields: date time c-ip cs-method cs-uri-stem\r\n#Version: 2.0\r\n"
    return [
        Head(f"logs/access.{day}.txt", (header + "\r\n".join(told) + "\r\n").encode(), complete=True)
        for day, told in lines.items()
    ]


def told(heads: list[Head]) -> list[str]:
    return offsets([hint for head in heads for hint in day_hints(head)])


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "+00:00"), (60, "+01:00"), (330, "+05:30"), (-180, "-03:00"), (510, "+08:30")]
)
def test_days_of_busy_logs_leave_one_offset(minutes: int, text: str) -> None:
    assert set(told(files(minutes))) == {f"2017-03-0{day} {text}" for day in range(1, 5)} | (
        {f"2017-02-28 {text}"} if minutes < 0 else {f"2017-03-05 {text}"} if minutes > 0 else set()
    )


def test_a_quiet_log_tells_no_offset() -> None:
    assert told(files(60, step=400)) == []


def test_days_that_contradict_each_other_tell_no_offset() -> None:
    assert told([*files(60), *files(300)]) == []


@pytest.mark.parametrize("label", ["logs/access.txt", "logs/access.2017-13-40.txt", "2017-03-01/access.log"])
def test_a_name_without_a_day_tells_nothing(label: str) -> None:
    head = files(60)[0]
    assert day_hints(Head(label, head.start, complete=True)) == ()


def test_bytes_that_are_no_log_tell_nothing() -> None:
    assert day_hints(Head("logs/access.2017-03-01.txt", gzip.compress(b"x" * 99), complete=True)) == ()
    assert day_hints(Head("logs/access.2017-03-01.txt", b"2017-99-99 77:00:00 \n", complete=True)) == ()
