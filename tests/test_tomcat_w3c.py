"""W3C lines of both ages, ordinary and hostile: what each says, by the strict path and the fast one alike."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parser_runs import read

from forensics.errors import UsageError
from forensics.evidence import spans as evidence_spans
from forensics.identify import MINIMUM_CLAIM
from forensics.limits import MAX_LINE
from forensics.model import Head, Hint, Options
from forensics.parsers import parsers
from forensics.parsers._w3c import compile_fields

FIELDS = "date time c-ip x-H(remoteUser) cs-method cs-uri-stem cs-uri-query sc-status bytes cs(User-Agent)"
LINE = b'2017-01-18 09:03:09 192.0.2.7 "admin" GET /a/b.jsp x=1&y=%20 200 512 "Mozilla/5.0 (x)"'
NOTHING_TYPED = Options()
MANY = 100
"""Enough lines for the fast path."""


def header(fields: str = FIELDS, software: str = "Apache Tomcat/8.5.6") -> bytes:
    return f"#Fields: {fields}\n#Version: 2.0\n#Software: {software}\n".encode()


def line(agent: bytes = b'"x"', fields: str = "", query: bytes = b"-") -> bytes:
    del fields
    return b"2017-01-18 09:03:09 192.0.2.7 - GET / " + query + b" 200 5 " + agent


@pytest.fixture(params=["fast", "slow"])
def path_taken(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def one(tmp_path: Path, path_taken: str):
    """Read one line, among enough of its kind for the fast path; returns its event, or its reject with its reason."""

    def reading(
        raw: bytes, fields: str = FIELDS, end: bytes = b"\n", options: Options = NOTHING_TYPED
    ) -> dict[str, Any]:
        path = tmp_path / "access_log"
        path.write_bytes(header(fields) + (raw + end) * MANY)
        events, rejects, _ = read("tomcat_w3c", path, slow=path_taken == "slow", options=options)
        assert len(events) + len(rejects) == MANY
        assert not events or not rejects
        return (events + rejects)[0]

    return reading


def test_every_field_has_its_column(one) -> None:
    row = one(LINE)
    assert row["time"] == datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)
    assert (row["time_original"], row["time_basis"]) == ("2017-01-18 09:03:09", "utc_by_format")
    assert (row["source_ip"], row["source_address"], row["user_name"]) == ("192.0.2.7", "192.0.2.7", "admin")
    assert (row["http_request_method"], row["url_path"], row["url_query"]) == ("GET", "/a/b.jsp", "x=1&y=%20")
    assert (row["http_response_status_code"], row["http_response_bytes"], row["event_outcome"]) == (200, 512, "success")
    assert row["user_agent_original"] == "Mozilla/5.0 (x)"
    assert (row["log_offset"], row["log_length"], row["log_ordinal"]) == (len(header()), len(LINE) + 1, 4)
    assert (row["log_format"], row["event_action"], row["flags"]) == ("tomcat_w3c", "http_request", None)


@pytest.mark.parametrize(
    ("written", "agent"),
    [
        (b"-", None),
        (b'""', ""),
        (b'"a b"', "a b"),
        (b'"say ""hi"" twice"', 'say "hi" twice'),
        (b'""""', '"'),
        (b'"it\'s"', "it's"),
        (b'"back\\\\slash \\u00e9"', "back\\\\slash \\u00e9"),
        (b"'Mozilla/4.0 (x)'", "Mozilla/4.0 (x)"),
        (b"'it'\" fine'", "it'\" fine"),
        (b"'ends in '\"'", "ends in '\""),
        (b"'say \"hi\"'", 'say "hi"'),
    ],
)
def test_quotes_of_both_ages_are_taken_off(one, written: bytes, agent: str | None) -> None:
    row = one(line(written))
    assert row["user_agent_original"] == agent
    assert row["flags"] is None


