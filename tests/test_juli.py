"""Tomcat's own logs: each formatter in each language, mixed, torn and hostile; every byte accounted for; zones as known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import juli_lines as lines
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forensics
from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import drain, head, open_span, open_stream
from forensics.identify import identify
from forensics.model import Evidence, Head, Hint, Options, Span
from forensics.parsers import _records, parsers
from forensics.parsers._java_dates import _MONTHS, MONTH_OF, _spelt, dated, level_of
from forensics.parsers._juli_heads import HEAD, heads
from forensics.parsers._local_time import offset_hints, zone_settings

HOST = "org.apache.catalina.startup.HostConfig"
PLACE = dict(zip(("method", "thread"), ("deployWAR", "localhost-startStop-1"), strict=True))
OTHER_PROGRAMS = {
    "log4j": b"2015-09-21 20:05:17 INFO  ContextLoader:273 - Root WebApplicationContext: initialization started\n",
    "log4j class": b"2015-09-21 20:05:17,123 [main] ERROR org.apache.catalina.startup.HostConfig - Deploying x\n",
    "logback": b"20:05:17.123 [main] INFO  org.apache.catalina.core.StandardService - Starting service Catalina\n",
    "iis": b"#Software: Microsoft IIS\n2017-01-18 09:03:09 192.0.2.1 GET /manager/html - 80 - 192.0.2.7 - 200 0 0 15\n",
    "nginx": b"2017/01/18 10:03:09 [error] 123#123: *1 open() failed (2: No such file), client: 192.0.2.7, server: x\n",
    "syslog": b"Jan 18 10:03:09 host tomcat8[123]: INFO: Server startup in 6841 ms\n",
    "syslog iso": b"2017-01-18T10:03:09.123+01:00 host sshd[123]: Failed password for root from 192.0.2.7\n",
    "apache error": b"[Wed Jan 18 10:03:09.123 2017] [core:error] [pid 1] AH00126: Invalid URI\n",
    "access log": b'192.0.2.7 - - [18/Jan/2017:10:03:09 +0100] "GET / HTTP/1.1" 200 5\n',
    "procrun": b"[2017-01-18 10:03:09] [info]  [ 1234] Starting service...\n",
}


def one_line(
    message: str, method: str = f"{HOST}.deployWAR", level: str = "INFO", date: str = "18-Jan-2017 10:03:09.123"
) -> str:
    return f"{date} {level} [localhost-startStop-1] {method} {message}\r\n"


def two_lines(
    message: str, method: str = f"{HOST} deployWAR", level: str = "INFO", date: str = "Jan 18, 2017 10:03:09 AM"
) -> str:
    return f"{date} {method}\r\n{level}: {message}\r\n"


def rows_of(
    raw: bytes, folder: Path, name: str = "catalina.2017-01-18.log", **told: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Tally]:
    """Read bytes with the ledger on: events, rejects and the tally."""
    path = folder / name
    path.write_bytes(raw)
    evidence = Evidence("E0001", f"logs/{name}", path, len(raw))
    parser = parsers()["juli"]
    whole = Span(evidence, "juli", 0, len(raw), 1, tuple(sorted(told.items())))
    stream = open_stream(evidence)
    spans = list(parser.split(stream, whole))
    stream.close()
    events: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    tally = Tally()
    at = 0
    for span in spans:
        assert span.start == at
        at = span.stop or 0
        recount, watch = parser.recount(span), Watch(span)
        stream = open_span(span, recount.feed)
        for batch in parser.read(span, stream):
            watch.check(batch)
            events += batch.events.to_pylist()
            rejects += batch.rejects.to_pylist()
        drain(stream)
        watch.close(stream.position, recount.total())
        stream.close()
        tally.merge(watch.tally)
    assert at == len(raw)
    assert sum(tally.bytes.values()) == len(raw)
    return events, rejects, tally


def event_of(text: str, folder: Path, encoding: str = "utf-8", **told: str) -> dict[str, Any]:
    (event,), rejects, _ = rows_of(text.encode(encoding), folder, **told)
    assert not rejects
    return {**event, "rest": json.loads(event["unmapped"])}


@pytest.mark.parametrize(("language", "written", "meant"), lines.DATES)
def test_a_date_of_any_locale_is_read_in_utf8_and_in_the_code_page(language: str, written: str, meant: str) -> None:
    for encoding in ("utf-8", lines.PAGES[language]):
        try:
            raw = f"{written} org.apache.X y\n".encode(encoding)
        except UnicodeEncodeError:
            continue
        assert HEAD.match(raw), raw
        found = dated(raw)
        assert found is not None
        assert found.local == datetime.fromisoformat(meant)
        assert raw[found.end :] == b"org.apache.X y\n"


def test_no_month_name_stands_for_two_months_in_any_encoding() -> None:
    for language, lists in _MONTHS.items():
        for words in lists:
            for number, word in enumerate(words.split(), 1):
                assert {MONTH_OF.get(raw) for raw in _spelt(word, language)} == {number}, word


@pytest.mark.parametrize(("language", "words"), lines.LEVELS.items())
def test_levels_are_known_in_every_language(language: str, words: str) -> None:
    for encoding in ("utf-8", lines.PAGES[language]):
        assert [level_of(word.encode(encoding)) for word in words.split("|")] == ["SEVERE", "WARNING", "INFO"]


@pytest.mark.parametrize("language", lines.DEPLOYING)
@pytest.mark.parametrize("page", [False, True], ids=["utf8", "code page"])
def test_a_deployment_is_told_by_both_formatters_in_every_language(language: str, page: bool, tmp_path: Path) -> None:
    level = lines.LEVELS[language].split("|")[2]
    half = lines.HALVES.get(language, "AM")
    message = lines.DEPLOYING[language].format(lines.WAR)
    date = f"{lines.MONTHS[language]} 18, 2017 10:03:09 {half}"
    for text in (one_line(message, level=level), two_lines(message, level=level, date=date)):
        event = event_of(text, tmp_path, lines.PAGES[language] if page else "utf-8")
        assert event["event_action"] == "deploy"
        assert event["rest"]["archive"] == lines.WAR
        assert event["rest"]["level"] == "INFO"
        assert event["rest"]["step"] == "begun"
        assert event["time"].replace(microsecond=0) == datetime(2017, 1, 18, 10, 3, 9, tzinfo=UTC)
        assert event["time_basis"] == "zone_assumed"
        assert event["event_code"] == f"{HOST}.deployWAR"
        assert event["event_provider"] == "catalina"


@pytest.mark.parametrize("language", lines.DEPLOYED)
def test_a_finished_deployment_has_its_duration(language: str, tmp_path: Path) -> None:
    for written in ("5,542", "5.542", "5\u00a0542", "5\u202f542", "5542"):
        event = event_of(one_line(lines.DEPLOYED[language].format(lines.WAR, written)), tmp_path)
        assert event["duration_us"] == 5_542_000
        assert event["event_outcome"] == "success"
        assert event["rest"]["archive"] == lines.WAR


@pytest.mark.parametrize("language", lines.STARTED)
def test_a_start_has_its_duration(language: str, tmp_path: Path) -> None:
    event = event_of(
        one_line(lines.STARTED[language].format("6,841"), "org.apache.catalina.startup.Catalina.start"), tmp_path
    )
    assert (event["event_action"], event["event_outcome"], event["duration_us"]) == (
        "tomcat_start",
        "success",
        6_841_000,
    )


@pytest.mark.parametrize("language", lines.UNDEPLOYING)
def test_undeploying_and_reloading_are_told_apart_where_one_method_says_both(language: str, tmp_path: Path) -> None:
    for words, action in ((lines.UNDEPLOYING, "undeploy"), (lines.RELOADING, "deploy")):
        event = event_of(one_line(words[language].format("/reload##2"), f"{HOST}.checkResources"), tmp_path)
        assert event["event_action"] == action
        assert event["url_path"] == "/reload"
        assert event["rest"]["version"] == "2"


@pytest.mark.parametrize("language", lines.LOCKED)
def test_a_locked_account_is_named(language: str, tmp_path: Path) -> None:
    level = lines.LEVELS[language].split("|")[1]
    method = "org.apache.catalina.realm.LockOutRealm.filterLockedAccounts"
    event = event_of(one_line(lines.LOCKED[language].format("tomcat"), method, level), tmp_path)
    assert (event["event_action"], event["event_outcome"], event["user_name"]) == ("realm_lockout", "failure", "tomcat")


@pytest.mark.parametrize(
    ("message", "archive", "took"),
    [
        (r"Deploying web application archive C:\a b\support.war", r"C:\a b\support.war", None),
        ("Deploying web application archive support.war", "support.war", None),
        (
            "Deployment of web application directory /opt/webapps/docs has finished in 1,311 ms",
            "/opt/webapps/docs",
            1_311_000,
        ),
        (
            "Deploying configuration descriptor host-manager.xml from /opt/conf/host-manager.xml",
            "host-manager.xml",
            None,
        ),
        ("Webアプリケーションアーカイブ /opt/webapps/s.war を配備します", "/opt/webapps/s.war", None),
        ("Установка веб приложения", None, None),
    ],
)
def test_a_deployment_without_brackets_is_read_as_older_versions_write_it(
    message: str, archive: str | None, took: int | None, tmp_path: Path
) -> None:
    event = event_of(two_lines(message), tmp_path)
    assert (event["rest"].get("archive"), event["duration_us"]) == (archive, took)


def test_a_warning_of_the_deployer_is_no_deployment_and_an_error_is_a_failed_one(tmp_path: Path) -> None:
    warned = one_line("The directory [a] will be ignored because the WAR [b] takes priority", level="WARNING")
    failed = one_line("Error deploying web application archive [/a.war]", level="SEVERE")
    (event,), _, tally = rows_of((warned + failed).encode(), tmp_path)
    assert (event["event_outcome"], json.loads(event["unmapped"])["step"]) == ("failure", "failed")
    assert tally.records["skip", "other_record"] == 1


BANNER = "org.apache.catalina.startup.VersionLoggerListener.log"


@pytest.mark.parametrize(
    ("method", "message", "action", "rest"),
    [
        (BANNER, "Server version name:   Apache Tomcat/9.0.105", "tomcat_start", {"step": "version", "version": "Apache Tomcat/9.0.105"}),
        (BANNER, "서버 버전 이름:    Apache Tomcat/9.0.70", "tomcat_start", {"version": "Apache Tomcat/9.0.70"}),
        (BANNER, "Command line argument: -Dx=C:\\y", "tomcat_start", {"step": "banner", "value": "-Dx=C:\\y"}),
        ("org.apache.catalina.core.StandardEngine.start", "Starting Servlet Engine: Apache Tomcat/6.0.29", "tomcat_start", {"version": "Apache Tomcat/6.0.29"}),
        ("org.apache.catalina.core.StandardEngine.startInternal", "Starting Servlet engine: [Apache Tomcat/9.0.105]", "tomcat_start", {"version": "Apache Tomcat/9.0.105"}),
        ("org.apache.catalina.startup.Catalina.load", "Initialization processed in 706 ms", "tomcat_start", {"step": "initialised"}),
        ("org.apache.catalina.core.StandardService.stopInternal", "Stopping service [Catalina]", "tomcat_stop", {"step": "service"}),
        ("org.apache.catalina.core.StandardServer.await", "A valid shutdown command was received via the shutdown port.", "tomcat_stop", {"step": "commanded"}),
        ("org.apache.catalina.core.StandardContext.reload", "Reloading Context with name [/x] has started", "deploy", {"step": "reload", "context": "/x"}),
        (f"{HOST}.undeploy", "Undeploying context []", "undeploy", {"context": ""}),
    ],
)  # fmt: skip
def test_starts_stops_and_contexts_are_told_with_their_values(
    method: str, message: str, action: str, rest: dict[str, str], tmp_path: Path
) -> None:
    event = event_of(one_line(message, method), tmp_path)
    assert event["event_action"] == action
    assert rest.items() <= event["rest"].items()


@pytest.mark.parametrize(
    ("name", "message", "command", "path", "archive"),
    [
        ("manager", "HTMLManager: list: Listing contexts for virtual host 'localhost'", "list", None, None),
        ("manager", "HTMLManager: Uploading WAR file to C:\\t\\support.war", "upload", None, "C:\\t\\support.war"),
        ("manager", "Manager: deploy: Deploying web application '/x'", "deploy", "/x", None),
        ("manager", "undeploy: Undeploying web application at '/x'", "undeploy", "/x", None),
        ("catalina", "HostManager: add: Adding host 'evil'", "add", None, None),
    ],
)
def test_a_line_of_the_manager_is_an_act(
    name: str, message: str, command: str, path: str | None, archive: str | None, tmp_path: Path
) -> None:
    text = one_line(message, "org.apache.catalina.core.ApplicationContext.log")
    (event,), _, _ = rows_of(text.encode(), tmp_path, f"{name}.2017-01-18.log")
    rest = json.loads(event["unmapped"])
    assert event["event_action"] == "manager_act"
    assert (rest["command"], event["url_path"], rest.get("archive")) == (command, path, archive)


def test_what_another_application_logs_through_its_context_is_no_act_of_the_manager(tmp_path: Path) -> None:
    text = one_line("ContextListener: contextInitialized()", "org.apache.catalina.core.ApplicationContext.log")
    assert rows_of(text.encode(), tmp_path, "localhost.2017-01-18.log")[0] == []


PARSE_ERROR = (
    "Error parsing HTTP request header\r\n Note: further occurrences of HTTP request parsing errors will be logged at DEBUG level.\r\n"
    " java.lang.IllegalArgumentException: Invalid character found in method name [0x160x030x01[]]. HTTP method names must be tokens\r\n"
    "\tat org.apache.coyote.http11.Http11InputBuffer.parseRequestLine(Http11InputBuffer.java:400)\r\n"
)


@pytest.mark.parametrize(
    "method", ["Http11Processor.service", "AbstractHttp11Processor.process", "Http11NioProcessor.process"]
)
def test_an_unreadable_request_is_told_with_the_bytes_it_quotes(method: str, tmp_path: Path) -> None:
    text = one_line(PARSE_ERROR.rstrip(), f"org.apache.coyote.http11.{method}")
    event = event_of(text, tmp_path)
    assert event["event_action"] == "request_parse_error"
    assert event["rest"]["quoted"] == "0x160x030x01[]"
    assert event["rest"]["once"] is True
    assert event["log_length"] == len(text)


def test_another_error_of_the_same_method_is_no_parse_error(tmp_path: Path) -> None:
    text = two_lines("Error processing request", "org.apache.coyote.http11.AbstractHttp11Processor process", "SEVERE")
    assert rows_of(text.encode(), tmp_path)[0] == []


MIXED = (
    "NOTE: Picked up JDK_JAVA_OPTIONS\n"
    + one_line(lines.STARTED["en"].format(7), "org.apache.catalina.startup.Catalina.start")
    + "\tat a.b.c(D.java:1)\nplain output: 10:03:09 of an application\n"
    + two_lines("Deploying web application archive /a.war")
    + "java.lang.IllegalStateException: x\n\tat a.b.c(D.java:1)\n\n"
    + "\n2017-01-18 11:00:00 Commons Daemon procrun stderr initialized\n"
    + one_line("Stopping service Catalina", "org.apache.catalina.core.StandardService.stop")
)


def test_formatters_and_plain_lines_may_be_mixed_and_trailing_lines_belong_to_their_record(tmp_path: Path) -> None:
    raw = MIXED.encode()
    events, rejects, _ = rows_of(raw, tmp_path, "catalina.out")
    assert [e["event_action"] for e in events] == ["tomcat_start", "deploy", "tomcat_start", "tomcat_stop"]
    assert [r["reason"] for r in rejects] == ["before_first_record"]
    places = [raw[e["log_offset"] : e["log_offset"] + e["log_length"]] for e in events]
    assert places[0].endswith(b"of an application\n")
    assert places[1].endswith(b"D.java:1)\n\n\n")
    assert places[2].startswith(b"2017-01-18 11:00:00 Commons")
    assert [raw.count(b"\n", 0, e["log_offset"]) + 1 for e in events] == [e["log_ordinal"] for e in events]


def test_a_torn_end_is_flagged_and_a_record_torn_before_its_message_is_a_reject(tmp_path: Path) -> None:
    whole = two_lines("Deploying web application archive /a.war").encode()
    (event,), _, _ = rows_of(whole[:-5], tmp_path)
    assert event["flags"] == "torn"
    header = whole.index(b"\n") + 1
    for cut in (header, header - 2):
        events, (reject,), _ = rows_of(whole[:cut], tmp_path)
        assert not events
        assert reject["reason"] in {"torn_record", "no_message"}


def test_an_impossible_date_is_a_reject_if_its_record_is_wanted(tmp_path: Path) -> None:
    for date in ("32-Jan-2017 10:03:09.123", "18-Foo-2017 10:03:09.123", "18-Jan-1889 10:03:09.123"):
        _, (reject,), _ = rows_of(one_line("Deploying [a]", date=date).encode(), tmp_path)
        assert (reject["reason"], reject["detail"]) == ("bad_time", date)


def test_nul_blocks_of_a_crash_hide_no_record(tmp_path: Path) -> None:
    line = one_line("Deploying web application archive [/a.war]").encode()
    events, _, _ = rows_of(line + bytes(70_000) + line + bytes(9), tmp_path)
    assert [e["log_offset"] for e in events] == [0, len(line) + 70_000]
    assert not any(e["flags"] for e in events)


def test_a_byte_order_mark_is_no_reject(tmp_path: Path) -> None:
    line = b"\xef\xbb\xbf" + two_lines("Deploying web application archive /a.war").encode()
    events, rejects, tally = rows_of(line, tmp_path)
    assert (len(events), rejects, tally.records["skip", "blank_line"]) == (1, [], 1)
    assert rows_of(b"\xef\xbb\xbf", tmp_path)[2].records["skip", "blank_line"] == 1


@pytest.mark.parametrize("size", [1 << 20, 9 << 20])
def test_a_line_of_megabytes_is_held_in_part_and_counted_whole(size: int, tmp_path: Path) -> None:
    line = one_line("Deploying web application archive [/a.war]").encode()
    raw = b"x" * size + b"\n" + line + b"y" * size + b"\n" + line
    events, (reject,), _ = rows_of(raw, tmp_path)
    assert reject["log_length"] == size + 1
    assert [e["log_length"] for e in events] == [len(line) + size + 1, len(line)]
    assert len(events[0]["unmapped"]) < 1000


def test_what_is_read_of_a_record_ends_where_it_ends_even_if_that_was_not_known_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_records, "BLOCK_BYTES", 600)
    line = two_lines("Deploying web application archive /a.war").encode()
    _, (reject,), _ = rows_of(b"x" * 100 + b"\n" + line * 9, tmp_path)
    assert reject["detail"] == "x" * 100 + r"\x0a"
    cut = line[: line.index(b"\n") + 1]
    _, rejects, _ = rows_of(b"x" * 80 + b"\n" + cut + line * 9, tmp_path)
    assert [r["reason"] for r in rejects] == ["before_first_record", "no_message"]


def test_bytes_that_are_no_utf8_are_spelt_out_and_flagged(tmp_path: Path) -> None:
    raw = one_line("Deploying web application archive [/caf\u00e9.war]").encode("latin-1")
    (event,), _, _ = rows_of(raw, tmp_path)
    assert json.loads(event["unmapped"])["archive"] == r"/caf\xe9.war"
    assert event["flags"] == "broken_text"


PIECES = st.one_of(
    st.sampled_from(
        [
            *(one_line(m).encode() for m in ("Deploying web application archive [/a.war]", "x")),
            two_lines("Deploying web application archive /a.war").encode(),
            two_lines("x", "com.example.Pool borrow").encode(),
            b"Jan 8, 2017 1:03:09 AM a.b c\nINFO: x\n",
            b"18-Jan-2017 10:03:09 INFO org.apache.catalina.startup.HostConfig.deployWAR x\n",
            "févr. 18, 2017 10:03:09 AM org.a.B c\nINFOS: x\n".encode("cp1252"),
            "18 févr. 2017 10:03:09 org.apache.catalina.startup.HostConfig deployWAR\nINFOS: x\n".encode(),
            b"18.01.2017 10:03:09 org.a.B c\nINFO: x\n", b"18.01.2017 10:03:09 org.a.B c d\nINFO: x\n",
            b"2017-01-18 10:03:09 Apache Commons Daemon procrun stdout initialized.\n",
            b"\tat org.apache.X.y(Z.java:1)\r\n", b"\n", b"\r\n", b"\0", b"\xef\xbb\xbf", b"INFO: ", b" ", b"10:03:09 ",
            b"Jan 18, 2017 ", b"x" * 700, b"18-Jan-2017 10:03:09.", b"Jan 18, 2017 10:03:09", b":", b"1:11:11 ",
        ]
    ),
    st.binary(max_size=40),
)  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=40), st.sampled_from([513, 600, 1500]), st.sampled_from([1, 700, 3000, 1 << 26]))
def test_any_bytes_are_accounted_for_whatever_the_size_of_blocks_and_spans(
    tmp_path: Path, pieces: list[bytes], block: int, span: int
) -> None:
    raw = b"".join(pieces)
    whole = rows_of(raw, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_records, "BLOCK_BYTES", block)
        patch.setattr(_records, "SPAN_BYTES", span)
        cut = rows_of(raw, tmp_path)
    assert cut[:2] == whole[:2]
    assert cut[2] == whole[2]


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=30))
def test_heads_found_by_the_block_are_those_the_pattern_matches_line_by_line(pieces: list[bytes]) -> None:
    raw = b"".join(pieces) + b"\n"
    starts = [0, *(m.end() for m in re.finditer(rb"[\n\0]", raw))]
    starts = [at for at in starts if at < len(raw)]
    buffer = bytearray(raw + bytes(64))
    found = heads(buffer, np.frombuffer(buffer, np.uint8), np.array(starts, np.int64)).tolist()
    assert found == [at for at in starts if HEAD.match(raw, at, at + 512)]


@pytest.mark.parametrize("name", OTHER_PROGRAMS)
def test_the_log_of_another_program_is_not_claimed(name: str) -> None:
    seen = Head("logs/catalina.out", OTHER_PROGRAMS[name] * 50, complete=True)
    assert parsers()["juli"].claims(seen, ()).score == 0


def test_a_head_of_either_formatter_is_claimed_and_another_program_of_java_less_surely() -> None:
    claims = parsers()["juli"].claims
    tomcat = [
        claims(Head("x", text.encode(), complete=True), ()).score for text in (one_line("a"), two_lines("a"), MIXED)
    ]
    other = claims(Head("x", two_lines("a", "com.example.Pool borrow").encode(), complete=True), ()).score
    assert min(tomcat) > other > 20


def seized(folder: Path, logs: dict[str, bytes]) -> Path:
    (folder / "seized" / "logs").mkdir(parents=True)
    for name, raw in logs.items():
        (folder / "seized" / "logs" / name).write_bytes(raw)
    return folder / "seized"


def access(date: str, offset: str) -> bytes:
    return f'192.0.2.7 - - [{date}:10:00:00 {offset}] "GET / HTTP/1.1" 200 5\n'.encode() * 3


def test_the_offset_of_the_nearest_access_log_reads_the_clock(tmp_path: Path) -> None:
    logs = {
        "localhost_access_log.2017-01-18.txt": access("18/Jan/2017", "+0830"),
        "localhost_access_log.2017-06-18.txt": access("18/Jun/2017", "-0700"),
        "catalina.2017-01-19.log": one_line("Deploying [/a.war]", date="19-Jan-2017 10:03:09.123").encode(),
        "catalina.2017-06-18.log": one_line("Deploying [/a.war]", date="18-Jun-2017 10:03:09.123").encode(),
    }
    case = forensics.analyze(seized(tmp_path, logs), out=tmp_path / "case", workers=1)
    deploys = [e for e in case.table("events").to_pylist() if e["event_action"] == "deploy"]
    assert [e["time"].isoformat() for e in deploys] == [
        "2017-01-19T01:33:09.123000+00:00",
        "2017-06-18T17:03:09.123000+00:00",
    ]
    assert {e["time_basis"] for e in deploys} == {"zone_from_evidence"}
    # The days around the first differ, and the second is a day that an access log has.
    assert [e["flags"] for e in deploys] == ["offset_unsure", None]
    told = {e["label"]: e["settings"]["zone_basis"] for e in case.manifest["evidence"] if e["parser"] == "juli"}
    assert "localhost_access_log.2017-01-18.txt" in told["seized/logs/catalina.2017-01-19.log"]


def test_the_zone_that_was_given_is_preferred_and_an_unknown_one_is_said_to_be_assumed(tmp_path: Path) -> None:
    seen = Head("seized/logs/catalina.out", b"", complete=True)
    hints = [
        Hint("utc_offset", "2017-01-18 +01:00", "seized/logs", "a"),
        Hint("utc_offset", "2017-01-18 +05:00", "seized/other", "b"),
    ]
    assert zone_settings(seen, hints, Options(zone="Asia/Seoul"))["zone"] == "Asia/Seoul"
    assert zone_settings(seen, hints, Options())["utc_offsets"] == "2017-01-18=+01:00"
    assert zone_settings(seen, hints[1:], Options())["utc_offsets"] == "2017-01-18=+05:00"
    assert (
        "UTC was assumed"
        in zone_settings(seen, [Hint("utc_offset", "2017-01-18 +01:00", "elsewhere", "c")], Options())["zone_basis"]
    )
    event = event_of(one_line("Deploying [/a.war]"), tmp_path, zone="Asia/Seoul")
    assert (event["time"].hour, event["time_basis"]) == (1, "zone_given")


@pytest.mark.parametrize(
    ("date", "flag", "utc"),
    [
        ("26-Mar-2017 02:30:00.000", "skipped_hour", "2017-03-26T01:30:00+00:00"),
        ("29-Oct-2017 02:30:00.000", "repeated_hour", "2017-10-29T00:30:00+00:00"),
        ("29-Oct-2017 03:30:00.000", None, "2017-10-29T02:30:00+00:00"),
    ],
)
def test_an_hour_that_came_twice_or_never_is_flagged(date: str, flag: str | None, utc: str, tmp_path: Path) -> None:
    event = event_of(one_line("Deploying [/a.war]", date=date), tmp_path, zone="Europe/Paris")
    assert (event["flags"], event["time"].isoformat()) == (flag, utc)


def test_hints_come_from_the_time_of_a_line_alone() -> None:
    raw = access("18/Jan/2017", "+0100") + access("19/Jan/2017", "+9900") + access("30/Feb/2017", "+0100") + b"x" * 5000
    assert [h.value for h in offset_hints(Head("logs/a.txt", raw, complete=False))] == ["2017-01-18 +01:00"]


def real(evidence_dir: Path, patterns: Sequence[str]) -> list[Path]:
    return sorted(p for pattern in patterns for p in evidence_dir.glob(pattern) if p.stat().st_size)


def test_every_real_log_is_claimed_and_accounted_for(evidence_dir: Path) -> None:
    found = real(
        evidence_dir, ["*/logs/catalina*", "*/tomcat/logs/catalina*", "*/tomcat/logs/localhost.*", "*/logs/manager.*"]
    )
    assert len(found) > 20
    for path in found:
        evidence = Evidence("E0001", path.name, path, path.stat().st_size)
        seen = identify([evidence])[0].parser
        assert seen is not None, path
        assert seen.name == "juli", path
        span = Span(evidence, "juli", 0, evidence.size, 1)
        recount, watch = seen.recount(span), Watch(span)
        stream = open_span(span, recount.feed)
        events = []
        for batch in seen.read(span, stream):
            watch.check(batch)
            events += batch.events.to_pylist()
        watch.close(stream.position, recount.total())
        stream.close()
        # What is no event or other record is one line that a JVM printed before Tomcat spoke.
        assert set(watch.tally.records) <= {
            ("event", "juli"),
            ("skip", "other_record"),
            ("reject", "before_first_record"),
        }
        starts = path.read_bytes().count(b"Server startup in")
        assert sum('"step": "started"' in e["unmapped"] for e in events) == starts


def test_the_log4j_log_of_a_real_server_is_not_claimed(evidence_dir: Path) -> None:
    for path in real(evidence_dir, ["**/log4j.log", "**/iis*.log", "**/nginx*.log"]):
        evidence = Evidence("E0001", path.name, path, path.stat().st_size)
        assert parsers()["juli"].claims(head(evidence), ()).score == 0, path


def test_one_record_among_many_requests_does_not_make_a_log_of_javas(tmp_path: Path) -> None:
    """Else every request before it would be one reject, and every request behind it a part of its message."""
    path = tmp_path / "mixed_access_log.txt"
    request = '192.0.2.7 - - [18/Jan/2017:10:03:09 +0900] "GET /a.jsp HTTP/1.1" 200 5\n'
    head = "18-Jan-2017 10:03:09.123 INFO [main] org.apache.catalina.startup.HostConfig.deployWAR Deploying x\n"
    path.write_text(request * 200 + head + request * 200)
    parser = identify([Evidence("E0001", path.name, path, path.stat().st_size)])[0].parser
    assert parser is not None
    assert parser.name == "tomcat_access"
