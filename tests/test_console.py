"""The screen: no evidence acts on it, nothing is wider than it, rare origins and sessions are unmistakable without colour."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_text import PAYLOADS

from forensics import console
from forensics._timeline_view import lines
from forensics.reports._cells import cell, csv_lines, json_line
from forensics.schemas import SESSIONS, TIMELINE

NOON = datetime(2017, 1, 16, 12, tzinfo=UTC)


def act(**values: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(TIMELINE.names),
        "time": NOON,
        "act": "http_request",
        "message": "GET / → 200",
        "count": 1,
        **values,
    }


def session(**values: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(SESSIONS.names)
    blank |= {
        "session_uid": "S0001",
        "start": NOON,
        "end": NOON + timedelta(hours=2),
        "end_basis": "logoff",
        "source_ips": "51.254.1.2;175.45.178.7",
    }
    return blank | values


def drawn(rows: list[dict[str, Any]], sessions: list[dict[str, Any]], width: int = 100) -> str:
    return "\n".join(line.plain for line in lines(rows, sessions, width))


def test_a_rare_origin_is_marked_in_words() -> None:
    text = drawn([act(source_ip="175.45.178.7", rare_grade="A", country_iso_code="KP")], [])
    assert "!! rare origin A !!" in text
    assert "KP 175.45.178.7" in text


def test_a_session_is_headed_once_with_who_and_until_when() -> None:
    rows = [act(session_uid="S0001", source_ip="51.254.1.2"), act(), act(session_uid="S0001", source_ip="175.45.178.7")]
    text = drawn(rows, [session(user_name="admin", client_name="WS-1", client_zone="+09:00")])
    assert text.count("client WS-1, zone +09:00") == 1
    assert "51.254.1.2 → 175.45.178.7" in text
    assert "12:00:00 → 14:00:00 (logoff)" in text


def test_noise_between_two_acts_is_one_line() -> None:
    noise = [act(act="noise_rdp", count=5, time=NOON - timedelta(days=d)) for d in (3, 2, 1)]
    text = drawn([*noise, act()], [])
    assert text.count("noise") == 1
    assert "15 refused logons" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_screen_and_no_address_is_cut(width: int) -> None:
    address = "2001:db8:1111:2222:3333:4444:5555:6666"
    rows = [
        act(
            source_ip=address,
            message="a long message " * 20,
            rare_grade="A",
            origin_flags="hosting;vpn",
            milestone="c2_deployed",
        )
    ]
    text = drawn(rows, [session(user_name="u" * 30)], width)
    assert address in text.replace("\n", "")
    for line in text.split("\n"):
        assert len(line) <= max(width, len(address) + 22)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "column", ["message", "source_ip", "user_name", "host_name", "origin_flags", "country_iso_code"]
)
def test_no_evidence_acts_on_the_screen(payload: str, column: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [act(**{column: payload}, session_uid="S0001")]
    console.draw_timeline(rows, [session(user_name=payload, client_name=payload, source_ips=payload)])
    console.write_rows(rows, "table", "timeline")
    console.write_rows([session(user_name=payload)], "table", "sessions")
    console.warn(payload)
    out, err = capsys.readouterr()
    text = re.sub(r"\x1b\[[0-9;]*m", "", out + err)
    assert not {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n"}


@pytest.mark.parametrize("payload", [*PAYLOADS, "=1+1", "+1", "-1", "@x", "'x", "\t=1", '"x', "a,b", "a\nb"])
def test_a_csv_cell_is_one_cell_and_no_formula(payload: str) -> None:
    import csv

    raw = b"".join(csv_lines(["a", "b"], [{"a": payload, "b": "end"}])).decode()
    header, (first, last) = list(csv.reader(io.StringIO(raw)))
    assert header == ["a", "b"]
    assert last == "end"
    assert first[:1] not in {"=", "+", "-", "@"}
    assert first.isprintable()


def test_json_lines_lose_nothing() -> None:
    for payload in PAYLOADS:
        if "\ud800" not in payload:
            assert json.loads(json_line({"a": payload, "t": NOON}))["a"] == payload


def test_a_time_is_as_precise_as_the_log_and_no_more() -> None:
    assert cell("time", NOON) == "2017-01-16T12:00:00Z"
    assert cell("time", NOON.replace(microsecond=250_000)) == "2017-01-16T12:00:00.250Z"
    assert cell("time", NOON.replace(microsecond=250_001)) == "2017-01-16T12:00:00.250001Z"


def test_a_column_name_made_of_evidence_is_shown_like_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"\x1b[31mX": 1, "=HYPERLINK(1)": 2}
    console.write_rows([row], "table", "rows")
    assert "\x1b[31m" not in capsys.readouterr().out
    assert b"".join(csv_lines(list(row), [row])).startswith(b'"\\x1b[31mX","\'=HYPERLINK(1)"')


@pytest.mark.parametrize(
    "value",
    [datetime(2017, 1, 1), float("nan"), [NOON], {"a": NOON}, b"x", timedelta(1), __import__("decimal").Decimal("5")],
)
def test_any_value_that_sql_can_give_has_a_text(value: Any) -> None:
    json.loads(json_line({"a": value}))
    assert isinstance(cell("a", value), str)


def test_a_longer_address_is_not_taken_for_the_one_beside_it() -> None:
    text = drawn([act(source_ip="10.0.0.1", message="seen from 10.0.0.1 then from 10.0.0.12")], [])
    assert "seen then from 10.0.0.12" in text


def test_a_narrow_table_leaves_columns_out_and_says_so_and_cuts_no_address(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    rows = [
        {
            "source_ip": "101.96.74.213",
            "role": "implant",
            "country_iso_code": "VN",
            "rare_grade": None,
            "first_seen": NOON,
            "last_seen": NOON,
        }
    ]
    console.write_rows(rows, "table", "sources")
    out, err = capsys.readouterr()
    assert "101.96.74.213" in out
    assert "implant" in out
    assert "left out" in err


def test_an_odd_width_is_no_trouble(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "abc")
    console.draw_timeline([act()], [])
    assert "GET /" in capsys.readouterr().out
