"""The seed story, solved unaided: the facts of sample_logs/expected.json must be in what the tool says."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from forensics.case import Case

NORTH_KOREAN = "175.45.178.141"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def truth(samples: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((samples / "expected.json").read_text())
    return told


@pytest.fixture(scope="module")
def sessions(demo_case: Case) -> list[dict[str, Any]]:
    return [s for s in demo_case.table("sessions").to_pylist() if s["source_ips"]]


@pytest.fixture(scope="module")
def sources(demo_case: Case) -> dict[str, dict[str, Any]]:
    return {row["source_ip"]: row for row in demo_case.table("sources").to_pylist()}


@pytest.fixture(scope="module")
def milestones(demo_case: Case) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in demo_case.table("milestones").to_pylist():
        found.setdefault(row["milestone"], []).append(row)
    return found


@pytest.fixture(scope="module")
def timeline(demo_case: Case) -> list[dict[str, Any]]:
    return demo_case.table("timeline").to_pylist()


def test_each_session_is_one_row_from_logon_to_its_end(sessions: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    assert len(sessions) == len(truth["sessions"])
    for found, true in zip(sessions, truth["sessions"], strict=True):
        assert abs((found["start"] - at(true["start"])).total_seconds()) < 5
        assert found["user_name"] == true["user_name"]
        assert found["source_ips"].split(";") == true["source_ips"]
        assert found["client_name"] == true["client_name"]
        assert found["client_zone"] == "+08:00"


def test_each_session_ends_when_it_ended_and_says_how_that_is_known(
    sessions: list[dict[str, Any]], truth: dict[str, Any]
) -> None:
    for found, true in zip(sessions, truth["sessions"], strict=True):
        if true["end_basis"] == "crash":
            assert found["end_basis"] == "crash"
            assert at(truth["crash"]["last_alive_in_6008"]) <= found["end"] <= at(truth["crash"]["found"])
        else:
            assert abs((found["end"] - at(true["end"])).total_seconds()) < 5
            assert found["end_basis"] == true["end_basis"]


def test_web_requests_of_a_session_are_attached_to_it(sessions: list[dict[str, Any]], truth: dict[str, Any]) -> None:
    assert [s["http_requests"] for s in sessions] == [s["http_requests"] for s in truth["sessions"]]


def test_every_operator_address_is_an_operator_and_no_other_is(
    sources: dict[str, dict[str, Any]], truth: dict[str, Any]
) -> None:
    true = {s["source_ip"] for s in truth["sources"] if s["role"] == "operator"}
    assert {ip for ip, row in sources.items() if row["role"] == "operator"} == true


def test_every_victim_is_an_implant_and_no_other_is(sources: dict[str, dict[str, Any]], truth: dict[str, Any]) -> None:
    true = {s["source_ip"] for s in truth["sources"] if s["role"] == "implant"}
    assert {ip for ip, row in sources.items() if row["role"] == "implant"} == true


def test_every_source_has_the_country_of_its_day(sources: dict[str, dict[str, Any]], truth: dict[str, Any]) -> None:
    for true in truth["sources"]:
        found = sources[true["source_ip"]]
        assert found["country_iso_code"] == true["country_iso_code"], true["source_ip"]
        if true["country_iso_code"]:
            assert found["country_as_of"].year in {2016, 2017}


def test_the_north_korean_contact_is_on_the_timeline_row_by_row_and_graded(timeline: list[dict[str, Any]]) -> None:
    rows = [row for row in timeline if row["source_ip"] == NORTH_KOREAN]
    assert rows
    assert all(row["rare_grade"] == "A" and row["country_iso_code"] == "KP" for row in rows)
    assert all(row["count"] == 1 for row in rows)
    assert sum(row["act"] == "http_request" for row in rows) == 2


def test_the_north_korean_contact_is_a_milestone(
    milestones: dict[str, list[dict[str, Any]]], truth: dict[str, Any]
) -> None:
    (row,) = milestones["rare_origin"]
    assert row["source_ip"] == NORTH_KOREAN
    assert abs((row["time"] - at(truth["north_korean_contact"]["connected"])).total_seconds()) < 5


@pytest.mark.parametrize(
    "name",
    [
        "first_logon",
        "tomcat_installed",
        "tomcat_started",
        "log_cleared",
        "c2_deployed",
        "first_browser_test",
        "first_backdoor_test",
        "first_implant",
        "crash",
        "last_operator_act",
    ],
)
def test_a_milestone_stands_at_its_true_time(
    milestones: dict[str, list[dict[str, Any]]], truth: dict[str, Any], name: str
) -> None:
    (true,) = [m for m in truth["milestones"] if m["milestone"] == name]
    found = milestones[name][0]
    assert found["time"] is not None, found["detail"]
    # A request and the deployment it causes, a service's installation and its first line, are seconds apart.
    assert abs((found["time"] - at(true["time"])).total_seconds()) <= 10
    assert found["locators"]


def test_what_did_not_happen_is_said_to_be_not_in_evidence(milestones: dict[str, list[dict[str, Any]]]) -> None:
    (row,) = milestones["clock_changed"]
    assert row["time"] is None
    assert "not in evidence" in row["detail"]


def test_the_command_paths_are_told_apart(demo_case: Case, truth: dict[str, Any]) -> None:
    found = {row["path"]: row for row in demo_case.table("endpoints").to_pylist()}
    for true in truth["endpoints"]:
        assert found[true["path"]]["kind"] == true["kind"]
        assert found[true["path"]]["first_seen"] == at(true["first_seen"])


def test_every_record_that_was_written_is_in_the_ledger(demo_case: Case, truth: dict[str, Any]) -> None:
    with demo_case.database() as db:
        counted = dict(
            db.sql(
                "SELECT split_part(label, '/', -1), sum(records) FROM ledger "
                "WHERE label LIKE '%access_log%' GROUP BY ALL"
            ).fetchall()
        )
    for name, lines in truth["access_log_lines"].items():
        assert counted[name] in {lines, lines + 1}, name


def test_windows_events_are_counted_as_they_were_written(demo_case: Case, truth: dict[str, Any]) -> None:
    with demo_case.database() as db:
        found = dict(
            db.sql(
                "SELECT event_code, count(*) FROM events WHERE event_provider LIKE '%RdpCoreTS' GROUP BY ALL"
            ).fetchall()
        )
    written = truth["records"]["Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational"]
    assert {code: found[code] for code in ("131", "140", "104", "66")} == {
        code: written[code] for code in ("131", "140", "104", "66")
    }
