"""Mutated and random event logs: every byte is accounted for, and the second count agrees, whatever the bytes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from evtx_reading import log, read, real_logs, starts
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.parsers import _evtx_read
from forensics.parsers._evtx_chunks import CHUNK, TAIL, scan
from forensics.parsers._evtx_recount import RecordCount


def mutated(rng: random.Random, original: bytes) -> bytearray:
    raw = bytearray(original)
    for _ in range(rng.choice([1, 3, 30, 300])):
        at = rng.randrange(len(raw))
        match rng.randrange(8):
            case 0:
                raw[at] = rng.randrange(256)
            case 1:
                raw[at] ^= 1 << rng.randrange(8)
            case 2:
                there, size = at // 8 * 8, rng.choice([0, 28, 32, 64, 1000, 65000, 1 << 31])
                raw[there : there + 8] = b"**\0\0" + struct.pack("<I", size)
            case 3:
                raw[at : at + 4] = rng.choice([b"\xff" * 4, bytes(4), b"\x0f\x01\x01\0", b"\x0c\x01\0\0"])
            case 4 if rng.random() < 0.05:
                del raw[at : at + rng.choice([1, 7, 8, 5000])]
            case 5 if rng.random() < 0.05:
                raw[at:at] = rng.randbytes(rng.choice([1, 8, 100]))
            case 6 if rng.random() < 0.1:
                raw[at : at + 512] = bytes(512)
            case _:
                header = 4096 + rng.randrange(512)
                if header < len(raw):
                    raw[header] = rng.randrange(256)
        if len(raw) < 9:
            return raw or bytearray(b"x")
    return raw


def without_a_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columnar code must not break on any bytes; the net below it is for those that nobody thought of."""
    monkeypatch.setattr(_evtx_read, "_HOSTILE", ())


def test_every_byte_of_many_mutants_of_a_written_log_is_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    without_a_net(monkeypatch)
    rng = random.Random(20170118)
    original = bytes(log(60))
    small = original[: 4096 + 30_000]
    events = 0
    for number in range(1500):
        events += len(read(mutated(rng, small), recover=number % 2 == 1).events)
    assert events > 10_000


def test_every_byte_of_mutants_of_real_logs_is_accounted_for(
    evidence_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_a_net(monkeypatch)
    rng = random.Random(310)
    originals = [path.read_bytes()[: 4096 + 2 * CHUNK] for path in real_logs(evidence_dir)]
    for number in range(400):
        read(mutated(rng, rng.choice(originals)), recover=number % 2 == 1)


Piece = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([0, 8, 24, 28, 32, 40, 64, 1 << 16, 1 << 31]).map(lambda n: b"**\0\0" + struct.pack("<I", n)),
    st.integers(4, 40).map(
        lambda n: b"**\0\0" + struct.pack("<I", 8 * n) + bytes(8 * n - 12) + struct.pack("<I", 8 * n)
    ),
    st.integers(0, 600).map(bytes),
    st.just(b"ElfChnk\0"),
)


@settings(max_examples=300)
@given(st.lists(Piece, max_size=60), st.integers(0, 2), st.lists(st.integers(1, 70_000), min_size=1, max_size=8))
def test_the_second_count_agrees_with_the_scanner_on_any_bytes(
    pieces: list[bytes], before: int, blocks: list[int]
) -> None:
    aligned = b"".join(piece + bytes(-len(piece) % 8) for piece in pieces)
    raw = bytes(before * CHUNK + (CHUNK - 512 if before else 512)) + aligned
    buffer = bytearray(raw) + bytes(-len(raw) % CHUNK + TAIL)
    found = scan(buffer, len(raw))
    count = RecordCount(4096)
    at, turn = 0, 0
    while at < len(raw):
        block = raw[at : at + blocks[turn % len(blocks)]]
        count.feed(memoryview(block))
        at, turn = at + len(block), turn + 1
    assert count.total() == len(found.place)
    assert (np.diff(found.place) >= found.size[:-1]).all()


@pytest.mark.parametrize("start", [0, 4096, 4096 + CHUNK])
@pytest.mark.parametrize("cut", [lambda raw: raw, lambda raw: raw[:5000], lambda raw: raw[:100]])
def test_the_second_count_knows_where_the_first_chunk_is_by_the_span(start: int, cut: Callable[[bytes], bytes]) -> None:
    whole = bytes(log(300))
    raw = cut(whole)
    count = RecordCount(start)
    if raw[start:]:
        count.feed(memoryview(raw[start:]))
    ends = [at + struct.unpack_from("<I", whole, at + 4)[0] for at in starts(whole) if at >= start]
    assert count.total() == sum(end <= len(raw) for end in ends)
