"""Blocks of lines out of a stream."""

from __future__ import annotations

import io

from forensics.parsers._lines import Block, blocks
from forensics.stream import Stream


class Holding(io.BytesIO):
    """A source of which somebody keeps every view that was ever filled, as a profiler that samples frames may."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.kept: list[memoryview] = []

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        self.kept.append(buffer[:])
        return super().readinto(buffer)


def test_a_view_that_somebody_else_still_holds_does_not_stop_the_reading() -> None:
    source = Holding(b"one\ntwo\nthr")
    (block,) = list(blocks(Stream(source, 0, None, None)))
    assert isinstance(block, Block)
    assert source.kept
    assert b"one\ntwo\nthr\n" in bytes(block.buffer)
    assert block.torn
