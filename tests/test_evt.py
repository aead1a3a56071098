"""Legacy event logs of Windows 2000 to Server 2003: every record found wherever the ring put it, and sessions from Security alone."""

from __future__ import annotations

import collections
import gzip
import json
import random
import struct
from pathlib import Path

import pytest
from evt_writer import LegacyEvent, record, write_evt
from hypothesis import given, settings
from hypothesis import strategies as st
from legacy import COMPUTER, legacy_events
from parser_runs import Rows, read

import forensics
from forensics import query
from forensics.evidence.ledger import SKIP
from forensics.model import Options
from forensics.packaged import sample_formats
from forensics.parsers._evt_events import LEGACY, logon_id

EVIDENCE = Path(__file__).parents[2] / "shared" / "evidence"
REAL = sorted(EVIDENCE.glob("**/*.[eE][vV][tT]"))
SAMPLE = sample_formats() / "SecEvent.Evt"
EVENTS = legacy_events()


def rows(tmp_path: Path, raw: bytes, *, recover: bool = False) -> tuple[Rows, Rows, dict[str, int]]:
    """Read a log with the ledger on; return events, rejects, and how many records were skipped for each reason."""
    path = tmp_path / "x.Evt"
    path.write_bytes(raw)
    events, rejects, tally = read("evt", path, options=Options(recover=recover))
    return events, rejects, {reason: records for (outcome, reason), records in tally.records.items() if outcome == SKIP}