@pytest.mark.parametrize(
    ("fields", "raw", "column", "value"),
    [
        ("c-ip time-taken", b"192.0.2.7 0.017", "duration_us", 17_000),
        ("c-ip time-taken", b"192.0.2.7 3", "duration_us", 3_000_000),
        ("c-ip time-taken-s", b"192.0.2.7 3", "duration_us", 3_000_000),
        ("c-ip time-taken-ms", b"192.0.2.7 17", "duration_us", 17_000),
        ("c-ip time-taken-us", b"192.0.2.7 17", "duration_us", 17),
        ("c-ip time-taken-ns", b"192.0.2.7 32537003", "duration_us", 32_537),
        ("c-ip time-taken-fracsec", b"192.0.2.7 0.032", "duration_us", 32_000),
        ("c-dns c-ip", b"host.example.org 192.0.2.7", "source_ip", "192.0.2.7"),
        ("c-ip s-dns", b"192.0.2.7 www", "host_name", "www"),
        ("c-ip s-ip", b"192.0.2.7 10.0.0.5", "unmapped", '{"s-ip": "10.0.0.5"}'),
        ("c-ip cs-uri", b"192.0.2.7 /a?b=c?d", "url_query", "b=c?d"),
        ("c-ip cs-uri", b"192.0.2.7 -?x", "url_path", None),
        ("c-ip cs-uri-query", b"192.0.2.7 ", "url_query", ""),
        ("c-ip cs-uri-stem", b"192.0.2.7 -", "url_path", None),
        ("c-ip x-H(protocol)", b'192.0.2.7 "HTTP/1.1"', "http_version", "1.1"),
        ("c-ip x-H(protocol)", b'192.0.2.7 ""', "http_version", None),
        ("c-ip cs-method", b"192.0.2.7 null", "http_request_method", None),
        ("c-ip cs(Referer)", b'192.0.2.7 "http://a/"', "http_request_referrer", "http://a/"),
        ("c-ip cs(Cookie) sc(Server)", b'192.0.2.7 "a=b" -', "unmapped", '{"cs(Cookie)": "a=b"}'),
        ("c-ip x-C(a) x-S(u) x-R(r) x-P(p q)", b'192.0.2.7  - "1" "2"', "unmapped", '{"x-P(p q)": "2", "x-R(r)": "1"}'),
        ("c-ip sr-x cached sc-comment sc-status", b"192.0.2.7 - - ? 404", "http_response_status_code", 404),
        ("c-ip\tsc-status", b"192.0.2.7\t404", "http_response_status_code", 404),
        ("c-ip x-threadname", b"192.0.2.7 http-nio-8080-exec-3", "unmapped", '{"x-threadname": "http-nio-8080-exec-3"}'),
        ("time c-ip", b"09:03:09 192.0.2.7", "unmapped", '{"time": "09:03:09"}'),
    ],
)  # fmt: skip
def test_a_field_fills_its_column(one, fields: str, raw: bytes, column: str, value: Any) -> None:
    assert one(raw, fields)[column] == value


def test_lines_end_where_tomcat_did_not_know_a_field(one) -> None:
    row = one(b"2017-01-18 09:03:09 192.0.2.7 ", "date time c-ip cs-nonsense sc-status")
    assert row["source_ip"] == "192.0.2.7"
    assert row["http_response_status_code"] is None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (line() + b" more", "not_access_log"),
        (line(b'"never closed'), "not_access_log"),
        (line(b'"closed" early"'), "not_access_log"),
        (line(query=b"a b"), "not_access_log"),
        (line(query=b"a\tb"), "not_access_log"),
        (line().replace(b" 200 ", b" 2OO "), "not_access_log"),
        (line().replace(b"2017-01-18", b"2017-02-30"), "bad_time"),
        (line().replace(b"09:03:09", b"24:00:00"), "bad_time"),
        (line().replace(b"2017", b"1969"), "bad_time"),
        (b"#Unknown: directive", "not_access_log"),
    ],
)
def test_what_does_not_fit_is_a_reject_with_its_reason(one, raw: bytes, reason: str) -> None:
    assert one(raw)["reason"] == reason


def test_two_cookies_of_one_name_side_by_side_are_flagged_as_ambiguous(one) -> None:
    assert one(b'192.0.2.7 "a""b"', "c-ip x-C(JSESSIONID)")["flags"] == "ambiguous"


def test_broken_text_is_spelt_out_and_flagged(one) -> None:
    row = one(line(b'"caf\xe9"'))
    assert (row["user_agent_original"], row["flags"]) == ("caf\\xe9", "broken_text")


