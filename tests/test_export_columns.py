"""The fast path of exports gives the rows that the strict reader gives, whatever stands between the records that it reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from evtx_reading import Reading
from export_reading import through
from export_writers import (
    EVENTLOG,
    EVTXECMD,
    WINEVENT,
    dump,
    evtxecmd_csv,
    evtxecmd_json,
    powershell_csv,
    told,
    winlogbeat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evtx_json import NXLOG
from test_evtx_xml import exported, sample_logs

import forensics.parsers._export_columns as columnar
import forensics.parsers._export_reader as reader
from forensics.model import Head, Options, Parser
from forensics.parsers import parsers
from forensics.parsers._rdp import CORE, LSM, SCM, SECURITY


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


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of which one in sixteen is odd: so most records have nothing that the fast path leaves over."""
    return st.integers(0, 15).flatmap(lambda one: odd if one == 7 else usual)


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
VALUES = mostly(
    st.one_of(TEXTS, st.integers(0, 1 << 59), st.booleans(), st.none()),
    st.one_of(st.integers(-5, 1 << 70), st.floats(allow_nan=False)),
)
TIMES = mostly(
    st.sampled_from(["2017-01-18T12:00:00.1234567Z", "2017-01-18 12:00:00", "2017-01-18T12:00:00+01:00"]),
    st.sampled_from(["2017-02-31T12:00:00Z", "1601-01-01T00:00:00Z", "yesterday", ""]),
)
EVENTS = mostly(
    st.sampled_from([(SECURITY, 4624), (SECURITY, 4778), (LSM, 21), (LSM, "25"), (SCM, 7036)]),
    st.sampled_from([(SECURITY, 9999), ("", 1), ("x", "y"), (" ", 4624), (f" {SECURITY} ", "4624 ")]),
)
NAMES = mostly(
    st.sampled_from(["IpAddress", "IpPort", "TargetUserName", "LogonType", "WorkstationName", "User", "Address", "é"]),
    st.sampled_from(["channel", "event_channel", "Data", "User#2", "@Name", "LogonProcessName", "SessionID"]),
)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=5)


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
    payloads = [json.dumps({"EventData": {"Data": named}}), json.dumps(draw(FIELDS))]
    payload = draw(mostly(st.sampled_from(payloads), st.sampled_from(["", "{", "[]"])))
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
LAYOUTS = mostly(
    st.sampled_from(
        [
            lambda one: json.dumps(one) + "\n",
            lambda one: json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\r\n",
            lambda one: json.dumps(one, indent=2) + "\n",
            lambda one: json.dumps(one, separators=(" ,", " : ")) + "\n",
            lambda one: "Record 1\n" + json.dumps(one, indent=1) + "\n",
        ]
    ),
    st.sampled_from(
        [
            lambda one: json.dumps(one)[:-3] + "\n",
            # A key twice, in two ways of writing it.
            lambda one: json.dumps(one, separators=(" ,", ":")).replace('"E', '"EventID"  :9999,"E', 1) + "\n",
        ]
    ),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    pieces = []
    for one in draw(st.lists(st.one_of(dumped(), nxlogged(), commanded()), max_size=6)):
        times = draw(st.integers(1, 3))
        pieces += [draw(LAYOUTS)(one)] * times
        pieces += draw(mostly(st.just([]), st.lists(JUNK, max_size=1)))
    return "".join(pieces)


@settings(max_examples=100, deadline=None)
@given(texts(), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.sampled_from(["", "Asia/Pyongyang"]))
def test_any_objects_are_read_alike(text: str, encoding: str, zone: str) -> None:
    agree(*both(parsers()["evtx_json"], text.encode(encoding), encoding=encoding, zone=zone)[:2])


@settings(max_examples=100, deadline=None)
@given(texts(), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3))
def test_objects_with_changed_bytes_are_read_alike(text: str, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(text.encode())
    for place, value in changes:
        if raw:
            raw[place % len(raw)] = value
    agree(*both(parsers()["evtx_json"], bytes(raw), encoding="utf-8")[:2])


XML_TEXTS = mostly(
    TEXTS.map(escape),
    st.sampled_from(
        [
            "&#65;",
            "&#xD800;",
            "&unknown;",
            "a>b",
            "]]>",
            "<![CDATA[x]]>",
            "<!-- x -->",
            "<a/>",
            "\r\n",
            "\t",
            "\x0b",
            "\uffff",
            "&amp",
        ]
    ),
)
TAILS = st.sampled_from(
    ["", "\r\n", "\n- ", "</Events>\n<Events>", "junk", "<!-- x -->", "<?xml version='1.0'?>", "\x00"]
)
QUOTES = st.sampled_from(["'", '"'])


@st.composite
def marked_up(draw: st.DrawFn) -> str:
    provider, number = draw(EVENTS)
    q = draw(QUOTES)

    def quoted(text: str) -> str:
        return f"{q}{text}{q}"

    forms = mostly(
        st.sampled_from([f"<Data Name={q}%s{q}>%s</Data>", "<Data Name=%r>%s</Data>", "<Data>%.0s%s</Data>"]),
        st.sampled_from([f"<Data Name={q}%s>%s</Data>", "<Data>%.0s\n%s</Data>", f"<Data x={q}a{q} %s>%s</Data>"]),
    )
    named = "".join(draw(forms) % (escape(name), draw(XML_TEXTS)) for name in draw(FIELDS))
    guid = "{F4200000-0000-0000-0000-00000000000A}"
    activity = draw(mostly(st.just(guid), st.sampled_from(["", "a>b", 'a"b', "a\nb", "x' y='"])))
    about = draw(st.sampled_from(["", f" Qualifiers={q}0{q}"]))
    system = (
        f"<Provider Name={quoted(escape(provider))} Guid={quoted('x')}/><EventID{about}>{number}</EventID>"
        f"<EventRecordID>{draw(XML_TEXTS)}</EventRecordID><TimeCreated SystemTime={quoted(draw(TIMES))}/>"
        f"<Correlation ActivityID={quoted(activity)}/><Channel>{draw(XML_TEXTS)}</Channel><Computer>{draw(XML_TEXTS)}</Computer>"
    )
    kind = draw(st.sampled_from(["EventData", "UserData", "RenderingInfo"]))
    twice = draw(mostly(st.just(""), st.just("<EventID>9999</EventID>")))
    return f"<Event xmlns={quoted('http://x')}>{twice}<System>{system}</System><{kind}>{named}</{kind}></Event>"


@st.composite
def xml_texts(draw: st.DrawFn) -> str:
    pieces = [draw(st.sampled_from(["", "<Events>", "\ufeff", "junk\n"]))]
    for one in draw(st.lists(marked_up(), max_size=5)):
        pieces += [one, draw(TAILS)] * draw(st.integers(1, 3))
        pieces += draw(
            mostly(
                st.just([]),
                st.lists(st.sampled_from(["<Event>", "</Event>", "<Event x='", one[:-9], one[1:]]), max_size=1),
            )
        )
    return "".join(pieces)


@settings(max_examples=100, deadline=None)
@given(xml_texts(), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.sampled_from(["", "Asia/Pyongyang"]))
def test_any_xml_is_read_alike(text: str, encoding: str, zone: str) -> None:
    agree(*both(parsers()["evtx_xml"], text.encode(encoding, "replace"), encoding=encoding, zone=zone)[:2])


@settings(max_examples=100, deadline=None)
@given(xml_texts(), st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3))
def test_xml_with_changed_bytes_is_read_alike(text: str, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(text.encode())
    for place, value in changes:
        if raw:
            raw[place % len(raw)] = value
    agree(*both(parsers()["evtx_xml"], bytes(raw), encoding="utf-8")[:2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_of_every_event_is_read_alike(encoding: str) -> None:
    events = [one for path in sample_logs() for one in exported(path)][::3]
    fast, strict, made = both(parsers()["evtx_xml"], "\r\n".join(events).encode(encoding))
    agree(fast, strict)
    assert made > 0.95 * len(strict.events)


def spoken(event: tuple[str, Any], fields: dict[str, Any]) -> str:
    """A message as Windows renders one, its values whatever they may be."""
    if event[0] == SECURITY:
        body = "".join(f"\t{label}:\t\t{text}\r\n" for label, text in zip(LABELS, fields.values(), strict=False))
        return f"An account was logged on.\r\n\r\nSubject:\r\n{body}\r\nNew Logon:\r\n{body}Logon Type:\t\t\t10\r\n"
    if event[0] == CORE:
        return "The server accepted a new TCP connection from client " + " ".join(map(str, fields.values())) + "."
    values = [*map(str, fields.values()), "C2\\op", "2", "192.0.2.9"]
    return "Sitzung:\r\n\r\nBenutzer: {}\r\nID\uff1a{}\nAdresse : {}".format(*values)


LABELS = ["Account Name", "Account Domain", "Logon ID", "Logon Type", "Workstation Name"]
SPOKEN = mostly(
    st.sampled_from([(SECURITY, "4624"), (SECURITY, "4634"), (LSM, "21"), (CORE, "131"), (SCM, "7036")]),
    st.sampled_from([(SECURITY, "9999"), ("x", "y"), ("", ""), (f" {LSM}", "21 ")]),
)
SPOKEN_FIELDS = st.dictionaries(
    st.integers(0, 9),
    mostly(TEXTS, st.sampled_from(["\u00a0", "x\u3000", "a: b", "\uff1a", "\uf8fd:x", "192.0.2.9:1"])),
    max_size=4,
)
LOCAL_TIMES = mostly(
    st.sampled_from(["18.01.2017 12:00:00", "1/20/2017 3:04:05 PM", "2017-01-18T12:00:00Z"]),
    st.sampled_from(["1/2/2017 3:04:05 PM", "32.01.2017 12:00:00", "", "27.03.2016 02:30:00"]),
)


@st.composite
def shelled(draw: st.DrawFn) -> dict[str, str]:
    event = draw(SPOKEN)
    usual = st.just(spoken(event, draw(SPOKEN_FIELDS)))
    message = draw(
        mostly(usual, st.sampled_from(["", " ", 'a\r\n"b', 'a\r\n"', "a\rb", "\x0b: x", '","', "TimeCreated"]))
    )
    more = {"RecordId": draw(TEXTS), "MachineName": draw(TEXTS), "LogName": draw(TEXTS), "ActivityId": draw(TEXTS)}
    return {"Message": message, "Id": event[1], "ProviderName": event[0], "TimeCreated": draw(LOCAL_TIMES)} | more


CSV_JUNK = st.sampled_from(
    [
        '"',
        '"x\r\n',
        "\r\n",
        "junk\r\n",
        "#TYPE x\r\n",
        powershell_csv(WINEVENT, []),
        powershell_csv(EVENTLOG, []),
        '""\r\n',
        "\x00",
        "\ufeff",
    ]
)


@st.composite
def shell_texts(draw: st.DrawFn) -> str:
    pieces = [powershell_csv(WINEVENT, [])]
    for one in draw(st.lists(shelled(), max_size=6)):
        row = powershell_csv(WINEVENT, [one]).split("\r\n", 1)[1]
        row = draw(
            mostly(st.just(row), st.sampled_from([row[:-9] + "\r\n", row[1:], row.replace("\r\n", "\n"), row[:-2]]))
        )
        pieces += [row] * draw(st.integers(1, 3))
        pieces += draw(mostly(st.just([]), st.lists(CSV_JUNK, max_size=2)))
    return "".join(pieces)


@st.composite
def command_texts(draw: st.DrawFn) -> str:
    pieces = [",".join(EVTXECMD) + "\r\n"]
    for one in draw(st.lists(commanded(), max_size=6)):
        out = io.StringIO()
        cells = dict.fromkeys(EVTXECMD, "") | one | {"RecordNumber": "7", "EventRecordId": "9"}
        quoting = draw(mostly(st.just(csv.QUOTE_MINIMAL), st.just(csv.QUOTE_ALL)))
        csv.writer(out, quoting=quoting, lineterminator="\r\n").writerow(cells[name] for name in EVTXECMD)
        row = draw(mostly(st.just(out.getvalue()), st.sampled_from([out.getvalue()[:-9] + "\r\n", '"x","y"\r\n'])))
        pieces += [row] * draw(st.integers(1, 3))
        pieces += draw(mostly(st.just([]), st.lists(CSV_JUNK, max_size=2)))
    return "".join(pieces)


@st.composite
def viewed_texts(draw: st.DrawFn) -> str:
    header = "Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie\r\n"
    pieces = [header, "I,18.01.2017 12:00:00,x,1,y,z\r\n"]
    junk = [
        '"',
        '"x\r\n',
        "\r\n",
        "junk\r\n",
        "#TYPE x\r\n",
        header,
        powershell_csv(WINEVENT, []),
        "\x00",
        "\ufeff",
        "\r",
    ]
    for one in draw(st.lists(shelled(), max_size=6)):
        out = io.StringIO()
        cells = [draw(TEXTS), one["TimeCreated"], one["ProviderName"], one["Id"], "x", one["Message"]]
        csv.writer(out, lineterminator="\r\n").writerow(cells)
        row = out.getvalue()
        row = draw(
            mostly(st.just(row), st.sampled_from([row[:-9] + "\r\n", row[1:], row.replace("\r\n", "\n"), row[:-2]]))
        )
        pieces += [row] * draw(st.integers(1, 3))
        pieces += draw(mostly(st.just([]), st.lists(st.sampled_from(junk), max_size=2)))
    return "".join(pieces)


CSV_TEXTS = st.one_of(shell_texts(), command_texts(), viewed_texts())


@settings(max_examples=150, deadline=None)
@given(CSV_TEXTS, st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.sampled_from(["", "Europe/Berlin"]))
def test_any_csv_is_read_alike(text: str, encoding: str, zone: str) -> None:
    agree(*both(parsers()["evtx_csv"], text.encode(encoding, "replace"), encoding=encoding, zone=zone)[:2])


@settings(max_examples=100, deadline=None)
@given(CSV_TEXTS, st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=3), st.integers(300, 9000))
def test_csv_with_changed_bytes_is_read_alike_however_it_is_cut(
    text: str, changes: list[tuple[int, int]], block: int
) -> None:
    raw = bytearray(text.encode())
    for place, value in changes:
        raw[place % len(raw)] = value
    settled = parsers()["evtx_csv"].settle(Head("x", text.encode(), complete=True), (), Options())
    whole = both(parsers()["evtx_csv"], bytes(raw), **settled)
    agree(*whole[:2])
    agree(*both(parsers()["evtx_csv"], bytes(raw), block=block, **settled)[:2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_of_every_event_is_read_alike(encoding: str, delimiter: str) -> None:
    events = [one for path in sample_logs() for one in told(path)][::3]
    fast, strict, made = both(parsers()["evtx_csv"], evtxecmd_csv(events, delimiter=delimiter).encode(encoding))
    agree(fast, strict)
    assert made > 0.95 * len(strict.events)


@st.composite
def arrays(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from([dumped(), nxlogged(), commanded()]))
    how = draw(st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}]))
    pieces = []
    for one in draw(st.lists(kind, min_size=1, max_size=8)):
        text = json.dumps(one, **how)
        pieces += [draw(mostly(st.just(text), st.sampled_from([text[:-1], text[1:], text[:40], "x", "[", "\x00"])))]
    return (
        "[" + draw(st.sampled_from([",", ", ", ",\n", "}{"])).join(pieces) + draw(mostly(st.just("]\n"), st.just("")))
    )


@settings(max_examples=100, deadline=None)
@given(arrays(), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), st.integers(200, 9000))
def test_any_array_is_read_alike_however_it_is_cut(text: str, encoding: str, block: int) -> None:
    raw = text.encode(encoding)
    settled = parsers()["evtx_json"].settle(Head("x", text.encode(), complete=True), (), Options())
    fast, strict, _ = both(parsers()["evtx_json"], raw, **(settled | {"encoding": encoding}))
    agree(fast, strict)
    agree(*both(parsers()["evtx_json"], raw, block=block, **(settled | {"encoding": encoding}))[:2])
