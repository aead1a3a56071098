"""Bytes that jobs bring to other processes of this machine arrive as they were, lent or pickled."""

from __future__ import annotations

import hashlib
import os
import pickle
from pathlib import Path

import pytest

from forensics.engines import local
from forensics.evidence.open import Held, Passing, open_span
from forensics.limits import MIB
from forensics.model import Evidence, Span


def held(data: bytes, damage: tuple[str, str] | None = None) -> Held:
    """Bytes that passed in blocks, with others behind them."""
    passing = Passing()
    for at in range(0, len(data), MIB):
        passing.feed(memoryview(data[at : at + MIB]))
    passing.feed(memoryview(b"what comes next"))
    taken = passing.take(len(data), damage)
    assert passing.take(15, None) == Held(b"what comes next")
    return taken


def read(held: Held) -> tuple[bytes, tuple[str, str] | None]:
    """Everything a stream of held bytes gives, and its damage."""
    span = Span(Evidence("E0001", "x", Path("x"), 0), "tomcat_access", 7, 7 + len(held.data), 1, ())
    out = bytearray()
    stream = open_span(span, out.extend, held)
    buffer = memoryview(bytearray(100_001))
    while stream.readinto(buffer):
        pass
    assert stream.position == 7 + len(held.data)
    damage = stream.damage
    stream.close()
    return bytes(out), damage


def seen(held: Held) -> tuple[int, str, tuple[str, str] | None, str]:
    """What a job reads of the bytes it was given, in which process, and how it got them."""
    data, damage = read(held)
    return os.getpid(), hashlib.sha256(data).hexdigest(), damage, type(held.data).__name__


def lent() -> list[str]:
    """The memory that this process has descriptors of."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("the system does not tell its open files")
    return [at.name for at in descriptors.iterdir() if at.is_symlink() and "c2trail" in str(at.readlink())]


SIZES = (5 * MIB, 0, 5, MIB, 4 * MIB + 1, 4 * MIB - 15)
BROKEN = ("gzip_corrupt", "it is damaged")


@pytest.mark.parametrize("refused", [False, True])
def test_bytes_arrive_whole_and_large_ones_as_memory_where_the_system_lends_it(
    monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    if refused:
        monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    texts = [os.urandom(size) for size in SIZES]
    given = [held(text, BROKEN if number % 2 else None) for number, text in enumerate(texts)]
    results = list(local.run(seen, given, workers=2))
    for text, one, (process, digest, damage, kind) in zip(texts, given, results, strict=True):
        assert process != os.getpid()
        assert (digest, damage) == (hashlib.sha256(text).hexdigest(), one.damage)
        as_memory = len(text) >= 4 * MIB - 15 and hasattr(os, "memfd_create") and not refused
        assert kind == ("Memory" if as_memory else "bytes")


def test_lent_memory_is_given_back() -> None:
    before = lent()
    list(local.run(seen, [held(bytes(5 * MIB)) for _ in range(3)], workers=2))
    assert lent() == before


def test_memory_is_used_again_when_nobody_holds_it_and_no_sooner() -> None:
    before = len(lent())
    passing = Passing()
    texts = [bytes([number]) * (8 * MIB - number) for number in range(6)]
    kept: Held | None = None
    for text in texts:
        passing.feed(memoryview(text))
        taken = passing.take(len(text), None)
        assert kept is None or read(kept)[0] != text
        assert read(taken) == (text, None)
        kept = taken
    if hasattr(os, "memfd_create"):
        assert len(lent()) - before == 2
    del passing, kept, taken
    assert len(lent()) == before


def test_memory_is_pickled_as_bytes_for_other_machines() -> None:
    text = os.urandom(5 * MIB)
    assert pickle.loads(pickle.dumps(held(text, BROKEN))) == Held(text, BROKEN)  # noqa: S301
