"""Windows events exported as CSV say what their log says as far as the export goes; a broken record costs itself alone."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from evtx_reading import Reading, read, session
from evtx_writer import write_evtx
from export_reading import rows_of, through
from export_writers import EVENTLOG, EVTXECMD, WINEVENT, evtxecmd_csv, powershell_csv, told
from hypothesis import given
from hypothesis import strategies as st
from test_evtx_xml import comparable, sample_logs

from forensics.model import Head
from forensics.parsers import parsers
from forensics.parsers._rdp import LSM, SECURITY

PARSER = parsers()["evtx_csv"]
TYPE = "System.Diagnostics.Eventing.Reader.EventLogRecord"
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


def without_form(row: dict[str, Any]) -> dict[str, Any]:
    """What remains of a row beside the way its time is written, and the activity, which EvtxECmd does not write."""
    return {name: value for name, value in comparable(row).items() if name not in {"time_original", "activity_id"}}


@pytest.mark.parametrize("path", sample_logs(), ids=lambda p: p.name[-40:])
@pytest.mark.parametrize("everywhere", [False, True])
def test_evtxecmd_gives_the_rows_of_the_log(path: Path, everywhere: bool) -> None:
    raw = evtxecmd_csv(told(path), everywhere=everywhere).encode("utf-8-sig")
    got = through(PARSER, raw)
    assert [without_form(row) for row in got.events] == [without_form(row) for row in read(path.read_bytes()).events]
    assert {row["time_basis"] for row in got.events} <= {"utc_by_format"}
    assert not got.rejects


def message(number: int, language: str = "en") -> str:
    words = {
        "en": ("Remote Desktop Services: Session logon succeeded:", "User", "Session ID", "Source Network Address"),
        "de": (
            "Remotedesktopdienste: Sitzungsanmeldung erfolgreich:",
            "Benutzer",
            "Sitzungs-ID",
            "Quellnetzwerkadresse",
        ),
        "ja": (
            "リモート デスクトップ サービス: セッション ログオンに成功しました:",
            "ユーザー",
            "セッション ID",
            "ソース ネットワーク アドレス",
        ),
    }[language]
    return f"{words[0]}\r\n\r\n{words[1]}: C2\\op\r\n{words[2]}: 2\r\n{words[3]}: 192.0.2.{number}"


def winevent(number: int, when: str, **more: str) -> dict[str, str]:
    return {
        "Message": message(number),
        "Id": "21",
        "RecordId": str(number),
        "ProviderName": LSM,
        "LogName": f"{LSM}/Operational",
        "MachineName": "C2",
        "TimeCreated": when,
        "ActivityId": "f4200000-0000-0000-0000-000000000001",
        "Properties": "System.Collections.Generic.IList`1[System.Diagnostics.Eventing.Reader.EventProperty]",
    } | more


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("kind", [TYPE, None])
def test_every_form_of_get_winevent_gives_the_same_rows(encoding: str, delimiter: str, kind: str | None) -> None:
    rows = [winevent(n, f"1/{n + 20}/2017 3:04:05 PM") for n in range(5)]
    raw = powershell_csv(WINEVENT, rows, delimiter=delimiter, kind=kind).encode(encoding)
    assert PARSER.claims(Head("x.csv", raw[:65536], complete=True), ()).score == 95
    got = through(PARSER, raw)
    assert [row["source_ip"] for row in got.events] == [f"192.0.2.{n}" for n in range(5)]
    row = got.events[0]
    assert (row["user_name"], row["user_domain"], row["session_id"]) == ("op", "C2", 2)
    assert (row["time"], row["time_basis"]) == (datetime(2017, 1, 20, 15, 4, 5, tzinfo=UTC), "zone_assumed")
    assert row["time_original"] == "1/20/2017 3:04:05 PM"
    assert row["flags"] == "from_message"
    assert not got.rejects


@pytest.mark.parametrize("language", ["en", "de", "ja"])
def test_session_messages_are_read_in_any_language(language: str) -> None:
    raw = powershell_csv(WINEVENT, [winevent(9, "18.01.2017 12:00:00", Message=message(9, language))]).encode()
    (row,) = through(PARSER, raw).events
    assert (row["source_ip"], row["user_name"], row["session_id"]) == ("192.0.2.9", "op", 2)


TIMES = [
    ("1/18/2017 12:00:00 AM", [], 2017, 1, 18, 0),
    ("18.01.2017 12:00:00", [], 2017, 1, 18, 12),
    ("05.01.2017 12:00:00", [], 2017, 1, 5, 12),
    ("2017/1/5 2:00:00", [], 2017, 1, 5, 2),
    ("2017-01-05 02:00:00", [], 2017, 1, 5, 2),
    ("2017. 1. 5. 오후 2:00:00", [], 2017, 1, 5, 14),
    ("2017/1/5 下午 2:00:00", [], 2017, 1, 5, 14),
    ("5/1/2017 14:00:00", ["18/01/2017 14:00:00"], 2017, 1, 5, 14),
    ("1/5/2017 2:00:00 PM", ["1/18/2017 2:00:00 PM"], 2017, 1, 5, 14),
    ("3/3/2017 2:00:00 PM", [], 2017, 3, 3, 14),
]


@pytest.mark.parametrize(("when", "others", "year", "month", "day", "hour"), TIMES)
def test_a_localised_time_is_read_where_its_order_is_proven(
    when: str, others: list[str], year: int, month: int, day: int, hour: int
) -> None:
    rows = [winevent(1, when), *(winevent(2, other) for other in others)]
    got = through(PARSER, powershell_csv(WINEVENT, rows).encode())
    assert got.events[0]["time"] == datetime(year, month, day, hour, tzinfo=UTC)
    assert got.events[0]["time_original"] == when


@pytest.mark.parametrize("others", [[], ["1/18/2017 2:00:00 PM", "18/1/2017 2:00:00 PM"]])
def test_a_time_of_unproven_order_is_refused_and_kept_as_written(others: list[str]) -> None:
    rows = [winevent(1, "1/5/2017 2:00:00 PM"), *(winevent(2, other) for other in others)]
    got = through(PARSER, powershell_csv(WINEVENT, rows).encode())
    assert [(row["reason"], row["detail"]) for row in got.rejects] == [("date_order_unknown", "1/5/2017 2:00:00 PM")]
    assert len(got.events) == len(others)


def test_a_zone_that_was_given_places_local_times() -> None:
    raw = powershell_csv(WINEVENT, [winevent(1, "18.01.2017 12:00:00")]).encode()
    (row,) = through(PARSER, raw, zone="Asia/Pyongyang").events
    assert (row["time_basis"], row["time"].hour) == ("zone_given", 3)


LOGON = (
    "An account was successfully logged on.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-18\r\n\tAccount Name:\t\tC2$\r\n"
    "\tLogon ID:\t\t0x3E7\r\n\r\nLogon Type:\t\t\t{}\r\n\r\nNew Logon:\r\n\tSecurity ID:\t\tS-1-5-21-1\r\n\tAccount Name:\t\top\r\n"
    "\tAccount Domain:\t\tC2\r\n\tLogon ID:\t\t0xBEEF\r\n\r\nNetwork Information:\r\n\tWorkstation Name:\tWS\r\n"
    "\tSource Network Address:\t192.0.2.7\r\n\tSource Port:\t\t4711\r\n"
)


def test_get_eventlog_gives_logons_by_their_english_message() -> None:
    rows = [
        {
            "EventID": "4624",
            "MachineName": "C2",
            "Index": "77",
            "Message": LOGON.format(kind),
            "Source": SECURITY,
            "TimeGenerated": "18.01.2017 12:00:00",
        }
        for kind in (10, 5)
    ]
    kind = f"System.Diagnostics.EventLogEntry#security/{SECURITY}/4624"
    got = through(PARSER, powershell_csv(EVENTLOG, rows, kind=kind).encode())
    (row,) = got.events
    assert (row["user_name"], row["source_ip"], row["source_port"], row["logon_type"]) == ("op", "192.0.2.7", 4711, 10)
    assert (row["logon_id"], row["event_sequence"], '"channel": "Security"' in row["unmapped"]) == ("0xbeef", 77, True)
    assert got.records["unwanted_logon_type"] == 1


def test_an_unread_message_is_kept_whole_and_flagged() -> None:
    raw = powershell_csv(
        WINEVENT,
        [winevent(1, "18.01.2017 12:00:00", Message="Une ouverture de session", Id="4624", ProviderName=SECURITY)],
    ).encode()
    (row,) = through(PARSER, raw).events
    assert row["flags"] == "message_only"
    assert "Une ouverture de session" in row["unmapped"]


GOOD = winevent(1, "18.01.2017 12:00:00")


def around(junk: str) -> Reading:
    first = powershell_csv(WINEVENT, [GOOD])
    return through(PARSER, (first + junk + first.split("\r\n", 1)[1] * 2).encode())


@pytest.mark.parametrize(
    ("junk", "reason"),
    [
        ("2017-01-18 12:00:00 GET /index.jsp\r\n" * 25, "not_an_event"),
        ('"torn here,"21","\r\n', "malformed_event"),
        ('"a","b"\r\n', "malformed_event"),
        ('"' + "x" * 50_000 + "\r\n", "malformed_event"),
        ("\x00" * 500 + "\r\n", None),
        ('"' + "\x00" * 50 + '"\r\n', "malformed_event"),
        ("{[" * 1000 + "\r\n", "not_an_event"),
        (powershell_csv(EVENTLOG, []), None),
        ("#TYPE " + TYPE + "\r\n", None),
    ],
)
def test_what_does_not_belong_costs_itself_alone(junk: str, reason: str | None) -> None:
    got = around(junk)
    if "EventID" in junk:
        # A header changes what the records behind it must look like.
        assert len(got.events) == 1
        return
    assert len(got.events) == 3
    assert {row["reason"] for row in got.rejects} == ({reason} if reason else set())


def test_text_of_a_client_forges_no_event() -> None:
    forged = powershell_csv(WINEVENT, [winevent(66, "18.01.2017 12:00:00")]).split("\r\n", 1)[1]
    real = winevent(1, "18.01.2017 12:00:00", Message=message(1) + "\r\n" + forged + "\r\n")
    got = through(PARSER, powershell_csv(WINEVENT, [real, GOOD]).encode())
    assert [row["event_sequence"] for row in got.events] == [1, 1]
    assert not got.rejects
    assert "line_inside_quotes" in got.records


def test_an_event_torn_at_the_end_is_one_reject() -> None:
    raw = powershell_csv(WINEVENT, [GOOD] * 3).encode()
    got = through(PARSER, raw[:-200])
    assert len(got.events) == 2
    assert len(got.rejects) == 1


def test_a_record_without_an_end_is_given_up_in_bounded_memory() -> None:
    first = powershell_csv(WINEVENT, [GOOD])
    raw = (first + '"' + "x" * 9_000_000 + "\r\n" + first.split("\r\n", 1)[1]).encode()
    got = through(PARSER, raw)
    assert len(got.events) == 2
    assert {row["reason"] for row in got.rejects} == {"event_too_long"}


@pytest.mark.parametrize("payload", ["{", '{"EventData":' + "[" * 100_000, "[" * 500 + "]" * 500, '"\\ud800"'])
def test_a_broken_payload_is_a_reject_of_its_own(payload: str, tmp_path: Path) -> None:
    path = tmp_path / "a.evtx"
    path.write_bytes(write_evtx([session(n) for n in range(3)]))
    lines = evtxecmd_csv(told(path)).split("\r\n")
    lines[2] = lines[2].split(',"{')[0] + ',"' + payload.replace('"', '""') + '"'
    got = through(PARSER, "\r\n".join(lines).encode())
    assert len(got.events) == 2
    assert [row["reason"] for row in got.rejects] == ["malformed_payload"]


@pytest.mark.parametrize(
    "text",
    [
        "#Software: Microsoft Internet Information Services 8.5\r\n#Fields: date time s-ip cs-method\r\n",
        '192.0.2.1 - - [18/Jan/2017:12:00:00 +0000] "GET / HTTP/1.1" 200 5\n',
        "Id,Name,TimeCreated\r\n1,a,b\r\n",
        '"Id","Name"\r\n',
        "",
        "\xff\xfe",
    ],
)
def test_other_text_is_not_claimed(text: str) -> None:
    assert PARSER.claims(Head("a.csv", text.encode("latin-1"), complete=True), ()).score == 0


HEAD = ",".join(EVTXECMD)
PIECES = st.sampled_from(
    [
        powershell_csv(WINEVENT, [GOOD]).split("\r\n", 1)[1],
        powershell_csv(WINEVENT, []),
        powershell_csv(EVENTLOG, []),
        HEAD + "\r\n",
        "1,1,2017-01-18 12:00:00.0,21,",
        f"1,1,2017-01-18 12:00:00.0,21,Info,{LSM},x,1,1,C2" + "," * 16 + '"{}"\r\n',
        '"',
        '""',
        '","',
        "\r\n",
        "\n",
        "x",
        "\x00",
        "é",
        "\U0001f600",
        "#TYPE a\n",
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


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(1, 90))
def test_every_byte_of_any_bytes_is_accounted_for(tail: bytes, encoding: str, block: int) -> None:
    raw = powershell_csv(WINEVENT, [GOOD]).encode(encoding) + tail
    whole = through(PARSER, raw, encoding=encoding)
    assert rows_of(whole) == rows_of(through(PARSER, raw, encoding=encoding, block=block))
    assert len(whole.events) <= 1


def viewer(
    rows: list[tuple[str, str, str, str]], header: str = "Level,Date and Time,Source,Event ID,Task Category"
) -> str:
    """Rows of (time, source, id, message) as Event Viewer saves them: quotes where they must be, the message without a name."""
    out = io.StringIO()
    for when, source, number, text in rows:
        csv.writer(out, lineterminator="\r\n").writerow(["Information", when, source, number, "Logon", text])
    return header + "\r\n" + out.getvalue()


VIEWED = [("18.01.2017 12:00:00", LSM, "21", message(n)) for n in range(20)]
HEADERS = [
    "Level,Date and Time,Source,Event ID,Task Category",
    "Keywords,Date and Time,Source,Event ID,Task Category",
    "Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie",
    "レベル,日付と時刻,ソース,イベント ID,タスクのカテゴリ",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("header", HEADERS)
def test_what_event_viewer_saved_is_read_in_any_language(header: str, encoding: str) -> None:
    raw = viewer(VIEWED, header).encode(encoding)
    assert PARSER.claims(Head("x.csv", raw[:65536], complete=True), ()).score == 95
    got = through(PARSER, raw)
    assert [row["source_ip"] for row in got.events] == [f"192.0.2.{n}" for n in range(20)]
    row = got.events[0]
    assert (row["user_name"], row["session_id"], row["flags"]) == ("op", 2, "from_message")
    assert (row["time"].hour, row["time_basis"], row["host_name"]) == (12, "zone_assumed", None)
    assert "LocalSessionManager/Operational" in row["unmapped"]
    assert not got.rejects


@pytest.mark.parametrize(
    ("when", "other", "month"),
    [
        ("1/18/2017 3:04:05 PM", "", 1),
        ("19-07-2026 09:58:57", "", 7),
        ("06-07-2026 09:58:57", "19-07-2026 09:58:57", 7),
        ("06-07-2026 09:58:57", "07-19-2026 09:58:57", 6),
        ("2001/02/03 04:05:06", "", 2),
    ],
)
def test_a_time_of_event_viewer_is_read_where_its_order_is_proven(when: str, other: str, month: int) -> None:
    rows = [(when, LSM, "21", message(1)), *([(other, LSM, "21", message(2))] if other else [])]
    assert through(PARSER, viewer(rows).encode()).events[0]["time"].month == month


def test_a_time_in_a_message_proves_no_order() -> None:
    said = message(1) + "\r\n,18/01/2017 12:00:00,"
    got = through(PARSER, viewer([("06-07-2026 09:58:57", LSM, "21", said)]).encode())
    assert [row["reason"] for row in got.rejects] == ["date_order_unknown"]


def test_text_of_a_client_forges_no_row_of_event_viewer() -> None:
    forged = "\r\n".join(viewer(VIEWED[:1]).split("\r\n")[1:]) * 400
    got = through(PARSER, viewer([("18.01.2017 12:00:00", LSM, "21", message(7) + "\r\n" + forged), *VIEWED]).encode())
    # A message of more values than Windows writes is kept as a text.
    assert [row["source_ip"] for row in got.events] == [None, *(f"192.0.2.{n}" for n in range(20))]
    assert not got.rejects


def test_files_of_event_viewer_behind_each_other_are_read() -> None:
    raw = (viewer(VIEWED) + "\r\n" + viewer(VIEWED, HEADERS[2])).encode()
    got = through(PARSER, raw)
    assert (len(got.events), got.records["header"], got.records["blank"]) == (40, 2, 1)
    assert not got.rejects


def as_needed(rows: list[dict[str, str]], columns: list[str], delimiter: str = ",") -> str:
    """Rows as `Export-Csv -UseQuotes AsNeeded` of PowerShell 7 writes them."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n", delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("columns", [WINEVENT, ["TimeCreated", "Id", "ProviderName", "Message"]])
