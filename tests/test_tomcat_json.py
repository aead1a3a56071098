"""JSON lines of JsonAccessLogValve, ordinary and broken by clients: what each says, by either path alike."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parser_runs import read

from forensics.identify import MINIMUM_CLAIM
from forensics.limits import MAX_LINE
from forensics.model import Head, Options
from forensics.parsers import parsers

TIME = "[18/Jan/2017:10:03:09 +0100]"
PLAIN = {
    "host": "192.0.2.7",
    "logicalUserName": "-",
    "user": "admin",
    "time": TIME,
    "request": "GET /a/b.jsp?x=1 HTTP/1.1",
    "statusCode": "200",
    "size": "512",
}
HEADERS = {"Referer": "http://a/", "User-Agent": "Mozilla/5.0 (x)"}
NOTHING_TYPED = Options()


def written(plain: dict[str, str], **objects: dict[str, str]) -> bytes:
    """Return a line as the valve lays it out: no blanks but one before a sub-object."""
    pairs = [f"{json.dumps(key)}:{json.dumps(value)}" for key, value in plain.items()]
    for name, inner in objects.items():
        inside = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in inner.items())
        pairs.append(f"{json.dumps(name)}: {{{inside}}}")
    return ("{" + ",".join(pairs) + "}").encode()


LINE = written(PLAIN, requestHeaders=HEADERS)
REQUEST = b"GET /a/b.jsp?x=1 HTTP/1.1"


@pytest.fixture(params=["fast", "slow"])
def path_taken(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def one(tmp_path: Path, path_taken: str):
    """Read one line behind a few of `usual`; returns its event, or its reject with its reason."""

    def reading(
        raw: bytes, usual: bytes = LINE, end: bytes = b"\n", options: Options = NOTHING_TYPED
    ) -> dict[str, Any]:
        path = tmp_path / "access_log.json"
        path.write_bytes((usual + b"\n") * 3 + raw + end)
        events, rejects, _ = read("tomcat_json", path, slow=path_taken == "slow", options=options)
        assert len(events) + len(rejects) == 4
        return (events + rejects)[-1]

    return reading


def test_every_key_has_its_column(one) -> None:
    row = one(LINE)
    assert row["time"] == datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)
    assert (row["time_original"], row["time_basis"]) == ("18/Jan/2017:10:03:09 +0100", "offset_in_log")
    assert (row["source_ip"], row["user_name"], row["http_request_method"]) == ("192.0.2.7", "admin", "GET")
    assert (row["url_path"], row["url_query"], row["http_version"]) == ("/a/b.jsp", "x=1", "1.1")
    assert (row["http_response_status_code"], row["http_response_bytes"], row["event_outcome"]) == (200, 512, "success")
    assert (row["http_request_referrer"], row["user_agent_original"]) == ("http://a/", "Mozilla/5.0 (x)")
    assert (row["log_offset"], row["log_length"], row["log_ordinal"]) == (3 * (len(LINE) + 1), len(LINE) + 1, 4)
    assert (row["log_format"], row["event_action"], row["flags"]) == ("tomcat_json", "http_request", None)


@pytest.mark.parametrize(
    ("plain", "objects", "column", "value"),
    [
        ({"remoteAddr": "::1"}, {}, "source_ip", "::1"),
        ({"remoteAddr": "192.0.2.7", "remoteAddr-peer": "10.0.0.1"}, {}, "source_ip", "10.0.0.1"),
        ({"host": "www.example.org", "remoteAddr": "192.0.2.7"}, {}, "source_ip", "192.0.2.7"),
        ({"byteSentNC": "0"}, {}, "http_response_bytes", 0),
        ({"size": "-"}, {}, "http_response_bytes", None),
        ({"elapsedTimeS": "0.017"}, {}, "duration_us", 17_000),
        ({"elapsedTimeS-us": "17"}, {}, "duration_us", 17),
        ({"elapsedTimeS-ns": "17999"}, {}, "duration_us", 17),
        ({"elapsedTime": "17"}, {}, "unmapped", '{"elapsedTime": "17"}'),
        ({"method": "PUT", "path": "/x", "query": "?", "protocol": "HTTP/1.0"}, {}, "url_query", ""),
        ({"method": "PUT", "path": "/x", "query": "-", "protocol": "HTTP/1.0"}, {}, "url_query", None),
        ({"method": "PUT", "path": "/x", "query": "", "protocol": "HTTP/1.0"}, {}, "url_query", None),
        ({"method": "null"}, {}, "http_request_method", None),
        ({"request": "-"}, {}, "flags", "dash_request"),
        ({"request": "GET /old "}, {}, "url_path", "/old"),
        ({"request": "GET - HTTP/1.1"}, {}, "url_path", None),
        ({"request": 'GET /x" null'}, {}, "url_path", '/x"'),
        ({"localServerName": "www"}, {}, "host_name", "www"),
        ({"time-yyyy-MM-dd HH:mm:ss Z": "2017-01-18 10:03:09 +0100"}, {}, "time", datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)),
        ({"time-begin": TIME}, {}, "time", datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)),
        ({"other-Z": "???Z???"}, {}, "unmapped", '{"other-Z": "???Z???"}'),
        ({"threadName": "a b", "port": "8080"}, {}, "unmapped", '{"port": "8080", "threadName": "a b"}'),
        ({}, {"cookies": {"JSESSIONID": "abc"}}, "unmapped", '{"cookies.JSESSIONID": "abc"}'),
        ({}, {"requestHeaders": {"user-agent": "x"}}, "user_agent_original", "x"),
        ({"requestHeaders-User-Agent": "x"}, {}, "user_agent_original", "x"),
        ({}, {"identifier": {"c": "1"}, "responseHeaders": {"Server": "-"}}, "unmapped", '{"identifier.c": "1"}'),
    ],
)  # fmt: skip
def test_a_key_fills_its_column(one, plain: dict[str, str], objects: dict[str, Any], column: str, value: Any) -> None:
    raw = written({"statusCode": "200", "connectionStatus": "-", "sessionId": "-"} | plain, **objects)
    assert one(raw, usual=raw)[column] == value


@pytest.mark.parametrize(
    "agent", ['say "hi"', "back\\slash", "caf\u00e9", "a\tb", "\u000b", "\x00", "\U0001f600", "\u2028"]
)
def test_escapes_of_json_are_undone(one, agent: str) -> None:
    row = one(written(PLAIN, requestHeaders=HEADERS | {"User-Agent": agent}))
    assert (row["user_agent_original"], row["flags"]) == (agent, None)


def test_a_vertical_tab_of_the_first_versions_is_no_json_and_read_all_the_same(one) -> None:
    row = one(LINE.replace(b"Mozilla/5.0", b"a\\vb\\\\v"))
    assert (row["user_agent_original"], row["flags"]) == ("a\x0bb\\v (x)", None)


def test_half_a_surrogate_pair_is_spelt_out(one) -> None:
    assert one(LINE.replace(b"Mozilla", b"\\ud83d"))["user_agent_original"] == "\\ud83d/5.0 (x)"


def test_bytes_that_are_no_text_are_spelt_out_and_flagged(one) -> None:
    row = one(LINE.replace(b"/a/b.jsp", b"/caf\xe9"))
    assert (row["url_path"], row["flags"]) == ("/caf\\xe9", "broken_text")


@pytest.mark.parametrize(
    ("request_line", "path"),
    [
        (b'GET /x" 200 5 "y HTTP/1.1', '/x" 200 5 "y'),
        (b'GET /" HTTP/1.1', '/"'),
        (b"GET /\\q HTTP/1.1", "/\\q"),
        (b'GET /x","statusCode":"200 HTTP/1.1', '/x","statusCode":"200'),
        (b'GET /x","evil":"1 HTTP/1.1', '/x","evil":"1'),
        (b'GET /"}{" HTTP/1.1', '/"}{"'),
    ],
)
def test_a_line_that_the_client_broke_is_read_by_the_files_keys_and_flagged(
    one, request_line: bytes, path: str
) -> None:
    row = one(LINE.replace(REQUEST, request_line).replace(b'"statusCode":"200"', b'"statusCode":"404"'))
    assert (row["url_path"], row["http_response_status_code"], row["flags"]) == (path, 404, "ambiguous")
    assert row["user_agent_original"] == "Mozilla/5.0 (x)"


def test_a_broken_line_with_two_readings_is_a_reject(one) -> None:
    forged = b'GET /x","statusCode":"200","size":"5","requestHeaders": {"Referer":"'
    row = one(LINE.replace(REQUEST, forged + b'" HTTP/1.1'))
    assert row.get("reason") == "not_access_log" or row["flags"] == "ambiguous"
    two = LINE.replace(b'","statusCode":"200"', b'","statusCode":"200","statusCode":"200"').replace(b'"}}', b'"} }')
    assert one(two[:-1] + b"!")["reason"] == "not_access_log"


def test_a_key_that_a_client_forged_and_tomcat_knows_makes_the_line_ambiguous(one) -> None:
    assert one(LINE.replace(REQUEST, b'GET /x","sessionId":"A HTTP/1.1'))["flags"] == "ambiguous"


def test_another_pattern_inside_the_file_is_no_doubt(one) -> None:
    row = one(written({"host": "192.0.2.9", "time": TIME, "statusCode": "404"}))
    assert (row["source_ip"], row["http_response_status_code"], row["flags"]) == ("192.0.2.9", 404, None)


def test_a_key_twice_with_one_value_is_one_and_with_two_is_ambiguous(one) -> None:
    usual = b'{"host":"192.0.2.7","statusCode":"200","time":"' + TIME.encode() + b'"}'
    same = usual.replace(b'"statusCode":"200"', b'"statusCode":"200","statusCode":"200"')
    assert one(same, usual=LINE)["flags"] is None
    differ = one(same.replace(b'"200",', b'"500",', 1), usual=LINE)
    assert (differ["http_response_status_code"], differ["flags"]) == (200, "ambiguous")
    assert "500" in differ["unmapped"]


@pytest.mark.parametrize(
    "raw",
    [
        b"no json at all",
        b"{}",
        b"[]",
        b'"text"',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"host":' + b"[" * 900 + b"]" * 900 + b"}",
        LINE.replace(b'"200"', b"200"),
        LINE.replace(b'"200"', b"null"),
        LINE.replace(b'"200"', b'"2OO"'),
        LINE.replace(TIME.encode(), b"yesterday"),
        LINE[:-40],
        b'{"remote_addr":"192.0.2.7","status":"200","time":"x"}',
    ],
)
def test_what_is_no_line_of_the_valve_is_a_reject(one, raw: bytes) -> None:
    assert one(raw)["reason"] == "not_access_log"


def test_an_impossible_time_is_a_reject_that_shows_it(one) -> None:
    row = one(LINE.replace(b"18/Jan/2017", b"31/Feb/2017"))
    assert (row["reason"], "31/Feb/2017" in row["detail"]) == ("bad_time", True)


def test_a_line_of_a_megabyte_and_more_is_a_reject_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "access_log.json"
    path.write_bytes(LINE + b"\n" + b'{"host":"' + b"A" * MAX_LINE + b'"}\n' + LINE + b"\r\n\n")
    events, (reject,), tally = read("tomcat_json", path)
    assert (len(events), reject["reason"]) == (2, "line_too_long")
    assert tally.records["skip", "blank_line"] == 1


def test_a_torn_line_is_a_reject_unless_it_says_all(one) -> None:
    assert one(LINE, end=b"")["flags"] == "torn"
    assert one(LINE[:-5], end=b"")["reason"] == "torn_line"


@pytest.mark.parametrize(
    ("peer", "headers", "source", "flags"),
    [
        ("10.0.0.1", {"X-Forwarded-For": "6.6.6.6, 198.51.100.7, 10.0.0.2"}, "198.51.100.7", "claimed_source"),
        ("10.0.0.1", {"xff": "[2001:db8::7]:99"}, "2001:db8::7", "claimed_source"),
        ("10.0.0.1", {"X-Real-IP": "198.51.100.7:4711"}, "198.51.100.7", "claimed_source"),
        ("10.0.0.1", {"Forwarded": 'for=6.6.6.6, FOR="[2001:db8::7]:1";proto=http'}, "2001:db8::7", "claimed_source"),
        ("10.0.0.1", {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "198.51.100.7"}, "10.0.0.1", "claims_differ"),
        ("10.0.0.1", {"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7"}, "198.51.100.7", "claimed_source"),
        ("10.0.0.1", {"Forwarded": "for=_hidden"}, "10.0.0.1", None),
        ("10.0.0.1", {"X-Forwarded-For": ","}, "10.0.0.1", None),
        ("192.0.2.7", {"X-Forwarded-For": "198.51.100.7"}, "192.0.2.7", None),
        ("::ffff:10.0.0.1", {"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7", "claimed_source"),
    ],
)  # fmt: skip
def test_only_a_trusted_peer_names_the_source(
    one, peer: str, headers: dict[str, str], source: str, flags: str | None
) -> None:
    raw = written(PLAIN | {"host": peer}, requestHeaders=headers)
    row = one(raw, usual=raw, options=Options(trusted_proxies=("10.0.0.0/8", "fd00::/8")))
    assert (row["source_ip"], row["flags"]) == (source, flags)
    kept = json.loads(row["unmapped"])
    assert all(kept[f"requestHeaders.{name}"] == text for name, text in headers.items())
    assert kept.get("peer_ip") == ("10.0.0.1" if flags == "claimed_source" else None)
    assert one(raw, usual=raw)["source_ip"] == peer.removeprefix("::ffff:")


def claim(raw: bytes):
    return parsers()["tomcat_json"].claims(Head("x/access_log.json", raw, complete=True), ())


def test_a_log_is_claimed_by_its_keys() -> None:
    assert claim((LINE + b"\n") * 5).score > 90
    assert claim(b"broken {\n" + (LINE + b"\n") * 5).score < MINIMUM_CLAIM
    assert claim(b"{broken\n" + (LINE + b"\n") * 5).score >= MINIMUM_CLAIM


def test_its_times_say_what_the_servers_clock_was_and_nothing_else_does() -> None:
    forged = LINE.replace(REQUEST, b"GET /[17/Jan/2017:00:00:00 -0800] HTTP/1.1")
    hints = parsers()["tomcat_json"].hints(Head("x/access_log.json", forged + b"\n" + LINE, complete=True))
    assert [(hint.kind, hint.value, hint.applies_to) for hint in hints] == [("utc_offset", "2017-01-18 +01:00", "x")]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"remote_addr":"192.0.2.7","status":"200","time_local":"x"}\n' * 5,
        b'{"host":"a","message":"b","time":"c"}\n' * 5,
        b'{"host":"a","path":"b","time":"c"}\n' * 5,
        b'{"statusCode":200,"host":"a","path":"b"}\n' * 5,
        b"{}\n" * 5,
        b"[" * 70000,
        b"",
    ],
)
def test_json_of_others_is_not_claimed(raw: bytes) -> None:
    assert claim(raw).score < MINIMUM_CLAIM


def test_real_json_logs_of_other_servers_are_not_claimed(evidence_dir: Path) -> None:
    paths = [*evidence_dir.rglob("*.json"), *evidence_dir.rglob("nginx_json.log")]
    assert len(paths) >= 2
    assert all(claim(path.read_bytes()[:65536]).score < MINIMUM_CLAIM for path in paths)


TEXTS = st.one_of(
    st.sampled_from(
        ["-", "", "192.0.2.7", "::1", "200", "5", TIME, "GET /x?y HTTP/1.1", "null", 'a"b', "\\", "caf\u00e9"]
    ),
    st.text(max_size=5),
)
OBJECTS = st.dictionaries(st.sampled_from(["User-Agent", "Referer", "X-Forwarded-For", "x"]), TEXTS, max_size=3)
WELL = st.builds(
    lambda plain, headers: written(PLAIN | plain, requestHeaders=HEADERS | headers),
    st.dictionaries(st.sampled_from([*PLAIN, "elapsedTime", "sessionId", "evil"]), TEXTS, max_size=4),
    OBJECTS,
)
BROKEN = st.tuples(WELL, st.integers(0, 400), st.sampled_from([b'"', b"\\", b"}", b",", b'","statusCode":"', b"\xff", b"\x00", b"{", b"\\v", b"\\ud800"])).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
)  # fmt: skip
RAW_LINES = st.one_of(WELL, BROKEN, st.sampled_from([LINE, b"", b"{", b"[[", b'{"host":1}', b'{"host":{"host":{}}}']))


@given(st.lists(RAW_LINES, min_size=1, max_size=20), st.sampled_from([b"\n", b"\r\n"]), st.booleans(), st.booleans())
def test_the_fast_path_reads_hostile_lines_as_the_strict_one_does(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[bytes], end: bytes, torn: bool, trusted: bool
) -> None:
    raw = (LINE + b"\n") * 2 + end.join(line.replace(b"\n", b"") for line in drawn) + end
    path = tmp_path_factory.mktemp("lines") / "access_log.json"
    path.write_bytes(raw[:-1] if torn else raw)
    options = Options(trusted_proxies=("192.0.2.0/24",) if trusted else ())
    assert read("tomcat_json", path, options=options) == read("tomcat_json", path, slow=True, options=options)


@pytest.mark.parametrize("filler", [b'","statusCode":"', b'"', b"\\", b'":"', b'"}}'])
def test_the_work_for_a_crafted_line_grows_with_its_length(filler: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in looks at the line, not seconds: doubling the line must not quadruple them."""
    from forensics.parsers import _json_lines, _valve_split

    looks = 0
    places = _valve_split._places

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal looks
        found = places(*arguments, **options)
        looks += len(found) + 1
        return found

    monkeypatch.setattr(_valve_split, "_places", counted)
    template = _json_lines.template_of(_json_lines.pairs_of(LINE) or [])
    seen = []
    for times in (500, 1000, 2000):
        looks = 0
        _json_lines._forced(LINE.replace(REQUEST, filler * times), _json_lines.compile_template(template))
        seen.append(looks)
    assert seen[2] <= 2.2 * seen[1] + 50
    assert seen[1] <= 2.2 * seen[0] + 50


def test_plain_lines_are_all_read_fast(tmp_path: Path) -> None:
    """Lines of the most usual keys must not fall to the strict path unseen."""
    from forensics.parsers import tomcat_json

    path = tmp_path / "access_log.json"
    path.write_bytes((LINE + b"\n") * 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tomcat_json, "row_of", lambda *_: pytest.fail("a plain line went to the strict path"))
        assert len(read("tomcat_json", path)[0]) == 50
