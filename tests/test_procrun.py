"""Logs of the Windows service wrapper and of Tomcat's installer: each form, hostile bytes, local times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import forensics
from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import drain, open_span, open_stream
from forensics.model import Evidence, Head, Span
from forensics.parsers import _records, parsers

# Forms of versions 1.0.5, 1.0.15, and 1.2 at level debug.
WITHOUT_THREAD = "[2017-01-18 10:03:09] [info]  Starting service...\n"
WITH_THREAD = "[2017-01-18 10:03:09] [info]  [ 1234] Service started in 3609 ms.\r\n"
DEBUG = "[2017-01-18 10:03:09] [info]  ( prunsrv.c:1203) [ 6104] Starting service...\n"
COMMAND = (
    '"C:\\Tomcat 9.0\\bin\\Tomcat9.exe" //IS//Tomcat9 --DisplayName "Apache Tomcat 9.0 Tomcat9" --LogPath "C:\\Tomcat 9.0\\logs"\r\n'
    '"C:\\Tomcat 9.0\\bin\\Tomcat9.exe" //US//Tomcat9 --Startup auto\r\n'
)


def rows_of(raw: bytes, folder: Path, **told: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Tally]:
    path = folder / "commons-daemon.log"
    path.write_bytes(raw)
    parser = parsers()["procrun"]
    whole = Span(Evidence("E0001", path.name, path, len(raw)), "procrun", 0, len(raw), 1, tuple(sorted(told.items())))
    stream = open_stream(whole.evidence)
    spans = list(parser.split(stream, whole))
    stream.close()
    events: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    tally = Tally()
    for span in spans:
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
    assert sum(tally.bytes.values()) == len(raw)
    return events, rejects, tally


@pytest.mark.parametrize("text", [WITHOUT_THREAD, WITH_THREAD, DEBUG], ids=["without thread", "with thread", "debug"])
def test_each_form_is_claimed_and_read(text: str, tmp_path: Path) -> None:
    seen = Head("logs/x.log", text.encode(), complete=True)
    scores = {name: parser.claims(seen, ()).score for name, parser in parsers().items()}
    assert max(scores, key=lambda name: scores[name]) == "procrun"
    (event,), _, _ = rows_of(text.encode(), tmp_path)
    assert event["event_action"] == "tomcat_start"
    assert (event["time"], event["time_basis"]) == (datetime(2017, 1, 18, 10, 3, 9, tzinfo=UTC), "zone_assumed")
    assert event["time_original"] == "2017-01-18 10:03:09"


@pytest.mark.parametrize(
    ("message", "action", "outcome"),
    [
        ("Running 'Tomcat8' Service...", "tomcat_start", "unknown"),
        ("Running Service 'Tomcat9'...", "tomcat_start", "unknown"),
        ("Service started in 3609 ms.", "tomcat_start", "success"),
        ("Failed to start Java", "tomcat_start", "failure"),
        ("Stopping service...", "tomcat_stop", "unknown"),
        ("Service stopped.", "tomcat_stop", "success"),
        ("Service stop thread completed.", "tomcat_stop", "success"),
        ("Service 'Tomcat8' installed", "service_install", "success"),
        ("Service 'Tomcat9' installed.", "service_install", "success"),
        ("Failed installing 'Tomcat8' service", "service_install", "failure"),
        ("Failed installing service 'Tomcat8'", "service_install", "failure"),
        ("Commons Daemon procrun (1.0.15.0 64-bit) started", None, None),
        ("Service Tomcat8 name Apache Tomcat 8.5 Tomcat8", None, None),
        ("Running out of memory", None, None),
    ],
)
def test_what_the_wrapper_says_of_the_service_is_an_event(
    message: str, action: str | None, outcome: str | None, tmp_path: Path
) -> None:
    text = f"[2017-01-18 10:03:09] [info]  [ 1234] {message}\r\n"
    events, rejects, _ = rows_of(text.encode(), tmp_path)
    assert [(e["event_action"], e["event_outcome"]) for e in events] == ([(action, outcome)] if action else [])
    assert not rejects
    if "'" in message:
        assert json.loads(events[0]["unmapped"])["ServiceName"] in {"Tomcat8", "Tomcat9"}


def test_durations_and_milliseconds_are_read(tmp_path: Path) -> None:
    (event,), _, _ = rows_of(WITH_THREAD.replace("09]", "09,250]", 1).encode(), tmp_path)
    assert event["duration_us"] == 3_609_000
    assert event["time"].microsecond == 250_000
    assert event["time_original"] == "2017-01-18 10:03:09,250"


def test_the_command_that_made_the_service_is_an_event_without_a_time(tmp_path: Path) -> None:
    (event,), _, tally = rows_of(COMMAND.encode(), tmp_path)
    rest = json.loads(event["unmapped"])
    assert (event["event_action"], event["time"], event["time_basis"]) == ("service_install", None, None)
    assert (rest["ServiceName"], rest["ImagePath"]) == ("Tomcat9", r"C:\Tomcat 9.0\bin\Tomcat9.exe")
    assert rest["display_name"] == "Apache Tomcat 9.0 Tomcat9"
    assert tally.records["skip", "other_record"] == 1


def test_a_case_with_an_installer_log_is_told_from_end_to_end(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "service-install.log").write_text(COMMAND)
    (tmp_path / "logs" / "commons-daemon.2017-01-18.log").write_text(WITH_THREAD)
    case = forensics.analyze(tmp_path / "logs", out=tmp_path / "case", workers=1)
    assert case.table("events").num_rows == 2
    assert "tomcat_start" in {row["act"] for row in case.table("timeline").to_pylist()}


def test_an_impossible_time_is_a_reject_and_lines_behind_a_record_belong_to_it(tmp_path: Path) -> None:
    bad = "[2017-02-30 10:03:09] [info]  [ 1] Starting service...\n"
    text = f"x\n{bad}{WITH_THREAD}more of it\n"
    (event,), rejects, _ = rows_of(text.encode(), tmp_path)
    assert [r["reason"] for r in rejects] == ["before_first_record", "bad_time"]
    assert event["log_length"] == len(WITH_THREAD) + len("more of it\n")


def test_a_message_in_another_code_page_is_no_obstacle(tmp_path: Path) -> None:
    raw = "[2017-01-18 10:03:09] [error] [ 6056] 系统找不到指定的路径。\n".encode("gb18030") + WITH_THREAD.encode()
    events, rejects, _ = rows_of(raw, tmp_path)
    assert (len(events), rejects) == (1, [])


@pytest.mark.parametrize(
    "text",
    [
        "[2017-01-18 10:03:09] production.ERROR: x\n",
        "[2017-01-18 10:03:09] [error] [client 192.0.2.7] File does not exist: /x\n",
        "[Wed Jan 18 10:03:09 2017] [error] [client 192.0.2.7] x\n",
        "18-Jan-2017 10:03:09.123 INFO [main] org.apache.catalina.startup.Catalina.start Server startup in 5 ms\n",
    ],
)
def test_the_log_of_another_program_is_not_claimed(text: str) -> None:
    assert parsers()["procrun"].claims(Head("commons-daemon.log", text.encode() * 9, complete=True), ()).score == 0


PIECES = st.one_of(
    st.sampled_from([
        WITHOUT_THREAD.encode(), WITH_THREAD.encode(), DEBUG.encode(), COMMAND.encode(), b"\n", b"\0", b'"', b"[", b"x" * 700,
        b"[2017-01-18 10:03:09] ", b"[info]  ", b"Service 'a' installed", b"\xef\xbb\xbf", b'"a" //IS//',
    ]),
    st.binary(max_size=30),
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=30), st.sampled_from([513, 600, 1500]), st.sampled_from([1, 700, 1 << 26]))
def test_any_bytes_are_accounted_for_whatever_the_size_of_blocks_and_spans(
    tmp_path: Path, pieces: list[bytes], block: int, span: int
) -> None:
    raw = b"".join(pieces)
    whole = rows_of(raw, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_records, "BLOCK_BYTES", block)
        patch.setattr(_records, "SPAN_BYTES", span)
        assert rows_of(raw, tmp_path) == whole
