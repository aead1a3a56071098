"""Opening evidence: read-only, no access-time change where the system allows it, regular files only, gzip as a stream."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Final

from forensics.errors import EvidenceError
from forensics.evidence.inflate import Inflating
from forensics.limits import HEAD_BYTES, MIB
from forensics.model import Evidence, Head, Span
from forensics.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.stream import Readable

# A FIFO blocks on open without O_NONBLOCK, a link could lead anywhere, a plain open changes the access time.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NOATIME: Final = getattr(os, "O_NOATIME", 0)


def open_raw(path: Path) -> io.FileIO:
    """Open one evidence file for reading, unbuffered; EvidenceError if it cannot be or is no regular file."""
    try:
        try:
            descriptor = os.open(path, _FLAGS | _NOATIME)
        except PermissionError:
            # Only the owner may ask for O_NOATIME; read access alone still serves.
            descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise EvidenceError(f"cannot be opened ({error.strerror}); give read access or leave it out") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise EvidenceError("is no regular file and was not read")
    return io.FileIO(descriptor, "rb")


def open_stream(evidence: Evidence, feed: Callable[[memoryview], None] | None = None) -> Stream:
    """Open the whole inflated stream of a file; `feed` sees every block that is read."""
    return Stream(_readable(evidence, 0), 0, None, feed)


def open_span(span: Span, feed: Callable[[memoryview], None] | None = None) -> Stream:
    """Open the stream of one span, standing at its first byte."""
    length = None if span.stop is None else span.stop - span.start
    return Stream(_readable(span.evidence, span.start), span.start, length, feed)


def head(evidence: Evidence) -> Head:
    """Return what parsers look at to claim a file."""
    buffer = bytearray(HEAD_BYTES + 1)
    stream = open_stream(evidence)
    try:
        got = stream.readinto(memoryview(buffer))
    finally:
        stream.close()
    return Head(evidence.label, bytes(buffer[: min(got, HEAD_BYTES)]), complete=got <= HEAD_BYTES)


def drain(stream: Stream) -> None:
    """Read what is left, so that whatever feeds on the stream has seen all of it."""
    buffer = memoryview(bytearray(MIB))
    while stream.readinto(buffer) == len(buffer):
        pass


def _readable(evidence: Evidence, start: int) -> Readable:
    raw = open_raw(evidence.path)
    if evidence.wrapping == "gzip":
        return Inflating(raw)
    if start:
        raw.seek(start)
    return raw
