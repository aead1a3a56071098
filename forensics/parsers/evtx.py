"""Windows event logs (EVTX): Terminal Services, Security, System and what else `_rdp` names, by what each record says.

`_evtx_chunks` finds the records and believes no header; `_evtx_columns` tells the wanted ones by template and event id;
`_evtx_rows` decodes those by column; what cannot be proven goes to the exact renderer (`_evtx_render`). A server that was
pulled from the wall has a stale header: chunks past its count are read and flagged.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from forensics.limits import EVENT_SPAN_BYTES
from forensics.model import NO_CLAIM, Batch, Claim, Parser
from forensics.parsers._evtx_chunks import CHUNK, FILE_HEADER, TAIL
from forensics.parsers._evtx_definitions import Definitions
from forensics.parsers._evtx_read import Reader
from forensics.parsers._evtx_recount import RecordCount
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Head, Hint, Options, Span
    from forensics.stream import Stream

NAME: Final = "evtx"
_MAGIC: Final = b"ElfFile\0"
_DEFINITIONS: Final = Definitions()
_BLOCK: Final = EVENT_SPAN_BYTES
"""A span is read at once: what is the same in all its records is then done once."""
_FREE: Final[list[bytearray]] = []
"""Buffers of whole spans that nobody reads into now: touching new memory costs as much as reading the bytes."""


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    if head.start[:8] == _MAGIC:
        return Claim(100, "it starts with ElfFile")
    if head.start[FILE_HEADER : FILE_HEADER + 8] == b"ElfChnk\0":
        return Claim(90, "its file header is damaged, and an event-log chunk stands at byte 4096")
    return NO_CLAIM


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    """Keep what the file header says of its chunks, so that those behind its count can be flagged."""
    settled = {"recover": "1"} if options.recover else {}
    if head.start[:8] == _MAGIC and len(head.start) >= 44:
        settled["chunks_in_header"] = str(struct.unpack_from("<H", head.start, 42)[0])
    return settled


def _split(_stream: Stream, whole: Span) -> Iterator[Span]:
    """Cut at chunk borders; the file header belongs to the first span."""
    if whole.stop is None or whole.stop <= FILE_HEADER + EVENT_SPAN_BYTES:
        yield whole
        return
    start = whole.start
    while start < whole.stop:
        stop = min(whole.stop, max(start, FILE_HEADER) + EVENT_SPAN_BYTES)
        yield replace(whole, start=start, stop=stop)
        start = stop


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    if span.start == 0:
        header = memoryview(bytearray(FILE_HEADER))
        got = stream.readinto(header)
        if got:
            yield _header(span, got)
    told = span.setting("chunks_in_header")
    recover = span.setting("recover") == "1"
    reader = Reader(span.evidence.id, int(told) if told else None, recover, _DEFINITIONS)
    most = _BLOCK if span.stop is None else min(_BLOCK, span.stop - stream.position)
    if most <= _BLOCK // 2:
        yield from _blocks(reader, stream, bytearray(_room(most)), most)
        return
    buffer = _FREE.pop() if _FREE and len(_FREE[-1]) >= _room(most) else bytearray(_room(_BLOCK))
    try:
        yield from _blocks(reader, stream, buffer, most)
    finally:
        if not _FREE:
            _FREE.append(buffer)


def _room(most: int) -> int:
    """Return the size of a buffer for whole chunks, and for the zeros that the reader looks into behind the last one."""
    return -(-most // CHUNK) * CHUNK + TAIL


def _blocks(reader: Reader, stream: Stream, buffer: bytearray, most: int) -> Iterator[Batch]:
    """Read up to `most` bytes at a time into the buffer, and make a batch of them."""
    with memoryview(buffer) as view:
        while True:
            offset = stream.position
            used = stream.readinto(view[:most])
            if not used:
                return
            view[used : _room(used)] = bytes(_room(used) - used)
            yield reader.batch(buffer, used, offset)
            if used < most:
                return


def _header(span: Span, size: int) -> Batch:
    skip = {"evidence_id": span.evidence.id, "log_offset": 0, "log_length": size, "reason": "file_header", "records": 0}
    return Batch(empty(EVENTS), empty(REJECTS), table([skip], SKIPS).combine_chunks().to_batches()[0])


PARSER = Parser(
    name=NAME,
    title="Windows event log (EVTX): Terminal Services, Security, System",
    suffixes=(".evtx",),
    claims=_claims,
    split=_split,
    read=_read,
    recount=lambda span: RecordCount(span.start),
    settle=_settle,
    cannot_know=(
        "1149 alone proves no logon; 4625 under network authentication often has no address; client names and zones are the "
        "client's own words; RdpCoreTS is missing before 2012; cleared or overwritten records are gone but for slack (--recover)."
    ),
)
