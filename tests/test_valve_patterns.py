"""Any pattern on the fast path: what it reads, the strict path reads the same; what it cannot prove, it leaves alone."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from access_lines import read
from hypothesis import example, given
from hypothesis import strategies as st

from forensics.model import Evidence, Span
from forensics.parsers import tomcat_access
from forensics.parsers._line_batches import Lines
from forensics.parsers._lines import blocks
from forensics.parsers._valve import NAMED, compile_pattern
from forensics.parsers._valve_cut import cut
from forensics.parsers._valve_fast import shape_of
from forensics.parsers._valve_pins import cut as cut_by_quotes
from forensics.parsers._valve_pins import pins_of
from forensics.stream import Stream

LONG = '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i" %D %F %v %p "%{JSESSIONID}c"'
TIME = "[18/Jan/2017:10:03:09 +0100]"
WORDS = st.sampled_from(["-", "a", "sid7F", "x.example.org", "é", "a:b", "0", "'"])
NUMBERS = st.sampled_from(["0", "17", "-", "200", "404", "12345678", "123456789012", "1.5", "x"])
NASTY = st.lists(
    st.sampled_from(
        ['"', '\\"', "\\", " ", '" 200 5 "', '" "', '" - - "', "GET ", "/x", " HTTP/1.1", "?", TIME, "\x00", "\r", "[", "]", "-", "|", "\t", ";", ",", "é", "\udcff"]
    ),
    max_size=7,
).map("".join)  # fmt: skip
REQUESTS = st.sampled_from(["GET / HTTP/1.1", "POST /a.jsp?b=c HTTP/1.0", "-", "PATCH /?x HTTP/2.0", "GET - HTTP/1.1"])
CLOCKS = st.sampled_from(
    [
        "2017-01-18 10:03:09",
        "2017-01-18 10:03:09",
        "2017-03-26 02:30:00",
        "2017-10-29 02:30:00",
        "2017-01-18 25:03:09",
        "2017-02-31 10:00:00",
        "x",
    ]
)
TIMES = st.sampled_from([TIME, "[29/Feb/2016:23:59:59 -1130]", "[31/Feb/2016:23:59:59 +0000]", "-"])
DIRECTIVES: dict[str, st.SearchStrategy[str]] = {
    "%h": st.sampled_from(["192.0.2.7", "::1", "-", "host.example", "a[b", "0:0:0:0:0:0:0:1"]),
    "%a": st.sampled_from(["192.0.2.7", "2001:db8::1", "-"]),
    "%l": st.sampled_from(["-", "-", "x"]),
    "%u": st.one_of(st.sampled_from(["-", "admin", "a b"]), NASTY),
    "%t": TIMES,
    "%{begin}t": TIMES,
    "%{yyyy-MM-dd HH:mm:ss}t": CLOCKS,
    "%{begin:yyyy-MM-dd HH:mm:ss}t": CLOCKS,
    "%{yyyy-MM-dd HH:mm:ss.SSS}t": st.one_of(CLOCKS, st.builds("{}.{:03d}".format, CLOCKS, st.integers(0, 1100))),
    "%{dd/MMM/yyyy:HH:mm:ss.SSS Z}t": st.sampled_from(
        [
            "18/Jan/2017:10:03:09.250 +0100",
            "30/Feb/2017:10:03:09.250 +0100",
            "18/Jän/2017:10:03:09.2 +0100",
            "18/Jan/2017:10:03:09.250 UTC",
        ]
    ),
    "%{sec}t": st.sampled_from(["1484730189", "1", "x", "123456789012345", "12345678901234567"]),
    "%{msec}t": st.sampled_from(["1484730189250", "148473018925", "-", "99999999999999999999"]),
    "%{msec_frac}t": st.sampled_from(["250", "007", "7", "-", "1000"]),
    "%{begin:msec_frac}t": st.sampled_from(["250", "001"]),
    "%U%q": st.one_of(st.sampled_from(["/a", "/a?b", "/a?", "-", "/a-", "--", "?x", "/?a-", ""]), NASTY),
    "%{peer}a": st.sampled_from(["192.0.2.7", "::1", "-", "x y"]),
    "%r": st.one_of(REQUESTS, NASTY),
    "%m": st.sampled_from(["GET", "null", "-", "POST"]),
    "%U": st.one_of(st.sampled_from(["/a", "/", "-"]), NASTY),
    "%q": st.sampled_from(["", "?a=b", "?", "-"]),
    "%H": st.sampled_from(["HTTP/1.1", "null", "-"]),
    "%s": NUMBERS,
    "%b": NUMBERS,
    "%B": NUMBERS,
    "%D": NUMBERS,
    "%T": NUMBERS,
    "%{ms}T": NUMBERS,
    "%F": NUMBERS,
    "%p": NUMBERS,
    "%S": WORDS,
    "%I": WORDS,
    "%v": WORDS,
    "%{Referer}i": st.one_of(WORDS, NASTY),
    "%{referer}i": st.one_of(WORDS, NASTY),
    "%{User-Agent}i": st.one_of(WORDS, NASTY),
    "%{X-Forwarded-For}i": st.one_of(WORDS, NASTY),
    "%{JSESSIONID}c": st.one_of(WORDS, NASTY),
}
BETWEEN = st.sampled_from([" ", " ", " ", '" "', ' "', '" ', "|", "\t", ";", " - ", "", '"', ' "x" ', "  "])
ENDS = st.sampled_from(["", "", '"', "x ", " ", '" '])


@st.composite
def stock_like(draw: st.DrawFn) -> list[str]:
    """A pattern such as servers have: the stock fields, headers in quotes, numbers behind them."""
    parts = ["%h", " ", "%l", " ", "%u", " ", "%t", ' "', "%r", '" ', "%s", " ", draw(st.sampled_from(["%b", "%B"]))]
    headers = draw(
        st.lists(st.sampled_from(["%{Referer}i", "%{User-Agent}i", "%{X-Forwarded-For}i"]), unique=True, max_size=3)
    )
    for number, header in enumerate(headers):
        parts += ['" "' if number else ' "', header]
    if headers:
        parts.append('"')
    for number in draw(st.lists(st.sampled_from(["%D", "%F", "%T"]), unique=True, max_size=2)):
        parts += [" ", number]
    return parts


@st.composite
def any_pattern(draw: st.DrawFn) -> list[str]:
    parts = [draw(ENDS)]
    for number, directive in enumerate(draw(st.lists(st.sampled_from(sorted(DIRECTIVES)), min_size=1, max_size=7))):
        if number:
            parts.append(draw(BETWEEN))
        parts.append(directive)
    return [*parts, draw(ENDS)]


@st.composite
def with_doubles(draw: st.DrawFn) -> list[str]:
    """A pattern in which several fields could fill one column: times, addresses, durations, sizes, headers."""
    doubles = [
        ["%t", "%{begin}t", "%{yyyy-MM-dd HH:mm:ss}t", "%{msec_frac}t", "%{sec}t", "%{begin:msec_frac}t"],
        ["%h", "%a", "%{peer}a"],
        ["%T", "%{ms}T", "%D"],
        ["%b", "%B"],
        ["%r", "%U%q", "%m"],
        ["%{Referer}i", "%{User-Agent}i", "%{referer}i"],
    ]
    parts: list[str] = []
    for group in draw(st.permutations(doubles)):
        for directive in draw(st.lists(st.sampled_from(group), max_size=3)):
            quoted = directive in {"%r", "%U%q"} or directive.endswith("i")
            parts += [" "] * bool(parts) + (['"', directive, '"'] if quoted else [directive])
    return parts or ["%h", " ", "%t"]


@given(
    st.data(),
    st.one_of(stock_like(), any_pattern(), with_doubles(), with_doubles()),
    st.sampled_from(["", "Europe/Paris", "America/St_Johns", "+05:45"]),
)
def test_the_fast_path_reads_any_pattern_as_the_strict_one_does(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, parts: list[str], zone: str
) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 12))):
        text = "".join(data.draw(DIRECTIVES[part]) if part in DIRECTIVES else part for part in parts)
        text = data.draw(st.sampled_from([text, text, text, text + "x", text[1:], text[:-1]]))
        lines.append(text.replace("\n", "") + data.draw(st.sampled_from(["\n", "\n", "\r\n"])))
    raw = "".join(lines).encode("utf-8", "surrogateescape")
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_bytes(raw if data.draw(st.booleans()) else raw[:-1])
    pattern = "".join(parts)
    assert read(path, pattern, zone=zone)[:2] == read(path, pattern, slow=True, zone=zone)[:2]


@given(st.integers(0, 10**9), st.sampled_from(["common", "combined"]))
@example(7, "combined")
def test_lines_full_of_raw_quotes_are_read_as_the_strict_path_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int, pattern: str
) -> None:
    rng = random.Random(seed)
    pieces = ['"', ' "', '" ', '" "', " ", "a", "GET / HTTP/1.1", '" 200 5', '" 200 5 "', "-", "[", TIME, "\\", "200"]
    lines = []
    for _ in range(60):
        free = ["".join(rng.choices(pieces[:11], k=rng.randrange(5))) if rng.random() < 0.7 else "-" for _ in range(3)]
        if rng.random() < 0.1:
            free[rng.randrange(3)] += rng.choice(pieces[11:])
        request = free[0] if rng.random() < 0.5 else f"GET /{free[0]} HTTP/1.1"
        tail = f' "{free[1]}" "{free[2]}"' if pattern == "combined" else ""
        user, size = rng.choice(["-", "a b", 'q"q']), rng.choice(["5", "-"])
        lines.append(f'192.0.2.7 - {user} {TIME} "{request}" 200 {size}{tail}\n')
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_text("".join(lines))
    assert read(path, pattern)[:2] == read(path, pattern, slow=True)[:2]


BYTES = [
    b'"',
    b"\\",
    b" ",
    b"-",
    b"[",
    b"]",
    b"\r",
    b"\x00",
    b"?",
    b"0",
    b"a",
    b"\xc3",
    b"\xff",
    b'" "',
    b" - - [",
    b'] "',
    b"/",
]


@given(st.integers(0, 10**9), st.sampled_from([*NAMED, LONG, '%a|%l|%t|"%r"|%s', 'x %h "%r" %b %u %t "%{Referer}i"']))
@example(1, "combined")
@example(2, LONG)
def test_stock_lines_with_bytes_put_in_changed_or_taken_out_are_read_as_the_strict_path_does(
    tmp_path_factory: pytest.TempPathFactory, seed: int, pattern: str
) -> None:
    rng = random.Random(seed)
    told = {"%h": "192.0.2.7", "%a": "::1", "%l": "-", "%u": "-", "%t": TIME, "%r": "GET /a?b HTTP/1.1", "%s": "200"}
    lines = []
    for number in range(80):
        line = compile_pattern(pattern).text
        for field in compile_pattern(pattern).fields:
            value = {"%r": "-", "%u": "admin", "%b": "-"}.get(field.name) if rng.random() < 0.1 else None
            line = line.replace(field.name, value or told.get(field.name, str(number)), 1)
        raw = line.encode()
        for _ in range(rng.choice([0, 1, 1, 2])):
            at = rng.randrange(len(raw))
            raw = raw[:at] + rng.choice([b"", *BYTES]) + raw[at + rng.choice([0, 0, 1]) :]
        lines.append(raw)
    path = tmp_path_factory.mktemp("lines") / "access_log"
    path.write_bytes(b"\n".join(lines) + rng.choice([b"", b"\n"]))
    assert read(path, pattern)[:2] == read(path, pattern, slow=True)[:2]


@pytest.mark.parametrize("pattern", [*NAMED, LONG])
def test_quotes_and_counting_cut_a_line_at_the_same_places(pattern: str) -> None:
    text = compile_pattern(pattern).text
    for name, value in {"%h": "h", "%l": "-", "%u": "-", "%t": TIME, "%r": "GET / HTTP/1.1", "%s": "200"}.items():
        text = text.replace(name, value)
    for field in compile_pattern(pattern).fields:
        text = text.replace(field.name, "7")
    raw = (text + "\n" + text.replace("200", "-", 1) + "\r\n" + text + "\r\n").encode()
    shape = shape_of(compile_pattern(pattern))
    assert shape is not None
    pins = pins_of(shape)
    assert pins is not None
    (block,) = blocks(Stream(io.BytesIO(raw), 0, None))
    quick, slow = cut_by_quotes(block, shape, pins), cut(block, shape)
    assert quick.row.tolist() == [0, 2]
    assert slow.row.tolist() == [0, 1, 2]
    for one, two in zip(
        [*quick.opening, *quick.closing, quick.end], [*slow.opening, *slow.closing, slow.end], strict=True
    ):
        assert one.tolist() == two[[0, 2]].tolist()


@pytest.fixture
def strictly_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines of each block went to the strict parser."""
    seen: list[int] = []
    plain = Lines.read

    def counting(self: Lines, numbers: np.ndarray, row_of: object) -> None:
        seen.append(len(numbers))
        plain(self, numbers, row_of)  # type: ignore[arg-type]

    monkeypatch.setattr(Lines, "read", counting)
    return seen