def test_header_lines_are_skips(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(header() + LINE + b"\r\n\n" + header() + LINE + b"\n")
    events, rejects, tally = read("tomcat_w3c", path)
    assert (len(events), rejects) == (2, [])
    assert (tally.records["skip", "header"], tally.records["skip", "blank_line"]) == (6, 1)


def test_fields_that_change_inside_a_file_hold_from_there_on(tmp_path: Path, path_taken: str) -> None:
    path = tmp_path / "access_log"
    short = b"192.0.2.9 404"
    path.write_bytes(header() + (LINE + b"\n") * 80 + header("c-ip sc-status") + (short + b"\n") * 80)
    events, rejects, _ = read("tomcat_w3c", path, slow=path_taken == "slow")
    assert not rejects
    assert [row["source_ip"] for row in events] == ["192.0.2.7"] * 80 + ["192.0.2.9"] * 80


def test_a_span_knows_the_fields_in_force_where_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence_spans, "SPAN_BYTES", 500)
    monkeypatch.setattr(evidence_spans, "MIB", 300)
    path = tmp_path / "access_log"
    parts = [
        header() + (LINE + b"\n") * 30,
        header("c-ip sc-status") + b"192.0.2.9 404\n" * 90,
        header() + LINE + b"\n",
    ]
    path.write_bytes(b"".join(parts))
    events, rejects, tally = read("tomcat_w3c", path)
    assert not rejects
    assert [row["source_ip"] for row in events] == ["192.0.2.7"] * 30 + ["192.0.2.9"] * 90 + ["192.0.2.7"]
    assert tally.records["skip", "header"] == 9


