"""Access-log lines, ordinary and hostile: what each says, by the strict path and the fast one alike."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import parser_runs
import pytest
from access_lines import read
from hypothesis import example, given
from hypothesis import strategies as st

from forensics.errors import UsageError
from forensics.evidence.open import open_span
from forensics.limits import MAX_LINE
from forensics.model import Evidence, Head, Options, Span
from forensics.parsers import _line_batches, _lines, _valve_fast, parsers
from forensics.parsers._valve import NAMED, compile_pattern
from forensics.parsers._valve_split import split, unsplit

TIME = b"[18/Jan/2017:10:03:09 +0100]"
COMMON = b"192.0.2.7 - - " + TIME + b' "GET /a/b.jsp?x=1&y=%20 HTTP/1.1" 200 512'
COMBINED = COMMON + b' "http://a/" "Mozilla/5.0 (x)"'


@pytest.fixture(params=["fast", "slow"])
def path_taken(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def one(tmp_path: Path, path_taken: str):
    """Read one line by either path; returns its event, or its reject with its reason."""

    def reading(line: bytes, pattern: str = "common", end: bytes = b"\n", zone: str = "") -> dict[str, Any]:
        path = tmp_path / "access_log"
        path.write_bytes(line + end)
        events, rejects, _ = read(path, pattern, slow=path_taken == "slow", zone=zone)
        (row,) = events + rejects
        return row

    return reading


def test_every_field_of_a_stock_line_has_its_column(one) -> None:
    row = one(COMMON)
    assert row["time"] == datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)
    assert row["time_original"] == "18/Jan/2017:10:03:09 +0100"
    assert row["time_basis"] == "offset_in_log"
    assert (row["source_ip"], row["source_address"], row["user_name"]) == ("192.0.2.7", "192.0.2.7", None)
    assert (row["http_request_method"], row["url_path"], row["url_query"], row["http_version"]) == (
        "GET",
        "/a/b.jsp",
        "x=1&y=%20",
        "1.1",
    )
    assert (row["http_response_status_code"], row["http_response_bytes"], row["event_outcome"]) == (200, 512, "success")
    assert (row["log_offset"], row["log_length"], row["log_ordinal"]) == (0, len(COMMON) + 1, 1)
    assert row["flags"] is None


def test_combined_adds_referrer_and_agent(one) -> None:
    row = one(COMBINED, "combined")
    assert (row["http_request_referrer"], row["user_agent_original"]) == ("http://a/", "Mozilla/5.0 (x)")


def test_a_dash_is_nothing(one) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "GET / HTTP/1.0" 304 - "-" "-"', "combined")
    assert row["http_response_bytes"] is None
    assert row["http_request_referrer"] is None
    assert row["user_agent_original"] is None


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (b"0:0:0:0:0:0:0:1", "::1"),
        (b"2001:db8:0:0:0:0:0:7", "2001:db8::7"),
        (b"::ffff:192.0.2.7", "192.0.2.7"),
        (b"fe80:0:0:0:1:2:3:4%12", "fe80::1:2:3:4"),
        (b"host.example.org", None),
        (b"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        (b"2001:DB8:1:02:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        (b"0.0.0.0", None),
        (b"192.0.2.777", None),
        (b"-", None),
    ],
)
def test_an_address_has_one_text_however_it_is_written(one, written: bytes, address: str | None) -> None:
    row = one(COMMON.replace(b"192.0.2.7", written))
    assert row["source_ip"] == address
    assert row["source_address"] == (None if written == b"-" else written.decode())


@pytest.mark.parametrize("request_line", [b"-", b"null null null"])
def test_a_request_that_tomcat_never_read_is_an_event_and_says_so(one, request_line: bytes) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "' + request_line + b'" 400 -')
    assert row["flags"] == "dash_request"
    assert row["url_path"] is None


def test_quotes_and_blanks_inside_the_request_line_do_not_end_it(one) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "GET /x" 200 5 "y HTTP/1.1" 404 12')
    assert row["http_response_status_code"] == 404
    assert row["url_path"] == '/x" 200 5 "y'


def test_blanks_in_a_user_name_do_not_move_the_fields(one) -> None:
    row = one(COMMON.replace(b"- - [", b"- CORP\\John Doe jr [", 1))
    assert row["user_name"] == "CORP\\John Doe jr"
    assert row["http_response_status_code"] == 200


def test_a_quote_escaped_by_tomcat_does_not_end_the_user_agent(one) -> None:
    row = one(COMMON + b' "-" "a \\"quoted\\" agent \\\\"', "combined")
    assert row["user_agent_original"] == 'a \\"quoted\\" agent \\\\'
    assert row["flags"] is None


def test_raw_quotes_that_can_be_read_two_ways_are_flagged_and_kept(one) -> None:
    row = one(COMMON + b' "-" "x" 200 5 "-" "evil"', "combined")
    assert row["flags"] == "ambiguous"
    assert row["time"] is not None


def test_tls_and_rdp_bytes_in_a_request_are_kept_with_a_flag(one) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "\x16\x03\x01\x02\x00\xff\xfe Cookie: mstshash=a" 400 -')
    assert "broken_text" in row["flags"]
    assert "\\xff\\xfe" in json.loads(row["unmapped"])["%r"]


def test_windows_line_ends_belong_to_their_line(one) -> None:
    row = one(COMMON, end=b"\r\n")
    assert row["http_response_bytes"] == 512
    assert row["log_length"] == len(COMMON) + 2


def test_a_torn_last_line_that_still_says_all_is_an_event_flagged_torn(one) -> None:
    assert one(COMMON, end=b"")["flags"] == "torn"


def test_a_torn_last_line_that_does_not_is_a_reject(one) -> None:
    assert one(COMMON[:50], end=b"")["reason"] == "torn_line"


@pytest.mark.parametrize("date", [b"31/Feb/2017", b"18/Jan/1969", b"00/Jan/2017", b"18/Foo/2017"])
def test_an_impossible_time_is_a_reject_that_shows_it(one, date: bytes) -> None:
    row = one(COMMON.replace(b"18/Jan/2017", date))
    assert row["reason"] == "bad_time"
    assert date.decode() in row["detail"]


def test_nul_is_data_and_only_a_line_feed_ends_a_line(one) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "GET /a\x00b\rc\x0bd\x1ce\xc2\x85f\xe2\x80\xa8 HTTP/1.1" 200 1')
    assert row["url_path"] == "/a\x00b\rc\x0bd\x1ce\x85f\u2028"


@pytest.mark.parametrize(
    ("pattern", "line", "column", "value"),
    [
        ("%a %t %D", b"192.0.2.7 " + TIME + b" 1234", "unmapped", '{"%D": "1234"}'),
        ("%a %t %T", b"192.0.2.7 " + TIME + b" 0.017", "duration_us", 17_000),
        ("%a %t %{ms}T", b"192.0.2.7 " + TIME + b" 17", "duration_us", 17_000),
        ("%a %t %{us}T", b"192.0.2.7 " + TIME + b" 17", "duration_us", 17),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x?a=b HTTP/1.1", "http_version", "1.1"),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x?a=b HTTP/1.1", "url_path", "/x"),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x?a=b?c HTTP/1.1", "url_query", "a=b?c"),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x?a=b HTTP/1.1", "flags", None),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x HTTP/1.1", "url_query", None),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" GET /x- HTTP/1.1", "flags", "ambiguous"),
        ("%a %t %m %U%q %H", b"192.0.2.7 " + TIME + b" - - -", "url_path", None),
        ("%a %{sec}t.%{msec_frac}t", b"192.0.2.7 1484730189.250", "time", datetime(2017, 1, 18, 9, 3, 9, 250_000, tzinfo=UTC)),
        ("%a %{sec}t.%{msec_frac}t", b"192.0.2.7 1484730189.250", "time_original", "1484730189.250"),
        ("%a %t %{msec_frac}t", b"192.0.2.7 " + TIME + b" 007", "time", datetime(2017, 1, 18, 9, 3, 9, 7_000, tzinfo=UTC)),
        ("%a %t %{begin:msec_frac}t", b"192.0.2.7 " + TIME + b" 007", "unmapped", '{"%{begin:msec_frac}t": "007"}'),
        ("%a %t %{begin}t", b"192.0.2.7 " + TIME + b" " + TIME, "unmapped", '{"%{begin}t": "' + TIME.decode() + '"}'),
        ("%a %t %B %b", b"192.0.2.7 " + TIME + b" 0 -", "http_response_bytes", None),
        ("%a %{begin}t", b"192.0.2.7 " + TIME, "time", datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)),
        ("%v %a %t", b"www.example.org 192.0.2.7 " + TIME, "host_name", "www.example.org"),
        ("%a %t %{X-Forwarded-For}i", b"192.0.2.7 " + TIME + b" 198.51.100.1, 10.0.0.1", "unmapped", '{"%{X-Forwarded-For}i": "198.51.100.1, 10.0.0.1"}'),
        ("%{peer}a %a %t", b"10.0.0.1 192.0.2.7 " + TIME, "source_ip", "10.0.0.1"),
        ("%a %{peer}a %t", b"192.0.2.7 10.0.0.1 " + TIME, "unmapped", '{"%a": "192.0.2.7"}'),
        ("%h %a %t", b"www.example.org 192.0.2.7 " + TIME, "source_ip", "192.0.2.7"),
        ("%a %{yyyy-MM-dd HH:mm:ss.SSS Z}t %s", b"192.0.2.7 2017-01-18 10:03:09.250 +0100 200", "time", datetime(2017, 1, 18, 9, 3, 9, 250_000, tzinfo=UTC)),
        ("%a %{sec}t %s", b"192.0.2.7 1484730189 200", "time", datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)),
        ("%a %{msec}t %s", b"192.0.2.7 1484730189250 200", "time", datetime(2017, 1, 18, 9, 3, 9, 250_000, tzinfo=UTC)),
        ("%t %a ???Z???", TIME + b" 192.0.2.7 ???Z???", "source_ip", "192.0.2.7"),
        ("%t %a 100%%", TIME + b" 192.0.2.7 100%", "source_ip", "192.0.2.7"),
        ('%h "%{Referer}i" %t "%{begin:HH}t"', b'192.0.2.7 "-" ' + TIME + b' "10"', "source_ip", "192.0.2.7"),
    ],
)  # fmt: skip
def test_a_directive_fills_its_column(one, pattern: str, line: bytes, column: str, value: Any) -> None:
    assert one(line, pattern)[column] == value


@pytest.mark.parametrize(("zone", "basis", "hour"), [("Asia/Pyongyang", "zone_given", 1), ("", "zone_assumed", 10)])
def test_a_time_without_offset_is_placed_by_the_given_zone_or_said_to_be_assumed(
    one, zone: str, basis: str, hour: int
) -> None:
    row = one(b"192.0.2.7 2017-01-18 10:33:09", "%a %{yyyy-MM-dd HH:mm:ss}t", zone=zone)
    assert row["time_basis"] == basis
    assert row["time"].hour == hour + (zone != "")
    assert row["time"].minute == (3 if zone else 33)


def test_a_line_of_a_megabyte_and_more_is_a_reject_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(COMMON + b"\n" + b"A" * (MAX_LINE + 1) + b"\n" + COMMON + b"\n")
    events, (reject,), _ = read(path, "common")
    assert len(events) == 2
    assert reject["reason"] == "line_too_long"
    assert reject["log_length"] == MAX_LINE + 2
    assert events[1]["log_ordinal"] == 3


def test_blank_lines_are_skips(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(b"\n \r\n" + COMMON + b"\n\n")
    events, rejects, tally = read(path, "common")
    assert (len(events), len(rejects)) == (1, 0)
    assert tally.records["skip", "blank_line"] == 3


def test_runs_of_empty_lines_are_one_skip_with_the_blank_ones_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(b"\n" * 40 + b" \n\n" + COMMON + b"\n\n\t\n\n")
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    span = Span(evidence, "tomcat_access", 0, evidence.size, 1, (("pattern", "common"),))
    stream = open_span(span)
    (batch,) = parsers()["tomcat_access"].read(span, stream)
    stream.close()
    assert batch.events.column("log_ordinal").to_pylist() == [43]
    places = [(row["log_offset"], row["log_length"], row["records"]) for row in batch.skips.to_pylist()]
    end = 43 + len(COMMON) + 1
    assert places == [(0, 43, 42), (end, 4, 3)]


def test_a_pattern_without_directive_is_refused() -> None:
    with pytest.raises(UsageError, match="no AccessLogValve pattern"):
        compile_pattern("nothing here")


ADDRESSES = st.sampled_from(
    [
        b"192.0.2.7",
        b"0:0:0:0:0:0:0:1",
        b"::1",
        b"-",
        b"h.example",
        b"fe80::1%4",
        b"0.0.0.0",
        b"1:2:3:4:5:6:7:8",
        b"A:2:3:4:5:6:7:8",
    ]
)
TIMES = st.sampled_from(
    [TIME, b"[29/Feb/2016:23:59:59 -1130]", b"[31/Feb/2016:23:59:59 +0000]", b"[18/Jan/2017:24:00:00 +0100]"]
)
NASTY = st.lists(
    st.sampled_from([b'"', b'\\"', b"\\\\", b"\\", b" ", b'" 200 5 "', b'" "', b"GET ", b"/x", b" HTTP/1.1", b"?", TIME, b"\x00", b"\r", b"\xff", b"\xc3\xa9", b"[", b"-", b"'"]),
    max_size=8,
).map(b"".join)  # fmt: skip
TARGETS = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /a.jsp?b=c HTTP/1.0", b"-", b"HEAD  HTTP/1.1", b"DELETE /d HTTP/2.0", b"null null null"]
)
NUMBERS = st.sampled_from([b"200", b"404", b"-", b"0", b"12345678", b"123456789", b"1e3"])


@st.composite
def lines(draw: st.DrawFn, headers: int) -> bytes:
    user = draw(st.one_of(st.sampled_from([b"-", b"admin", b"a b"]), NASTY))
    parts = draw(ADDRESSES) + b" - " + user + b" " + draw(TIMES) + b' "' + draw(st.one_of(TARGETS, NASTY)) + b'" '
    parts += draw(NUMBERS) + b" " + draw(NUMBERS)
    for _ in range(headers):
        parts += b' "' + draw(st.one_of(st.just(b"-"), NASTY)) + b'"'
    return parts.replace(b"\n", b"")


@given(st.data(), st.sampled_from(["common", "combined"]))
def test_the_fast_path_reads_hostile_lines_as_the_strict_one_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, pattern: str
) -> None:
    drawn = data.draw(st.lists(lines(0 if pattern == "common" else 2), min_size=1, max_size=20))
    ends = data.draw(st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=len(drawn), max_size=len(drawn)))
    raw = b"".join(line + end for line, end in zip(drawn, ends, strict=True))
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_bytes(raw if data.draw(st.booleans()) else raw[:-1])
    assert read(path, pattern)[:2] == read(path, pattern, slow=True)[:2]


@given(st.data(), st.integers(100, 900), st.integers(0, 3), st.sampled_from([1, 700, 10**6]))
def test_lines_are_read_alike_whatever_blocks_they_come_in(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: int, few: int, at_once: int
) -> None:
    drawn = data.draw(st.lists(st.one_of(lines(2), st.just(b""), st.just(b"junk")), min_size=1, max_size=30))
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_bytes(b"\n".join(drawn) + data.draw(st.sampled_from([b"", b"\n"])))
    plain = read(path, "combined", slow=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lines, "BLOCK_BYTES", size)
        patch.setattr(_valve_fast, "BLOCK_BYTES", size)
        patch.setattr(_valve_fast, "_FEW", few)
        patch.setattr(_line_batches, "_CALM", few)
        patch.setattr(_valve_fast, "_AT_ONCE", at_once)
        patch.setattr(_valve_fast, "_MANY_LINES", data.draw(st.sampled_from([1, 5, 1000])))
        events, rejects, tally = read(path, "combined")
    assert (events, rejects) == plain[:2]
    assert tally.records == plain[2].records


@given(
    st.one_of(lines(0), lines(2), NASTY),
    st.sampled_from([NAMED["common"], NAMED["combined"], "%U%q %a", '%t "%{x}i" %u %m%U']),
)
@example(b'1.2.3.4 - - [18/Jan/2017:10:03:09 +0100] "" 200 -', NAMED["common"])
def test_a_line_put_together_from_its_fields_is_the_line(line: bytes, text: str) -> None:
    pattern = compile_pattern(text)
    found = split(line, pattern)
    if found is not None:
        assert unsplit(line, pattern, found[0]) == line


@pytest.mark.parametrize("filler", [b'" 200 5 "x" ', b" ", b'"', b"\\", b'\\"', TIME + b' "', b"] "])
def test_the_work_for_a_crafted_line_grows_with_its_length(filler: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in looks at the line, not seconds: doubling the line must not quadruple them."""
    from forensics.parsers import _valve_split

    looks = 0
    places = _valve_split._places

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal looks
        found = places(*arguments, **options)
        looks += len(found) + 1
        return found

    monkeypatch.setattr(_valve_split, "_places", counted)
    seen = []
    for times in (500, 1000, 2000):
        looks = 0
        split(COMMON[:-20] + filler * times + b'" 200 5 "-" "-"', compile_pattern("combined"))
        seen.append(looks)
    assert seen[2] <= 2.2 * seen[1] + 50
    assert seen[1] <= 2.2 * seen[0] + 50