def test_powershell_7_writes_quotes_only_where_they_must_be(columns: list[str], delimiter: str, encoding: str) -> None:
    rows = [winevent(n, "18.01.2017 12:00:00") for n in range(20)]
    rows += [winevent(3, "18.01.2017 12:00:00", Message="a plain sentence", Id="4624", ProviderName=SECURITY)]
    raw = as_needed(rows, columns, delimiter).encode(encoding)
    assert PARSER.claims(Head("x.csv", raw[:65536], complete=True), ()).score == 95
    got = through(PARSER, raw)
    assert [row["source_ip"] for row in got.events] == [f"192.0.2.{n}" for n in range(20)] + [None]
    assert not got.rejects


@pytest.mark.parametrize(
    "junk", ['torn,"', 'a,b,c,"d\r\ne', "2017-01-18 GET /x\r\n" * 30, "\x00" * 300, '"\r\n"\r\n', '"x" y,"\r\n' * 50]
)
def test_a_broken_line_among_lines_costs_itself_alone(junk: str) -> None:
    first = viewer(VIEWED[:2])
    got = through(PARSER, (first + junk + "\r\n" + viewer(VIEWED * 3)).encode())
    assert len(got.events) >= 61
    assert sum(row["records"] for row in got.rejects) <= 102


def test_many_lines_of_one_quote_each_are_read_in_linear_time() -> None:
    raw = (viewer(VIEWED) + 'x,"\n' * 50_000 + viewer(VIEWED)).encode()
    got = through(PARSER, raw)
    assert len(got.events) >= 39
