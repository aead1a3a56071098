"""Roles where the sample story says nothing: beacons by GET, short lives, tools on the start page, a guess that was right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from evtx_writer import Event
from scenarios import tomcat, windows
from scenarios.draw import Chance
from scenarios.truth import Request, Stay, Visit

import forensics
from forensics.case import Case

START = datetime(2018, 3, 5, 9, tzinfo=UTC)
C2, OPERATOR = "/update/check.jsp", "51.254.37.118"
MACHINE = windows.Machine("2016", "SRV-1", frozenset({"LSM", "Security", "CORE", "System"}))
VICTIMS = tuple(f"90.12.7.{number}" for number in range(20, 26))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def deployed() -> list[Request]:
    """The operator brings the command path and tries it, from an address that is not seen on RDP."""
    return [
        Request(at(-30), "203.0.114.9", "GET", "/robots.txt", 404, 900),
        Request(at(0), OPERATOR, "GET", "/manager/html", 200, 19_000, user="admin"),
        Request(at(1), OPERATOR, "POST", "/manager/html/upload", 200, 20_000, user="admin"),
        Request(at(2), OPERATOR, "GET", C2, 200, 36),
    ]


def beacons(calls: int = 30, method: str = "GET", **more: str) -> list[Request]:
    return [
        Request(at(600 + 10 * n + i), victim, method, f"{C2}?id={i}", 200, 16, **more)
        for i, victim in enumerate(VICTIMS)
        for n in range(calls)
    ]


@pytest.fixture
def analysed(tmp_path: Path):
    def run(requests: Iterable[Request] = (), events: Iterable[Event] = (), shape: str = "combined") -> Case:
        web = tomcat.Tomcat("8.5.6", shape, timedelta(hours=5))
        files = tomcat.access_logs(list(requests), web) | windows.event_logs(list(events), MACHINE)
        files["Tomcat/conf/server.xml"] = web.server_xml().encode()
        files |= tomcat.catalina_logs(list(tomcat.started(at(-20), web, ["manager"])), web)
        for name, content in files.items():
            (tmp_path / "seized" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "seized" / name).write_bytes(content)
        return forensics.analyze(tmp_path / "seized", out=tmp_path / "case", workers=1)

    return run


def roles(case: Case) -> dict[str, str]:
    return dict(zip(case.sources["source_ip"], case.sources["role"], strict=True))


def test_a_beacon_by_get_is_an_implants_and_so_is_one_that_soon_ended(analysed) -> None:
    late = [Request(at(900 + 9 * n), "86.4.4.9", "GET", f"{C2}?id=77", 200, 16, "Mozilla/4.0") for n in range(2)]
    found = roles(analysed([*deployed(), *beacons(agent="Mozilla/4.0"), *late]))
    assert {found[victim] for victim in VICTIMS} == {"implant"}
    assert found["86.4.4.9"] == "implant"
    assert found[OPERATOR] == "operator"


def test_who_fetches_the_command_path_in_another_manner_is_a_researcher(analysed) -> None:
    curious = [Request(at(1000), "66.9.9.9", "GET", C2, 200, 36, "curl/7.47.0")]
    found = roles(analysed([*deployed(), *beacons(method="POST", agent="Mozilla/4.0"), *curious]))
    assert found["66.9.9.9"] == "researcher"


def test_the_start_page_without_a_picture_is_a_tools_and_with_an_icon_a_browsers(analysed) -> None:
    bare = [Request(at(5), "71.3.3.3", "GET", "/", 200, 11_000)]
    person = [
        Request(at(6), "85.8.8.8", "GET", "/", 200, 11_000),
        Request(at(6), "85.8.8.8", "GET", "/favicon.ico", 404),
    ]
    inside = [Request(at(7), "24.5.5.5", "GET", "/shop/item.jsp", 200, 4_000)]
    found = roles(analysed([*bare, *person, *inside], shape="common"))
    assert (found["71.3.3.3"], found["85.8.8.8"], found["24.5.5.5"]) == ("scanner", "visitor", "visitor")


def test_a_test_of_the_new_path_is_the_operators_and_a_run_in_a_sandbox_is_no_implant(analysed) -> None:
    test = [Request(at(20 + n), "66.1.1.1", "POST", C2, 200, 16) for n in range(6)]
    run = [Request(at(9_000 + n), "66.2.2.2", "POST" if n else "HEAD", C2, 200, 16) for n in range(5)]
    days = [
        Request(at(600 + 240 * n + i), victim, "POST", C2, 200, 16)
        for i, victim in enumerate(VICTIMS)
        for n in range(80)
    ]
    found = roles(analysed([*deployed(), *test, *days, *run], shape="common"))
    assert (found["66.1.1.1"], found["66.2.2.2"]) == ("operator", "researcher")
    assert {found[victim] for victim in VICTIMS} == {"implant"}


def test_who_gets_answers_of_all_sizes_in_some_hours_operates_by_the_web(analysed) -> None:
    pages = [
        Request(at(3_000 + day * 1440 + 3 * n), "66.3.3.3", "GET" if n % 2 else "POST", C2, 200, 900 + 37 * n + day)
        for day in range(4)
        for n in range(5)
    ]
    days = [
        Request(at(600 + 120 * n + i), victim, "POST", C2, 200, 16)
        for i, victim in enumerate(VICTIMS)
        for n in range(80)
    ]
    found = roles(analysed([*deployed(), *days, *pages], shape="common"))
    assert found["66.3.3.3"] == "operator"


def test_a_crawler_is_known_by_what_only_programs_read_and_a_monitor_by_its_agent(analysed) -> None:
    crawler = [
        Request(at(5 + n), "66.249.66.7", "GET", path, 200, 4_000)
        for n, path in enumerate(("/robots.txt", "/shop/item.jsp", "/shop/list.jsp"))
    ]
    monitor = [
        Request(
            at(5 * n), "78.46.1.1", "GET", "/shop/item.jsp", 200, 4_000, "Mozilla/5.0+(compatible; UptimeRobot/2.0)"
        )
        for n in range(50)
    ]
    found = roles(analysed([*crawler, *monitor]))
    assert (found["66.249.66.7"], found["78.46.1.1"]) == ("scanner", "visitor")


def test_the_start_page_is_known_to_all_even_where_a_command_script_answers_there(analysed) -> None:
    brought = [
        Request(at(-30), "203.0.114.9", "GET", "/", 200, 11_000),
        Request(at(0), OPERATOR, "GET", "/manager/html", 200, 19_000, user="admin"),
        Request(at(1), OPERATOR, "POST", "/manager/html/upload", 200, 20_000, user="admin"),
        Request(at(2), OPERATOR, "POST", "/", 200, 16),
    ]
    days = [Request(at(600 + 60 * n + i), v, "POST", "/", 200, 16) for i, v in enumerate(VICTIMS) for n in range(60)]
    look = [Request(at(4_000 * n), "71.3.3.3", "GET", "/", 200, 16) for n in range(1, 5)]
    found = roles(analysed([*brought, *days, *look], shape="common"))
    assert found["71.3.3.3"] == "scanner"
    assert {found[victim] for victim in VICTIMS} == {"implant"}


def test_a_script_copied_by_hand_came_after_its_last_404_and_was_there_when_it_failed(analysed) -> None:
    early = [Request(at(-30), "203.0.114.9", "GET", "/robots.txt", 404, 900)]
    tries = [Request(at(2 + n), "127.0.0.1", "GET", C2, status, 700) for n, status in enumerate((404, 404, 500, 200))]
    case = analysed([*early, *tries, *beacons(method="POST")], shape="common")
    (stone,) = [row for row in case.table("milestones").to_pylist() if row["milestone"] == "c2_deployed"]
    assert (stone["not_before"], stone["time"]) == (at(3), at(4))


def test_a_guess_that_was_right_makes_no_operator_of_the_guesser(analysed) -> None:
    chance, events, guesser = Chance(1), [], "109.7.7.7"
    for number in range(60):
        events += windows.guess(at(number / 20), guesser, MACHINE, chance, user="administrator")
    looked = Stay("Administrator", "ADMIN-PC", 3, [Visit(guesser, at(4), at(4.5))], "guesser")
    worked = Stay("Administrator", "WS-1", 8, [Visit(OPERATOR, at(-5), at(60))], "operator", number=3, logon_id=0x9000)
    looked.logon_id = 0x5000
    for stay in (looked, worked):
        events += windows.session_events(stay, MACHINE, chance, quick=True)
    case = analysed([*deployed(), *beacons()], events)
    row = case.sources.set_index("source_ip").loc[guesser]
    assert (row["role"], row["rdp_sessions"]) == ("scanner", 1)
    assert "success_after_guessing" in row["flags"]
    assert roles(case)[OPERATOR] == "operator"


def test_the_servers_own_browser_acts_for_the_operator_where_no_log_of_rdp_is_in_evidence(analysed) -> None:
    own = [Request(at(2000), "0:0:0:0:0:0:0:1", "GET", f"{C2}?act=list", 200, 900)]
    milestones = analysed([*deployed(), *beacons(method="POST"), *own]).milestones.set_index("milestone")
    assert milestones.loc["last_operator_act", "time"] == at(2000)


def test_a_log_that_only_server_xml_makes_known_tells_the_zone_of_tomcats_own_logs(analysed) -> None:
    agents = [Request(at(n), f"12.0.0.{n}", "GET", "/", 200, 11_000, "zgrab") for n in range(1, 9)]
    milestones = analysed(agents, shape="agent_first").milestones.set_index("milestone")
    assert milestones.loc["tomcat_started", "time"] == at(-20)
