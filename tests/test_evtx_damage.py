"""Damaged, cut, forged and random event logs: everything readable is read, every byte is accounted for, always."""

from __future__ import annotations

import struct
import zlib
from typing import NoReturn

import pytest
from evtx_event import Event, Type
from evtx_reading import FIRST, NOON, THREE_CHUNKS, chunk_count, log, read, session, starts
from evtx_writer import write_evtx

from forensics.model import Head
from forensics.parsers import _evtx_read
from forensics.parsers._evtx_chunks import CHUNK
from forensics.parsers._rdp import SECURITY
from forensics.parsers.evtx import PARSER


def test_a_sound_log_is_read_without_a_flag_or_a_reject() -> None:
    raw = log(THREE_CHUNKS)
    got = read(raw)
    assert chunk_count(raw) >= 3
    assert [row["event_sequence"] for row in got.events] == list(range(1, THREE_CHUNKS + 1))
    assert {row["flags"] for row in got.events} == {None}
    assert got.rejects == []


def test_chunks_past_the_count_of_a_stale_header_are_read_and_flagged() -> None:
    raw = log(THREE_CHUNKS, dirty=True)
    got = read(raw)
    assert len(got.events) == THREE_CHUNKS
    assert {row["flags"] for row in got.events if row["log_offset"] < 4096 + CHUNK} == {None}
    assert {row["flags"] for row in got.events if row["log_offset"] >= 4096 + CHUNK} == {"beyond_header"}


def test_a_destroyed_file_header_costs_nothing_but_itself() -> None:
    raw = log(THREE_CHUNKS)
    raw[:4096] = bytes(4096)
    assert PARSER.claims(Head("x", bytes(raw[:65536]), complete=False), ()).score == 90
    got = read(raw)
    assert len(got.events) == THREE_CHUNKS
    assert {row["flags"] for row in got.events} == {None}


def test_a_chunk_that_fails_its_checksum_is_read_and_flagged() -> None:
    raw = log(THREE_CHUNKS)
    raw[starts(raw)[0] + 16] ^= 1
    got = read(raw)
    assert len(got.events) == THREE_CHUNKS
    assert {row["flags"] for row in got.events if row["log_offset"] < 4096 + CHUNK} == {"bad_checksum"}
    assert {row["flags"] for row in got.events if row["log_offset"] >= 4096 + CHUNK} == {None}


def test_a_zeroed_chunk_is_a_skip_and_its_neighbours_are_read() -> None:
    raw = log(THREE_CHUNKS)
    raw[4096 + CHUNK : 4096 + 2 * CHUNK] = bytes(CHUNK)
    got = read(raw)
    assert [(s["log_offset"], s["log_length"]) for s in got.skips if s["reason"] == "empty_chunk"] == [
        (4096 + CHUNK, CHUNK)
    ]
    assert got.events
    assert got.rejects == []


def test_a_chunk_without_its_magic_is_rejected_and_read_only_on_request() -> None:
    raw = log(THREE_CHUNKS)
    raw[4096 + CHUNK] = 0x58
    got, recovered = read(raw), read(raw, recover=True)
    assert got.records["bad_chunk_magic"] + len(got.events) == THREE_CHUNKS
    assert {r["reason"] for r in got.rejects} == {"bad_chunk_magic"}
    assert len(recovered.events) == THREE_CHUNKS
    assert sum("recovered" in (row["flags"] or "") for row in recovered.events) == got.records["bad_chunk_magic"]


@pytest.mark.parametrize("size", [0, 27, 29, 0xFFFFFFF8, CHUNK])
def test_one_wrong_size_costs_one_record(size: int) -> None:
    raw = log(200)
    at, after = starts(raw)[3:5]
    struct.pack_into("<I", raw, at + 4, size)
    got = read(raw)
    assert [row["event_sequence"] for row in got.events] == [n for n in range(1, 201) if n != 4]
    (reject,) = got.rejects
    assert (reject["reason"], reject["log_offset"], reject["log_length"]) == ("damaged_record", at, after - at)


def test_a_damaged_copy_of_the_size_costs_nothing() -> None:
    raw = log(200)
    second = starts(raw)[1]
    raw[second - 4 : second] = b"\xff" * 4
    got = read(raw)
    assert len(got.events) == 200
    assert got.rejects == []


def test_free_space_that_a_damaged_header_moves_forward_hides_no_record() -> None:
    raw = log(200)
    struct.pack_into("<I", raw, 4096 + 48, starts(raw)[5] - 4096)
    got = read(raw)
    assert len(got.events) == 200
    assert all("bad_checksum" in row["flags"] for row in got.events if row["log_offset"] < 4096 + CHUNK)