def head(raw: bytes) -> Head:
    return Head("anything.bin", raw, complete=True)


@pytest.mark.parametrize(
    ("raw", "pattern"),
    [
        (COMMON + b"\n", "common"),
        (COMBINED + b"\n", "combined"),
        (b'"-" 400 -\n' + (COMMON + b"\n") * 3, "common"),
        (b"junk\n" * 25 + (COMBINED + b"\n") * 10, "combined"),
        (COMBINED + b" 17\n", NAMED["combined"] + " %D"),
        (b"www.example.org " + COMMON + b"\n", "%v " + NAMED["common"]),
    ],
)
def test_a_log_is_claimed_by_its_lines_and_its_pattern_inferred(raw: bytes, pattern: str) -> None:
    parser = parsers()["tomcat_access"]
    assert parser.claims(head(raw), ()).score >= 50
    settled = parser.settle(head(raw), (), Options())
    assert settled["pattern"] == NAMED.get(pattern, pattern)
    assert settled["pattern_basis"] == "inferred from the lines"


@pytest.mark.parametrize(
    "raw",
    [
        b"18-Jan-2017 10:03:09.123 INFO [main] org.apache.catalina.startup.HostConfig.deployWAR Deploying\n" * 5,
        b"#Software: Microsoft Internet Information Services 10.0\n2017-01-18 10:03:09 GET / - 80\n" * 5,
        b"Jan 18 10:03:09 host sshd[1]: Failed password for root\n" * 5,
        b"",
        bytes(range(256)),
    ],
    ids=["catalina", "IIS", "syslog", "empty", "binary"],
)
def test_what_is_no_access_log_is_not_claimed(raw: bytes) -> None:
    assert parsers()["tomcat_access"].claims(head(raw), ()).score < 20


