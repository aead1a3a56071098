"""Working hours and zones: people with known habits, whose clock must be among the candidates, and none where evidence is thin."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from evtx_writer import Event, write_evtx
from test_analysis import FIRST, START, lsm

import forensics
from forensics.analysis._clock_zones import offsets_of, places, weekend_of
from forensics.analysis._moved import moved
from forensics.analysis._week import calendars, rest_days, week
from forensics.analysis._zone_witnesses import Place, Witnesses
from forensics.case import Case

_DAY = ((9, 5, 21), (11, 20, 24), (13, 10, 25), (17, 40, 23))
"""Logon, lunch, back again, logoff: hour, minute, event."""


def at_work(zone: str, days: Iterable[date], address: str = FIRST) -> Iterator[Event]:
    """Sessions of somebody who keeps office hours by the clock of a place."""
    for number, day in enumerate(days):
        for hour, minute, event in _DAY:
            drift = timedelta(minutes=number * 7 % 25)
            local = datetime.combine(day, time(hour, minute), ZoneInfo(zone)) + drift
            yield lsm(event, (local - START).total_seconds() / 60, address)


def days(first: date, count: int, rest: tuple[int, ...] = (6,)) -> list[date]:
    return [day for n in range(count) if (day := first + timedelta(days=n)).weekday() not in rest]


def analysed(tmp_path: Path, events: Iterable[Event]) -> Case:
    (tmp_path / "log.evtx").write_bytes(write_evtx(sorted(events, key=lambda event: event.time)))
    return forensics.analyze(tmp_path / "log.evtx", out=tmp_path / "case", workers=1)


def sentences(row: Any) -> list[str]:
    return [one["sentence"] for one in json.loads(row["because"])]


def test_a_pyongyang_week_is_a_candidate_beside_others_and_no_verdict(tmp_path: Path) -> None:
    case = analysed(tmp_path, at_work("Asia/Pyongyang", days(date(2017, 1, 9), 42)))
    zones = case.zones
    candidates = zones[zones["candidate"]]
    assert len(candidates) > 1
    row = zones[zones["offset"] == "+08:30"].iloc[0]
    assert row["candidate"]
    assert row["zones"] == "Asia/Pyongyang"
    assert row["rest_days"] == "Sunday"
    assert row["lunch_dip"] == 1
    assert any("six days with Sunday off: North Korea's rule, and kept elsewhere too" in one for one in sentences(row))
    assert any(
        re.match(r"Asia/Pyongyang: at work on (\d) of \1 public holidays of KP on days of work", one)
        for one in sentences(row)
    )
    (said,) = case.findings[case.findings["kind"] == "hours"]["sentence"]
    assert "UTC+08:30" in said
    assert said.count("fit 0.") >= 2
    assert "Korea" not in said


def test_who_lives_by_summer_time_fits_a_clock_that_changes_better_than_any_that_does_not(tmp_path: Path) -> None:
    case = analysed(tmp_path, at_work("Europe/Paris", days(date(2017, 3, 1), 60, (5, 6))))
    best = case.zones.iloc[0]
    assert best["clock"] == "Europe/Paris"
    assert best["offset"] == "+01:00/+02:00"
    assert "Europe/Paris" in best["zones"].split(";")
    assert any("they moved with its clock, which changed by 60 minutes" in one for one in sentences(best))
    assert best["rest_days"] == "Saturday;Sunday"
    fixed = case.zones[case.zones["offset"] == "+01:00"].iloc[0]
    assert not isinstance(fixed["clock"], str)


def test_who_keeps_one_clock_all_year_did_not_move_with_europes(tmp_path: Path) -> None:
    case = analysed(tmp_path, at_work("Asia/Seoul", days(date(2017, 3, 1), 60, (5, 6))))
    best = case.zones[case.zones["offset"] == "+09:00"].iloc[0]
    assert best["candidate"]
    assert any("they did not move with its clock, which changed by 60 minutes" in one for one in sentences(best))


def test_pyongyangs_half_hour_of_2015_is_a_clock_that_changes(tmp_path: Path) -> None:
    case = analysed(tmp_path, at_work("Asia/Pyongyang", days(date(2015, 7, 20), 54)))
    row = case.zones[case.zones["clock"] == "Asia/Pyongyang"].iloc[0]
    assert row["offset"] == "+09:00/+08:30"
    assert row["candidate"]
    assert any("they moved with its clock, which changed by 30 minutes" in one for one in sentences(row)), sentences(
        row
    )


def test_too_few_acts_are_not_enough_evidence(tmp_path: Path) -> None:
    case = analysed(tmp_path, at_work("Asia/Pyongyang", days(date(2017, 1, 9), 2)))
    assert not case.zones["candidate"].any()
    assert all(any("not enough evidence" in one for one in sentences(row)) for _, row in case.zones.iterrows())
    assert "hours" not in set(case.findings["kind"])
    assert any("not enough evidence for working hours" in said.lower() for said in case.findings["sentence"])


def test_a_week_says_which_days_stay_empty_and_whether_that_may_be_chance() -> None:
    steady = days(date(2017, 1, 2), 28, (5, 6))
    assert rest_days(steady) == [5, 6]
    (said,) = week(steady)
    assert said["sentence"].startswith(
        "no act on any of 3 Saturdays, 3 Sundays; on the other days 20 of 20 had some: a week of five days"
    )
    sparse = [date(2017, 1, 2), date(2017, 1, 11), date(2017, 1, 26)]
    assert rest_days(sparse) == []
    assert "may be chance" in next(week(sparse))["sentence"]


def test_all_acts_on_one_day_say_nothing_of_a_week() -> None:
    assert rest_days([date(2017, 1, 2)]) == []
    assert not list(week([date(2017, 1, 2)]))


def test_holidays_on_days_of_rest_are_not_counted() -> None:
    """16 April 2017, a holiday after the Day of the Sun, was a Sunday, on which nobody works there anyway."""
    worked = days(date(2017, 4, 3), 21)
    (said,) = calendars([("Asia/Pyongyang", "KP")], worked)
    assert "at work on 2 of 2 public holidays of KP" in said["sentence"]
    assert "2017-04-16" not in said["sentence"]
    assert weekend_of("KP") == {6}


def test_too_few_days_cannot_tell_whether_hours_moved() -> None:
    times = [START + timedelta(days=n, minutes=n % 2 * 400) for n in range(8)]
    (said,) = moved(times, [60] * 4 + [120] * 4, "Europe/Paris")
    assert "too few days" in said["sentence"]


def test_contradictions_between_witnesses_are_sentences() -> None:
    there = Place("192.0.2.9", "KP", frozenset({510}), "E0001:0+1#1")
    witnesses = Witnesses({480: 5}, ["E0002:0+1#1"], [there], 2)
    assert (
        "contradiction: the clients' clocks stood at UTC+08:00 by their own word, not here"
        in next(witnesses.clients([540]))["sentence"]
    )
    assert "neither fits nor contradicts" in next(witnesses.clients([510]))["sentence"]
    assert "stood at this offset in 5 sessions" in next(witnesses.clients([480]))["sentence"]
    assert next(witnesses.addresses([510]))["sentence"].startswith(
        "by the databases 192.0.2.9 (KP, UTC+08:30) lay where clocks stood"
    )
    assert next(witnesses.addresses([60]))["sentence"].startswith(
        "contradiction: the addresses that no list calls a proxy lay elsewhere"
    )
    assert "2 operators are counted together" in next(witnesses.several())["sentence"]
    assert not list(Witnesses({}, [], [], 1).clients([0]))


def test_a_wide_country_has_several_offsets_and_an_unknown_one_none() -> None:
    assert offsets_of("KP", START) == {510}
    assert len(offsets_of("RU", START)) > 5
    assert offsets_of("??", START) == set()
    assert places()["Asia/Pyongyang"] == "KP"


@pytest.mark.parametrize("text", ["+08:00", "nonsense", "+8", "\x1b[31m", "+99:99", ""])
def test_what_a_client_wrote_in_place_of_a_zone_breaks_nothing(tmp_path: Path, text: str) -> None:
    with analysed(tmp_path, at_work("Asia/Seoul", days(date(2017, 3, 1), 3))).database() as db:
        db.execute("CREATE OR REPLACE TEMP TABLE told AS SELECT * FROM sessions")
        db.execute("UPDATE told SET client_zone = ?", [text])
        db.execute("CREATE OR REPLACE TEMP VIEW sessions AS SELECT * FROM told")
        assert sum(Witnesses.of(db).told.values()) in (0, 3)
