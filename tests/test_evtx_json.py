"""Windows events exported as JSON say what their log says; a broken object costs itself alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from evtx_reading import read, session
from evtx_writer import write_evtx
from export_reading import rows_of, through
from export_writers import dump, evtxecmd_json, jsonl, told, winlogbeat
from hypothesis import given
from hypothesis import strategies as st
from test_evtx_xml import comparable, sample_logs

from forensics.model import Head, Options
from forensics.parsers import parsers
from forensics.parsers._rdp import LSM, RCM, SECURITY

PARSER = parsers()["evtx_json"]
EVIDENCE = Path(__file__).resolve().parents[2] / "shared" / "evidence"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


def bare(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in comparable(row).items() if name not in {"time_original", *names}}


@pytest.mark.parametrize("path", sample_logs(), ids=lambda p: p.name[-40:])
@pytest.mark.parametrize("separate", [False, True])
def test_evtx_dump_gives_the_rows_of_the_log(path: Path, separate: bool) -> None:
    got = through(PARSER, jsonl([dump(one, separate=separate) for one in told(path)]).encode())
    assert [bare(row) for row in got.events] == [bare(row) for row in read(path.read_bytes()).events]
    assert not got.rejects


@pytest.mark.parametrize("path", sample_logs(), ids=lambda p: p.name[-40:])
def test_evtxecmd_gives_the_rows_of_the_log_but_for_the_activity(path: Path) -> None:
    got = through(PARSER, jsonl([evtxecmd_json(one) for one in told(path)]).encode("utf-8-sig"))
    expected = [bare(row, "activity_id") for row in read(path.read_bytes()).events]
    assert [bare(row, "activity_id") for row in got.events] == expected
    assert not got.rejects


@pytest.mark.parametrize("path", sample_logs(), ids=lambda p: p.name[-40:])
@pytest.mark.parametrize("old", [False, True])
def test_winlogbeat_gives_the_columns_of_the_log_to_the_millisecond(path: Path, old: bool) -> None:
    got = through(PARSER, jsonl([winlogbeat(one, old=old) for one in told(path)]).encode())
    for row, logged in zip(got.events, read(path.read_bytes()).events, strict=True):
        assert row["time"] == logged["time"].replace(microsecond=logged["time"].microsecond // 1000 * 1000)
        rest = {"time", "unmapped", "flags", "activity_id"}
        assert bare(row, *rest) == bare(logged, *rest)
    assert not got.rejects


def logged(count: int, folder: Path) -> list[dict[str, Any]]:
    path = folder / "a.evtx"
    path.write_bytes(write_evtx([session(n) for n in range(count)]))
    return [dump(one) for one in told(path)]


LAYOUTS = {
    "lines": jsonl,
    "records": lambda ones: "".join(f"Record {n}\n{json.dumps(one, indent=2)}\n" for n, one in enumerate(ones, 1)),
    "array": lambda ones: json.dumps(ones, indent=2),
    "array of lines": lambda ones: "[\n" + ",\n".join(json.dumps(one) for one in ones) + "\n]\n",
    "leading commas": lambda ones: "[" + "\n,".join(json.dumps(one) for one in ones) + "\n]",
    "array on one line": json.dumps,
    "array on one line, tight": lambda ones: json.dumps(ones, separators=(",", ":")) + "\r\n",
    "array of objects that share lines": lambda ones: (
        json.dumps(ones, indent=2, separators=(" ,", " : "))
        .replace("[\n  {", "[ {")
        .replace("} ,\n  {", "}, {")
        .replace("}\n]", "} ]")
    ),
    "objects behind each other": lambda ones: "".join(json.dumps(one) for one in ones),
    "array of some objects a line": lambda ones: json.dumps(ones[:4])[:-1] + ",\n" + json.dumps(ones[4:])[1:] + "\n",
    "arrays behind each other": lambda ones: json.dumps(ones[:3]) + json.dumps(ones[3:]),
    "lines of Windows": lambda ones: jsonl(ones).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_layout_and_encoding_gives_the_same_rows(layout: str, encoding: str, tmp_path: Path) -> None:
    raw = LAYOUTS[layout](logged(6, tmp_path)).encode(encoding)
    assert PARSER.claims(Head("x.json", raw[:65536], complete=True), ()).score == 95
    got = through(PARSER, raw)
    assert [row["source_ip"] for row in got.events] == [f"192.0.2.{n}" for n in range(6)]
    assert not got.rejects


NXLOG: dict[str, Any] = {
    "EventTime": "2020-09-22 04:38:02",
    "EventReceivedTime": "2020-09-22 04:38:04",
    "@timestamp": "2020-09-22T08:38:04.681Z",
    "Hostname": "C2",
    "EventID": 25,
    "SourceName": LSM,
    "Channel": f"{LSM}/Operational",
    "RecordNumber": 226,
    "AccountName": "SYSTEM",
    "Domain": "NT AUTHORITY",
    "Message": "Remote Desktop Services: Session reconnection succeeded:\r\n\r\nUser: C2\\op\r\nSession ID: 2\r\n"
    "Source Network Address: 192.0.2.9",
}


def test_nxlog_has_sessions_as_messages_and_its_clock_beside_utc() -> None:
    (row,) = through(PARSER, jsonl([NXLOG]).encode()).events
    assert (row["source_ip"], row["user_name"], row["session_id"]) == ("192.0.2.9", "op", 2)
    assert (row["time"].hour, row["time_basis"], row["flags"]) == (8, "zone_from_evidence", "from_message")
    assert "SYSTEM" not in row["unmapped"]


@pytest.mark.parametrize(
    ("more", "zone", "hour", "basis"),
    [
        ({"@timestamp": None}, "", 4, "zone_assumed"),
        ({"EventReceivedTime": "2020-09-22 04:21:04"}, "", 4, "zone_assumed"),
        ({}, "Asia/Pyongyang", 19, "zone_given"),
        ({"EventTime": "2020-09-22T04:38:02.123456-04:00"}, "", 8, "offset_in_log"),
    ],
)
def test_a_local_time_of_nxlog_is_marked_and_not_guessed(
    more: dict[str, Any], zone: str, hour: int, basis: str
) -> None:
    (row,) = through(PARSER, jsonl([NXLOG | more]).encode(), zone=zone).events
    assert (row["time"].hour, row["time_basis"]) == (hour, basis)


def test_elasticsearch_gives_events_in_an_envelope() -> None:
    log = {"provider_name": SECURITY, "event_id": 4778, "record_id": 7, "computer_name": "C2", "channel": "Security"}
    data = {"AccountName": "op", "ClientName": "WS", "ClientAddress": "192.0.2.9"}
    whole = {"_index": "x", "_source": {"@timestamp": "2017-01-18T12:00:00.123Z", "winlog": log | {"event_data": data}}}
    (row,) = through(PARSER, jsonl([whole]).encode()).events
    assert (row["client_name"], row["source_ip"], row["event_sequence"]) == ("WS", "192.0.2.9", 7)


GOOD = jsonl([NXLOG])


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        ("192.0.2.1 - - [x] GET /\n" * 25, "not_an_event"),
        ('{"EventID":25,"SourceName":"x\n', "truncated_event"),
        ('{"EventID":25,}\n', "malformed_event"),
        ('{"a":' * 3000 + "1" + "}" * 3000 + "\n", "malformed_event"),
        ('{"Event":' + '{"b":' * 100 + "1" + "}" * 101 + "\n", "malformed_event"),
        ('{"a":1}\n', "malformed_event"),
        ('{"EventID":"x","SourceName":"y"}\n', "malformed_event"),
        (GOOD.replace('"Hostname"', '"EventTime":"2019-01-01 00:00:00","Hostname"'), "repeated_key"),
        (GOOD.replace("2020-09-22 04:38:02", "yesterday"), "bad_time"),
        ("\x00" * 300 + "\n", None),
        (GOOD.replace("C2", "C" * 2_000_000, 1), None),
        ('[{"EventID":25},{"EventID":25}]\n', "malformed_event"),
        ("<Event></Event>\n", "not_an_event"),
    ],
)
def test_a_broken_object_costs_itself_alone(junk: str, reason: str | None) -> None:
    got = through(PARSER, (GOOD + junk + GOOD).encode())
    assert len(got.events) == (3 if reason is None and "{" in junk else 2)
    assert {row["reason"] for row in got.rejects} == ({reason} if reason else set())


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00\\ud800"])
def test_half_a_surrogate_pair_is_a_reject_and_no_crash(text: str) -> None:
    got = through(PARSER, (GOOD + GOOD.replace("192.0.2.9", text)).encode())
    assert len(got.events) + len(got.rejects) == 2


def test_bytes_that_are_no_utf8_are_spelt_out_and_flagged() -> None:
    (row,) = through(PARSER, GOOD.encode().replace(b'"C2"', b'"C\\\\x41\xff"')).events
    assert "broken_text" in row["flags"]
    assert row["host_name"] == "C\\x41\\xff"


def test_an_object_without_an_end_is_given_up_in_bounded_memory() -> None:
    got = through(PARSER, (GOOD + '{"EventID":"' + "x" * 9_000_000 + "\n" + GOOD).encode())
    assert len(got.events) == 2
    assert {row["reason"] for row in got.rejects} == {"event_too_long"}


@pytest.mark.parametrize(
    "text",
    [
        '{"host":"192.0.2.1","time":"[18/Jan/2017:12:00:00 +0000]","request":"GET / HTTP/1.1"}\n',
        "#Software: Microsoft Internet Information Services 8.5\n",
        '{"Event":1}',
        "[1]",
        "",
    ],
)
def test_other_json_is_not_claimed(text: str) -> None:
    assert PARSER.claims(Head("a.json", text.encode(), complete=True), ()).score == 0


REAL = "OTRF+Security-Datasets/datasets/atomic/windows/credential_access/host/rdp_interactive_taskmanager_lsass_dump_2020-09-22043748.json"


@pytest.mark.skipif(not (EVIDENCE / REAL).exists(), reason="no real logs here")
def test_a_real_collection_of_nxlog_shows_its_remote_session() -> None:
    got = through(PARSER, (EVIDENCE / REAL).read_bytes())
    assert not got.rejects
    kinds = Counter((row["event_provider"], row["event_code"]) for row in got.events)
    assert (kinds[LSM, "25"], kinds[LSM, "40"], kinds[RCM, "1149"]) == (1, 1, 1)
    (again,) = (row for row in got.events if row["event_code"] == "25")
    assert (again["source_ip"], again["user_name"], again["time_basis"]) == (
        "1.2.3.4",
        "pgustavo",
        "zone_from_evidence",
    )
    assert again["time"].isoformat() == "2020-09-22T08:38:03+00:00"


PIECES = st.sampled_from(
    [
        GOOD,
        json.dumps(NXLOG, indent=2),
        "Record 1\n",
        "{",
        "}",
        "{}",
        "[",
        "],",
        ",",
        "\n",
        "\r\n",
        "  ",
        '"',
        '"EventID":25',
        '"EventID":1}',
        "\x00",
        "é",
        "\U0001f600",
        "\ufeff",
    ]
)


@given(st.lists(PIECES, max_size=14), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(1, 400))
def test_every_byte_of_any_text_is_accounted_for_however_it_is_cut(
    pieces: list[str], encoding: str, block: int
) -> None:
    raw = "".join(pieces).encode(encoding)
    whole = through(PARSER, raw, encoding=encoding)
    cut = through(PARSER, raw, encoding=encoding, block=block)
    assert rows_of(whole) == rows_of(cut)


def test_each_object_of_an_array_on_one_line_stands_at_its_own_bytes(tmp_path: Path) -> None:
    raw = json.dumps(logged(40, tmp_path)).encode()
    got = through(PARSER, raw)
    assert len(got.events) == 40
    for row in got.events:
        whole = raw[row["log_offset"] : row["log_offset"] + row["log_length"]]
        assert json.loads(whole)["Event"]["System"]["EventRecordID"] == row["event_sequence"]


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_an_array_on_one_line_torn_at_its_end_keeps_what_came_before(cut: int, tmp_path: Path) -> None:
    raw = json.dumps(logged(30, tmp_path)).encode()[:-cut]
    got = through(PARSER, raw)
    assert len(got.events) == 30 - (cut > 1)
    assert [row["reason"] for row in got.rejects] == ["truncated_event"] * (cut > 1)


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        ('{"Event":{"System":}},', "malformed_event"),
        ('{"Event":{"System":{,', "malformed_event"),
        ("\x00\x00,", None),
        ("x,", "not_an_event"),
        ('{"Other":1},', "malformed_event"),
        ("1," * 3000, "not_an_event"),
    ],
)
def test_a_broken_object_of_an_array_on_one_line_costs_itself_alone(
    junk: str, reason: str | None, tmp_path: Path
) -> None:
    one, two = (json.dumps(part)[1:-1] for part in (logged(20, tmp_path), logged(20, tmp_path)))
    got = through(PARSER, f"[{one},{junk}{two}]".encode())
    assert len(got.events) == 40
    assert {row["reason"] for row in got.rejects} <= {reason, "truncated_event", "not_an_event"}


def test_text_of_a_client_forges_no_object_of_an_array(tmp_path: Path) -> None:
    ones = logged(20, tmp_path)
    ones[3]["Event"]["UserData"]["EventXML"]["User"] = '"},{"Event":{"System":{"EventID":21}}},{"x":"'
    got = through(PARSER, json.dumps(ones).encode())
    assert len(got.events) == 20
    assert not got.rejects


def test_a_head_of_hostile_quotes_is_settled_in_linear_time() -> None:
    for text in ('[{"Event":"' + '\\"' * 30_000, "[{" * 30_000, '[{"' + '{"a":' * 10_000, '"' * 60_000):
        PARSER.settle(Head("x", text.encode(), complete=False), (), Options())


def test_long_blanks_between_objects_are_told_in_linear_time() -> None:
    got = through(PARSER, (GOOD + " " * 300_000 + "x\n" + GOOD).encode())
    assert [row["reason"] for row in got.rejects] == ["not_an_event"]


def test_lines_of_braces_behind_an_event_leave_it_alone(tmp_path: Path) -> None:
    got = through(PARSER, jsonl(logged(1, tmp_path)).encode() + (b"{" * 50 + b"\n") * 20)
    assert len(got.events) == 1
