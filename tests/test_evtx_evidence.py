"""Real event logs that nobody here wrote, held against two other readers and against the exact path."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import evtx
import orjson
import pyevtx
import pytest
from evtx_reading import Reading, read, real_logs

from forensics.parsers import _evtx_read
from forensics.parsers._evtx_columns import Sorted
from forensics.parsers._rdp import LOGON_TYPE_OF, SKIPPED_LOGON_TYPES, meaning_of
from forensics.schemas import EVENTS

READ_FURTHER = {
    "System2.evtx": (194, 283),
    "2-vss_0-Microsoft-Windows-TerminalServices-RemoteConnectionManager%4Operational.evtx": (1774, 1795),
    "sample-with-zero-data-size-event.evtx": (335, 449),
    "sample_with_a_bad_chunk_magic.evtx": (270, 298),
}
"""Damaged files: live records that `evtx` returns, and those found here, behind a break or in a chunk that is cut short.
Their record numbers go on where the chunk's sequence broke off."""

KNOWN = {
    "RDPAuth_Security.evtx": (789, 0),  # its header counts one chunk of ten
    "RDPAuth_System.evtx": (186, 0),
    "RDPAuth_LocalSessionManager.evtx": (17, 34),
    "smb-password-guessing-security.evtx": (3561, 77),
    "2-vss_7-System.evtx": (1160, 25),
    "sample-with-zero-data-size-event.evtx": (449, 33),
    "rdpcorets_148_mst120_bluekeep_rpdscan_full.evtx": (733, 98),
}
"""Live records and records in slack."""

TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})\d?Z")


@pytest.fixture(scope="module")
def logs(evidence_dir: Path) -> list[Path]:
    found = real_logs(evidence_dir)
    assert len(found) >= 30
    return found


@pytest.fixture(scope="module")
def readings(logs: list[Path]) -> dict[Path, Reading]:
    return {path: read(path.read_bytes()) for path in logs}


def live(reading: Reading) -> int:
    return sum(reading.records.get(reason, 0) for reason in ("evtx", "unwanted_event", "unwanted_logon_type"))


