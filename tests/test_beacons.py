"""Beacon scores: RITA's formulas as a naive reading of them gives, and what a responder expects of them."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensics
from forensics.analysis._rita import scores
from forensics.analysis.beacons import _daily
from forensics.instants import iso

DAY = 86_400
MIDNIGHT = 1_484_697_600  # 2017-01-18T00:00:00Z


def naive(seconds: list[int], sizes: list[int], since: int, until: int) -> float:
    """RITA v5's score of one series, formula by formula."""
    if len(set(seconds)) < 4 or len(seconds) >= DAY:
        return 0.0
    gaps = sorted(b - a for a, b in pairwise(seconds) if b > a)
    bars = [0] * 24
    for second in seconds:
        bars[min(23, (second - since) * 24 // (until - since))] += 1
    parts = (
        statistical(gaps, 1.0),
        statistical(sorted(sizes), 0.0),
        duration(bars, seconds, since, until),
        histogram(bars),
    )
    return float(np.round(sum(parts) / 4, 3))


def statistical(values: list[int], default: float) -> float:
    if len(values) < 3:
        return 0.0
    middle = statistics.median(values)
    half = len(values) // 2
    low, high = statistics.median(values[:half]), statistics.median(values[-half:])
    skew = 0.0 if high - low < 10 or middle in (low, high) else (low + high - 2 * middle) / (high - low)
    deviation = statistics.median(abs(v - middle) for v in values)
    steady = (middle - deviation) / middle if middle >= 1 else default
    return float(np.round((1 - abs(skew) + max(0.0, steady)) / 2, 3))


def histogram(bars: list[int]) -> float:
    variation = statistics.pstdev(bars) / statistics.fmean(bars)
    even = 0.0 if variation > 1 else float(np.round(1 - variation, 3))
    filled = [bar for bar in bars if bar]
    if len(filled) < 11:
        return even
    width = math.ceil(max(filled) * 0.05)
    heights = sorted(Counter(bar // width * width for bar in filled).values(), reverse=True)
    return max(even, min(1.0, float(np.round(sum(heights[:2]) / max(len(filled) - 1, 1), 3))))


def duration(bars: list[int], seconds: list[int], since: int, until: int) -> float:
    if sum(bar > 0 for bar in bars) < 6:
        return 0.0
    run = best = 0
    for bar in bars * 2:
        run = run + 1 if bar else 0
        best = max(best, run)
    ceil3 = lambda value: math.ceil(round(value * 1000, 9)) / 1000  # noqa: E731
    return max(min(1.0, ceil3((seconds[-1] - seconds[0]) / (until - since))), min(1.0, ceil3(min(best, 24) / 12)))


SERIES = st.lists(
    st.tuples(st.integers(0, DAY - 1), st.sampled_from([0, 1, 100, 100, 102, 5000])), min_size=1, max_size=60
)


@given(st.lists(SERIES, min_size=1, max_size=5))
def test_many_series_at_once_score_as_each_alone_by_the_formulas(drawn: list[list[tuple[int, int]]]) -> None:
    rows = [(number, second, size) for number, one in enumerate(drawn) for second, size in sorted(one)]
    series, seconds, sizes = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    total = len(drawn)
    got = scores(series, seconds, sizes, np.zeros(total, np.int64), np.full(total, DAY))
    expected = [naive(*map(list, zip(*sorted(one), strict=True)), 0, DAY) for one in drawn]  # type: ignore[arg-type]
    assert got.score.tolist() == pytest.approx(expected, abs=0.0011)


@given(st.lists(SERIES, min_size=1, max_size=5), st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_each_day_of_each_pair_scores_as_if_it_were_alone(drawn: list[list[tuple[int, int]]], days: list[int]) -> None:
    rows = [
        (number, second + DAY * days[place % len(days)], size)
        for number, one in enumerate(drawn)
        for place, (second, size) in enumerate(one)
    ]
    pair, second, size = (np.array(column, np.int64) for column in zip(*sorted(rows), strict=True))
    total = len(drawn)
    life = scores(pair, second, size, np.zeros(total, np.int64), np.full(total, 3 * DAY))
    by_day, day, of = _daily(pair, second, size, life)
    for place in range(len(of)):
        mine = (pair == of[place]) & (second // DAY == day[place])
        since = np.array([day[place] * DAY])
        alone = scores(np.zeros(mine.sum(), np.int64), second[mine], size[mine], since, since + DAY)
        assert (by_day.score[place], by_day.times[place], by_day.sizes[place]) == (
            alone.score[0],
            alone.times[0],
            alone.sizes[0],
        )


def line(
    address: str, second: float, path: str = "/c.jsp", size: int = 12, method: str = "POST"
) -> tuple[float, bytes]:
    when = iso(int(MIDNIGHT + second) * 1_000_000)
    stamp = f"{when[8:10]}/Jan/{when[:4]}:{when[11:19]} +0000"
    return second, f'{address} - - [{stamp}] "{method} {path} HTTP/1.1" 200 {size}\n'.encode()


def beacons(tmp_path: Path, lines: Iterable[tuple[float, bytes]]) -> dict[str, dict[str, Any]]:
    log = tmp_path / "localhost_access_log.2017-01-18.txt"
    log.write_bytes(b"".join(text for _, text in sorted(lines)))
    rows = forensics.analyze(log, out=tmp_path / "case", workers=1).table("beacons").to_pylist()
    return {row["source_ip"]: row for row in rows}


def timer(
    address: str, period: float, *, jitter: float = 0, days: float = 1, start: float = 0
) -> list[tuple[float, bytes]]:
    rng = random.Random(address)
    return [line(address, start + n * period + rng.uniform(0, jitter)) for n in range(int(days * DAY / period))]


def strangers() -> list[tuple[float, bytes]]:
    """Clients enough for the path to be a command path."""
    return [one for number in range(4) for one in timer(f"203.0.113.{number}", 1800, start=number * 7)]


def test_a_steady_timer_is_a_beacon_and_its_period_is_told(tmp_path: Path) -> None:
    row = beacons(tmp_path, timer("198.51.100.7", 600, jitter=20) + strangers())["198.51.100.7"]
    assert row["category"] == "high"
    assert row["period_s"] == pytest.approx(600, abs=5)
    assert row["jitter_s"] < 20
    assert (row["clients_estimate"], row["days"]) == (1, 1)


def test_a_person_is_no_beacon(tmp_path: Path) -> None:
    rng = random.Random(1)
    clicks = [
        line("198.51.100.9", 40_000 + rng.expovariate(1 / 300) * n, size=rng.randrange(9000)) for n in range(1, 25)
    ]
    row = beacons(tmp_path, clicks + strangers())["198.51.100.9"]
    assert row["category"] == "none"


def test_an_implant_that_sleeps_outside_office_hours_scores_by_its_best_day(tmp_path: Path) -> None:
    office = [
        line("198.51.100.11", day * DAY + 8 * 3600 + n * 900) for day in (0, 1, 2, 5, 6, 7, 8) for n in range(4 * 9)
    ]
    row = beacons(tmp_path, office + strangers())["198.51.100.11"]
    assert row["score"] >= 0.7
    assert row["best_day_score"] >= 0.65
    assert (row["period_s"], row["days"]) == (900, 7)


@pytest.mark.parametrize("offsets", [(0, 431), (0, 200, 1100), (0, 123, 700, 1500)])
def test_several_victims_behind_one_address_are_counted(tmp_path: Path, offsets: tuple[int, ...]) -> None:
    crowd = [line("198.51.100.13", start + n * 1800) for start in offsets for n in range(60)]
    row = beacons(tmp_path, crowd + strangers())["198.51.100.13"]
    assert row["clients_estimate"] == len(offsets)
    assert row["period_s"] == 1800


def test_one_request_a_second_all_day_is_a_strobe(tmp_path: Path) -> None:
    row = beacons(tmp_path, [line("198.51.100.15", n) for n in range(DAY)] + strangers())["198.51.100.15"]
    assert row["category"] == "strobe"


def test_fewer_than_four_different_seconds_say_nothing(tmp_path: Path) -> None:
    few = [line("198.51.100.17", second) for second in (5, 5, 5, 900, 1800)]
    assert "198.51.100.17" not in beacons(tmp_path, few + strangers())


def test_pairs_read_in_many_portions_score_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    whole = beacons(tmp_path / "one", strangers())
    monkeypatch.setattr("forensics.analysis.beacons._PORTION", 50)
    assert beacons(tmp_path / "many", strangers()) == whole
