"""Sessions and roles from whatever logs there are: only one of them, hand-overs, reuse, crashes, noise."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from evtx_writer import Event, Type, write_evtx
from seized import by_time, seize

import forensics
from forensics.case import Case
from forensics.parsers._rdp import CLASSIC, CORE, LSM, RCM, SECURITY

START = datetime(2017, 1, 18, 9, tzinfo=UTC)
FIRST, SECOND, NORTH_KOREAN = "51.254.1.2", "121.128.0.9", "175.45.178.7"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def lsm(number: int, minutes: float, address: str = FIRST, session: int = 2, user: str = "SRV\\admin") -> Event:
    fields: tuple[tuple[str, Type, Any], ...] = (("User", Type.STRING, user), ("SessionID", Type.UINT32, session))
    if number != 23:
        fields = (*fields, ("Address", Type.STRING, address))
    return Event(
        provider=LSM,
        event_id=number,
        time=at(minutes),
        channel=f"{LSM}/Operational",
        computer="SRV",
        shape="event_xml",
        fields=fields,
    )


def security(number: int, minutes: float, **fields: Any) -> Event:
    kinds = {int: Type.UINT32, str: Type.STRING}
    listed = tuple((name, kinds[type(value)], value) for name, value in fields.items())
    return Event(
        provider=SECURITY,
        event_id=number,
        time=at(minutes),
        channel="Security",
        computer="SRV",
        shape="event_data",
        fields=listed,
    )


def logon(minutes: float, address: str = FIRST, logon_id: str = "0x5000", kind: int = 10) -> Event:
    return security(
        4624,
        minutes,
        TargetUserName="admin",
        TargetDomainName="SRV",
        TargetLogonId=logon_id,
        LogonType=kind,
        IpAddress=address,
    )


def refused(minutes: float, address: str) -> Event:
    return security(4625, minutes, TargetUserName="administrator", LogonType=3, IpAddress=address)


def core(number: int, minutes: float, activity: str, **fields: Any) -> Event:
    kinds = {int: Type.UINT32, str: Type.STRING}
    listed = tuple((name, kinds[type(value)], value) for name, value in fields.items())
    return Event(
        provider=CORE,
        event_id=number,
        time=at(minutes),
        activity_id=activity,
        channel=f"{CORE}/Operational",
        computer="SRV",
        shape="event_data",
        fields=listed,
    )


def crash(minutes: float) -> Event:
    fields = (("", Type.STRING, "09:59:00"),)
    return Event(
        provider=CLASSIC,
        event_id=6008,
        time=at(minutes),
        channel="System",
        computer="SRV",
        shape="classic",
        fields=fields,
    )


@pytest.fixture
def case(tmp_path: Path):
    """Analyse event logs, one file a channel, and access-log lines."""

    def analysed(events: Iterable[Event], lines: Iterable[str] = ()) -> Case:
        folder = seize(tmp_path / "seized", by_time(events), {"access_log": lines} if lines else {})
        return forensics.analyze(folder, out=tmp_path / "case", workers=1)

    return analysed


def request(
    minutes: float, address: str, target: str = "/a.jsp", method: str = "GET", status: int = 200, size: str = "36"
) -> str:
    return f'{address} - - [{at(minutes):%d/%b/%Y:%H:%M:%S} +0000] "{method} {target} HTTP/1.1" {status} {size}'


def sessions(case: Case) -> list[dict[str, Any]]:
    return case.table("sessions").to_pylist()


def roles(case: Case) -> dict[str, str]:
    return {row["source_ip"]: row["role"] for row in case.table("sources").to_pylist()}


def test_local_session_manager_alone_makes_a_session_and_says_what_is_missing(case) -> None:
    (row,) = sessions(case([lsm(21, 0), lsm(22, 0.1), lsm(23, 60)]))
    assert (row["start"], row["end"], row["end_basis"]) == (at(0), at(60), "logoff")
    assert row["missing"] == "RCM;RdpCoreTS;Security"
    assert row["confidence"] == "likely"


def test_security_alone_makes_a_session(case) -> None:
    events = [
        logon(0),
        security(4779, 20, AccountName="admin", LogonID="0x5000", ClientName="WS-1", ClientAddress=FIRST),
        security(4778, 25, AccountName="admin", LogonID="0x5000", ClientName="WS-1", ClientAddress=SECOND),
        security(4634, 60, TargetUserName="admin", TargetLogonId="0x5000", LogonType=10),
    ]
    (row,) = sessions(case(events))
    assert row["source_ips"] == f"{FIRST};{SECOND}"
    assert (row["end"], row["end_basis"], row["client_name"]) == (at(60), "logoff_security", "WS-1")
    assert "LSM" in row["missing"]


def test_a_connection_that_only_the_rdp_core_saw_is_a_possible_session(case) -> None:
    guid = "f420dd64-c87e-4e2d-a02e-7d0935770000"
    events = [
        core(131, 0, guid, ConnType="TCP", ClientIP=f"{FIRST}:50000"),
        core(66, 0.1, guid, ConnectionName="RDP-Tcp#1", SessionID=2),
        core(104, 0.1, guid, TimezoneBiasHour="[9]"),
        core(103, 30, guid, ReasonCode=5),
    ]
    (row,) = sessions(case(events))
    assert (row["source_ips"], row["client_zone"], row["confidence"]) == (FIRST, "+09:00", "possible")
    assert row["end_basis"] == "connection_ended"


def test_a_probe_that_reached_no_session_makes_none(case) -> None:
    guid = "f420dd64-c87e-4e2d-a02e-7d0935770000"
    made = case(
        [
            core(131, 0, guid, ConnType="TCP", ClientIP=f"{FIRST}:50000"),
            core(102, 0.1, guid),
            core(103, 0.1, guid, ReasonCode=14),
        ]
    )
    assert not sessions(made)
    assert roles(made)[FIRST] == "scanner"


def test_a_session_taken_up_from_another_address_is_one_session(case) -> None:
    (row,) = sessions(case([lsm(21, 0), lsm(24, 30), lsm(25, 34, SECOND), lsm(23, 90)]))
    assert row["source_ips"] == f"{FIRST};{SECOND}"
    assert row["connections"] == 2
    assert "handed_over" in row["flags"]


def test_a_session_number_used_again_is_another_session(case) -> None:
    first, second = sessions(case([lsm(21, 0), lsm(23, 30), lsm(21, 40, SECOND), lsm(23, 50)]))
    assert (first["source_ips"], second["source_ips"]) == (FIRST, SECOND)


def test_two_sessions_at_once_keep_apart(case) -> None:
    events = [
        lsm(21, 0),
        lsm(21, 5, SECOND, session=3, user="SRV\\other"),
        lsm(23, 20, session=3, user="SRV\\other"),
        lsm(23, 60),
    ]
    first, second = sessions(case(events))
    assert (first["user_name"], first["end"]) == ("admin", at(60))
    assert (second["user_name"], second["end"]) == ("other", at(20))


def test_a_session_that_never_ends_says_so(case) -> None:
    (row,) = sessions(case([lsm(21, 0)]))
    assert (row["end"], row["end_basis"]) == (None, "open_at_end_of_evidence")


def test_a_session_left_and_not_resumed_ends_where_it_was_left(case) -> None:
    (row,) = sessions(case([lsm(21, 0), lsm(24, 30)]))
    assert (row["end"], row["end_basis"]) == (at(30), "disconnected_not_resumed")


def test_a_crash_ends_what_was_open(case) -> None:
    (row,) = sessions(case([lsm(21, 0), crash(45)]))
    assert (row["end_basis"], row["end"]) == ("crash", at(45))
    assert "end_no_later_than" in row["flags"]


def test_a_session_whose_logon_is_gone_starts_where_it_was_taken_up(case) -> None:
    (row,) = sessions(case([lsm(25, 10), lsm(23, 20)]))
    assert row["start_basis"] == "reconnect_without_logon"
    assert row["confidence"] == "possible"


def test_the_console_is_no_rdp_session(case) -> None:
    assert not sessions(case([lsm(21, 0, "LOCAL"), lsm(23, 9, "LOCAL")]))


def reasoned(minutes: float, number: int) -> Event:
    return replace(lsm(40, minutes), fields=(("Session", Type.UINT32, 2), ("Reason", Type.UINT32, number)))


def test_why_a_connection_ended_is_said_in_words(case) -> None:
    (row,) = sessions(
        case([lsm(21, 0), lsm(24, 30), reasoned(30, 5), lsm(25, 30.1, SECOND), lsm(23, 60), reasoned(60, 12)])
    )
    assert [stay["ended"] for stay in json.loads(row["stays"])] == [
        "reason 5: another connection took its place",
        "reason 12: the user logged off",
    ]


def test_a_reason_without_words_is_told_by_its_number(case) -> None:
    (row,) = sessions(case([lsm(21, 0), lsm(24, 30), reasoned(30, 4_000_000_000)]))
    assert "reason 4000000000 of event 40" in row["because"]


def test_a_tunnel_end_is_a_session_with_a_flag(case) -> None:
    one = sessions(case([lsm(21, 0, "::%16777216"), lsm(23, 9)]))
    assert [row["flags"] for row in one] == ["tunnel"]


def test_web_requests_of_the_address_and_of_the_server_itself_belong_to_the_session(case) -> None:
    lines = [request(-5, FIRST), request(5, FIRST), request(6, "127.0.0.1"), request(7, SECOND), request(65, FIRST)]
    (row,) = sessions(case([lsm(21, 0), lsm(23, 60)], lines))
    assert row["http_requests"] == 2


def test_guessing_alone_never_makes_an_operator(case) -> None:
    made = case([refused(i / 10, SECOND) for i in range(200)] + [lsm(21, 60), lsm(23, 70)])
    assert roles(made) == {FIRST: "operator", SECOND: "scanner"}


def test_success_after_guessing_is_an_operator_with_a_warning(case) -> None:
    made = case([*(refused(i / 10, FIRST) for i in range(50)), lsm(21, 60), lsm(23, 70)])
    (row,) = made.table("sources").to_pylist()
    assert (row["role"], row["role_confidence"]) == ("operator", "likely")
    assert "success_after_guessing" in row["flags"]


def implants(count: int) -> list[str]:
    return [request(100 + i + 10 * n, f"203.0.{i}.1", "/x/c.jsp", "POST") for i in range(count) for n in range(30)]


def test_one_north_korean_row_among_thousands_is_on_the_timeline_graded(case) -> None:
    lines = [
        *implants(20),
        request(333, NORTH_KOREAN, "/x/c.jsp"),
        *(request(200 + i / 10, f"198.18.{i % 200}.9", f"/p{i}", status=404) for i in range(3000)),
    ]
    made = case([lsm(21, 0), lsm(23, 60)], lines)
    rows = [r for r in made.table("timeline").to_pylist() if r["rare_grade"] == "A"]
    assert [r["source_ip"] for r in rows] == [NORTH_KOREAN]
    (stone,) = [m for m in made.table("milestones").to_pylist() if m["milestone"] == "rare_origin"]
    assert stone["time"] == at(333)
    assert len(made.table("timeline")) < 200


def test_clients_that_post_by_a_timer_are_implants_and_scanners_are_not(case) -> None:
    lines = [*implants(12), *(request(90 + i, "198.18.0.9", f"/probe{i}", status=404) for i in range(40))]
    found = roles(case([lsm(21, 0), lsm(23, 60)], lines))
    assert {ip for ip, role in found.items() if role == "implant"} == {f"203.0.{i}.1" for i in range(12)}
    assert found["198.18.0.9"] == "scanner"


def test_only_web_logs_still_give_an_answer(tmp_path: Path) -> None:
    (tmp_path / "access_log").write_text("".join(f"{line}\n" for line in implants(5)))
    made = forensics.analyze(tmp_path / "access_log", out=tmp_path / "case", workers=1)
    assert not sessions(made)
    assert set(roles(made).values()) == {"implant"}
    (stone,) = [m for m in made.table("milestones").to_pylist() if m["milestone"] == "first_logon"]
    assert stone["detail"] == "not in evidence"


def test_all_times_equal_is_no_trouble(case) -> None:
    made = case([lsm(21, 0), lsm(24, 0), lsm(25, 0, SECOND), lsm(23, 0)], [request(0, FIRST)] * 50)
    assert len(sessions(made)) == 1


def test_the_order_of_files_and_of_rows_at_one_instant_changes_nothing(tmp_path: Path) -> None:
    listed = [lsm(21, 0), lsm(24, 30), lsm(25, 34, SECOND), lsm(23, 90)]
    tables = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        names = ["a.evtx", "b.evtx"]
        random.Random(seed).shuffle(names)
        for name, part in zip(names, (listed[:2], listed[2:]), strict=True):
            (folder / name).write_bytes(write_evtx(part))
        made = forensics.analyze(folder, out=tmp_path / f"case{seed}", workers=1)
        tables.append([{k: v for k, v in row.items() if k != "because"} for row in sessions(made)])
    assert tables[0] == tables[1]


def boot(minutes: float) -> Event:
    return Event(
        provider=CLASSIC, event_id=6005, time=at(minutes), channel="System", computer="SRV", shape="classic", fields=()
    )


def test_a_crash_ends_a_session_even_when_its_number_is_used_again(case) -> None:
    events = [lsm(21, 0), crash(10), boot(10), lsm(21, 300, SECOND, user="SRV\\other"), lsm(23, 310, user="SRV\\other")]
    first, second = sessions(case(events, [request(100, FIRST)]))
    assert (first["end_basis"], first["end"], first["http_requests"]) == ("crash", at(10), 0)
    assert (second["user_name"], second["end_basis"]) == ("other", "logoff")


def test_a_reconnect_by_another_account_is_another_session(case) -> None:
    first, second = sessions(
        case([lsm(21, 0), lsm(24, 10), lsm(25, 60, SECOND, user="SRV\\other"), lsm(23, 70, user="SRV\\other")])
    )
    assert (first["source_ips"], second["source_ips"]) == (FIRST, SECOND)
    assert second["start_basis"] == "reconnect_without_logon"


def test_the_logon_that_leads_back_into_a_session_starts_none(case) -> None:
    events = [
        logon(0),
        security(4779, 20, AccountName="admin", LogonID="0x5000", ClientName="WS-1", ClientAddress=FIRST),
        logon(25, SECOND, "0x6000"),
        security(4778, 25.05, AccountName="admin", LogonID="0x5000", ClientName="WS-1", ClientAddress=SECOND),
    ]
    (row,) = sessions(case(events))
    assert row["source_ips"] == f"{FIRST};{SECOND}"


def test_a_session_open_to_the_end_keeps_its_web_requests(case) -> None:
    (row,) = sessions(case([lsm(21, 0)], [request(30, FIRST), request(40, "127.0.0.1")]))
    assert row["http_requests"] == 2


def test_a_log_that_begins_inside_a_session_still_shows_it(case) -> None:
    (row,) = sessions(case([lsm(24, 10), lsm(25, 20, SECOND), lsm(23, 30)]))
    assert (row["start_basis"], row["source_ips"]) == ("start_not_in_evidence", f"{FIRST};{SECOND}")
    assert row["confidence"] == "possible"


def test_two_sessions_at_once_say_so(case) -> None:
    events = [lsm(21, 0), lsm(21, 5, SECOND, session=3), lsm(23, 20, session=3), lsm(23, 60)]
    assert all("overlapping" in row["flags"] for row in sessions(case(events)))


def test_one_request_of_a_rare_origin_to_the_command_path_is_an_operators(case) -> None:
    made = case([lsm(21, 0), lsm(23, 60)], [*implants(12), request(700, NORTH_KOREAN, "/x/c.jsp")])
    (row,) = [r for r in made.table("sources").to_pylist() if r["source_ip"] == NORTH_KOREAN]
    assert (row["role"], row["role_confidence"]) == ("operator", "likely")


def test_an_authentication_from_a_rare_origin_as_the_operators_account_is_told(case) -> None:
    params = (("Param1", Type.STRING, "admin"), ("Param2", Type.STRING, "SRV"), ("Param3", Type.STRING, NORTH_KOREAN))
    rcm = Event(
        provider=RCM,
        event_id=1149,
        time=at(-3),
        channel=f"{RCM}/Operational",
        computer="SRV",
        shape="event_xml",
        fields=params,
    )
    made = case([rcm, lsm(21, 0), lsm(23, 60)])
    assert roles(made)[NORTH_KOREAN] == "operator"
    assert [r["message"] for r in made.table("timeline").to_pylist() if r["rare_grade"]] == [
        f"{NORTH_KOREAN} authenticated as SRV\\admin"
    ]