def rendered(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what the `evtx` package says of each record it can render."""
    walk = iter(evtx.PyEvtxParser(str(path), number_of_threads=1).records_json())
    while True:
        try:
            yield orjson.loads(next(walk)["data"])["Event"]
        except StopIteration:
            return
        except RuntimeError:
            continue


def code_of(event: dict[str, Any]) -> int:
    code = event["System"]["EventID"]
    return int(code["#text"] if isinstance(code, dict) else code)


def provider_of(event: dict[str, Any]) -> str:
    return str(((event["System"]["Provider"] or {}).get("#attributes") or {}).get("Name"))


def is_wanted(event: dict[str, Any]) -> bool:
    key = provider_of(event), code_of(event)
    unwanted = key in LOGON_TYPE_OF and event["EventData"]["LogonType"] in SKIPPED_LOGON_TYPES
    return meaning_of(*key) is not None and not unwanted


def test_every_live_record_of_another_reader_is_accounted_for(readings: dict[Path, Reading]) -> None:
    for path, reading in readings.items():
        others = sum(1 for _ in rendered(path))
        assert (others, live(reading)) == READ_FURTHER.get(path.name, (others, others)), path.name


def test_wanted_events_are_as_many_by_provider_and_id_as_the_evtx_package_says(readings: dict[Path, Reading]) -> None:
    for path, reading in readings.items():
        said = Counter((provider_of(e), str(code_of(e))) for e in rendered(path) if is_wanted(e))
        if path.name in READ_FURTHER:
            assert not said - reading.codes, path.name
        else:
            assert reading.codes == said, path.name


def test_records_are_as_many_as_libevtx_says(readings: dict[Path, Reading]) -> None:
    for path, reading in readings.items():
        log = pyevtx.file()
        log.open(str(path))
        try:
            codes = Counter(str(log.get_record(n).event_identifier) for n in range(log.number_of_records))
        finally:
            log.close()
        assert live(reading) == codes.total() or path.name in READ_FURTHER, path.name
        for code in ("21", "1149", "131", "4778", "4779", "1102"):
            mine = sum(count for (_, mine), count in reading.codes.items() if mine == code)
            assert mine == codes[code] or path.name in READ_FURTHER, (path.name, code)


def test_the_known_counts_of_known_files(readings: dict[Path, Reading]) -> None:
    found = {path.name: (live(r), r.records.get("slack", 0)) for path, r in readings.items() if path.name in KNOWN}
    assert found == KNOWN


def test_a_log_whose_header_counts_one_chunk_is_read_to_its_end_and_flagged(readings: dict[Path, Reading]) -> None:
    (reading,) = (r for path, r in readings.items() if path.name == "RDPAuth_Security.evtx")
    flagged = [row for row in reading.events if "beyond_header" in (row["flags"] or "")]
    assert 0 < len(flagged) < len(reading.events)
    assert [row for row in reading.events if row["log_offset"] >= 4096 + 65536] == flagged


def test_a_record_of_size_zero_hides_nothing_behind_it(readings: dict[Path, Reading]) -> None:
    (reading,) = (r for path, r in readings.items() if path.name == "sample-with-zero-data-size-event.evtx")
    (reject,) = reading.rejects
    assert (reject["reason"], reject["log_offset"], reject["log_length"]) == ("damaged_record", 4096 + 2080, 232)


def test_no_live_record_of_a_whole_file_is_rejected(readings: dict[Path, Reading]) -> None:
    rejected = {path.name for path, reading in readings.items() if reading.rejects}
    assert rejected == set(READ_FURTHER)


def test_events_stand_in_the_order_of_the_file(readings: dict[Path, Reading]) -> None:
    for reading in readings.values():
        offsets = [row["log_offset"] for row in reading.events]
        assert offsets == sorted(offsets)


def test_the_first_bytes_of_every_event_are_those_of_a_record_with_its_number(readings: dict[Path, Reading]) -> None:
    for path, reading in readings.items():
        raw = path.read_bytes()
        for row in reading.events:
            at, size = row["log_offset"], row["log_length"]
            assert raw[at : at + 4] == b"**\0\0"
            assert int.from_bytes(raw[at + 4 : at + 8], "little") == size
            assert int.from_bytes(raw[at + 8 : at + 16], "little") == row["log_ordinal"]


def test_one_session_is_the_same_in_four_logs(readings: dict[Path, Reading]) -> None:
    by_name = {path.name: reading for path, reading in readings.items()}
    connected = [r for r in by_name["RDPAuth_RemoteConnectionManager.evtx"].events if r["event_code"] == "1149"]
    sessions = [r for r in by_name["RDPAuth_LocalSessionManager.evtx"].events if r["event_code"] in {"21", "25"}]
    logons = [r for r in by_name["RDPAuth_Security.evtx"].events if r["logon_type"] == 10]
    addresses = {r["source_ip"] for r in [*connected, *sessions, *logons]} - {None}
    assert connected
    assert sessions
    assert {r["source_ip"] for r in connected} <= addresses
    assert {r["host_name"] for r in [*connected, *sessions]} == {
        r["host_name"] for r in by_name["RDPAuth_System.evtx"].events
    }


def _only_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_evtx_read, "sort_out", lambda _chunks, rows, _definitions: Sorted(odd=[rows]))


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with times cut to the microseconds that the package renders."""
    return row | {name: TIME.sub(r"\1Z", row[name]) for name in ("time_original", "unmapped")}


def test_the_exact_path_and_the_columnar_path_give_equal_rows(
    logs: list[Path], readings: dict[Path, Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    _only_the_renderer(monkeypatch)
    compared = 0
    for path in logs:
        exact = read(path.read_bytes())
        assert exact.records == readings[path].records, path.name
        for slow, fast in zip(exact.events, readings[path].events, strict=True):
            assert comparable(slow) == comparable(fast), (path.name, fast["log_offset"])
            compared += 1
    assert compared > 5000


def test_the_renderer_makes_up_no_seventh_digit(logs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _only_the_renderer(monkeypatch)
    (path,) = (p for p in logs if p.name == "RDPAuth_RemoteConnectionManager.evtx")
    assert {len(row["time_original"]) for row in read(path.read_bytes()).events} == {27}


def test_slack_is_read_on_request_flagged_and_without_second_copies(logs: list[Path]) -> None:
    (path,) = (p for p in logs if p.name == "smb-password-guessing-security.evtx")
    reading = read(path.read_bytes(), recover=True)
    recovered = [row for row in reading.events if "recovered" in (row["flags"] or "")]
    assert len(reading.events) == 3561 + len(recovered)
    assert reading.records.get("slack_copy", 0) + len(recovered) + reading.records.get("undecodable_record", 0) == 77
    numbers = Counter((row["host_name"], row["event_sequence"], row["time"]) for row in reading.events)
    assert max(numbers.values()) == 1


def test_recovering_adds_to_the_live_events_and_takes_none_away(
    logs: list[Path], readings: dict[Path, Reading]
) -> None:
    more = 0
    for path in logs:
        events = read(path.read_bytes(), recover=True).events
        offsets = {row["log_offset"] for row in events}
        assert {row["log_offset"] for row in readings[path].events} <= offsets, path.name
        more += len(events) - len(readings[path].events)
    assert more > 200


def test_unmapped_is_json_with_sorted_keys_that_names_the_channel(readings: dict[Path, Reading]) -> None:
    for path, reading in readings.items():
        for row in reading.events:
            kept = json.loads(row["unmapped"])
            assert list(kept) == sorted(kept)
            assert kept["channel"], path.name


def test_every_column_is_in_the_schema(readings: dict[Path, Reading]) -> None:
    rows = [row for reading in readings.values() for row in reading.events]
    assert all(list(row) == EVENTS.names for row in rows)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
