"""A real Tomcat is sent ordinary, hostile and broken requests: every one is found in each of its five access logs, alike."""

from __future__ import annotations

import base64
import codecs
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from parser_runs import read
from real_tomcat import CUSTOM, PASSWORD, USER, VALVES, Answer, missing, running, war

from forensics.evidence.find import find
from forensics.identify import identify
from forensics.model import Options
from forensics.parsers._address import source_ip

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "all is here")

END = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
NOISY = b'it\'s "quoted" back\\slash\ttab caf\xe9 \xc3\xa9 \xff 100% {x} \\u0041'


@dataclass(frozen=True)
class Sent:
    """A request and what each log must say of it; None where Tomcat read none. Paths are as the client wrote them."""

    raw: bytes
    method: str | None
    path: str | None
    query: str | None = None
    status: int = 200
    user: str | None = None
    agent: bytes | None = None
    forwarded: str | None = None
    """What the client's last X-Forwarded-For header ends in, if Tomcat's RemoteIpValve was to believe it."""
    address: str = "127.0.0.1"


def get(target: bytes, path: str, headers: bytes = b"", **said: Any) -> Sent:
    return Sent(b"GET " + target + END + headers + b"\r\n", "GET", path, **said)


def manager(password: str, target: str, body: bytes = b"", method: str = "GET") -> bytes:
    word = base64.b64encode(f"{USER}:{password}".encode())
    head = f"{method} {target}".encode() + END + b"Authorization: Basic " + word + b"\r\n"
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


