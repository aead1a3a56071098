"""The renderer's own process: the `evtx` package (Rust) where it can be stopped, run as a script and nothing else.

Crafted bytes make the package loop without end or die with its process, and nothing in Python stops native code. So it works
here, for a parent that sets the time limit. On standard input: (size, skip) as two little-endian numbers of four bytes, then
a file of that size. On standard output, for each record behind the first `skip`: its size, or NOTHING, then its JSON; at the
end of the chain OVER, or BROKEN when the package gave up.
"""

from __future__ import annotations

import io
import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ASK: Final = struct.Struct("<II")
SAY: Final = struct.Struct("<I")
NOTHING, OVER, BROKEN = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
MEMORY: Final = 4 << 30
"""Bytes of address space: a crafted size must not take the analyst's machine with it."""


def main(asked: BinaryIO, told: BinaryIO) -> None:
    """Serve until the parent closes the pipe."""
    while len(head := asked.read(ASK.size)) == ASK.size:
        size, skip = ASK.unpack(head)
        for number, piece in enumerate(_chain(asked.read(size))):
            if number >= skip or piece in _ENDS:
                told.write(piece)
                told.flush()


def _chain(file: bytes) -> Iterator[bytes]:
    """Yield what the package says of each record, and how it ended."""
    import evtx  # noqa: PLC0415  # the parent reads this module for its words alone

    try:
        walk = iter(evtx.PyEvtxParser(io.BytesIO(file), number_of_threads=1).records_json())
        while True:
            yield _next(walk)
    except StopIteration:
        yield SAY.pack(OVER)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # a panic of the native library is no Exception
        yield SAY.pack(BROKEN)


def _next(walk: Any) -> bytes:  # noqa: ANN401  # the package's own iterator
    try:
        data: bytes = next(walk)["data"].encode("utf-8", "surrogatepass")
    except (RuntimeError, ValueError, OSError):
        # One record that cannot be rendered; the package goes on behind it.
        return SAY.pack(NOTHING)
    return SAY.pack(len(data)) + data


_ENDS: Final = (SAY.pack(OVER), SAY.pack(BROKEN))


def _bounded() -> None:
    try:
        import resource  # noqa: PLC0415  # there is none on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _bounded()
    try:
        main(sys.stdin.buffer, sys.stdout.buffer)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.stdout = None
