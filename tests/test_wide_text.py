"""Logs saved again in UTF-16 give the rows of the log itself, at the places of the bytes as stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from export_reading import through
from hypothesis import given
from hypothesis import strategies as st

from forensics.evidence.find import find
from forensics.identify import identify
from forensics.limits import MIB
from forensics.model import Head, Parser
from forensics.parsers import parsers

ACCESS = b"".join(
    b'192.0.2.%d - - [18/Jan/2017:12:00:%02d +0900] "GET /index.jsp HTTP/1.1" 200 5%d\r\n' % (n, n, n)
    for n in range(40)
)
W3C = b"#Fields: date time c-ip cs-method cs-uri-stem sc-status\r\n#Version: 2.0\r\n" + b"".join(
    b"2017-01-18 12:00:%02d 192.0.2.%d GET /index.jsp 200\r\n" % (n, n) for n in range(40)
)
JSON = b"".join(
    json.dumps(
        {"host": f"192.0.2.{n}", "logicalUserName": "-", "user": "-", "time": f"[18/Jan/2017:12:00:{n:02d} +0900]"}
        | {"request": "GET / HTTP/1.1", "statusCode": "200", "size": "5"}
    ).encode()
    + b"\n"
    for n in range(40)
)
JULI = b"".join(
    b"18-Jan-2017 12:00:%02d.123 INFO [main] org.apache.catalina.startup.HostConfig.deployWAR Deploying web application "
    b"archive [C:\\t\\webapps\\m%d.war]\r\n\tat x\r\n" % (n, n)
    for n in range(20)
)
LOGS = {"tomcat_access": ACCESS, "tomcat_w3c": W3C, "tomcat_json": JSON, "juli": JULI}
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be"]


def saved(raw: bytes, encoding: str) -> bytes:
    return raw.decode().encode(encoding)


def bare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in {"log_offset", "log_length"}} for row in rows]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", LOGS)
def test_a_log_in_utf_16_gives_the_rows_of_the_log(name: str, encoding: str) -> None:
    parser, raw = parsers()[name], saved(LOGS[name], encoding)
    head = Head("localhost_access_log.txt", raw[:65536], complete=True)
    scores = {other: one.claims(head, ()).score for other, one in parsers().items()}
    assert max(scores, key=lambda one: scores[one]) == name
    plain, wide = through(parser, LOGS[name]), through(parser, raw)
    assert bare(plain.events) == bare(wide.events)
    assert len(wide.events) >= 20
    for row in wide.events:
        order = "utf-16-be" if encoding == "utf-16-be" else "utf-16-le"
        whole = raw[row["log_offset"] : row["log_offset"] + row["log_length"]].decode(order)
        assert whole.endswith("\n")
        assert not whole.startswith(("\n", "\r"))


FIRST = ACCESS.split(b"\n")[0].decode() + "\n"
WORDS = st.sampled_from(["\r\n", "\n", "\r", "é", "\U0001f600", "\x00", "\ufeff", "\u0a0a", "x", FIRST, '"', "\ud800"])


@given(
    st.lists(WORDS, max_size=12),
    st.sampled_from(["utf-16-le", "utf-16-be"]),
    st.binary(max_size=1),
    st.integers(1, 300),
)
def test_every_byte_of_any_wide_text_is_accounted_for_however_it_is_cut(
    words: list[str], encoding: str, tail: bytes, block: int
) -> None:
    parser = parsers()["tomcat_access"]
    raw = (FIRST + "".join(words)).encode(encoding, "surrogatepass") + tail
    whole, cut = (through(parser, raw, text_encoding=encoding, block=size) for size in (0, block))
    assert in_place(whole.events) == in_place(cut.events)
    assert whole.tally == cut.tally
    assert whole.events


def in_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: int(row["log_offset"]))


def test_a_wide_line_without_an_end_is_passed_over_in_bounded_memory() -> None:
    parser: Parser = parsers()["tomcat_access"]
    raw = saved(ACCESS, "utf-16-le") + ("é" * (40 * MIB)).encode("utf-16-le") + b"\n\0" + saved(ACCESS, "utf-16-le")
    got = through(parser, raw)
    assert len(got.events) == 80
    assert [row["reason"] for row in got.rejects] == ["line_too_long"]


def test_wide_text_that_nobody_knows_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("a letter to nobody\r\n" * 9, encoding="utf-16")
    (found,) = identify(find([tmp_path]).evidence)
    assert found.parser is None
    assert "utf-16" in found.claim.why
