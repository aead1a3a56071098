"""EVTX: every record is found, the columnar reader says what the exact one says, and damage costs only what it hit."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import evtx
import numpy as np
import orjson
import pyarrow as pa
import pytest
from evtx_writer import Event, Type, write_evtx

from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import head, open_span
from forensics.model import EVENT_ACTIONS, Evidence, Head, Options, Span
from forensics.parsers import _evtx_columns, parsers
from forensics.parsers._rdp import CORE, IDS, LSM, MEANINGS, SECURITY
from forensics.schemas import EVENTS

PARSER = parsers()["evtx"]
NOON = datetime(2017, 1, 18, 12, tzinfo=UTC)


def read(path: Path, *, recover: bool = False) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Tally]:
    """Return events in order of their places, rejects, and the tally, with the ledger on."""
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = tuple(sorted(PARSER.settle(head(evidence), (), Options(recover=recover)).items()))
    whole = Span(evidence, "evtx", 0, evidence.size, 1, settings)
    events: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    total = Tally()
    first = open_span(whole)
    spans = list(PARSER.split(first, whole))
    first.close()
    for span in spans:
        recount, watch = PARSER.recount(span), Watch(span)
        stream = open_span(span, recount.feed)
        for batch in PARSER.read(span, stream):
            watch.check(batch)
            table = batch.events if isinstance(batch.events, pa.Table) else pa.Table.from_batches([batch.events])
            events += table.to_pylist()
            rejects += batch.rejects.to_pylist()
        watch.close(stream.position, recount.total())
        stream.close()
        total.merge(watch.tally)
    return sorted(events, key=lambda row: row["log_offset"]), rejects, total


def records(tally: Tally) -> Counter[str]:
    return Counter({reason: count for (_, reason), count in tally.records.items() if count})


def rendered(path: Path) -> list[dict[str, Any]]:
    """Every record that the evtx package gives."""
    found = []
    walk = iter(evtx.PyEvtxParser(str(path)).records_json())
    while True:
        try:
            record = next(walk)
        except StopIteration:
            return found
        except RuntimeError:
            continue
        if record is not None:
            found.append(orjson.loads(record["data"])["Event"])


def event_id(event: dict[str, Any]) -> int:
    found = event["System"]["EventID"]
    return int(found["#text"] if isinstance(found, dict) else found)


def wanted(event: dict[str, Any]) -> bool:
    provider = (event["System"]["Provider"] or {}).get("#attributes") or {}
    return (provider.get("Name"), event_id(event)) in MEANINGS


def lsm(number: int, record: int, address: str = "192.0.2.7", user: str = "SRV\\admin") -> Event:
    return Event(
        provider=LSM, event_id=number, time=NOON, record_id=record, channel=f"{LSM}/Operational", computer="SRV", shape="event_xml",
        fields=(("User", Type.STRING, user), ("SessionID", Type.UINT32, 3), ("Address", Type.STRING, address)),
    )  # fmt: skip


def written(path: Path, *events: Event) -> Path:
    path.write_bytes(write_evtx(events))
    return path


def test_a_terminal_services_event_fills_its_columns(tmp_path: Path) -> None:
    (row,), rejects, _ = read(written(tmp_path / "a.evtx", lsm(21, 7)))
    assert not rejects
    assert (row["event_action"], row["event_code"], row["event_provider"]) == ("logon", "21", LSM)
    assert (row["user_domain"], row["user_name"], row["session_id"]) == ("SRV", "admin", 3)
    assert (row["source_ip"], row["host_name"], row["event_sequence"]) == ("192.0.2.7", "SRV", 7)
    assert (row["time"], row["time_basis"]) == (NOON, "filetime_utc")
    assert row["time_original"] == "2017-01-18T12:00:00.0000000Z"


@pytest.mark.parametrize(
    ("address", "source_ip", "port"),
    [
        ("LOCAL", None, None),
        ("YEREL", None, None),
        ("::%16777216", None, None),
        ("-", None, None),
        ("fe80::80ac:4126:fa58:1b81%10", "fe80::80ac:4126:fa58:1b81", None),
        ("::ffff:192.0.2.7", "192.0.2.7", None),
        ("10.0.2.16:52202", "10.0.2.16", 52202),
        ("[10.0.2.16]:59407", "10.0.2.16", 59407),
        ("[2001:db8::1]:59407", "2001:db8::1", 59407),
    ],
)
def test_an_address_field_is_read_in_every_form_it_comes_in(
    tmp_path: Path, address: str, source_ip: str | None, port: int | None
) -> None:
    (row,), _, _ = read(written(tmp_path / "a.evtx", lsm(21, 1, address)))
    assert row["source_address"] == (None if address == "-" else address)
    assert (row["source_ip"], row["source_port"]) == (source_ip, port)


def test_logons_of_services_are_skipped_by_value_and_counted(tmp_path: Path) -> None:
    def logon(kind: int, record: int) -> Event:
        fields = (
            ("TargetUserName", Type.STRING, "admin"),
            ("LogonType", Type.UINT32, kind),
            ("IpAddress", Type.STRING, "192.0.2.7"),
        )
        return Event(
            provider=SECURITY,
            event_id=4624,
            time=NOON,
            record_id=record,
            channel="Security",
            computer="SRV",
            shape="event_data",
            fields=fields,
        )

    events, _, tally = read(
        written(tmp_path / "a.evtx", *(logon(kind, i) for i, kind in enumerate([10, 5, 5, 3, 0], 1)))
    )
    assert [row["logon_type"] for row in events] == [10, 3]
    assert records(tally)["unwanted_logon_type"] == 3


def test_the_client_zone_is_whole_hours_from_utc(tmp_path: Path) -> None:
    def zone(text: str, record: int) -> Event:
        return Event(
            provider=CORE,
            event_id=104,
            time=NOON,
            record_id=record,
            channel=f"{CORE}/Operational",
            computer="SRV",
            shape="event_data",
            fields=(("TimezoneBiasHour", Type.STRING, text),),
        )

    events, _, _ = read(written(tmp_path / "a.evtx", zone("[9]", 1), zone("[-7]", 2), zone("[0]", 3), zone("odd", 4)))
    assert [row["client_zone"] for row in events] == ["+09:00", "-07:00", "+00:00", "odd"]


def test_the_cleared_channel_of_104_and_the_channel_it_stands_in_never_collide(evidence_dir: Path) -> None:
    (row,), _, _ = read(evidence_dir / "Velocidex+velociraptor/artifacts/testdata/files/DE_104_system_log_cleared.evtx")
    rest = json.loads(row["unmapped"])
    assert (rest["channel"], rest["cleared_channel"]) == ("System", "System")
    assert row["event_action"] == "log_cleared"


def test_a_file_is_known_by_its_magic_whatever_its_name() -> None:
    raw = write_evtx([lsm(21, 1)])
    assert PARSER.claims(Head("holiday.jpg", raw[:65536], complete=False), ()).score == 100
    assert PARSER.claims(Head("Security.evtx", bytes(8) + raw[8:65536], complete=False), ()).score == 90
    assert PARSER.claims(Head("Security.evtx", b"MZ" + bytes(6000), complete=True), ()).score == 0


def test_a_file_of_many_chunks_is_cut_at_chunk_borders_and_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "a.evtx", *(lsm(21 + i % 5, i + 1, f"192.0.2.{i % 250}") for i in range(1500)))
    whole, _, _ = read(path)
    monkeypatch.setattr("forensics.parsers.evtx.SPAN_BYTES", 65536)
    parts, _, tally = read(path)
    assert parts == whole
    assert len(whole) == 1500
    assert sum(tally.bytes.values()) == path.stat().st_size


@pytest.mark.parametrize("cut", [10, 4095, 4096, 4100, 4096 + 511, 4096 + 700, 4096 + 65536 - 1, 4096 + 65536 + 5])
def test_a_file_cut_short_keeps_every_record_before_the_cut(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "a.evtx", *(lsm(21, i + 1) for i in range(600)))
    whole, _, _ = read(path)
    path.write_bytes(path.read_bytes()[:cut])
    events, _, tally = read(path)
    assert [e["log_offset"] for e in events] == [
        e["log_offset"] for e in whole if e["log_offset"] + e["log_length"] <= cut
    ]
    assert sum(tally.bytes.values()) == cut


def test_a_zeroed_chunk_costs_its_own_records_only(tmp_path: Path) -> None:
    path = written(tmp_path / "a.evtx", *(lsm(21, i + 1) for i in range(900)))
    whole, _, _ = read(path)
    raw = bytearray(path.read_bytes())
    raw[4096 + 65536 : 4096 + 2 * 65536] = bytes(65536)
    path.write_bytes(raw)
    events, _, tally = read(path)
    lost = [e for e in whole if 4096 + 65536 <= e["log_offset"] < 4096 + 2 * 65536]
    assert len(events) == len(whole) - len(lost)
    assert records(tally) == Counter({"evtx": len(events)})
    assert tally.bytes["skip", "empty_chunk"] == 65536


def test_a_stale_header_hides_nothing_and_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.evtx", *(lsm(21, i + 1) for i in range(900)))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<H", raw, 42, 1)
    path.write_bytes(raw)
    events, _, _ = read(path)
    assert len(events) == 900
    assert {e["flags"] for e in events if e["log_offset"] > 4096 + 65536} == {"beyond_header"}


def test_a_record_that_fails_its_checksum_is_read_and_flagged(tmp_path: Path) -> None:
    path = written(tmp_path / "a.evtx", lsm(21, 1, "192.0.2.7"))
    raw = path.read_bytes().replace("192.0.2.7".encode("utf-16-le"), "192.0.2.9".encode("utf-16-le"))
    path.write_bytes(raw)
    (row,), _, _ = read(path)
    assert (row["source_ip"], row["flags"]) == ("192.0.2.9", "bad_checksum")


@pytest.mark.parametrize("flips", [1, 8, 60])
def test_no_mutated_file_breaks_the_ledger_or_the_second_count(tmp_path: Path, flips: int) -> None:
    rng = random.Random(flips)
    base = write_evtx([lsm(21 + i % 5, i + 1, f"192.0.2.{i % 9}") for i in range(250)])
    path = tmp_path / "mutant.evtx"
    for _ in range(60):
        raw = bytearray(base)
        for _ in range(flips):
            at = rng.randrange(4096, len(raw))
            raw[at] = rng.choice([0, 0xFF, rng.randrange(256), 0x2A])
        path.write_bytes(raw)
        _, _, tally = read(path)
        assert sum(tally.bytes.values()) == len(raw)


def test_a_record_imitated_inside_a_string_is_not_counted_twice(tmp_path: Path) -> None:
    fake = "".join(["\u2a2a\x00", "\u0020\x00"] * 40)
    _, _, tally = read(written(tmp_path / "a.evtx", *(lsm(21, i + 1, user=fake) for i in range(50))))
    assert sum(tally.records.values()) == 50


def test_every_event_of_the_table_has_a_known_action_and_columns() -> None:
    virtual = {"account", "address"}
    for (_, number), meaning in MEANINGS.items():
        assert number in IDS
        assert meaning.action in EVENT_ACTIONS
        assert set(meaning.columns) <= set(EVENTS.names) | virtual


def evtx_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.evtx"))


def test_real_files_give_the_events_that_a_second_reader_counts(evidence_dir: Path) -> None:
    """The evtx package is the second reader; beyond a damage that it does not pass, more may be found, never fewer."""
    for path in evtx_files(evidence_dir):
        events, _, tally = read(path)
        skipped = records(tally)["unwanted_logon_type"]
        second = Counter(str(event_id(e)) for e in rendered(path) if wanted(e))
        first = Counter(row["event_code"] for row in events)
        damaged = tally.bytes["reject", "damaged_bytes"] or tally.bytes["reject", "bad_chunk_magic"]
        if damaged:
            by_type = Counter({code: second[code] for code in ("4624", "4625", "4634")})
            assert not second - by_type - first, path.name
        else:
            assert sum(first.values()) + skipped == sum(second.values()), path.name
            assert first <= second, path.name


def test_both_ways_in_give_equal_rows_on_real_files(evidence_dir: Path) -> None:
    """The exact renderer has microseconds and upper-case GUIDs; all else is equal, value by value."""

    def comparable(row: dict[str, Any]) -> dict[str, Any]:
        rest = {
            k: v.lower()[:26] if len(v) > 26 and v[:2] in {"20", "22"} and v[4] == "-" else v.lower()
            for k, v in json.loads(row["unmapped"]).items()
        }
        return {
            **row,
            "time_original": row["time_original"][:26],
            "unmapped": {k: v.rstrip("z") for k, v in rest.items()},
        }

    compared = 0
    for path in evtx_files(evidence_dir):
        fast = {row["log_offset"]: comparable(row) for row in read(path)[0]}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                _evtx_columns.Columns, "groups", lambda _self, _chunks, rows, _wanted: ([], rows, np.zeros(0, np.int64))
            )
            slow = {row["log_offset"]: comparable(row) for row in read(path)[0]}
        assert slow.keys() <= fast.keys()
        for place, row in slow.items():
            assert fast[place] == row, path.name
            compared += 1
    assert compared > 5000


KNOWN = {
    # The header of this one tells of 1 chunk of 10; a reader that believes it loses 88 % of the records.
    "RDPAuth_Security.evtx": 789,
    "RDPAuth_System.evtx": 186,
    "RDPAuth_LocalSessionManager.evtx": 17,
    "smb-password-guessing-security.evtx": 3561,
    "security.evtx": 2261,
}


@pytest.mark.parametrize("name", KNOWN)
def test_live_records_of_a_real_file_are_all_there(evidence_dir: Path, name: str) -> None:
    (path,) = [p for p in evtx_files(evidence_dir) if p.name == name]
    _, _, tally = read(path)
    counts = records(tally)
    assert sum(counts.values()) - counts["slack"] == KNOWN[name]


def test_slack_is_read_only_when_asked_for_flagged_and_never_twice(evidence_dir: Path) -> None:
    (path,) = [p for p in evtx_files(evidence_dir) if p.name == "smb-password-guessing-security.evtx"]
    live, _, _ = read(path)
    more, _, _ = read(path, recover=True)
    assert len(live) == 3561
    assert not any("recovered" in (e["flags"] or "") for e in live)
    # All 77 slack records of this file are second copies of live ones.
    assert len(more) == len(live)
