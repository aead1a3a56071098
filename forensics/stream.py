"""Bounded streams of evidence bytes, and the second count that is taken from them as they pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


class Readable(Protocol):
    """An open binary file, plain or inflating."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill `buffer` and return how many bytes; 0 at the end."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Stream:
    """Evidence bytes from `position` on, read once, forwards. `forensics.evidence` makes them, nobody else.

    `position` is the offset of the next byte in the inflated stream. `damage` is set at the end of a compressed stream
    that broke off: a reason word and its detail; everything before the damage has been delivered.
    """

    __slots__ = ("_feed", "_left", "_raw", "position")

    def __init__(
        self, raw: Readable, position: int, length: int | None, feed: Callable[[memoryview], None] | None = None
    ) -> None:
        self._raw = raw
        self._left = length
        self._feed = feed
        self.position = position

    @property
    def damage(self) -> tuple[str, str] | None:
        """Why a compressed stream ended early, as (reason, detail); None for a whole one."""
        damage: tuple[str, str] | None = getattr(self._raw, "damage", None)
        return damage

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as the stream goes and return the number of bytes; fewer than asked means the end."""
        want = len(buffer) if self._left is None else min(len(buffer), self._left)
        got = 0
        while got < want:
            more = self._raw.readinto(buffer[got:want])
            if not more:
                break
            got += more
        if self._left is not None:
            self._left -= got
        self.position += got
        if self._feed is not None and got:
            self._feed(buffer[:got])
        return got

    def close(self) -> None:
        """Close the file underneath."""
        self._raw.close()


class Recount:
    """A second count of records, fed with the very blocks that a parser reads. This one counts lines by their LF.

    A parser of another shape has its own subclass; its code must not be the parser's.
    """

    __slots__ = ("_open", "records")

    def __init__(self) -> None:
        self.records = 0
        self._open = False

    def feed(self, block: memoryview) -> None:
        """Count what ends in `block`, which is never empty."""
        self.records += int(np.count_nonzero(np.frombuffer(block, np.uint8) == 0x0A))
        self._open = block[-1] != 0x0A

    def total(self) -> int:
        """Return the count; a last line without its LF counts."""
        return self.records + self._open
