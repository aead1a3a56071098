"""Whose sessions: the operator's told from those of the rightful owner of a server that was broken into."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from evtx_writer import Event
from seized import by_time, seize
from test_analysis import FIRST, SECOND, lsm, refused, request
from test_command_paths import OLD, beacons, people

import forensics
from forensics.case import Case

OWNER = "84.46.1.9"
DAY = 24 * 60


def analysed(folder: Path, events: Iterable[Event], lines: Iterable[str]) -> Case:
    seized = seize(folder / "seized", by_time(events), {"access_log": lines})
    return forensics.analyze(seized, out=folder / "case", workers=1)


def stay(start: float, address: str, user: str, session: int = 2) -> list[Event]:
    return [lsm(21, start, address, session, user), lsm(23, start + 60, session=session, user=user)]


def owner(user: str = "SRV\\itadmin") -> list[Event]:
    return [event for day in (-9, -6, -3, 4) for event in stay(day * DAY, OWNER, user)]


COMMAND = [
    request(-20 * DAY, "198.18.0.1", "/robots.txt", status=404),
    request(10, FIRST, "/manager/html/upload", "POST"),
    request(12, FIRST, "/x/c.jsp"),
    *beacons(4),
]


def held(case: Case) -> dict[str, set[str]]:
    by_person: dict[str, set[str]] = {}
    sessions = {row["session_uid"]: row for row in case.table("sessions").to_pylist()}
    for row in case.table("people").to_pylist():
        by_person.setdefault(row["held_to_be"], set()).add(sessions[row["session_uid"]]["source_ips"])
    return by_person


def test_an_account_of_its_own_that_was_here_before_is_the_owner_s(tmp_path: Path) -> None:
    case = analysed(tmp_path, [*owner(), *stay(0, FIRST, "SRV\\support")], COMMAND)
    assert held(case) == {"rightful_owner": {OWNER}, "operator": {FIRST}}
    (row,) = [r for r in case.table("sources").to_pylist() if r["source_ip"] == OWNER]
    assert (row["role"], row["flags"]) == ("visitor", "rightful_owner")
    assert "none of the operator's" in row["because"]
    (stone,) = [m for m in case.table("milestones").to_pylist() if m["milestone"] == "first_logon"]
    assert stone["source_ip"] == FIRST
    assert any(row["kind"] == "owner" for row in case.table("findings").to_pylist())


def test_an_owner_on_the_shared_account_is_known_by_the_server_s_own_application(tmp_path: Path) -> None:
    mine = [request(day * DAY + 5, OWNER, "/shop/orders.jsp") for day in (-9, -6, -3)]
    shop = people(12, -15 * DAY)
    case = analysed(tmp_path, [*owner("SRV\\admin"), *stay(0, FIRST, "SRV\\admin")], [*COMMAND, *shop, *mine])
    assert held(case) == {"rightful_owner": {OWNER}, "operator": {FIRST}}
    assert {row["confidence"] for row in case.table("people").to_pylist() if row["held_to_be"] == "rightful_owner"} == {
        "possible"
    }


def test_an_earlier_session_on_the_same_account_stays_an_operator_s_where_nothing_tells_them_apart(
    tmp_path: Path,
) -> None:
    case = analysed(tmp_path, [*stay(-2 * DAY, SECOND, "SRV\\admin"), *stay(0, FIRST, "SRV\\admin")], COMMAND)
    assert held(case) == {"operator": {FIRST, SECOND}}
    confidence = {r["source_ip"]: r["role_confidence"] for r in case.table("sources").to_pylist()}
    assert (confidence[FIRST], confidence[SECOND]) == ("almost certain", "possible")


def test_who_guessed_a_way_in_is_no_owner_however_early(tmp_path: Path) -> None:
    guessing = [refused(-9 * DAY - 30 + i / 10, OWNER) for i in range(40)]
    case = analysed(tmp_path, [*guessing, *owner(), *stay(0, FIRST, "SRV\\support")], COMMAND)
    assert held(case) == {"operator": {OWNER, FIRST}}


@pytest.mark.parametrize("lines", [[], OLD])
def test_without_a_command_path_nobody_is_told_apart(tmp_path: Path, lines: list[str]) -> None:
    case = analysed(tmp_path, [*owner(), *stay(0, FIRST, "SRV\\support")], lines)
    assert held(case) == {"operator": {OWNER, FIRST}}
    assert {row["confidence"] for row in case.table("people").to_pylist()} == {"possible"}


def test_on_a_server_without_a_command_path_who_tends_its_application_may_be_the_owner(tmp_path: Path) -> None:
    mine = [request(day * DAY + 5, OWNER, "/shop/orders.jsp") for day in (-9, -6, -3)]
    case = analysed(tmp_path, owner(), [*people(12, -15 * DAY), *mine])
    assert held(case) == {"rightful_owner": {OWNER}}
    assert {row["confidence"] for row in case.table("people").to_pylist()} == {"possible"}


def test_an_exit_that_a_scanner_used_the_day_before_is_told_by_time(tmp_path: Path) -> None:
    guesses = [refused(-DAY - 60 + i / 10, FIRST) for i in range(300)]
    case = analysed(tmp_path, [*guesses, *stay(0, FIRST, "SRV\\support")], COMMAND)
    assert [(row["role"], row["source_ip"]) for row in case.table("source_windows").to_pylist()] == [
        ("scanner", FIRST),
        ("operator", FIRST),
    ]
    (row,) = [r for r in case.table("sources").to_pylist() if r["source_ip"] == FIRST]
    assert row["role"] == "operator"
    assert "role_changes" in row["flags"]
    assert "scanner from" in row["because"]
    assert not any("guessing" in one["because"] for one in case.table("people").to_pylist())


def test_guessing_that_led_to_the_session_is_the_operator_s_own(tmp_path: Path) -> None:
    guesses = [refused(-40 + i / 10, FIRST) for i in range(300)]
    case = analysed(tmp_path, [*guesses, *stay(0, FIRST, "SRV\\support")], COMMAND)
    assert case.table("source_windows").num_rows == 0
    assert any("guessing, then success" in one["because"] for one in case.table("people").to_pylist())
