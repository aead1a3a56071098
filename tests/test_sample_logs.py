"""The sample case: reproducible to the byte, read alike by independent readers, and true to its own story."""

from __future__ import annotations

import gzip
import importlib
import ipaddress
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pyevtx
import pytest
from evtx import PyEvtxParser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_logs"
LOGS = SAMPLES / "Windows" / "System32" / "winevt" / "Logs"
TOMCAT = SAMPLES / "Tomcat" / "logs"
NS = "{http://schemas.microsoft.com/win/2004/08/events/event}"
LINE = re.compile(rb'(\S+) (\S+) (\S+) \[([^\]]+)\] "(.*)" (\d{3}) (\d+|-)')

Leaf = tuple[str, str]


@pytest.fixture(scope="module")
def generator() -> Iterator[Any]:
    sys.path.insert(0, str(SAMPLES))
    try:
        yield importlib.import_module("generate")
    finally:
        sys.path.remove(str(SAMPLES))


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def written(generator: Any) -> dict[str, list[Any]]:
    """File name to the events that were written into it."""
    names = importlib.import_module("expected").CHANNEL_FILES
    return {names[channel]: events for channel, events in generator.event_logs().items()}


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Every complete access-log line in the order of the days."""
    found: list[bytes] = []
    for path in sorted(TOMCAT.glob("localhost_access_log.*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found += raw.split(b"\r\n")[:-1]
    return found


def _data(xml: str) -> tuple[str, list[Leaf]]:
    """(event id, own fields) of a rendered record; numbers and ids brought to one spelling."""
    root = ET.fromstring(xml)  # noqa: S314
    event_id = root.findtext(f"{NS}System/{NS}EventID") or ""
    leaves = [
        (node.get("Name") or node.tag.split("}")[1], _spelling(node.text))
        for part in root
        if not part.tag.endswith("}System")
        for node in part.iter()
        if len(node) == 0 and node is not part
    ]
    return event_id, [leaf for leaf in leaves if leaf[1]]


def _spelling(text: str | None) -> str:
    text = (text or "").replace("\r\n", "\n")
    if not text.strip():
        return ""
    if re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return hex(int(text, 16))
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", text):
        return text[:26]
    return text.strip("{}").upper() if re.fullmatch(r"\{?[0-9A-Fa-f-]{36}\}?", text) else text


def _as_read(event: Any) -> list[Leaf]:
    """What a reader should show of the event's own fields."""
    leaves = []
    for name, kind, value in event.fields:
        if kind.name in {"HEX32", "HEX64", "SIZE_T"}:
            shown = hex(value)
        elif kind.name == "FILETIME":
            shown = value.isoformat()[:26]
        elif kind.name == "BOOLEAN":
            shown = str(value).lower()
        else:
            shown = str(value).upper() if kind.name == "GUID" else str(value)
        leaves.append((name or "Data", shown.replace("\r\n", "\n")))
    if event.binary:
        leaves.append(("Binary", event.binary.hex().upper()))
    return [leaf for leaf in leaves if leaf[1]]


def _with_evtx(path: Path) -> list[tuple[int, str, list[Leaf]]]:
    records: list[Any] = list(PyEvtxParser(str(path)).records())
    return [(record["event_record_id"], *_data(record["data"])) for record in records]


def _with_pyevtx(path: Path) -> list[tuple[int, str, list[Leaf]]]:
    log = pyevtx.file()
    log.open(str(path))
    try:
        found = []
        for at in range(log.get_number_of_records()):
            record: Any = log.get_record(at)
            found.append((record.get_identifier(), *_data(record.get_xml_string())))
        return found
    finally:
        log.close()


def test_the_generator_reproduces_every_committed_byte(generator: Any) -> None:
    for name, content in generator.files().items():
        committed = (SAMPLES / name).read_bytes()
        if name.endswith(".gz"):  # zlib builds differ in how they pack, never in what comes out
            assert committed[4:8] == bytes(4), "the gzip header holds a time"
            assert gzip.decompress(committed) == gzip.decompress(content), name
        else:
            assert committed == content, name