def test_lines_before_any_fields_are_rejects_that_say_so(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(LINE + b"\n" + header() + LINE + b"\n")
    events, (reject,), _ = read("tomcat_w3c", path)
    assert (len(events), reject["reason"]) == (1, "no_fields")


def test_a_target_that_looks_like_a_directive_is_a_request(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(header("cs-uri sc-status") + b"#Fields: 200\n#Fields:date 404\n/x 200\n")
    events, rejects, _ = read("tomcat_w3c", path)
    assert [row["url_path"] for row in events] == ["#Fields:", "#Fields:date", "/x"]
    assert not rejects


def test_a_torn_line_is_an_event_if_it_says_all_and_a_reject_if_not(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(header() + LINE)
    assert read("tomcat_w3c", path)[0][0]["flags"] == "torn"
    path.write_bytes(header() + LINE[:30])
    assert read("tomcat_w3c", path)[1][0]["reason"] == "torn_line"


def test_a_line_of_a_megabyte_and_more_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(
        header() + b"A" * (MAX_LINE + 1) + b"\n" + LINE + b"\n#Fields:" + b"x" * MAX_LINE + b"\n" + LINE + b"\n"
    )
    events, rejects, _ = read("tomcat_w3c", path)
    assert len(events) == 2
    assert [row["reason"] for row in rejects] == ["line_too_long"] * 2


def claim(raw: bytes, name: str = "x/access_log.2017-01-18", hints: tuple[Hint, ...] = ()):
    return parsers()["tomcat_w3c"].claims(Head(name, raw, complete=True), hints)


def test_a_log_is_claimed_by_its_header() -> None:
    assert claim(header() + LINE).score > 90
    assert claim(header(software="nothing to see") + LINE).score >= MINIMUM_CLAIM
    assert "8.5.6" in claim(header() + LINE).why


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time c-ip\n", "IIS"),
        (b"#Fields: date time c-ip\n#Version: 2.0\n#Software: Microsoft HTTP Server API 2.0\n", "IIS"),
        (b"#Fields: date time s-ip cs-method s-port sc-substatus\n#Version: 2.0\n#Software: x\n", "IIS"),
        (b"#Version: 1.0\n#Fields: date time c-ip\n#Software: Incapsula LOGS API\n", ""),
        (b"#Fields: something else\n#Version: 2.0\n#Software: Apache Tomcat/9\n", ""),
        ((LINE + b"\n") * 5, "without its #Fields line"),
        (b"2017-01-18 09:03:09 INFO started\n" * 5, ""),
        (b"", ""),
        (bytes(range(256)), ""),
    ],
)
def test_what_is_not_tomcats_is_not_claimed_and_iis_is_named(raw: bytes, why: str) -> None:
    found = claim(raw)
    assert found.score < MINIMUM_CLAIM
    assert why in found.why
    assert why or not found.why


def test_a_tail_without_header_is_read_by_what_server_xml_says_if_it_fits(tmp_path: Path) -> None:
    path = tmp_path / "access_log.2017-01-18"
    path.write_bytes((LINE + b"\n") * 5)
    fits = Hint("extended_log_fields", FIELDS, "access_log", "conf/server.xml")
    other = Hint("extended_log_fields", "date time c-ip", "access_log", "conf/server.xml")
    assert claim(path.read_bytes(), hints=(other, fits)).score >= MINIMUM_CLAIM
    assert claim(path.read_bytes(), hints=(other,)).score < MINIMUM_CLAIM
    assert claim(path.read_bytes(), "x/elsewhere.log", hints=(fits,)).score < MINIMUM_CLAIM
    assert len(read("tomcat_w3c", path, hints=(other, fits))[0]) == 5


def test_server_xml_says_which_fields_an_extended_valve_writes() -> None:
    raw = b'<Server><Service><Engine><Valve className="org.apache.catalina.valves.ExtendedAccessLogValve" prefix="w3c" pattern="c-ip time"/></Engine></Service></Server>'
    (hint,) = parsers()["server_xml"].hints(Head("server.xml", raw, complete=True))
    assert (hint.kind, hint.value, hint.applies_to) == ("extended_log_fields", "c-ip time", "w3c")


@pytest.mark.parametrize("name", ["tomcat_access", "tomcat_w3c", "tomcat_json"])
def test_iis_and_nginx_logs_are_claimed_by_nobody(evidence_dir: Path, name: str) -> None:
    paths = [
        *evidence_dir.rglob("iis*.log"),
        *evidence_dir.rglob("logfile_w3c.*"),
        *evidence_dir.rglob("nginx_json.log"),
    ]
    assert len(paths) >= 8
    for path in paths:
        raw = path.read_bytes()
        head = Head(path.name, raw[:65536], complete=len(raw) <= 65536)
        assert parsers()[name].claims(head, ()).score < MINIMUM_CLAIM, path


def test_a_real_iis_log_is_told_to_be_one(evidence_dir: Path) -> None:
    paths = [*evidence_dir.rglob("iis*.log")]
    assert paths
    assert all("IIS" in claim(path.read_bytes()[:65536]).why for path in paths)


FORWARDED = "date time c-ip cs-method cs-uri sc-status cs(X-Forwarded-For)"


@pytest.mark.parametrize(
    ("claimed", "source", "flags"),
    [
        (b'"198.51.100.7"', "198.51.100.7", "claimed_source"),
        (b'"6.6.6.6, 198.51.100.7"', "198.51.100.7", "claimed_source"),
        (b'"198.51.100.7, 10.0.0.9"', "198.51.100.7", "claimed_source"),
        (b'"10.0.0.9"', "10.0.0.1", None),
        (b'"198.51.100.7, unknown"', "10.0.0.1", None),
        (b"-", "10.0.0.1", None),
        (b'"rubbish"', "10.0.0.1", None),
    ],
)
def test_a_trusted_proxy_names_the_source(one, claimed: bytes, source: str, flags: str | None) -> None:
    raw = b"2017-01-18 09:03:09 10.0.0.1 GET / 200 " + claimed
    row = one(raw, FORWARDED, options=Options(trusted_proxies=("10.0.0.0/8",)))
    assert (row["source_ip"], row["flags"]) == (source, flags)
    unmapped = json.loads(row["unmapped"] or "{}")
    assert unmapped.get("peer_ip") == ("10.0.0.1" if flags else None)
    assert unmapped.get("cs(X-Forwarded-For)") == (None if claimed == b"-" else claimed.decode().strip('"'))


def test_an_untrusted_peer_is_the_source_whatever_it_says(one) -> None:
    raw = b'2017-01-18 09:03:09 192.0.2.7 GET / 200 "198.51.100.7"'
    for options in (Options(), Options(trusted_proxies=("10.0.0.0/8",))):
        row = one(raw, FORWARDED, options=options)
        assert (row["source_ip"], row["flags"]) == ("192.0.2.7", None)


def test_a_proxy_network_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--trusted-proxy"):
        Options(trusted_proxies=("10.0.0.1/8",))


def test_the_trusted_network_is_typed_and_stands_in_the_manifest(tmp_path: Path) -> None:
    import forensics

    logs = tmp_path / "logs"
    logs.mkdir()
    raw = b'2017-01-18 09:03:09 10.0.0.1 GET /x 200 "198.51.100.7"\n'
    (logs / "w3c.txt").write_bytes(header(FORWARDED) + raw * 5)
    for trusted, source in ((("10.0.0.0/8",), "198.51.100.7"), ((), "10.0.0.1")):
        options = Options(trusted_proxies=trusted)
        case = forensics.analyze(logs, out=tmp_path / "case", options=options, workers=1, force=True)
        assert case.manifest["options"]["trusted_proxies"] == list(trusted)
        assert set(case.frame("events")["source_ip"]) == {source}


def test_the_command_line_hands_the_network_on_and_refuses_what_is_none(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from forensics.cli import app

    (tmp_path / "w3c.txt").write_bytes(header() + LINE + b"\n")
    command = ["analyze", str(tmp_path / "w3c.txt"), "-o", str(tmp_path / "case"), "--trusted-proxy"]
    assert CliRunner().invoke(app, [*command, "10.0.0.0/33"]).exit_code == 2
    assert CliRunner().invoke(app, [*command, "10.0.0.0/8"]).exit_code == 0
    assert '"10.0.0.0/8"' in (tmp_path / "case" / "manifest.json").read_text()


WRAPPED = st.one_of(
    st.sampled_from([b"-", b'""', b'"x"', b"'x y'", b"", b"'a'\"b'", b'"a""b"']),
    st.lists(st.sampled_from([b'"', b"'", b" ", b"x", b"\\", b"-", b"\t", b"\xff", b"\xc3\xa9", b"\r", b"#"]), max_size=6).map(b"".join),
)  # fmt: skip
WORDS = st.sampled_from([b"-", b"", b"/", b"/a?b", b'/"', b"/it's", b"\xc3\xa9", b"\xff", b"null", b"200", b"a b"])
DATES = st.sampled_from(
    [b"2017-01-18 09:03:09", b"2016-02-29 23:59:59", b"2017-02-29 00:00:00", b"2017-1-18 1:2:3", b"-"]
)
NUMBERS = st.sampled_from([b"200", b"404", b"-", b"0", b"123456789012345678", b"1e3", b"99", b"0.017"])
RAW_LINES = st.one_of(
    st.tuples(DATES, st.sampled_from([b"192.0.2.7", b"::1", b"-", b"h/x"]), WRAPPED, st.sampled_from([b"GET", b"null"]), WORDS, WORDS, NUMBERS, NUMBERS, WRAPPED).map(b" ".join),
    st.sampled_from([LINE, b"", b" ", b"#Fields: c-ip sc-status", b"#Fields: " + FIELDS.encode(), b"#Version: 2.0", b"#Fields:", b"192.0.2.7 404", b"#x"]),
)  # fmt: skip


@given(st.lists(RAW_LINES, min_size=1, max_size=30), st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans())
def test_the_fast_path_reads_hostile_lines_as_the_strict_one_does(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[bytes], end: bytes, torn: bool, many: bool
) -> None:
    raw = header() + (end.join(drawn) + end) * (4 if many else 1)
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_bytes(raw[:-1] if torn else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forensics.parsers.tomcat_w3c._FEW", 1)
        fast = read("tomcat_w3c", path)
    assert fast == read("tomcat_w3c", path, slow=True)


@given(st.text(max_size=60))
def test_any_text_behind_fields_compiles_or_is_refused(text: str) -> None:
    pattern = compile_fields(text)
    assert pattern is None or pattern.fields


def test_the_samples_fast_lines_are_all_read_fast(tmp_path: Path) -> None:
    """Lines of the most usual fields must not fall to the strict path unseen."""
    from forensics.parsers import _w3c

    path = tmp_path / "access_log"
    path.write_bytes(header() + (LINE + b"\n") * 200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_w3c, "split", lambda *_: pytest.fail("a plain line went to the strict path"))
        patch.setattr("forensics.parsers.tomcat_w3c.is_header", lambda *_: True)
        settings = {"fields": FIELDS}
        events, _, _ = read("tomcat_w3c", path, settings=settings)
    assert len(events) == 200