DEPLOY = "/manager/text/deploy?path=/support&update=true"
REQUESTS = [
    get(b"/", "/"),
    get(b"/index.html?a=b&q=c%20d", "/index.html", query="a=b&q=c%20d"),
    get(b"/?", "/", query=""),
    get(b"/?a?b", "/", query="a?b"),
    get(b"/missing", "/missing", status=404),
    get(b"/%22%5C;x=y", "/%22%5C;x=y", status=400),
    get(b'/?q="y\\z^', "/", query='q="y\\z^'),
    get(b"/agent", "/agent", b"User-Agent: " + NOISY + b"\r\nReferer: http://a/'b'\r\n", status=404, agent=NOISY),
    get(b"/quote", "/quote", b'User-Agent: "\r\nReferer: \\\r\n', status=404, agent=b'"'),
    get(b"/apostrophe", "/apostrophe", b"User-Agent: 'x' 'y\r\n", status=404, agent=b"'x' 'y"),
    get(b"/forge", "/forge", b'User-Agent: x" 200 5 "-" "y\r\n', status=404, agent=b'x" 200 5 "-" "y'),
    get(b"/json", "/json", b'User-Agent: x","statusCode":"200\r\n', status=404, agent=b'x","statusCode":"200'),
    get(b"/cookies", "/cookies", b'Cookie: JSESSIONID=a; JSESSIONID="b c"\r\n', status=404),
    get(b"/xff1", "/xff1", b"X-Forwarded-For: 198.51.100.7\r\n", status=404, forwarded="198.51.100.7"),
    get(b"/xff2", "/xff2", b"X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.2\r\n", status=404, forwarded="198.51.100.7"),
    Sent(b"HEAD /" + END + b"\r\n", "HEAD", "/"),
    Sent(b"POST /post" + END + b"Content-Length: 3\r\n\r\nabc", "POST", "/post", status=404),
    Sent(b"OPTIONS *" + END + b"\r\n", "OPTIONS", "*"),
    Sent(b"CONNECT a:443" + END + b"\r\n", "CONNECT", "a:443", status=501),
    Sent(b"FROB /" + END + b"\r\n", "FROB", "/", status=501),
    Sent(b"GET / HTTP/1.0\r\n\r\n", "GET", "/"),
    Sent(b"GET /old\r\n", "GET", "/old", status=404),
    Sent(b"GET /nine HTTP/9.9\r\nHost: a\r\n\r\n", "GET", "/nine", status=505),
    Sent(b"GET /nohost HTTP/1.1\r\n\r\n", "GET", "/nohost", status=400),
    Sent(b"GET /header HTTP/1.1\r\nHost: a\r\nba d\xff: x\r\n\r\n", "GET", "/header", status=400),
    get(b'/x"y\\z', '/x"y\\z', status=400),
    get(b'/x" 200 5 "y', '/x"', status=400),
    get(b"/caf\xc3\xa9", None, status=400),
    get(b"/a\x00b", None, status=400),
    get(b"/" + b"A" * 8190, None, status=400),
    get(b"/" + b"B" * 7000, "/" + "B" * 7000, status=404),
    get(b"-", None, status=400),
    get(b"?x", None, query="x", status=400),
    Sent(b'G"ET / HTTP/1.1\r\n\r\n', None, None, status=400),
    Sent(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xaa\xbb\r\n", None, None, status=400),
    Sent(b"\x03\x00\x00\x2f\x2a\xe0\x00\x00\x00\x00\x00Cookie: mstshash=hello\r\n\x01\x00\x08\x00", None, None, status=400),
    Sent(bytes(range(256)), None, None, status=400),
    Sent(manager("wrong", "/manager/text/list"), "GET", "/manager/text/list", status=401),
    Sent(manager("wrong", DEPLOY, war(), "PUT"), "PUT", "/manager/text/deploy", "path=/support&update=true", 401),
    Sent(manager(PASSWORD, DEPLOY, war(), "PUT"), "PUT", "/manager/text/deploy", "path=/support&update=true", user=USER),
    get(b"/support/index.html", "/support/index.html"),
    Sent(manager(PASSWORD, "/manager/text/undeploy?path=/support"), "GET", "/manager/text/undeploy", "path=/support", user=USER),
    get(b"/support/index.html", "/support/index.html", status=404),
    get(b"/six", "/six", status=404, address="::1"),
    get(b"/last", "/last", status=404),
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What was sent and came back, and where the logs lie."""

    sent: list[Sent]
    answers: list[Answer]
    logs: dict[str, Path]
    start: datetime
    end: datetime


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    start = datetime.now(UTC).replace(microsecond=0)
    with running(tmp_path_factory.mktemp("tomcat") / "base") as tomcat:
        sent = [request for request in REQUESTS if request.address in tomcat.ports]
        answers = [tomcat.send(request.raw, request.address) for request in sent]
    return Run(sent, answers, {name: tomcat.log(name) for name in VALVES}, start, datetime.now(UTC))


PARSERS = {"extended": "tomcat_w3c", "json": "tomcat_json"}


def rows(run: Run, name: str, options: Options | None = None) -> list[dict[str, Any]]:
    """Return the events of one log; nothing in it may be rejected."""
    parser = PARSERS.get(name, "tomcat_access")
    path = run.logs[name]
    # Nobody can infer the long pattern from its lines: it is typed, as an analyst would.
    settings = {"pattern": CUSTOM} if name == "custom" else None
    if settings and options:
        settings["trusted_proxies"] = " ".join(options.trusted_proxies)
    events, rejects, tally = read(parser, path, options=options or Options(), settings=settings)
    assert rejects == []
    assert sum(tally.bytes.values()) == path.stat().st_size
    return events


LOGS = pytest.mark.parametrize("name", VALVES)


@LOGS
def test_each_log_is_claimed_by_its_parser(run: Run, name: str) -> None:
    (found,) = identify(find([run.logs[name]]).evidence, Options(patterns=(CUSTOM,) if name == "custom" else ()))
    assert found.parser is not None
    assert found.parser.name == PARSERS.get(name, "tomcat_access")


@LOGS
def test_every_request_is_in_the_log_once_and_in_order(run: Run, name: str) -> None:
    events = rows(run, name)
    got = [(row["http_request_method"], row["http_response_status_code"]) for row in events]
    assert got == [(request.method, request.status) for request in run.sent]


@LOGS
def test_the_log_says_what_was_asked_and_what_came_back(run: Run, name: str) -> None:
    for request, answer, row in zip(run.sent, run.answers, rows(run, name), strict=True):
        assert answer.status in {request.status, None}, request.raw[:60]
        assert plain(row["url_path"], name) == request.path, request.raw[:60]
        assert plain(row["url_query"], name) == request.query, request.raw[:60]
        assert row["source_ip"] == request.address
        assert source_ip(row["source_address"]) == request.address
        assert row["user_name"] == request.user
        assert (row["http_response_bytes"] or 0) == (answer.size or 0), request.raw[:60]
        assert run.start <= row["time"] <= run.end
        assert request.method is None or row["http_version"] == version(request), request.raw[:60]
        assert row["flags"] in {None, "dash_request"}
        if name != "common":
            assert plain(row["user_agent_original"], name) == latin(request.agent), request.raw[:60]


def version(request: Sent) -> str | None:
    """Return the protocol that Tomcat knew of: the third word of a request line of three."""
    words = request.raw.partition(b"\r\n")[0].split(b" ")
    return words[2][5:].decode() if len(words) == 3 and words[2].startswith(b"HTTP/") else None


def latin(raw: bytes | None) -> str | None:
    """Tomcat takes a header's bytes for ISO 8859-1."""
    return None if raw is None else raw.decode("latin-1")


def plain(text: str | None, name: str) -> str | None:
    """Undo what Tomcat 10.1 escapes outside JSON, where the columns keep the log's own text."""
    if text is None or name == "json":
        return text
    if name == "extended":
        text = text.replace('""', '"') if text != '""' else text
    return codecs.decode(text.encode("ascii"), "unicode_escape") if "\\" in text else text


COMPARED = (
    "http_request_method",
    "url_path",
    "url_query",
    "http_response_status_code",
    "http_response_bytes",
    "event_outcome",
    "source_ip",
    "source_address",
    "user_name",
    "time",
)


def test_the_five_logs_agree_with_each_other(run: Run) -> None:
    told = {name: rows(run, name) for name in VALVES}
    for column in COMPARED:
        seen = {name: [row[column] for row in events] for name, events in told.items()}
        if column in {"url_path", "url_query"}:
            seen = {name: [plain(text, name) for text in column_] for name, column_ in seen.items()}
        if column == "http_response_bytes":
            # `%b` writes a dash for nothing sent, `%B` a zero.
            seen = {name: [count or 0 for count in column_] for name, column_ in seen.items()}
        first = seen["common"]
        for name, column_ in seen.items():
            # The second can turn between two valves that write of the same request.
            same = [
                abs((a - b).total_seconds()) <= 1 if column == "time" else a == b
                for a, b in zip(first, column_, strict=True)
            ]
            assert all(same), (
                column,
                name,
                [pair for pair, ok in zip(zip(first, column_, strict=True), same, strict=True) if not ok],
            )


@pytest.mark.parametrize("name", ["extended", "json"])
def test_the_fast_path_reads_a_real_log_as_the_strict_one_does(run: Run, name: str) -> None:
    path = run.logs[name]
    assert read(PARSERS[name], path) == read(PARSERS[name], path, slow=True)


@pytest.mark.parametrize("name", ["custom", "extended", "json"])
def test_a_client_behind_a_trusted_proxy_is_the_source_in_each_log(run: Run, name: str) -> None:
    trusting = Options(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"))
    for request, row in zip(run.sent, rows(run, name, trusting), strict=True):
        assert row["source_ip"] == (request.forwarded or request.address)
        assert ("claimed_source" in (row["flags"] or "")) == (request.forwarded is not None)
        if request.forwarded:
            assert json.loads(row["unmapped"])["peer_ip"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["custom", "extended", "json"])
def test_without_trust_the_peer_is_the_source_and_the_claim_is_kept_apart(run: Run, name: str) -> None:
    for request, row in zip(run.sent, rows(run, name), strict=True):
        assert row["source_ip"] == request.address
        if request.forwarded:
            assert request.forwarded in row["unmapped"]


def test_tomcat_answered_what_the_test_believes_it_sent(run: Run) -> None:
    deployed = next(a for r, a in zip(run.sent, run.answers, strict=True) if r.method == "PUT" and r.user)
    assert b"OK - Deployed application at context path [/support]" in deployed.body
    assert sum(answer.status is None for answer in run.answers) == 1