@pytest.mark.skipif(not REAL, reason="the real evidence files are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_as_many_records_are_found_as_libevt_finds(path: Path, tmp_path: Path) -> None:
    pyevt = pytest.importorskip("pyevt")
    log = pyevt.file()
    log.open(str(path))
    told = collections.Counter((one.source_name, one.event_identifier & 0xFFFF) for one in log.records)
    found, rejects, skips = rows(tmp_path, path.read_bytes())
    events = collections.Counter((row["event_provider"], int(row["event_code"])) for row in found)
    assert events == {key: count for key, count in told.items() if key in LEGACY}
    assert len(found) + skips["unwanted_event"] == log.number_of_records
    assert skips.get("slack", 0) + len(rejects) == log.number_of_recovered_records
    log.close()


def test_libevt_reads_every_record_that_the_writer_wrote() -> None:
    pyevt = pytest.importorskip("pyevt")
    log = pyevt.file()
    log.open(str(SAMPLE))
    found = [(one.source_name, one.event_identifier, tuple(one.strings)) for one in log.records]
    log.close()
    assert found == [(event.source, event.number, event.strings) for event in EVENTS]


def test_a_logon_has_its_account_its_address_and_its_time_in_whole_seconds(tmp_path: Path) -> None:
    (logon,) = (row for row in rows(tmp_path, SAMPLE.read_bytes())[0] if row["event_code"] == "528")
    assert (logon["event_provider"], logon["user_name"], logon["user_domain"], logon["logon_type"]) == (
        "Security", "Administrator", COMPUTER, 10,
    )  # fmt: skip
    assert (logon["source_ip"], logon["source_port"], logon["logon_id"]) == ("198.51.100.20", 3389, "0x3f2a1")
    assert (logon["time_original"], logon["time_basis"]) == ("2009-03-02T08:10:00Z", "unix_utc")


def test_the_two_halves_of_a_logon_id_are_one_number() -> None:
    assert logon_id("(0x0,0x3E7)") == "0x3e7"
    assert logon_id("(0x1,0x2)") == "0x100000002"
    assert logon_id("nonsense, twice") == "nonsense, twice"


def test_source_and_number_decide_together(tmp_path: Path) -> None:
    other = LegacyEvent(EVENTS[0].time, "EventSystem", 528, ("Administrator",))
    events, _, skips = rows(tmp_path, write_evt([other], COMPUTER))
    assert not events
    assert skips["unwanted_event"] == 1


def test_server_2003_alone_makes_a_session_with_both_its_addresses(tmp_path: Path) -> None:
    case = forensics.analyze(SAMPLE, out=tmp_path / "case", workers=1)
    (session,) = query.rows(case, "sessions")
    assert (session["user_name"], session["client_name"], session["source_ips"]) == (
        "Administrator", "SYNTH-CLIENT", "198.51.100.20;203.0.113.7",
    )  # fmt: skip
    assert session["end_basis"] == "logoff_security"
    assert session["duration_s"] == 3000
    roles = {row["source_ip"]: row["role"] for row in query.rows(case, "sources")}
    assert roles == {"192.0.2.66": "scanner", "198.51.100.20": "operator", "203.0.113.7": "operator"}
    (cleared,) = (row for row in query.rows(case, "milestones") if row["milestone"] == "log_cleared")
    assert "Administrator" in cleared["detail"]


def wrapped(events: list[LegacyEvent], cut: int) -> bytes:
    """Return a ring whose last record goes on behind the header, `cut` of its bytes at the end of the file."""
    records = [record(event, number, COMPUTER) for number, event in enumerate(events, 1)]
    whole = write_evt(events, COMPUTER)
    header, last = whole[:48], records[-1]
    rest = last[cut:]
    first = 48 + len(rest) + 0x28
    mark = struct.pack(
        "<10I", 0x28, 0x11111111, 0x22222222, 0x33333333, 0x44444444, first, 48 + len(rest), len(events) + 1, 1, 0x28
    )
    return header + rest + mark + b"".join(records[:-1]) + last[:cut]


@pytest.mark.parametrize("cut", [8, 20, 56, 80])
def test_a_record_that_the_end_of_the_file_cuts_goes_on_behind_the_header(tmp_path: Path, cut: int) -> None:
    found, _, skips = rows(tmp_path, wrapped(EVENTS, cut))
    straight, _, _ = rows(tmp_path, write_evt(EVENTS, COMPUTER))
    for name in ("event_code", "time", "user_name", "source_ip", "unmapped"):
        assert [row[name] for row in found] == [row[name] for row in straight]
    assert set(skips) >= {"wrapped_tail", "end_of_log"}


@pytest.mark.parametrize("block", [1 << 10, 3000, 1 << 13])
@pytest.mark.parametrize("turn", ["straight", "wrapped"])
def test_what_is_live_does_not_hang_on_the_size_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, turn: str
) -> None:
    """A file of several blocks has its end mark in a later one than its first records."""
    events = EVENTS * 3
    if turn == "straight":
        raw = write_evt(events, COMPUTER) + b"".join(record(event, 900, COMPUTER) for event in EVENTS)
    else:
        raw = wrapped(events, 56)
    whole = rows(tmp_path, raw)
    assert whole[2].get("slack", 0) == (len(EVENTS) if turn == "straight" else 0)
    monkeypatch.setattr("forensics.parsers.evt.EVENT_SPAN_BYTES", block)
    assert rows(tmp_path, raw) == whole
    recovered = [row for row in rows(tmp_path, raw, recover=True)[0] if row["flags"] == "recovered"]
    assert len(recovered) == sum(row["event_sequence"] == 900 for row in recovered)


def test_the_header_of_a_closed_log_tells_what_is_live_in_a_compressed_one_of_several_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.Evt.gz"
    monkeypatch.setattr("forensics.parsers.evt.EVENT_SPAN_BYTES", 1024)
    for dirty, live in ((False, len(EVENTS)), (True, 2 * len(EVENTS))):
        old = b"".join(record(event, 900, COMPUTER) for event in EVENTS)
        path.write_bytes(gzip.compress(write_evt(EVENTS, COMPUTER, dirty=dirty) + old))
        assert len(read("evt", path)[0]) == live


def test_two_logs_joined_into_one_file_are_both_live(tmp_path: Path) -> None:
    found, _, skips = rows(tmp_path, write_evt(EVENTS, COMPUTER) * 2)
    assert len(found) == 2 * len(EVENTS)
    assert "slack" not in skips


