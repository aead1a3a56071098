"""The EVTX writer is trusted only as far as two independent readers agree with it."""

from __future__ import annotations

import importlib
import struct
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pyevtx
import pytest
from evtx import PyEvtxParser
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = Path(__file__).parents[1] / "sample_logs"
NOON = datetime(2017, 1, 12, 12, 0, 0, 123456, tzinfo=UTC)
NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"


@pytest.fixture(scope="module")
def writer() -> Iterator[Any]:
    sys.path.insert(0, str(SAMPLES))
    try:
        yield importlib.import_module("evtx_writer")
    finally:
        sys.path.remove(str(SAMPLES))


def _leaves(xml: str) -> dict[str, str | None]:
    """Path to text of every element and attribute, in the one spelling both readers can be brought to."""
    out: dict[str, str | None] = {}

    def walk(node: ET.Element, path: str) -> None:
        name = node.get("Name") if node.tag.endswith("}Data") and node.get("Name") else node.tag.split("}")[1]
        path, at = f"{path}/{name}", 0
        while path in out:
            at, path = at + 1, f"{path}#{at}"
        out[path] = _spelling(node.text)
        out.update({f"{path}@{key}": _spelling(value) for key, value in node.attrib.items()})
        for child in node:
            walk(child, path)

    walk(ET.fromstring(xml), "")  # noqa: S314
    return {path: text for path, text in out.items() if text}


def _spelling(text: str | None) -> str:
    text = (text or "").replace("\r\n", "\n")
    if text.startswith("0x"):
        return hex(int(text, 16))
    if text.startswith("20") and text.endswith("Z") and "." in text:
        return text[:-1].ljust(29, "0")[:26]
    return text.strip("{}").upper() if len(text.strip("{}")) == 36 else "" if not text.strip() else text


def _rust_records(path: Path) -> list[Any]:
    return list(PyEvtxParser(str(path)).records())


def read_with_evtx(data: bytes, folder: Path) -> list[tuple[int, dict[str, str | None]]]:
    path = folder / "rust.evtx"
    path.write_bytes(data)
    return [(record["event_record_id"], _leaves(record["data"])) for record in _rust_records(path)]


def _identified(record: Any) -> tuple[int, dict[str, str | None]]:
    """Taken one at a time: the library gives up records held while it moves on to other chunks."""
    return record.get_identifier(), _leaves(record.get_xml_string())


def read_with_pyevtx(data: bytes, folder: Path) -> list[tuple[int, dict[str, str | None]]]:
    path = folder / "c.evtx"
    path.write_bytes(data)
    log = pyevtx.file()
    log.open(str(path))
    try:
        return [_identified(log.get_record(at)) for at in range(log.get_number_of_records())]
    finally:
        log.close()


def _scenario(w: Any, rounds: int) -> list[Any]:
    string, hexadecimal = w.Type.STRING, w.Type.HEX64
    security = {"provider": "Microsoft-Windows-Security-Auditing", "channel": "Security", "computer": "WIN-SYNTHETIC"}
    events = []
    for at in range(rounds):
        time = NOON + timedelta(seconds=at)
        fields = [
            ("TargetUserSid", w.Type.SID, "S-1-5-21-1-22-4294967295-500"),
            ("TargetUserName", string, f"user {at} \u20ac <&>"),
            ("Empty", string, ""),
            ("TargetLogonId", hexadecimal, 0xFFFFFFFF + at),
            ("Status", w.Type.HEX32, 0xC000006D),
            ("LogonType", w.Type.UINT32, 10),
            ("LogonGuid", w.Type.GUID, "f420dd64-c87e-4e2d-a02e-7d0935770000"),
            ("ProcessId", w.Type.SIZE_T, 0x1BC),
            ("Change", w.Type.FILETIME, NOON),
        ]
        identity = {"provider_guid": "54849625-5478-4994-a5ba-3e3b0328c30d", "version": 1, "task": 12544}
        events.append(w.Event(event_id=4624, time=time, fields=fields, **security, **identity))
        session = [
            ("User", string, "WIN\\operator"),
            ("SessionID", w.Type.UINT32, at),
            ("Address", string, "192.0.2.7"),
        ]
        local = {"provider": "LSM", "channel": "LSM/Operational", "computer": "WIN-SYNTHETIC", "shape": "event_xml"}
        activity = {"activity_id": "F4200000-0000-4000-8000-000000000000", "provider_guid": identity["provider_guid"]}
        events.append(w.Event(event_id=21, time=time, user_sid="S-1-5-18", fields=session, **local, **activity))
        events.append(w.Event(event_id=98, time=time, provider="CORE", channel="CORE/Operational", computer="W"))
        system = {"time": time, "channel": "System", "computer": "WIN-SYNTHETIC"}
        service = [("param1", string, "Tomcat"), ("param2", string, "running")]
        scm = {"provider": "Service Control Manager", "event_source_name": "Service Control Manager"}
        events.append(w.Event(event_id=7036, qualifiers=16384, fields=service, binary=b"\1\2", **scm, **system))
        strings = [("", string, "7:52:11 AM"), ("", string, ""), ("", string, "\u200e1/\u200e19/\u200e2017")]
        log = {"provider": "EventLog", "qualifiers": 32768, "shape": "classic"}
        events.append(w.Event(event_id=6008, fields=strings, binary=b"\xff", **log, **system))
        cleared = [
            ("SubjectUserName", string, "operator"),
            ("Channel", string, "Application"),
            ("BackupPath", string, ""),
        ]
        events.append(
            w.Event(event_id=104, provider="Eventlog", shape="log_file_cleared", fields=cleared, **system),
        )
    return events


