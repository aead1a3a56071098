"""The second count of legacy event records: signatures that no whole record has inside it, by a walk over what was held.

Other code than the parser's for the same words: a record is a signature behind a length; one whose two lengths agree, or which
the end of the file cuts, hides the signatures inside it.
"""

from __future__ import annotations

import re
from typing import Final

from forensics.stream import Recount

_SIGNED: Final = re.compile(rb"(....)LfLe", re.DOTALL)
_MOST: Final = 0x40000
_HEADER: Final = b"\x30\0\0\0LfLe"


class RecordCount(Recount):
    """Counts records as blocks pass; the longest record that a block may cut is held."""

    __slots__ = ("_held", "_started")

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()
        self._started = False

    def feed(self, block: memoryview) -> None:
        """Count what is whole in what is held."""
        self._held += block
        if len(self._held) > 64 * _MOST:
            self._count(last=False)

    def total(self) -> int:
        """Return the count, that of what a last block cuts included."""
        self._count(last=True)
        return self.records

    def _count(self, *, last: bool) -> None:
        held = bytes(self._held)
        at = 0
        if not self._started:
            self._started = True
            at = 48 if held.startswith(_HEADER) else 0
        stop = len(held) if last else len(held) - _MOST - 8
        while (found := _SIGNED.search(held, at)) and found.start() < stop:
            size = int.from_bytes(found[1], "little")
            end = found.start() + size
            possible = 56 <= size <= _MOST and not size & 3
            self.records += 1
            if possible and end > len(held):
                at = len(held)
            elif possible and held[end - 4 : end] == found[1]:
                at = end
            else:
                at = max(found.start() + 8, found.end())
        done = len(held) if last else max(at, stop)
        del self._held[: min(done, len(held))]