def test_a_service_whose_start_type_changed_is_a_change_of_its_state(tmp_path: Path) -> None:
    one = LegacyEvent(EVENTS[0].time, "Service Control Manager", 7040, ("Tomcat", "demand start", "auto start"))
    (row,) = rows(tmp_path, write_evt([one], COMPUTER))[0]
    assert row["event_action"] == "service_state"
    assert json.loads(row["unmapped"])["param3"] == "auto start"


def test_a_log_cut_short_loses_the_cut_record_alone(tmp_path: Path) -> None:
    raw = write_evt(EVENTS, COMPUTER)[:-60]
    events, rejects, _ = rows(tmp_path, raw)
    assert [row["reason"] for row in rejects] == ["torn_record"]
    assert len(events) == len(EVENTS) - 1


def test_what_an_older_turn_of_the_ring_left_is_read_when_asked_for_and_flagged(tmp_path: Path) -> None:
    old = record(EVENTS[5], 900, COMPUTER)
    raw = write_evt(EVENTS, COMPUTER) + old
    assert rows(tmp_path, raw)[2]["slack"] == 1
    (recovered,) = (row for row in rows(tmp_path, raw, recover=True)[0] if row["flags"] == "recovered")
    assert recovered["event_sequence"] == 900


@pytest.mark.parametrize("cut", [4, 12, 20, 32, 36])
@pytest.mark.parametrize("block", [1 << 10, 1 << 20])
def test_an_end_mark_that_the_end_of_the_file_cuts_tells_what_is_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int, block: int
) -> None:
    old = record(EVENTS[5], 900, COMPUTER)
    live = b"".join(record(event, number, COMPUTER) for number, event in enumerate(EVENTS, 1))
    first = 48 + 40 - cut + len(old)
    ends = (first, first + len(live), len(EVENTS) + 1, 1, 0x28)
    mark = struct.pack("<10I", 0x28, 0x11111111, 0x22222222, 0x33333333, 0x44444444, *ends)
    raw = write_evt(EVENTS, COMPUTER, dirty=True)[:48] + mark[cut:] + old + live + mark[:cut]
    monkeypatch.setattr("forensics.parsers.evt.EVENT_SPAN_BYTES", block)
    events, _, skips = rows(tmp_path, raw)
    assert len(events) == len(EVENTS)
    assert skips["slack"] == 1


def test_without_a_header_and_with_junk_between_every_record_is_there(tmp_path: Path) -> None:
    records = [record(event, number, COMPUTER) for number, event in enumerate(EVENTS, 1)]
    raw = (b"\0" * 40 + b"junk" * 8).join([b"\xff" * 48, *records])
    events, rejects, _ = rows(tmp_path, raw)
    assert len(events) == len(EVENTS)
    assert not rejects


def test_a_record_of_an_impossible_time_is_a_reject(tmp_path: Path) -> None:
    raw = bytearray(write_evt(EVENTS, COMPUTER))
    raw[48 + 12 : 48 + 16] = bytes(4)
    assert [row["reason"] for row in rows(tmp_path, bytes(raw))[1]] == ["bad_time"]


def test_lone_surrogates_in_a_name_are_spelt_out(tmp_path: Path) -> None:
    raw = write_evt(EVENTS, COMPUTER).replace("test\0".encode("utf-16-le"), b"t\0\x00\xd8s\0t\0\0\0")
    names = {row["user_name"] for row in rows(tmp_path, raw)[0]}
    assert "t\\ud800st" in names


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 32), share=st.sampled_from([1, 5, 60]))
def test_any_damage_is_accounted_for_to_the_byte_and_counted_alike(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: int
) -> None:
    draw = random.Random(seed)
    raw = bytearray(wrapped(EVENTS, 56) if seed & 1 else SAMPLE.read_bytes())
    for _ in range(share):
        at = draw.randrange(len(raw))
        if draw.random() < 0.2:
            raw[at:at] = b"LfLe"[: draw.randint(1, 4)]
        else:
            raw[at] = draw.choice((0, 0xFF, draw.randrange(256)))
    rows(tmp_path_factory.mktemp("evt"), bytes(raw[: draw.randint(1, len(raw))]))