REAL = {
    "arminm+CaughtUp-Server/tomcat/logs/localhost_access_log.2016-04-13.txt": (8, 0),
    "CQUT+coj/logs/localhost_access_log.2015-09-21.txt": (381, 0),
    "nielsbasjes+logparser/examples/demolog/hackers-access.log": (3456, 0),
    "tstack+lnav/test/logfile_access_log.1": (1, 0),
    "tstack+lnav/test/logfile_shop_access_log.0": (1000, 0),
    "log2timeline+plaso/test_data/jira_access.log": (4, 0),
    "log2timeline+plaso/test_data/confluence_access.log": (3, 0),
    "matomo-org+matomo-log-analytics/tests/logs/common_encoding_big5.log": (1, 0),
    "crowdsecurity+hub/.tests/nginx-http-malformed/nginx_http-logs.log": (12, 0),
    # One line of three lacks the identity and the user: unlike any AccessLogValve line.
    "tstack+lnav/test/logfile_bad_access_log.0": (2, 1),
}
"""Real files: events and rejects, each reject explained."""


@pytest.mark.parametrize("name", REAL)
def test_a_real_log_has_its_events_and_no_unexplained_reject(evidence_dir: Path, name: str) -> None:
    path = evidence_dir / name
    raw = path.read_bytes()
    pattern = parsers()["tomcat_access"].settle(
        Head(path.name, raw[:65536], complete=len(raw) <= 65536), (), Options()
    )["pattern"]
    events, rejects, tally = read(path, pattern)
    assert (len(events), len(rejects)) == REAL[name]
    assert sum(tally.bytes.values()) == len(raw)
    # Jira's and Confluence's pattern has no quotes around referrer and agent: each of its lines can be cut in many ways.
    unquoted = "jira" in name or "confluence" in name
    assert unquoted or "malformed" in name or not any("ambiguous" in (row["flags"] or "") for row in events)