@pytest.mark.parametrize("dirty", [False, True])
def test_two_independent_readers_find_every_record_with_the_same_values(
    writer: Any, tmp_path: Path, *, dirty: bool
) -> None:
    data = writer.write_evtx(_scenario(writer, 60), dirty=dirty)
    rust, c = read_with_evtx(data, tmp_path), read_with_pyevtx(data, tmp_path)
    assert len(data) > writer.FILE_HEADER_SIZE + writer.CHUNK_SIZE
    assert [record for record, _ in rust] == list(range(1, 361))
    assert rust == c


def test_every_value_written_is_the_value_read(writer: Any, tmp_path: Path) -> None:
    events = read_with_evtx(writer.write_evtx(_scenario(writer, 1)), tmp_path)
    logon, session, empty, service, crash, cleared = (leaves for _, leaves in events)
    assert logon["/Event/System/EventID"] == "4624"
    assert logon["/Event/System/TimeCreated@SystemTime"] == "2017-01-12T12:00:00.123456"
    assert logon["/Event/EventData/TargetUserSid"] == "S-1-5-21-1-22-4294967295-500"
    assert logon["/Event/EventData/TargetUserName"] == "user 0 \u20ac <&>"
    assert logon["/Event/EventData/TargetLogonId"] == "0xffffffff"
    assert logon["/Event/EventData/Status"] == "0xc000006d"
    assert logon["/Event/EventData/ProcessId"] == "0x1bc"
    assert logon["/Event/EventData/Change"] == "2017-01-12T12:00:00.123456"
    assert session["/Event/UserData/EventXML/Address"] == "192.0.2.7"
    assert session["/Event/System/Correlation@ActivityID"] == "F4200000-0000-4000-8000-000000000000"
    assert session["/Event/System/Security@UserID"] == "S-1-5-18"
    assert not any(path.startswith("/Event/EventData/") for path in empty)
    assert service["/Event/System/EventID@Qualifiers"] == "16384"
    assert service["/Event/System/Provider@EventSourceName"] == "Service Control Manager"
    assert service["/Event/EventData/Binary"] == "0102"
    assert crash["/Event/EventData/Data"] == "7:52:11 AM"
    assert cleared["/Event/UserData/LogFileCleared/Channel"] == "Application"
    assert cleared["/Event/System/Channel"] == "System"


def test_checksums_and_counts_of_the_headers_are_those_of_the_format(writer: Any) -> None:
    data = writer.write_evtx(_scenario(writer, 60))
    assert zlib.crc32(data[:120]) == struct.unpack_from("<I", data, 124)[0]
    chunks = range(writer.FILE_HEADER_SIZE, len(data), writer.CHUNK_SIZE)
    assert struct.unpack_from("<H", data, 42)[0] == len(chunks)
    expected_first = 1
    for at in chunks:
        chunk = data[at : at + writer.CHUNK_SIZE]
        first, last, first_id, last_id = struct.unpack_from("<4Q", chunk, 8)
        free, checksum = struct.unpack_from("<II", chunk, 48)
        assert (first, first_id) == (expected_first, expected_first)
        assert last == last_id
        assert zlib.crc32(chunk[512:free]) == checksum
        assert zlib.crc32(chunk[:120] + chunk[128:512]) == struct.unpack_from("<I", chunk, 124)[0]
        expected_first = last + 1
    assert expected_first == 361


