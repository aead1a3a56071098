"""Holes in the logs: each kind by a small case that has it, and by one that looks like it and has it not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from evtx_reading import session
from evtx_writer import Event, Type, write_evtx
from seized import seize
from test_analysis import FIRST, SECOND, at, core, crash, lsm, request, security

import forensics
from forensics.case import Case
from forensics.parsers._rdp import CLASSIC, EVENTLOG, KERNEL
from forensics.text import lasted


def system(provider: str, number: int, minutes: float, *fields: tuple[str, Any], shape: str = "event_data") -> Event:
    kinds = {int: Type.UINT32, str: Type.STRING}
    return Event(
        provider=provider,
        event_id=number,
        time=at(minutes),
        channel="System",
        computer="SRV",
        shape=shape,  # type: ignore[arg-type]
        fields=tuple((name, kinds[type(value)], value) for name, value in fields),
    )


def off(minutes: float) -> Event:
    return system(KERNEL, 13, minutes, ("StopTime", "x"))


def on(minutes: float) -> Event:
    return system(KERNEL, 12, minutes, ("StartTime", "x"))


def connection(minutes: float, address: str = "198.51.100.9") -> Event:
    return core(
        131,
        minutes,
        f"{{F4200000-0000-0000-0000-{int(minutes * 10):012d}}}",
        ConnType="TCP",
        ClientIP=f"{address}:5000",
    )


@pytest.fixture
def case(tmp_path: Path):
    """Analyse event logs, one file a channel, and files of access-log lines by their names."""

    def analysed(events: Iterable[Event] = (), files: dict[str, list[str]] | None = None) -> Case:
        folder = seize(tmp_path / "seized", events, files or {})
        return forensics.analyze(folder, out=tmp_path / "case", workers=1)

    return analysed


def gaps(case: Case, kind: str) -> list[dict[str, Any]]:
    return [row for row in case.table("gaps").to_pylist() if row["kind"] == kind]


def line(minutes: float, offset: str = "+0000", address: str = "192.0.2.7") -> str:
    """Return a line whose text is the local time of `offset`, for a moment in UTC."""
    shift = timedelta(minutes=(-1 if offset[0] == "-" else 1) * (int(offset[1:3]) * 60 + int(offset[3:])))
    return f'{address} - - [{at(minutes) + shift:%d/%b/%Y:%H:%M:%S} {offset}] "GET /a.jsp HTTP/1.1" 200 36'


def test_a_hole_in_the_record_numbers_has_a_row_with_the_events_around_it(tmp_path: Path) -> None:
    kept = [replace(session(n), record_id=n + 1) for n in range(60) if not 20 <= n < 27 and n != 40]
    (tmp_path / "log.evtx").write_bytes(write_evtx(kept))
    case = forensics.analyze(tmp_path / "log.evtx", out=tmp_path / "case", workers=1)
    large, small = sorted(gaps(case, "records_missing"), key=lambda row: -row["count"])
    assert (large["count"], small["count"]) == (7, 1)
    assert large["detail"].startswith("records 21 to 27 (7) are missing")
    assert small["detail"].startswith("record 41 is missing")
    assert (large["since"], large["until"]) == (kept[19].time, kept[20].time)
    assert len(large["locators"].split(";")) == 2
    (said,) = case.findings[case.findings["kind"] == "gaps"]["sentence"]
    assert "2 holes" in said
    assert "records 21 to 27 (7) are missing (log.evtx)" in said


def test_records_between_two_files_of_one_log_stand_in_neither(tmp_path: Path) -> None:
    first = [replace(session(n), record_id=n + 1) for n in range(20)]
    second = [replace(session(n), record_id=n + 1) for n in range(30, 50)]
    folder = tmp_path / "seized"
    folder.mkdir()
    (folder / "Archive.evtx").write_bytes(write_evtx(first))
    (folder / "Live.evtx").write_bytes(write_evtx(second))
    (row,) = gaps(forensics.analyze(folder, out=tmp_path / "case", workers=1), "records_missing")
    assert row["detail"].startswith("records 21 to 30 (10) stand neither in this file nor in E0001")
    assert (row["evidence_id"], row["since"], row["until"]) == ("E0002", first[-1].time, second[0].time)


def test_times_that_step_back_are_told_with_the_largest_step(case) -> None:
    made = case([lsm(21, 0), lsm(24, 30), replace(lsm(25, 5), record_id=3), lsm(23, 20), lsm(21, 19)])
    (row,) = gaps(made, "times_back")
    assert row["count"] == 2
    assert row["detail"].startswith("times go back 2 times, by 1,500 s at most")
    assert (row["since"], row["until"]) == (at(5), at(30))
    assert row["locators"]


def test_threads_that_end_out_of_order_are_no_step_back(case) -> None:
    assert not gaps(case(files={"access_log": [line(1), line(0.5), line(0.2), line(2)]}), "times_back")


def test_a_cleared_log_says_by_whom_and_what_is_still_known_of_before(case) -> None:
    cleared = replace(
        system(
            EVENTLOG,
            104,
            30,
            ("SubjectUserName", "admin"),
            ("SubjectDomainName", "SRV"),
            ("Channel", "Setup"),
            shape="user_data",
        ),
    )
    (row,) = gaps(case([lsm(21, 0), lsm(23, 20), cleared]), "log_cleared")
    assert row["detail"] == "the Setup log was cleared by admin"
    assert (row["since"], row["until"], row["log"]) == (None, at(30), "Setup")
    assert row["cannot_know"] == "what the log held before it was cleared"


def test_a_clock_set_in_two_logs_is_one_change(case) -> None:
    old, new = at(10), at(10 - 300)
    both = [
        system(KERNEL, 1, 10 - 300, ("NewTime", f"{new:%Y-%m-%dT%H:%M:%S.0000000Z}"), ("OldTime", f"{old:%Y-%m-%dT%H:%M:%S.0000000Z}"), ("ProcessName", "C:\\w32tm.exe")),
        security(4616, 10 - 300, SubjectUserName="admin", PreviousTime=f"{old:%Y-%m-%dT%H:%M:%S.0000000Z}", NewTime=f"{new:%Y-%m-%dT%H:%M:%S.0000000Z}"),
    ]  # fmt: skip
    (row,) = gaps(case([lsm(21, 0), *both, lsm(23, 20)]), "clock_changed")
    assert "set back by 5 hours" in row["detail"]
    assert (row["since"], row["until"]) == (old, new)
    assert len(row["locators"].split(";")) == 2
    assert "which came first" in row["cannot_know"]


def test_time_services_correct_the_clock_without_a_word(case) -> None:
    fields = ("NewTime", f"{at(10):%Y-%m-%dT%H:%M:%S.5000000Z}"), ("OldTime", f"{at(10):%Y-%m-%dT%H:%M:%S.0000000Z}")
    assert not gaps(case([lsm(21, 0), system(KERNEL, 1, 10, *fields)]), "clock_changed")


def day(number: float) -> float:
    return number * 24 * 60


def test_summer_time_is_no_change_of_zone_by_hand(case) -> None:
    """START is 18 January 2017; the clocks of Europe went forward on 26 March."""
    lines = [*(line(day(n), "+0100") for n in range(60, 67)), *(line(day(n), "+0200") for n in range(68, 75))]
    made = case(files={"access_log": lines})
    (row,) = gaps(made, "zone_changed")
    assert "from UTC+01:00 to UTC+02:00, as clocks did then in Europe/" in row["detail"]
    assert "gaps" not in set(made.findings["kind"])


def test_a_zone_set_by_hand_is_told_as_such(case) -> None:
    lines = [*(line(day(n), "+0100") for n in range(7)), *(line(day(n), "+0900") for n in range(8, 15))]
    made = case(files={"access_log": lines})
    (row,) = gaps(made, "zone_changed")
    assert "from UTC+01:00 to UTC+09:00, and no place changed its clocks so" in row["detail"]
    assert len(row["locators"].split(";")) == 2
    assert "zone was set anew" not in made.findings.iloc[0]["sentence"]
    assert any("UTC+09:00" in said for said in made.findings[made.findings["kind"] == "gaps"]["sentence"])


def test_windows_own_word_of_its_zone_is_followed(case) -> None:
    zone = [
        system(CLASSIC, 6013, day(n), ("", ""), ("", ""), ("", "86400"), ("", "60"), ("", text), shape="classic")
        for n, text in (
            (0, "-60 W. Europe Standard Time"),
            (1, "-60 W. Europe Standard Time"),
            (2, "-540 Korea Standard Time"),
        )
    ]
    kernel = [
        system(KERNEL, 24, day(n), ("ExitReason", "0"), ("CurrentBias", text)) for n, text in ((0, "-60"), (2, "-540"))
    ]
    made = case([lsm(21, 0), *zone, *kernel])
    details = [row["detail"] for row in gaps(made, "zone_changed")]
    assert any("from UTC+01:00 (W. Europe Standard Time) to UTC+09:00 (Korea Standard Time)" in one for one in details)
    assert any("from UTC+01:00 to UTC+09:00, and no place" in one for one in details)


def hourly(hours: Iterable[int]) -> list[Event]:
    return [connection(60 * hour) for hour in hours]


def test_silence_of_rdp_and_http_together_is_told_with_its_length(case) -> None:
    spoke = [hour for hour in range(72) if not 30 <= hour < 41]
    made = case(hourly(spoke), {"access_log": [line(60 * hour + 20) for hour in spoke]})
    (row,) = gaps(made, "silence")
    assert (row["since"], row["until"]) == (at(29 * 60 + 20), at(41 * 60))
    assert "neither RDP nor HTTP wrote anything for 11 hours 40 minutes" in row["detail"]
    assert "nothing in evidence says why" in row["detail"]
    assert row["confidence"] == "possible"
    assert len(row["locators"].split(";")) == 2


def test_silence_while_the_server_was_off_is_explained(case) -> None:
    spoke = [hour for hour in range(72) if not 30 <= hour < 41]
    made = case([*hourly(spoke), off(30 * 60), on(40 * 60)], {"access_log": [line(60 * hour + 20) for hour in spoke]})
    (row,) = gaps(made, "silence")
    assert "the System log says that the server was off in it" in row["detail"]
    (down,) = gaps(made, "server_off")
    assert down["detail"] == "the server was off for 10 hours"
    assert down["cannot_know"] is None


def test_silence_of_one_kind_of_log_is_none_of_both(case) -> None:
    made = case(hourly(range(72)), {"access_log": [line(60 * hour + 20) for hour in range(72) if not 30 <= hour < 41]})
    assert not gaps(made, "silence")


def test_a_quiet_server_is_not_called_silent(case) -> None:
    spoke = range(0, 240, 9)
    made = case(hourly(spoke), {"access_log": [line(60 * hour + 20) for hour in spoke]})
    assert not gaps(made, "silence")


def test_a_missing_day_of_rotated_logs_has_a_row(case) -> None:
    names = {f"localhost_access_log.{at(day(n)):%Y-%m-%d}.txt": [line(day(n))] for n in (0, 1, 3)}
    (row,) = gaps(case(files=names), "days_missing")
    assert (row["count"], row["since"], row["until"]) == (1, at(day(1)), at(day(3)))
    assert "no file of 2017-01-20 (1 day)" in row["detail"]


def test_the_tail_in_tomcats_buffer_is_lost_at_a_crash_even_in_the_middle_of_a_file(case) -> None:
    lines = [*(line(n) for n in range(10)), *(line(n) for n in range(60, 70))]
    (row,) = gaps(case([lsm(21, 0), crash(30)], {"access_log": lines}), "lines_lost")
    assert (row["since"], row["until"]) == (at(9), at(30))
    assert len(row["locators"].split(";")) == 2
    assert row["cannot_know"] == "the last requests before the crash"


def test_a_clean_stop_loses_no_lines(case) -> None:
    stopped = system(KERNEL, 13, 20, ("StopTime", "x"))
    assert not gaps(case([stopped, crash(30)], {"access_log": [line(n) for n in range(10)]}), "lines_lost")


def test_a_torn_line_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "torn"
    folder.mkdir()
    (folder / "access_log").write_text(f"{line(0)}\n{line(1)}\n{line(2)[:40]}")
    made = forensics.analyze(folder, out=tmp_path / "torn-case", workers=1)
    (row,) = gaps(made, "torn")
    assert row["detail"].startswith("a line is torn")
    assert row["locators"]


def test_an_access_log_that_ends_long_before_the_rest_says_so(case) -> None:
    made = case(hourly(range(96)), {"access_log": [line(60 * hour + 20) for hour in range(24)]})
    (row,) = gaps(made, "ends_early")
    assert row["since"] == at(23 * 60 + 20)
    assert row["detail"].startswith("the Tomcat access log ends 2 days 23 hours 40 minutes before the last event of")
    last_line, last_event = row["locators"].split(";")
    assert last_line.startswith(f"{row['evidence_id']}:")
    assert not last_event.startswith(f"{row['evidence_id']}:")


def coverage(case: Case) -> dict[str, dict[str, Any]]:
    return {(row["label"] or row["log"]).rpartition("/")[2]: row for row in case.table("coverage").to_pylist()}


def test_coverage_says_for_each_log_what_cannot_be_known(case) -> None:
    made = case(
        [replace(lsm(21, 0), record_id=101), security(4624, 0, TargetUserName="a", LogonType=10, IpAddress=FIRST)],
        {"access_log": [line(0)]},
    )
    rows = coverage(made)
    assert (
        "its first record is number 101: 100 records before it were overwritten or cleared" in rows["0.evtx"]["notes"]
    )
    assert "what the log held before 2017-01-18 09:00:00Z" in rows["0.evtx"]["cannot_know"]
    assert "no refused logons (4625)" in rows["1.evtx"]["notes"]
    assert "who was refused a logon" in rows["1.evtx"]["cannot_know"]
    assert rows["access_log"]["notes"] == "no line names a User-Agent"
    assert rows["access_log"]["cannot_know"] == "with which program each client asked"
    assert rows["RDP connections (RdpCoreTS)"]["notes"] == "not in evidence"


def test_a_log_in_which_nothing_stands_that_is_read_has_a_row(case) -> None:
    unwanted = system(KERNEL, 20, 0, ("LastShutdownGood", "true"))
    row = coverage(case([unwanted, replace(lsm(21, 0))]))["0.evtx"]
    assert (row["events"], row["notes"]) == (0, "no event of the kinds that are read stands in it")


def test_a_log_whose_times_are_all_equal_has_no_holes(case) -> None:
    made = case([lsm(21, 0), lsm(22, 0), lsm(23, 0)], {"access_log": [request(0, SECOND)] * 5})
    assert not made.table("gaps").num_rows


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(minutes=61), "1 hour 1 minute"),
        (timedelta(days=2, hours=1), "2 days 1 hour"),
        (timedelta(days=1475, minutes=40), "1,475 days"),
    ],
)
def test_a_span_is_told_in_words(span: timedelta, said: str) -> None:
    assert lasted(span) == said


def test_a_time_of_1601_opens_no_gap_of_centuries(case) -> None:
    old = replace(lsm(21, 0), time=datetime.fromisoformat("1601-01-01T00:00:01+00:00"), record_id=1)
    made = case(
        [old, *(connection(60 * hour) for hour in range(30))],
        {"access_log": [line(60 * hour + 20) for hour in range(30)]},
    )
    assert not gaps(made, "silence")
    assert not gaps(made, "ends_early")


def test_a_legacy_log_is_a_ring_and_is_not_accused_of_holes(tmp_path: Path, samples: Path) -> None:
    """Unwanted records of an .evt come without their numbers, and the newest stand before the oldest in the file."""
    found = sorted(samples.glob("**/*.[eE][vV][tT]"))
    if not found:
        pytest.skip("no legacy log among the samples")
    made = forensics.analyze(*found, out=tmp_path / "case", workers=1)
    assert not gaps(made, "records_missing")
    assert not gaps(made, "times_back")


def test_logs_of_another_host_end_when_they_will(case) -> None:
    other = [replace(connection(60 * hour), computer="OTHER") for hour in range(40, 90)]
    assert not gaps(case([*hourly(range(24)), *other]), "ends_early")


def test_clocks_that_move_by_two_hours_are_no_season(case) -> None:
    lines = [*(line(day(n), "+0000") for n in range(60, 67)), *(line(day(n), "+0200") for n in range(68, 75))]
    (row,) = gaps(case(files={"access_log": lines}), "zone_changed")
    assert "no place changed its clocks so" in row["detail"]