def test_no_file_lies_in_the_evidence_that_the_generator_did_not_write(generator: Any) -> None:
    found = {
        path.relative_to(SAMPLES).as_posix()
        for part in ("Windows", "Tomcat", "Formats")
        for path in _files(SAMPLES / part)
    }
    assert found | {"expected.json"} == set(generator.files())


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_generator_gives_the_same_bytes_under_another_hash_seed_and_zone(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "4242", "TZ": "Asia/Pyongyang", "LC_ALL": "C"}
    command = [sys.executable, str(SAMPLES / "generate.py"), str(tmp_path)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert len(_files(tmp_path)) > 15
    for path in _files(tmp_path):
        made, committed = path.read_bytes(), (SAMPLES / path.relative_to(tmp_path)).read_bytes()
        if path.suffix == ".gz":
            made, committed = gzip.decompress(made), gzip.decompress(committed)
        assert made == committed, path.name


@pytest.mark.parametrize("read", [_with_evtx, _with_pyevtx], ids=["evtx", "pyevtx"])
def test_a_reader_finds_every_record_with_the_values_that_were_written(
    written: dict[str, list[Any]], read: Any
) -> None:
    for name, events in written.items():
        found = read(LOGS / name)
        assert [record for record, _, _ in found] == [event.record_id for event in events], name
        for (_, event_id, leaves), event in zip(found, events, strict=True):
            assert event_id == str(event.event_id)
            assert leaves == _as_read(event), (name, event.record_id)


def test_the_record_counts_of_the_truth_are_those_of_the_files(truth: dict[str, Any], written: Any) -> None:
    told = sorted(sum(counts.values()) for counts in truth["records"].values())
    assert told == sorted(len(list(PyEvtxParser(str(LOGS / name)).records_json())) for name in written)


def test_all_events_of_one_connection_share_the_activity_of_its_first(written: dict[str, list[Any]]) -> None:
    core = next(events for name, events in written.items() if "RdpCoreTS" in name)
    opened = {event.activity_id for event in core if event.event_id == 131}
    assert {event.activity_id for event in core} == opened
    assigned = Counter(event.activity_id for event in core if event.event_id == 66)
    assert len(assigned) == 11
    assert set(assigned.values()) == {1}


def test_nobody_but_the_operator_ever_logs_on_from_outside(written: dict[str, list[Any]], truth: Any) -> None:
    operator = {row["source_ip"] for row in truth["sources"] if row["role"] == "operator"}
    named = {
        value
        for events in written.values()
        for event in events
        if event.event_id in {21, 25, 1149, 4624, 4778}
        for name, _, value in event.fields
        if name in {"Address", "Param3", "IpAddress", "ClientAddress"}
    }
    assert named - {"LOCAL", "-", "127.0.0.1"} == operator


def test_the_client_machine_and_its_zone_never_change(written: dict[str, list[Any]], truth: Any) -> None:
    seen = {
        (name, value)
        for events in written.values()
        for event in events
        for name, _, value in event.fields
        if name in {"ClientName", "TimezoneBiasHour"}
    }
    session = truth["sessions"][0]
    assert seen == {("ClientName", session["client_name"]), ("TimezoneBiasHour", session["client_zone"])}


def test_a_session_starts_and_ends_with_the_events_the_truth_names(written: dict[str, list[Any]], truth: Any) -> None:
    local = next(events for name, events in written.items() if "LocalSessionManager" in name)
    times = {(event.event_id, event.time) for event in local}
    for session in truth["sessions"]:
        assert (21, datetime.fromisoformat(session["start"])) in times
        for connection in session["connections"]:
            opens = 25 if connection["event_action"] == "reconnect" else 21
            assert (opens, datetime.fromisoformat(connection["in_session"])) in times
            closes = {"logoff": 23, "disconnect": 40}.get(connection["end_basis"])
            assert closes is None or (closes, datetime.fromisoformat(connection["end"])) in times


def test_the_access_logs_hold_the_lines_the_truth_counts(truth: dict[str, Any], lines: list[bytes]) -> None:
    told = truth["access_log_lines"]
    assert set(told) == {path.name for path in TOMCAT.glob("localhost_access_log.*")}
    assert sum(told.values()) == len(lines)
    assert 6000 <= len(lines) <= 15000
    assert all(LINE.fullmatch(line) for line in lines)


def test_the_last_access_log_ends_in_a_torn_line() -> None:
    last = max(TOMCAT.glob("localhost_access_log.*")).read_bytes()
    torn = last.rsplit(b"\r\n", 1)[1]
    assert torn
    assert LINE.fullmatch(torn) is None


def test_the_requests_of_every_source_are_as_many_as_the_truth_says(truth: dict[str, Any], lines: list[bytes]) -> None:
    counted = Counter(str(ipaddress.ip_address(line.split(b" ", 1)[0].decode())) for line in lines)
    assert counted == {row["source_ip"]: row["http_requests"] for row in truth["sources"] if row["http_requests"]}


def test_implants_call_the_c2_script_and_nothing_else(truth: dict[str, Any], lines: list[bytes]) -> None:
    implants = {row["source_ip"].encode() for row in truth["sources"] if row["role"] == "implant"}
    calls = {line.split(b'"')[1] for line in lines if line.split(b" ", 1)[0] in implants}
    assert calls == {b"POST /support/main.jsp HTTP/1.1"}
    assert 25 <= len(implants) <= 40


def test_only_the_operator_and_the_server_itself_call_the_panel(truth: dict[str, Any], lines: list[bytes]) -> None:
    path = next(row["path"] for row in truth["endpoints"] if row["kind"] == "panel").encode()
    callers = {line.split(b" ", 1)[0].decode() for line in lines if b" " + path in line}
    operator = {row["source_ip"] for row in truth["sources"] if row["role"] == "operator"}
    assert callers == operator | {"0:0:0:0:0:0:0:1"}


def test_the_north_korean_contact_is_one_minute_and_two_requests(truth: dict[str, Any], lines: list[bytes]) -> None:
    contact = truth["north_korean_contact"]
    source = contact["source_ip"]
    assert ipaddress.ip_address(source) in ipaddress.ip_network("175.45.176.0/22")
    begin, end = (datetime.fromisoformat(contact[key]) for key in ("connected", "disconnect"))
    assert timedelta(seconds=50) < end - begin < timedelta(seconds=90)
    mine = [LINE.fullmatch(line) for line in lines if line.startswith(source.encode() + b" ")]
    times = [datetime.strptime(hit[4].decode(), "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC) for hit in mine if hit]
    assert [time.isoformat().replace("+00:00", "Z") for time in times] == contact["http_requests"]
    assert all(begin < time < end for time in times)
    back = datetime.fromisoformat(contact["back_by_the_usual_proxy"])
    assert timedelta(0) < back - end < timedelta(minutes=15)


def test_countries_are_those_of_the_databases_before_and_after_the_events(truth: dict[str, Any]) -> None:
    path = ROOT / "geo" / "country-v4-geolite2-2014-2019.npz"
    if not path.exists():
        pytest.skip("the embedded country history is not in this tree")
    with np.load(path, allow_pickle=False) as table:
        # Of each build two columns: where an address is, and where it is registered if the build places it nowhere.
        builds = [np.flatnonzero(table["date"] == day) for day in ("2017-01-04", "2017-02-08")]
        for row in truth["sources"]:
            if row["role"] == "local":
                continue
            at = np.searchsorted(table["start"], int(ipaddress.ip_address(row["source_ip"])), side="right") - 1
            said = table["codes"][table["table"][table["hist"][at]]]
            codes = {"".join(said[build].tolist()) for build in builds}
            assert codes == {row["country_iso_code"]}, row["source_ip"]


def test_the_label_synthetic_is_in_the_data_itself(written: dict[str, list[Any]], truth: dict[str, Any]) -> None:
    assert truth["synthetic"] is True
    assert {event.computer for events in written.values() for event in events} == {"WIN-SYNTHETIC"}
    assert "Synthetic" in (SAMPLES / "README.md").read_text("utf-8")
