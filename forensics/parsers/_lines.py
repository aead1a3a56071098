"""Whole lines in bounded blocks: cut at LF only, since VT, FS, NEL and U+2028 are data; an over-long line never held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.limits import BLOCK_BYTES, MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.stream import Stream

PAD: Final = 128
"""Bytes in front of a block's first line, the last of them an LF, so that looking back from a field stays inside."""
TAIL: Final = 64
"""Zero bytes behind the last line."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines. `buffer` is PAD bytes, then `size` bytes from `offset` of the stream, then TAIL.

    With `torn` the last line had no LF in the stream; one was put behind it, and `size` counts it.
    """

    buffer: bytearray
    size: int
    offset: int
    torn: bool


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line over MAX_LINE that was passed over: where it lies, its bytes with the LF, and whether it had one."""

    offset: int
    length: int
    torn: bool


def blocks(stream: Stream) -> Iterator[Block | LongLine]:
    """Yield the lines of a stream; blocks and long lines adjoin."""
    carry = b""
    while True:
        buffer = bytearray(PAD + len(carry) + BLOCK_BYTES + TAIL)
        buffer[PAD - 1] = 0x0A
        buffer[PAD : PAD + len(carry)] = carry
        offset = stream.position - len(carry)
        start = PAD + len(carry)
        view = memoryview(buffer)
        got = stream.readinto(view[start : start + BLOCK_BYTES])
        view.release()
        end = start + got
        over = got < BLOCK_BYTES
        cut = buffer.rfind(b"\n", PAD, end) + 1 or PAD
        carry = bytes(buffer[cut:end])
        if over:
            if end > PAD:
                torn = bool(carry)
                yield _block(buffer, end, offset, torn=torn)
            return
        if cut > PAD:
            yield _block(buffer, cut, offset, torn=False)
        if len(carry) > MAX_LINE:
            long, carry = _pass_over(stream, stream.position - len(carry), len(carry))
            yield long


def _block(buffer: bytearray, end: int, offset: int, *, torn: bool) -> Block:
    try:
        del buffer[end:]
    except BufferError:
        # A profiler that samples frames, as Dask's workers have, can still hold a view of it.
        buffer = buffer[:end]
    if torn:
        buffer += b"\n"
    size = len(buffer) - PAD
    buffer += bytes(TAIL)
    return Block(buffer, size, offset, torn)


def _pass_over(stream: Stream, offset: int, length: int) -> tuple[LongLine, bytes]:
    """Read to the end of the line; return it and what was read behind it."""
    buffer = bytearray(MAX_LINE)
    view = memoryview(buffer)
    while got := stream.readinto(view):
        found = buffer.find(b"\n", 0, got)
        if found >= 0:
            return LongLine(offset, length + found + 1, torn=False), bytes(buffer[found + 1 : got])
        length += got
    return LongLine(offset, length, torn=True), b""