@given(st.one_of(lines(0), lines(2)), st.sampled_from([NAMED["common"], NAMED["combined"]]))
def test_the_short_way_cuts_a_line_as_the_long_way_does(line: bytes, text: str) -> None:
    from forensics.parsers import _valve_split

    pattern = compile_pattern(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_valve_split, "_plain", lambda _pattern: None)
        long_way = split(line, pattern)
    assert split(line, pattern) == long_way


PROXIED = f'{NAMED["common"]} "%{{X-Forwarded-For}}i" "%{{Forwarded}}i"'


@pytest.mark.parametrize(
    ("peer", "claims", "source", "flags"),
    [
        (b"10.0.0.1", b' "6.6.6.6, 198.51.100.7" "-"', "198.51.100.7", "claimed_source"),
        (b"10.0.0.1", b' "-" "for=\\"[2001:db8::7]:99\\""', "2001:db8::7", "claimed_source"),
        (b"10.0.0.1", b' "198.51.100.7" "for=198.51.100.8"', "10.0.0.1", "claims_differ"),
        (b"10.0.0.1", b' "-" "-"', "10.0.0.1", None),
        (b"10.0.0.1", b' "10.0.0.2, 10.0.0.3" "-"', "10.0.0.1", None),
        (b"192.0.2.7", b' "198.51.100.7" "-"', "192.0.2.7", None),
    ],
)
def test_a_proxys_word_counts_only_if_its_network_is_trusted(
    tmp_path: Path, peer: bytes, claims: bytes, source: str, flags: str | None
) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(COMMON.replace(b"192.0.2.7", peer) + claims + b"\n")
    settings = {"pattern": PROXIED, "trusted_proxies": "10.0.0.0/8"}
    (row,), _, _ = parser_runs.read("tomcat_access", path, settings=settings)
    assert (row["source_ip"], row["flags"]) == (source, flags)
    assert json.loads(row["unmapped"] or "{}").get("peer_ip") == ("10.0.0.1" if flags == "claimed_source" else None)
    (row,), _, _ = parser_runs.read("tomcat_access", path, settings={"pattern": PROXIED})
    assert (row["source_ip"], row["flags"]) == (peer.decode(), None)