def test_free_space_that_a_sound_header_states_ends_the_live_records() -> None:
    raw = log(100)
    first = starts(raw)
    struct.pack_into("<I", raw, 4096 + 48, first[60] - 4096)
    struct.pack_into("<I", raw, 4096 + 52, zlib.crc32(raw[FIRST : first[60]]))
    struct.pack_into("<I", raw, 4096 + 124, zlib.crc32(raw[4096 : 4096 + 120] + raw[4096 + 128 : FIRST]))
    got, recovered = read(raw), read(raw, recover=True)
    assert got.records == {"evtx": 60, "slack": 40}
    assert [row["flags"] for row in recovered.events] == [None] * 60 + ["recovered"] * 40


def test_second_copies_in_slack_are_told_by_computer_channel_number_and_time() -> None:
    live = [session(n, record_id=n + 1) for n in range(30)]
    raw = bytearray(write_evtx([*live, *live[10:20], session(99, record_id=500)]))
    first = starts(raw)
    struct.pack_into("<I", raw, 4096 + 48, first[30] - 4096)
    struct.pack_into("<QQ", raw, 4096 + 24, 1, 30)
    struct.pack_into("<I", raw, 4096 + 124, zlib.crc32(raw[4096 : 4096 + 120] + raw[4096 + 128 : FIRST]))
    got = read(raw, recover=True)
    assert got.records == {"evtx": 31, "slack_copy": 10}
    assert (got.events[-1]["event_sequence"], got.events[-1]["flags"]) == (500, "bad_checksum;recovered")


@pytest.mark.parametrize("cut", [0, 1, 4095, 4096, 4097, 4103, 4607, 4608, 4609, 4650, 9000, 70_001])
def test_a_file_cut_anywhere_is_read_as_far_as_it_goes(cut: int) -> None:
    raw = log(THREE_CHUNKS)
    whole = [at for at, end in zip(starts(raw), [*starts(raw)[1:], len(raw)], strict=True) if end <= cut]
    got = read(bytes(raw[:cut]))
    assert [row["log_offset"] for row in got.events][: len(whole)] == whole
    assert sum(got.tally.bytes.values()) == cut


def test_a_record_that_the_file_ends_inside_is_a_reject_that_says_so() -> None:
    raw = log(10)
    at = starts(raw)[5]
    (reject,) = read(bytes(raw[: at + 40])).rejects
    assert (reject["reason"], reject["log_offset"], reject["log_length"]) == ("truncated_record", at, 40)


def test_a_signature_in_a_value_of_an_event_is_no_record() -> None:
    forged = "**" + "\0" * 2
    text = (forged.encode("latin-1") + struct.pack("<I", 64) + bytes(56)) * 8
    raw = write_evtx([session(1, binary=text[n:]) for n in range(8)])
    assert len(read(raw).events) == 8


def test_a_definition_forged_under_a_known_guid_is_not_taken_for_the_known_one() -> None:
    raw = log(THREE_CHUNKS)
    second = 4096 + CHUNK
    at = raw.index("Address".encode("utf-16-le"), second)
    raw[at : at + 14] = "Xddress".encode("utf-16-le")
    got = read(raw)
    there = [row for row in got.events if second <= row["log_offset"] < second + CHUNK]
    others = [row for row in got.events if not second <= row["log_offset"] < second + CHUNK]
    assert there
    assert all(row["source_ip"] is None and '"Xddress"' in row["unmapped"] for row in there)
    assert all(row["source_ip"] for row in others)


def test_a_value_of_another_type_goes_to_the_exact_reader() -> None:
    fields = [("LogonType", Type.STRING, "10"), ("TargetUserName", Type.STRING, "admin")]
    raw = write_evtx(
        [Event(provider=SECURITY, event_id=4624, fields=fields, time=NOON, computer="W", channel="Security")]
    )
    (row,) = read(raw).events
    assert (row["logon_type"], row["user_name"]) == (10, "admin")
    assert row["time_original"] == "2017-01-18T12:00:00.000000Z"


def test_bytes_that_break_the_columnar_code_are_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise IndexError("made to break")

    plain = read(log(50))
    monkeypatch.setattr(_evtx_read, "sort_out", broken)
    assert [row["source_ip"] for row in read(log(50)).events] == [row["source_ip"] for row in plain.events]