def test_every_name_and_template_is_reachable_from_the_tables_of_its_chunk(writer: Any) -> None:
    data = writer.write_evtx(_scenario(writer, 60))
    chunk = data[writer.FILE_HEADER_SIZE : writer.FILE_HEADER_SIZE + writer.CHUNK_SIZE]
    names, templates = set(), 0
    for bucket in range(64):
        at = struct.unpack_from("<I", chunk, 128 + 4 * bucket)[0]
        while at:
            following, code, length = struct.unpack_from("<IHH", chunk, at)
            name = chunk[at + 8 : at + 8 + 2 * length].decode("utf-16-le")
            assert code == writer.name_hash(name)
            assert code % 64 == bucket
            assert following < at
            names.add(name)
            at = following
    for bucket in range(32):
        at = struct.unpack_from("<I", chunk, 384 + 4 * bucket)[0]
        while at:
            templates, at = templates + 1, struct.unpack_from("<I", chunk, at)[0]
    assert {"Event", "System", "UserData", "EventXML", "LogFileCleared"} <= names
    assert templates == 12  # an outer and an inner template for each of the six kinds


def test_a_name_hash_is_the_one_seen_in_real_files(writer: Any) -> None:
    assert [writer.name_hash(name) for name in ("Event", "System", "xmlns")] == [0x0CBA, 0x546F, 0x0FBC]


def test_given_record_ids_are_kept_and_the_next_one_counts_on(writer: Any, tmp_path: Path) -> None:
    base = {"provider": "P", "time": NOON, "channel": "C", "computer": "W", "event_id": 1}
    events = [writer.Event(record_id=900, **base), writer.Event(**base), writer.Event(record_id=7, **base)]
    data = writer.write_evtx(events)
    assert [record for record, _ in read_with_evtx(data, tmp_path)] == [900, 901, 7]
    assert [record for record, _ in read_with_pyevtx(data, tmp_path)] == [900, 901, 7]


@pytest.mark.parametrize(
    ("length", "message"),
    [(32000, r"event 77 \(record 1\) does not fit into a chunk"), (32700, "a BinXML value holds at most 65535")],
)
def test_an_event_larger_than_a_chunk_is_refused(writer: Any, length: int, message: str) -> None:
    field = ("Text", writer.Type.STRING, "x" * length)
    event = writer.Event(provider="P", time=NOON, channel="C", computer="W", event_id=77, fields=[field])
    with pytest.raises(ValueError, match=message):
        writer.write_evtx([event])


def test_a_null_value_is_read_as_empty(writer: Any, tmp_path: Path) -> None:
    fields = [("Nothing", writer.Type.STRING, None), ("After", writer.Type.UINT32, 3)]
    event = writer.Event(provider="P", time=NOON, channel="C", computer="W", event_id=1, fields=fields)
    data = writer.write_evtx([event])
    for read in (read_with_evtx, read_with_pyevtx):
        ((_, leaves),) = read(data, tmp_path)
        assert "/Event/EventData/Nothing" not in leaves
        assert leaves["/Event/EventData/After"] == "3"


def test_no_events_still_make_a_file_that_readers_open(writer: Any, tmp_path: Path) -> None:
    data = writer.write_evtx([])
    assert len(data) == writer.FILE_HEADER_SIZE + writer.CHUNK_SIZE
    assert read_with_pyevtx(data, tmp_path) == []


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=300).map(str.strip), max_size=40
    ),
    time=st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_any_text_and_time_come_back_as_written(
    writer: Any, tmp_path_factory: pytest.TempPathFactory, texts: list[str], time: datetime
) -> None:
    base = {"provider": "P", "channel": "C", "computer": "W", "event_id": 5, "time": time, "shape": "event_xml"}
    events = [writer.Event(fields=[("User", writer.Type.STRING, text)], **base) for text in texts]
    path = tmp_path_factory.mktemp("texts") / "any.evtx"
    path.write_bytes(writer.write_evtx(events))
    if not texts:
        return
    seen = [ET.fromstring(record["data"]) for record in _rust_records(path)]  # noqa: S314
    users = [next(node for node in event.iter() if node.tag.endswith("User")).text or "" for event in seen]
    stamps = [event.find(f"{NS}System/{NS}TimeCreated").get("SystemTime") for event in seen]  # type: ignore[union-attr]
    assert users == texts
    assert {datetime.fromisoformat(stamp) for stamp in stamps if stamp} == {time}
