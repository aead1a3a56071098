"""Opening evidence: read-only, a file on disk or a member of an archive, compressed ones as a stream."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from forensics.evidence._decoders import CODECS
from forensics.evidence._layers import forget, open_layers
from forensics.evidence._raw import seekable
from forensics.evidence._store import State, Url, connect, entries, open_object, place, state, told
from forensics.evidence.held import Held, HeldBytes, Passing
from forensics.evidence.inflate import Inflating
from forensics.limits import HEAD_BYTES, MIB
from forensics.model import Evidence, Head, Span, StoredObject
from forensics.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.stream import Readable

__all__ = [
    "Held",
    "Passing",
    "State",
    "Url",
    "connect",
    "digest",
    "drain",
    "entries",
    "forget",
    "head",
    "open_both",
    "open_span",
    "open_stored",
    "open_stream",
    "place",
    "state",
    "told",
]


def open_stream(evidence: Evidence, feed: Callable[[memoryview], None] | None = None) -> Stream:
    """Open the whole inflated stream of a file; `feed` sees every block that is read."""
    return Stream(_readable(evidence, 0), 0, None, feed)


def open_stored(evidence: Evidence, feed: Callable[[memoryview], None] | None = None) -> Stream:
    """Open the bytes of a file or member as they would lie on disk: what is hashed, and what `size` counts."""
    return Stream(_stored(evidence), 0, None, feed)


def open_both(
    evidence: Evidence, stored_feed: Callable[[memoryview], None], feed: Callable[[memoryview], None]
) -> tuple[Stream, Stream]:
    """Open a file once for both its inflated stream and the stored bytes below it; each has its own feed.

    The two are one where nothing is to be inflated. The stored stream is behind the inflated one: drain it afterwards.
    """
    stored = Stream(_stored(evidence), 0, None, stored_feed)
    codec = CODECS.get(evidence.wrapping)
    raw = stored if codec is None else Inflating(stored, codec, lambda: _stored(evidence))
    return Stream(raw, 0, None, feed), stored


def open_span(span: Span, feed: Callable[[memoryview], None] | None = None, held: Held | None = None) -> Stream:
    """Open the stream of one span, standing at its first byte; `held` if its bytes are at hand."""
    if held is not None:
        return Stream(HeldBytes(held), span.start, None, feed)
    length = None if span.stop is None else span.stop - span.start
    return Stream(_readable(span.evidence, span.start, span.stop), span.start, length, feed)


def head(evidence: Evidence) -> Head:
    """Return what parsers look at to claim a file."""
    buffer = bytearray(HEAD_BYTES + 1)
    stream = open_stream(evidence)
    try:
        got = stream.readinto(memoryview(buffer))
    finally:
        stream.close()
    return Head(evidence.label, bytes(buffer[: min(got, HEAD_BYTES)]), complete=got <= HEAD_BYTES)


def digest(evidence: Evidence) -> str:
    """Return the SHA-256 of a file or member as it would lie on disk, in hexadecimal."""
    hasher = hashlib.sha256()
    stream = open_stored(evidence, hasher.update)
    try:
        drain(stream)
    finally:
        stream.close()
    return hasher.hexdigest()


def drain(stream: Stream) -> None:
    """Read what is left, so that whatever feeds on the stream has seen all of it."""
    buffer = memoryview(bytearray(MIB))
    while stream.readinto(buffer) == len(buffer):
        pass


def _stored(evidence: Evidence) -> Readable:
    return open_layers(evidence.path, evidence.layers, evidence.password)


def _readable(evidence: Evidence, start: int, stop: int | None = None) -> Readable:
    if isinstance(evidence.path, StoredObject) and evidence.divisible and not evidence.layers:
        found = open_object(evidence.path, stop)
        found.seek(start)
        return found
    raw = _stored(evidence)
    if evidence.wrapping in CODECS:
        return Inflating(raw, CODECS[evidence.wrapping], lambda: _stored(evidence))
    whole = seekable(raw) if start else None
    if whole is not None:
        whole.seek(start)
    return raw
