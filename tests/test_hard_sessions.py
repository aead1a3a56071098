"""Sessions where logs and clocks do not help: the clock set meanwhile, logs cleared meanwhile, numbers used again, one kind of log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from evtx_writer import Event, Type
from seized import seize
from test_analysis import FIRST, SECOND, at, core, logon, lsm, request, security

import forensics
from forensics.case import Case
from forensics.parsers._rdp import EVENTLOG, KERNEL, LSM


@pytest.fixture
def case(tmp_path: Path):
    """Analyse event logs, one file a channel, records in the order given (as a log is written, whatever the clock says)."""

    def analysed(events: Iterable[Event], lines: Iterable[str] = ()) -> Case:
        folder = seize(tmp_path / "seized", events, {"access_log": lines} if lines else {})
        return forensics.analyze(folder, out=tmp_path / "case", workers=1)

    return analysed


def sessions(case: Case) -> list[dict[str, Any]]:
    return case.table("sessions").to_pylist()


def system(provider: str, number: int, minutes: float, shape: str = "event_data", **fields: str) -> Event:
    listed = tuple((name, Type.STRING, value) for name, value in fields.items())
    return Event(
        provider=provider,
        event_id=number,
        time=at(minutes),
        channel="System",
        computer="SRV",
        shape=shape,
        fields=listed,
    )  # type: ignore[arg-type]


def clock(old: float, new: float) -> Event:
    """The clock showed `old`, and `new` from then on."""
    return system(
        KERNEL, 1, new, NewTime=f"{at(new):%Y-%m-%dT%H:%M:%S.0000000Z}", OldTime=f"{at(old):%Y-%m-%dT%H:%M:%S.0000000Z}"
    )


def cleared(minutes: float) -> Event:
    return system(
        EVENTLOG, 104, minutes, "log_file_cleared", SubjectUserName="admin", Channel=f"{LSM}/Operational", BackupPath=""
    )


def test_a_clock_set_back_inside_a_session_splits_it_not(case) -> None:
    made = case(
        [lsm(21, 0), lsm(22, 0.1), clock(10, -110), lsm(24, -60), lsm(23, -55), lsm(21, -40, SECOND), lsm(23, -20)],
        [request(5, FIRST), request(-80, FIRST), request(-10, FIRST)],
    )
    later, first = sessions(made)
    assert (first["start"], first["end"], first["end_basis"]) == (at(0), at(-55), "logoff")
    assert first["duration_s"] == 65 * 60
    assert first["flags"] == "clock_changed"
    assert first["http_requests"] == 2
    assert any(
        "the clock was put back by 2 hours while it was open" in one["sentence"] for one in json.loads(first["because"])
    )
    assert (later["start"], later["end"], later["flags"]) == (at(-40), at(-20), None)


def test_a_clock_set_forward_lengthens_no_session(case) -> None:
    (row,) = sessions(case([lsm(21, 0), clock(10, 3 * 1440), lsm(23, 3 * 1440 + 30)]))
    assert (row["duration_s"], row["flags"]) == (40 * 60, "clock_changed")


def test_records_out_of_order_without_a_set_clock_stay_in_the_order_of_their_times(case) -> None:
    (row,) = sessions(case([lsm(23, 30), lsm(21, 0)]))
    assert (row["start"], row["end"], row["flags"]) == (at(0), at(30), None)


def test_a_session_whose_log_was_cleared_meanwhile_begins_where_security_says(case) -> None:
    off = security(4634, 61, TargetUserName="admin", TargetDomainName="SRV", TargetLogonId="0x5000", LogonType=10)
    (row,) = sessions(case([logon(0), cleared(30), lsm(24, 60), lsm(23, 61), off]))
    assert (row["start"], row["end"], row["start_basis"]) == (at(0), at(61), "logon")
    assert row["flags"] == "log_begins_inside"
    assert row["missing"] == "RCM;RdpCoreTS"


def test_an_earlier_session_of_the_same_account_is_not_the_one_whose_log_was_cleared(case) -> None:
    off = security(4634, 20, TargetUserName="admin", TargetDomainName="SRV", TargetLogonId="0x5000", LogonType=10)
    first, second = sessions(case([logon(0), off, cleared(30), lsm(24, 60), lsm(23, 61)]))
    assert (first["start"], first["end"]) == (at(0), at(20))
    assert second["start_basis"] == "start_not_in_evidence"


def test_a_session_seen_only_after_the_clearing_says_that_its_start_is_gone(case) -> None:
    (row,) = sessions(case([cleared(30), lsm(24, 60), lsm(23, 61)]))
    assert (row["start_basis"], row["confidence"]) == ("start_not_in_evidence", "possible")
    assert row["flags"] == "log_cleared_before;start_not_in_evidence"
    assert any("its logon being not in evidence" in one["sentence"] for one in json.loads(row["because"]))


def test_a_cleared_security_log_leaves_the_session_of_the_other_logs_whole(case) -> None:
    gone = Event(provider=EVENTLOG, event_id=1102, time=at(30), channel="Security", computer="SRV", shape="log_file_cleared", fields=(("SubjectUserName", Type.STRING, "admin"),))  # fmt: skip
    (row,) = sessions(case([lsm(21, 0), lsm(24, 60), lsm(23, 61), gone]))
    assert (row["start"], row["end"], row["missing"]) == (at(0), at(61), "RCM;RdpCoreTS;Security")


def test_a_session_open_when_its_log_was_cleared_says_so(case) -> None:
    (row,) = sessions(case([lsm(21, 0), cleared(30)]))
    assert (row["end"], row["end_basis"], row["duration_s"]) == (None, "log_cleared", None)


def test_a_clean_reboot_ends_a_session_whose_number_is_used_again(case) -> None:
    made = case(
        [
            lsm(21, 0),
            system(KERNEL, 13, 30, StopTime="x"),
            system(KERNEL, 12, 33, StartTime="x"),
            lsm(21, 40, SECOND),
            lsm(23, 50),
        ]
    )
    first, second = sessions(made)
    assert (first["end"], first["end_basis"], first["flags"]) == (at(30), "server_stopped", None)
    assert (second["source_ips"], second["end_basis"]) == (SECOND, "logoff")


def test_a_number_used_again_without_a_system_log_ends_the_first_no_later_than_that(case) -> None:
    first, second = sessions(case([lsm(21, 0), lsm(21, 40, SECOND), lsm(23, 50)]))
    assert (first["end"], first["end_basis"], first["flags"]) == (at(40), "replaced", "end_no_later_than")
    assert second["flags"] is None


def test_connections_of_the_rdp_core_alone_overlap_and_say_what_is_missing(case) -> None:
    one, two = "{F4200000-0000-0000-0000-000000000001}", "{F4200000-0000-0000-0000-000000000002}"
    made = case([
        core(131, 0, one, ConnType="TCP", ClientIP=f"{FIRST}:5000"), core(66, 0.1, one, ConnectionName="RDP-Tcp#0", SessionID=2),
        core(131, 15, two, ConnType="TCP", ClientIP=f"{SECOND}:5000"), core(66, 15.1, two, ConnectionName="RDP-Tcp#1", SessionID=3),
        core(102, 20, one),
    ])  # fmt: skip
    first, second = sessions(made)
    assert (first["end_basis"], second["end_basis"]) == ("connection_ended", "open_at_end_of_evidence")
    assert first["missing"] == second["missing"] == "LSM;RCM;Security"
    assert "overlapping" in first["flags"]
    assert json.loads(first["because"])[0]["sentence"] == f"connection that was given a session from {FIRST}"