STOCK = f'192.0.2.7 - - {TIME} "GET /a?b=c HTTP/1.1" 200 512'


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (NAMED["common"], STOCK),
        (NAMED["combined"], STOCK + ' "-" "Mozilla/5.0 (x; y)"'),
        (NAMED["combined"], STOCK + ' "-" "raw " quote"'),
        (NAMED["common"], f'192.0.2.7 - - {TIME} "-" 400 -'),
        (NAMED["common"], STOCK.replace("/a?", '/a"b"?')),
        (NAMED["combined"] + " %D %F %v %p", STOCK + ' "-" "Mozilla/5.0 (x; y)" 17 16 www.example.org 8080'),
        ('%h %l %u %t "%m %U%q %H" %s %b', f'192.0.2.7 - - {TIME} "GET /a?b=c HTTP/1.1" 200 5'),
        ('%h %t %{msec_frac}t %{begin}t "%r" %s %b', f'192.0.2.7 {TIME} 250 {TIME} "GET /a HTTP/1.1" 200 5'),
        ('%h %a %t "%r" %s %B %b %T %{ms}T', f'192.0.2.7 ::1 {TIME} "GET /a HTTP/1.1" 200 0 - 0.017 17'),
        (NAMED["common"] + " %D %S", STOCK + " 17 5E1F0A7C"),
        ('%a|%t|%m|%U|%s|"%{User-Agent}i"', f'192.0.2.7|{TIME}|GET|/a b|200|"a|b"'),
        ("%h\t%{yyyy-MM-dd HH:mm:ss}t\t%s\t%{Referer}i", "192.0.2.7\t2017-01-18 10:03:09\t200\thttp://a/ b"),
        ('[%{yyyy-MM-dd HH:mm:ss.SSS Z}t] %a %u "%r" %s %b %T', '[2017-01-18 10:03:09.250 +0100] 192.0.2.7 - "GET /a HTTP/1.1" 200 5 0.017'),
        ('%h %l "%u" %t "%r" %s %b', f'192.0.2.7 - "CORP\\John Doe" {TIME} "GET /a HTTP/1.1" 200 5'),
    ],
)  # fmt: skip
def test_lines_of_patterns_that_servers_have_never_reach_the_strict_parser(
    tmp_path: Path, strictly_read: list[int], pattern: str, line: str
) -> None:
    path = tmp_path / "access_log"
    path.write_text((line + "\n") * 50)
    events, rejects, _ = read(path, pattern)
    assert (len(events), rejects, strictly_read) == (50, [], [0])
    assert events[0]["time"].replace(microsecond=0) in (
        datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC),
        datetime(2017, 1, 18, 10, 3, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize("pattern", ["%h %U%m %t", "%h%t", "%h-%u-%t", "%t %h %h %h", "%t x\\y %h", "%u", "%S %u"])
def test_a_pattern_whose_fields_cannot_be_told_apart_by_counting_has_no_fast_path(pattern: str) -> None:
    assert shape_of(compile_pattern(pattern)) is None


def test_a_claim_of_a_proxy_is_left_to_the_strict_parser_where_proxies_are_trusted() -> None:
    pattern = compile_pattern(NAMED["common"] + ' "%{X-Forwarded-For}i"')
    assert shape_of(pattern) is not None
    assert shape_of(pattern, "10.0.0.0/8") is None


def test_a_block_of_one_short_line_is_cut_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    path.write_bytes(b"\n")
    span = Span(Evidence("E0001", "x", path, 1), tomcat_access.NAME, 0, 1, 1, (("pattern", "combined"),))
    assert span.setting("pattern") == "combined"
    assert read(path, "combined")[:2] == ([], [])
