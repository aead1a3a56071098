"""server.xml tells the pattern of the logs beside it, and cannot be used to attack its reader."""

from __future__ import annotations

from pathlib import Path

import pytest

import forensics
from forensics.case import Case
from forensics.model import Head
from forensics.parsers import parsers

SERVER = """<?xml version='1.0' encoding='utf-8'?>
<Server port="8005"><Service name="Catalina"><Engine name="Catalina"><Host name="localhost">
<Valve className="org.apache.catalina.valves.AccessLogValve" prefix="localhost_access_log" pattern="%a %t %s &quot;%r&quot; %{ms}T" />
</Host></Engine></Service></Server>
"""
LINE = b'192.0.2.7 [18/Jan/2017:10:03:09 +0100] 200 "GET /x.jsp?a=b HTTP/1.1" 17\n'


COMMON = b'192.0.2.9 - - [18/Jan/2017:10:03:00 +0100] "GET / HTTP/1.1" 200 5\n'


def analysed(folder: Path, xml: str, lines: bytes = LINE * 9) -> Case:
    (folder / "seized" / "conf").mkdir(parents=True)
    (folder / "seized" / "logs").mkdir()
    (folder / "seized" / "conf" / "server.xml").write_text(xml)
    (folder / "seized" / "logs" / "localhost_access_log.2017-01-18.txt").write_bytes(COMMON + lines)
    return forensics.analyze(folder / "seized", out=folder / "case", workers=1)


def test_the_pattern_found_in_server_xml_reads_the_logs_it_names(tmp_path: Path) -> None:
    case = analysed(tmp_path, SERVER)
    events = [row for row in case.table("events").to_pylist() if row["event_action"] == "http_request"]
    assert len(events) == 9
    assert events[0]["url_path"] == "/x.jsp"
    assert events[0]["url_query"] == "a=b"
    assert events[0]["duration_us"] == 17_000
    settings = {entry["label"]: entry["settings"] for entry in case.manifest["evidence"]}
    assert "server.xml" in settings["seized/logs/localhost_access_log.2017-01-18.txt"]["pattern_basis"]


@pytest.mark.parametrize(
    "xml",
    [
        SERVER.replace("<Server", '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Server', 1),
        SERVER.replace("<Server", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><Server', 1),
        SERVER.replace("</Service>", ""),
        "<Server><Service>" + "<a>" * 100_000,
    ],
    ids=["entities", "external", "not well formed", "too deep"],
)
def test_a_hostile_server_xml_is_one_reject_and_costs_nothing_else(tmp_path: Path, xml: str) -> None:
    case = analysed(tmp_path, xml, COMMON * 9)
    assert "malformed_xml" in (case.folder / "rejects.csv").read_text()
    assert case.manifest["ledger"]["events"]["records"] == 10


def test_a_valve_without_a_pattern_writes_common_to_access_log() -> None:
    xml = SERVER.replace(' prefix="localhost_access_log" pattern="%a %t %s &quot;%r&quot; %{ms}T"', "")
    (hint,) = parsers()["server_xml"].hints(Head("server.xml", xml.encode(), complete=True))
    assert (hint.value, hint.applies_to) == ("common", "access_log")


def test_html_is_no_server_xml() -> None:
    head = Head("server.xml", b"<html><body>Server</body></html>", complete=True)
    assert parsers()["server_xml"].claims(head, ()).score == 0
