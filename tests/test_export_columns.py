"""The fast path of exports gives the rows that the strict reader gives, whatever stands between the records that it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from evtx_reading import Reading
from export_reading import through
from export_writers import dump, evtxecmd_json, told, winlogbeat
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evtx_json import NXLOG
from test_evtx_xml import sample_logs

import forensics.parsers._export_columns as columnar
import forensics.parsers._export_reader as reader
from forensics.model import Parser
from forensics.parsers import parsers
from forensics.parsers._rdp import LSM, SECURITY


def both(parser: Parser, raw: bytes, **given_: Any) -> tuple[Reading, Reading, int]:
    """Read by the fast path and by the strict reader alone; and how many events the fast path made."""
    made = []
    events = columnar.events
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columnar, "events", lambda *args: made.append(events(*args)) or made[-1])
        patch.setattr(reader, "_FEW", 1)
        patch.setattr(columnar, "_ENOUGH", 1)
        fast = through(parser, raw, **given_)
        patch.setattr(reader, "_FEW", 1 << 60)
        strict = through(parser, raw, **given_)
    return fast, strict, sum(batch.num_rows - int(wrong.sum()) for batch, wrong in made)


def agree(fast: Reading, strict: Reading) -> None:
    """The same rows at the same places, in the same order."""
    assert fast.events == strict.events
    assert fast.rejects == strict.rejects
    assert fast.skips == strict.skips
    assert fast.tally == strict.tally


def lines(objects: list[dict[str, Any]], **how: Any) -> str:
    return "".join(json.dumps(one, **how) + "\n" for one in objects)


WRITERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "evtx_dump": dump,
    "evtx_dump, attributes apart": lambda one: dump(one, separate=True),
    "EvtxECmd": evtxecmd_json,
    "Winlogbeat": winlogbeat,
    "Winlogbeat 6": lambda one: winlogbeat(one, old=True),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("writer", WRITERS)
def test_objects_of_every_form_are_read_alike(writer: str, encoding: str) -> None:
    events = [WRITERS[writer](one) for path in sample_logs() for one in told(path)][::3]
    fast, strict, made = both(parsers()["evtx_json"], lines(events, ensure_ascii=False).encode(encoding))
    agree(fast, strict)
    # The fast path reads nearly all of them: or it would be compared with itself.
    assert made > 0.95 * len(strict.events)


TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "-",
            " ",
            "op",
            "C2\\op",
            "192.0.2.9",
            "[2001:db8::1]:3389",
            "::ffff:192.0.2.9",
            "LOCAL",
            "2",
            "007",
            "0x3e7",
            "3",
            "5",
            "10",
            "{F4200000-0000-0000-0000-00000000000A}",
            'a"b',
            "a,b;c",
            "\u00e9\U0001f600",
            "a\nb",
            "a&b<c>",
            "\u2028",
            "\ufeff",
            "\uf8fe1\uf8ff",
            "true",
            "1e5",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
)
VALUES = st.one_of(TEXTS, st.integers(-5, 1 << 70), st.booleans(), st.none(), st.floats(allow_nan=False))
TIMES = st.sampled_from(
    [
        "2017-01-18T12:00:00.1234567Z",
        "2017-01-18 12:00:00",
        "2017-01-18T12:00:00+01:00",
        "2017-02-31T12:00:00Z",
        "1601-01-01T00:00:00Z",
        "yesterday",
        "",
    ]
)
EVENTS = st.sampled_from(
    [(SECURITY, 4624), (SECURITY, 4778), (SECURITY, 9999), (LSM, 21), (LSM, "25"), ("", 1), ("x", "y")]
)
FIELDS = st.dictionaries(
    st.sampled_from(
        [
            "IpAddress",
            "IpPort",
            "TargetUserName",
            "LogonType",
            "WorkstationName",
            "User",
            "SessionID",
            "Address",
            "channel",
            "event_channel",
            "Data",
            "é",
            "User#2",
            "@Name",
            "LogonProcessName",
        ]
    ),
    VALUES,
    max_size=5,
)


@st.composite
def dumped(draw: st.DrawFn) -> dict[str, Any]:
    provider, number = draw(EVENTS)
    system = {
        "Provider": {"#attributes": {"Name": provider}},
        "EventID": number,
        "EventRecordID": draw(VALUES),
        "Computer": draw(TEXTS),
        "Channel": draw(TEXTS),
        "TimeCreated": {"#attributes": {"SystemTime": draw(TIMES)}},
    }
    return {"Event": {"System": system, draw(st.sampled_from(["EventData", "UserData"])): draw(FIELDS)}}


@st.composite
def nxlogged(draw: st.DrawFn) -> dict[str, Any]:
    provider, number = draw(EVENTS)
    more = {"SourceName": provider, "EventID": number, "EventTime": draw(TIMES), "EventReceivedTime": draw(TIMES)}
    return NXLOG | more | {"@timestamp": draw(TIMES)} | draw(FIELDS)


@st.composite
def commanded(draw: st.DrawFn) -> dict[str, Any]:
    provider, number = draw(EVENTS)
    named = [{"@Name": name, "#text": text} for name, text in draw(FIELDS).items()]
    payload = draw(
        st.sampled_from([json.dumps({"EventData": {"Data": named}}), json.dumps(draw(FIELDS)), "", "{", "[]"])
    )
    return {
        "Provider": provider,
        "EventId": number,
        "TimeCreated": draw(TIMES),
        "EventRecordId": draw(TEXTS),
        "Computer": draw(TEXTS),
        "Channel": draw(TEXTS),
        "Payload": payload,
    }


JUNK = st.sampled_from(
    ["{", "}\n", "\n", "[\n", "Record 7\n", '{"Event":1}\n', '{"EventID":25,"EventID":25}\n', "\x00\n", "\ufeff"]
)
LAYOUTS = st.sampled_from(
    [
        lambda one: json.dumps(one) + "\n",
        lambda one: json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\r\n",
        lambda one: json.dumps(one, indent=2) + "\n",
        lambda one: json.dumps(one, separators=(" ,", " : ")) + "\n",
        # A key twice, in two ways of writing it.
        lambda one: json.dumps(one, separators=(" ,", ":")).replace('"E', '"EventID"  :9999,"E', 1) + "\n",
        lambda one: json.dumps(one)[:-3] + "\n",
        lambda one: "Record 1\n" + json.dumps(one, indent=1) + "\n",
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    pieces = []
    for one in draw(st.lists(st.one_of(dumped(), nxlogged(), commanded()), max_size=6)):
        times = draw(st.integers(1, 3))
        pieces += [draw(LAYOUTS)(one)] * times
        pieces += draw(st.lists(JUNK, max_size=1))
    return "".join(pieces)


@settings(max_examples=300, deadline=None)
@given(texts(), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.sampled_from(["", "Asia/Pyongyang"]))
def test_any_objects_are_read_alike(text: str, encoding: str, zone: str) -> None:
    agree(*both(parsers()["evtx_json"], text.encode(encoding), encoding=encoding, zone=zone)[:2])


@settings(max_examples=300, deadline=None)
@given(texts(), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3))
def test_objects_with_changed_bytes_are_read_alike(text: str, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(text.encode())
    for place, value in changes:
        if raw:
            raw[place % len(raw)] = value
    agree(*both(parsers()["evtx_json"], bytes(raw), encoding="utf-8")[:2])