def test_what_tomcat_was_told_beside_the_peer_is_a_claim(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(b"198.51.100.7 10.0.0.1 " + TIME + b"\n")
    for trusted, source in (("10.0.0.0/8", "198.51.100.7"), ("", "10.0.0.1"), ("192.0.2.0/24", "10.0.0.1")):
        settings = {"pattern": "%a %{peer}a %t", "trusted_proxies": trusted}
        (row,), _, _ = parser_runs.read("tomcat_access", path, settings=settings)
        assert row["source_ip"] == source


@pytest.mark.parametrize(
    ("request_line", "method", "path", "query", "version"),
    [
        (b"GET - HTTP/1.1", "GET", None, None, "1.1"),
        (b"GET -?x HTTP/1.1", "GET", None, "x", "1.1"),
        (b"GET -x HTTP/1.1", "GET", "-x", None, "1.1"),
        (b"GET /old ", "GET", "/old", None, None),
        (b"GET /d null", "GET", "/d", None, None),
        (b"GET /? HTTP/1.1", "GET", "/", "", "1.1"),
    ],
)
def test_what_tomcat_writes_of_a_request_it_could_not_read_is_no_path_and_no_version(
    one, request_line: bytes, method: str, path: str | None, query: str | None, version: str | None
) -> None:
    row = one(b"192.0.2.7 - - " + TIME + b' "' + request_line + b'" 400 5')
    assert (row["http_request_method"], row["url_path"], row["url_query"], row["http_version"]) == (
        method,
        path,
        query,
        version,
    )
