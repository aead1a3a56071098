"""Windows events exported as XML say what their log says, whatever the export's form; a broken one costs itself alone."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import evtx
import pytest
from evtx_reading import read, session
from evtx_writer import write_evtx
from export_reading import rows_of, through
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Head
from forensics.packaged import sample_evidence
from forensics.parsers import parsers
from forensics.parsers._rdp import SECURITY

PARSER = parsers()["evtx_xml"]
SCHEMA = "http://schemas.microsoft.com/win/2004/08/events/event"


def exported(path: Path) -> list[str]:
    """Every event of a log as the evtx package writes it in XML."""
    found = []
    for record in evtx.PyEvtxParser(str(path)).records():
        text = re.sub(r"^\s*<\?xml[^>]*\?>\s*", "", record["data"])
        found.append(text)
    return found


@cache
def sample_logs() -> tuple[Path, ...]:
    return tuple(sorted(path for folder in sample_evidence() for path in Path(folder).rglob("*.evtx")))


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its place and form; times to the microsecond, as the package renders them."""
    short = {
        name: value
        for name, value in row.items()
        if not name.startswith("log_") and name not in ("evidence_id", "flags", "time_basis")
    }
    # XML has one line end where the log may have two.
    rest = {
        k: re.sub(r"(\.\d{6})\d*Z", r"\1Z", v).replace("\r", "") for k, v in json.loads(row["unmapped"] or "{}").items()
    }
    return short | {"unmapped": rest, "time_original": re.sub(r"(\.\d{6})\d*", r"\1", row["time_original"])}


@pytest.mark.parametrize("path", sample_logs(), ids=lambda p: p.name[-40:])
def test_an_export_gives_the_rows_of_its_log(path: Path) -> None:
    raw = ("<Events>" + "\r\n".join(exported(path)) + "</Events>").encode()
    got = through(PARSER, raw)
    expected = [comparable(row) for row in read(path.read_bytes()).events]
    assert [comparable(row) for row in got.events] == expected
    assert not got.rejects


