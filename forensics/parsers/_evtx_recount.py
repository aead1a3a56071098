"""The second count of EVTX records: every signature of a block is looked at, where the parser walks from record to record.

What a record is stands in `_evtx_chunks`; this is other code for the same words. The ledger holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.stream import Recount

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILE_HEADER: Final = 4096
_CHUNK: Final = 65536
_SIGNATURE: Final = 0x00002A2A
_WORD: Final = 4


class RecordCount(Recount):
    """Counts records as blocks pass; `start` is where the span starts in the file: at 0, or at a chunk."""

    __slots__ = ("_held", "_skip")

    def __init__(self, start: int) -> None:
        super().__init__()
        self._skip = max(0, _FILE_HEADER - start)
        self._held = bytearray()

    def feed(self, block: memoryview) -> None:
        """Count the records of whole chunks; a piece of a chunk is held until the rest comes."""
        passed = min(self._skip, len(block))
        self._skip -= passed
        block = block[passed:]
        if self._held:
            missing = min(_CHUNK - len(self._held), len(block))
            self._held += block[:missing]
            block = block[missing:]
            if len(self._held) < _CHUNK:
                return
            self.records += _records(self._held)
            self._held = bytearray()
        whole = len(block) // _CHUNK * _CHUNK
        self.records += _records(block[:whole])
        self._held += block[whole:]

    def total(self) -> int:
        """Return the count, that of a cut-off last chunk included."""
        return self.records + _records(self._held)


def _records(block: memoryview | bytearray) -> int:
    """Count the records of chunks; the last one may be cut."""
    total = len(block)
    word = np.frombuffer(block, "<u4", total // _WORD)
    # Index of every even word (8-aligned) that is the signature, behind the header of its chunk, with a header that fits.
    index = np.flatnonzero(word[::2] == _SIGNATURE) * 2
    index = index[(index * _WORD % _CHUNK >= 512) & (index * _WORD + 28 <= total)]
    size = word[index + 1].astype(np.int64)
    at = index * _WORD
    room = np.minimum((at // _CHUNK + 1) * _CHUNK, total) - at
    fits = (size >= 28) & (size % 8 == 0) & (size <= room)
    index, at, size, room = index[fits], at[fits], size[fits], room[fits]
    after = index + size // _WORD
    followed = room - size >= _WORD
    followed[followed] = word[after[followed]] == _SIGNATURE
    certain = (word[after - 1] == size) | followed
    return _not_nested(at[certain], size[certain])


def _not_nested(at: NDArray[np.int64], size: NDArray[np.int64]) -> int:
    """Count those that lie in none before them, from the first on."""
    if not len(at):
        return 0
    ends = at + size
    alone = np.ones(len(at), bool)
    alone[1:] = at[1:] >= np.maximum.accumulate(ends)[:-1]
    # What starts behind all before it lies in none of them; only what is between two such is walked.
    count, reached = int(alone.sum()), 0
    for number in np.flatnonzero(~alone).tolist():
        if alone[number - 1]:
            reached = int(ends[number - 1])
        if at[number] >= reached:
            count += 1
            reached = int(ends[number])
    return count
