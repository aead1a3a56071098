"""Which paths are command and control, and which only look like it: forms, logins, interfaces, a few POST requests of insiders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from evtx_writer import write_evtx
from test_analysis import FIRST, lsm, request

import forensics
from forensics.case import Case


def analysed(folder: Path, lines: Iterable[str], *, sessions: bool = True) -> Case:
    folder.mkdir(exist_ok=True)
    if sessions:
        (folder / "lsm.evtx").write_bytes(write_evtx([lsm(21, 0), lsm(23, 300)]))
    (folder / "access_log").write_text("".join(f"{line}\n" for line in lines))
    return forensics.analyze(folder, out=folder.parent / f"case-{folder.name}", workers=1)


def kinds(case: Case) -> dict[str, str]:
    return {row["path"]: row["kind"] for row in case.table("endpoints").to_pylist()}


def people(count: int, start: float = 30) -> list[str]:
    """Return requests of people with browsers who log in to an application, some of them many times."""
    return [
        request(start + 60 * turn + person + step / 10, f"203.0.{person}.7", target, method)
        for person in range(count)
        for turn in range(8)
        for step, (method, target) in enumerate(
            [("GET", "/shop/"), ("GET", "/shop/style.css"), ("POST", "/shop/login.do"), ("GET", "/shop/orders.jsp")]
        )
    ]


def beacons(count: int, start: float = 100, path: str = "/x/c.jsp") -> list[str]:
    return [request(start + i + 10 * n, f"203.1.{i}.1", path, "POST") for i in range(count) for n in range(30)]


OLD = [request(-2000, "198.18.0.1", "/robots.txt", status=404)]


@pytest.mark.parametrize("sessions", [True, False])
def test_the_login_form_of_an_application_is_no_command_path(tmp_path: Path, *, sessions: bool) -> None:
    case = analysed(tmp_path / "seized", people(12), sessions=sessions)
    assert kinds(case)["/shop/login.do"] == "application"
    assert any("No command path in evidence" in row["sentence"] for row in case.table("findings").to_pylist())


def test_a_form_that_the_owner_opened_first_is_no_command_path(tmp_path: Path) -> None:
    lines = [*OLD, request(5, FIRST, "/shop/login.do"), request(6, FIRST, "/shop/login.do", "POST"), *people(12)]
    assert "c2" not in kinds(analysed(tmp_path / "seized", lines)).values()


def test_posts_of_insiders_alone_name_no_command_path(tmp_path: Path) -> None:
    lines = [*OLD, *(request(10 + n, FIRST, "/x/c.jsp", "POST") for n in range(6))]
    case = analysed(tmp_path / "seized", lines)
    assert kinds(case)["/x/c.jsp"] == "application"
    assert {row["role"] for row in case.table("sources").to_pylist() if row["source_ip"] == FIRST} == {"operator"}


def test_one_client_that_keeps_a_timer_after_a_test_here_is_enough(tmp_path: Path) -> None:
    case = analysed(tmp_path / "seized", [*OLD, request(5, FIRST, "/x/c.jsp"), *beacons(1)])
    assert kinds(case)["/x/c.jsp"] == "c2"


def test_a_path_that_implants_only_get_is_found_by_its_timers(tmp_path: Path) -> None:
    lines = [request(100 + i + 10 * n, f"203.1.{i}.1", "/x/t.jsp") for i in range(4) for n in range(30)]
    assert kinds(analysed(tmp_path / "seized", [*OLD, request(5, FIRST, "/x/t.jsp"), *lines]))["/x/t.jsp"] == "c2"


def test_a_command_path_beside_a_busy_application_is_told_from_it(tmp_path: Path) -> None:
    case = analysed(tmp_path / "seized", [*OLD, *people(30, -1500), request(5, "127.0.0.1", "/x/c.jsp"), *beacons(3)])
    assert kinds(case)["/x/c.jsp"] == "c2"
    assert kinds(case)["/shop/login.do"] == "application"


def test_a_probe_of_the_server_itself_by_a_monitor_is_no_command_path(tmp_path: Path) -> None:
    lines = [request(n * 5, "203.0.113.9", "/health") for n in range(200)]
    assert "c2" not in kinds(analysed(tmp_path / "seized", [*OLD, request(-1, FIRST, "/health"), *lines])).values()


def test_a_crawler_is_known_by_its_agent_and_a_plain_library_is_not(tmp_path: Path) -> None:
    def combined(address: str, agent: str) -> str:
        return f'{request(5, address, "/shop/")} "-" "{agent}"'

    lines = [
        combined("198.18.0.1", "Mozilla/5.0 zgrab/0.x"),
        combined("198.18.0.2", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/60.0"),
        combined("198.18.0.3", "curl/7.58.0"),
        combined("198.18.0.4", "zgrab" + "a" * 60_000),
    ] * 2
    case = analysed(tmp_path / "seized", lines, sessions=False)
    roles = {row["source_ip"]: row["role"] for row in case.table("sources").to_pylist()}
    assert roles == {"198.18.0.1": "scanner", "198.18.0.2": "visitor", "198.18.0.3": "visitor", "198.18.0.4": "scanner"}