FORMS = {
    "wevtutil": "\r\n".join,
    "wevtutil with a root": lambda events: (
        "<?xml version='1.0' encoding='utf-8'?>\r\n<Events>\r\n" + "\r\n".join(events) + "</Events>"
    ),
    "event viewer": lambda events: (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?><Events>' + "".join(events) + "</Events>"
    ),
    "clipboard": lambda events: "\r\n".join(
        "- " + re.sub(r"(?m)^(\s*)<(System|EventData|UserData)>", r"\1- <\2>", one) for one in events
    ),
    "several roots": lambda events: "".join(f"<Events>{one}</Events>\n" for one in events),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_form_and_encoding_gives_the_same_rows(form: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.evtx"
    path.write_bytes(write_evtx([session(n) for n in range(7)]))
    text = FORMS[form](exported(path))
    raw = text.encode(encoding)
    head = Head("export.xml", raw[:65536], complete=True)
    assert PARSER.claims(head, ()).score == 95
    got = through(PARSER, raw)
    assert [row["source_ip"] for row in got.events] == [f"192.0.2.{n}" for n in range(7)]
    assert [row["log_ordinal"] for row in got.events] == list(range(1, 8))
    assert not got.rejects


def one_event(extra: str = "", *, when: str = "2017-01-18T12:00:00.1234567Z") -> str:
    return (
        f"<Event xmlns='{SCHEMA}'><System><Provider Name='{SECURITY}'/><EventID>4778</EventID><EventRecordID>7</EventRecordID>"
        f"<TimeCreated SystemTime='{when}'/><Correlation ActivityID='{{F4200000-0000-0000-0000-000000000001}}'/>"
        f"<Channel>Security</Channel><Computer>C2</Computer></System><EventData><Data Name='AccountName'>op</Data>"
        f"<Data Name='ClientName'>WS{extra}</Data><Data Name='ClientAddress'>192.0.2.9</Data></EventData>"
        "<RenderingInfo Culture='de-DE'><Message>egal</Message></RenderingInfo></Event>"
    )


def test_what_a_viewer_rendered_is_read_as_the_log_has_it() -> None:
    (row,) = through(PARSER, one_event("&amp;&#x1F600;").encode()).events
    assert (row["client_name"], row["source_ip"], row["user_name"]) == ("WS&\U0001f600", "192.0.2.9", "op")
    assert row["activity_id"] == "f4200000-0000-0000-0000-000000000001"
    assert (row["time_original"], row["time_basis"]) == ("2017-01-18T12:00:00.1234567Z", "filetime_utc")
    assert "egal" not in row["unmapped"]


@pytest.mark.parametrize(
    ("when", "zone", "basis", "hour"),
    [
        ("2017-01-18T12:00:00.000", "", "zone_assumed", 12),
        ("2017-01-18T12:00:00.000", "Asia/Pyongyang", "zone_given", 3),
        ("2017-01-18T12:00:00+01:00", "", "offset_in_log", 11),
    ],
)
def test_a_local_time_is_marked_and_not_guessed(when: str, zone: str, basis: str, hour: int) -> None:
    (row,) = through(PARSER, one_event(when=when).encode(), zone=zone).events
    assert (row["time_basis"], row["time"].hour) == (basis, hour)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (one_event().replace("</System>", ""), "malformed_event"),
        (one_event().replace("</Event>", ""), "malformed_event"),
        (one_event("&undefined;"), "malformed_event"),
        (one_event(when="yesterday"), "bad_time"),
        (one_event(when="1601-01-01T00:00:00Z"), "bad_time"),
        (one_event(when="1601-01-01 00:00:00"), "bad_time"),
        (one_event(when="2017-02-31T00:00:00Z"), "bad_time"),
        (one_event().replace("<EventID>4778</EventID>", ""), "malformed_event"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>" + one_event(), "not_an_event"),
        ("a log of another program\n" + one_event(), "not_an_event"),
        ("<Event x='" + "<a>" * 100 + "'/>", "malformed_event"),
        ("<Event>" + "<a>" * 200_000 + "</Event>", "malformed_event"),
        ("<Event>" + "<a>" * 100_000 + "</a>" * 100_000 + "</Event>", "malformed_event"),
    ],
)
def test_a_broken_event_costs_itself_alone(broken: str, reason: str) -> None:
    raw = (one_event() + "\n" + broken + "\n" + one_event()).encode()
    got = through(PARSER, raw)
    assert reason in {row["reason"] for row in got.rejects}
    assert len(got.events) >= 2


def test_an_export_torn_in_its_last_event_keeps_the_others() -> None:
    raw = (one_event() * 3)[:-40].encode()
    got = through(PARSER, raw)
    assert len(got.events) == 2
    assert [row["reason"] for row in got.rejects] == ["truncated_event"]


def test_an_event_without_an_end_is_given_up_in_bounded_memory() -> None:
    raw = one_event().encode() + b"<Event >" + b"x" * 9_000_000 + one_event().encode()
    got = through(PARSER, raw)
    assert len(got.events) == 2
    assert "event_too_long" in {row["reason"] for row in got.rejects}


def test_bytes_that_are_no_utf8_are_spelt_out_and_flagged() -> None:
    (row,) = through(PARSER, one_event("X").encode().replace(b"WSX", b"WS\xff")).events
    assert row["flags"] == "broken_text"
    assert row["client_name"].startswith("WS\\x")


def test_logons_of_services_are_skipped_as_in_the_log_itself() -> None:
    text = one_event().replace("4778", "4624").replace("<Data Name='AccountName'>op", "<Data Name='LogonType'>5")
    got = through(PARSER, text.encode())
    assert got.records == {"unwanted_logon_type": 1}


@pytest.mark.parametrize(
    "text",
    [
        "<Events></Events>",
        "<html><Event a='b'></html>",
        "<Server><Service/></Server>",
        "text <Event xmlns='x'><System/>",
        "",
    ],
)
def test_other_xml_is_not_claimed(text: str) -> None:
    assert PARSER.claims(Head("a.xml", text.encode(), complete=True), ()).score == 0


PIECES = st.sampled_from(
    [
        one_event(),
        "<Event",
        "<Event ",
        "<Event>",
        "</Event>",
        "- ",
        "\r\n",
        "<Events>",
        "<EventID>",
        "x",
        "<!--",
        "-->",
        "\x00",
        "é",
        "<![CDATA[",
    ]
)


@given(st.lists(PIECES, max_size=12), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(1, 400))
def test_every_byte_of_any_text_is_accounted_for_however_it_is_cut(
    pieces: list[str], encoding: str, block: int
) -> None:
    raw = "".join(pieces).encode(encoding)
    whole = through(PARSER, raw, encoding=encoding)
    cut = through(PARSER, raw, encoding=encoding, block=block)
    assert rows_of(whole) == rows_of(cut)


def test_an_export_with_a_document_type_is_refused_and_the_reason_is_told() -> None:
    text = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><Events>" + one_event() + "</Events>"
    claim = PARSER.claims(Head("a.xml", text.encode(), complete=True), ())
    assert claim.score == 1
    assert "DTD" in claim.why
