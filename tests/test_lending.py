"""Bytes that jobs bring to other processes of this machine arrive as they were, lent or pickled."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from forensics.engines import local
from forensics.evidence.open import Held, open_span
from forensics.limits import MIB
from forensics.model import Evidence, Span


def seen(held: Held) -> tuple[int, str, int, tuple[str, str] | None, str]:
    """What a job reads of the bytes it was given, in which process, and how it got them."""
    hasher = hashlib.sha256()
    span = Span(Evidence("E0001", "x", Path("x"), 0), "tomcat_access", 7, 7 + len(held.data), 1, ())
    stream = open_span(span, hasher.update, held)
    buffer = memoryview(bytearray(100_001))
    while stream.readinto(buffer):
        pass
    damage = stream.damage
    stream.close()
    return os.getpid(), hasher.hexdigest(), stream.position, damage, type(held.data).__name__


@pytest.mark.parametrize("refused", [False, True])
def test_bytes_arrive_whole_and_large_ones_as_memory_where_the_system_lends_it(
    monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    if refused:
        monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    broken = ("gzip_corrupt", "it is damaged")
    given = [
        Held(os.urandom(size), damage)
        for size, damage in ((3 * MIB, None), (0, None), (5, broken), (MIB, broken), (2 * MIB + 1, None))
    ]
    results = list(local.run(seen, given, workers=2))
    for held, (process, digest, position, damage, kind) in zip(given, results, strict=True):
        assert process != os.getpid()
        assert (digest, position, damage) == (hashlib.sha256(held.data).hexdigest(), 7 + len(held.data), held.damage)
        lent = len(held.data) >= MIB and hasattr(os, "memfd_create") and not refused
        assert kind == ("mmap" if lent else "bytes")


def test_lent_memory_is_given_back() -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("the system does not tell its open files")
    list(local.run(seen, [Held(bytes(2 * MIB)) for _ in range(3)], workers=2))
    left = sum("c2trail" in str(at.readlink()) for at in descriptors.iterdir() if at.is_symlink())
    assert left == 0
