"""Windows event logs (EVTX): Terminal Services, Security, System and what else `_rdp` names, by what each record says.

The scanner (`_evtx_chunks`) finds records and believes no header; the columnar reader (`_evtx_columns`) decodes the wanted
ones by template; what it cannot prove goes to the exact renderer (`_evtx_render`). A server that was pulled from the wall
has a stale header: chunks past its count are read and flagged.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.limits import SPAN_BYTES
from forensics.model import NO_CLAIM, Batch, Claim, Parser
from forensics.parsers import _evtx_fields
from forensics.parsers._evtx_chunks import CHUNK, FILE_HEADER, TAIL, RecordCount, bad_checksums, scan
from forensics.parsers._evtx_columns import Columns
from forensics.parsers._evtx_cover import Cover
from forensics.parsers._evtx_rows import events
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Head, Hint, Options, Span
    from forensics.parsers._evtx_chunks import Chunks
    from forensics.stream import Stream

NAME: Final = "evtx"
_BLOCK: Final = 512 * CHUNK


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    if head.start[:8] == b"ElfFile\0":
        return Claim(100, "it starts with ElfFile")
    if head.start[FILE_HEADER : FILE_HEADER + 8] == b"ElfChnk\0":
        return Claim(90, "its file header is damaged, and an event-log chunk stands at byte 4096")
    return NO_CLAIM


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    """Keep what the file header says of its chunks, so that those behind its count can be flagged."""
    told = struct.unpack_from("<H", head.start, 42)[0] if len(head.start) >= 44 else 0
    return {"chunks_in_header": str(told), **({"recover": "1"} if options.recover else {})}


def _split(_stream: Stream, whole: Span) -> Iterator[Span]:
    """Cut at chunk borders; the file header belongs to the first span."""
    if whole.stop is None or whole.stop <= FILE_HEADER + SPAN_BYTES:
        yield whole
        return
    start = whole.start
    while start < whole.stop:
        stop = min(whole.stop, max(start, FILE_HEADER) + SPAN_BYTES)
        yield replace(whole, start=start, stop=stop)
        start = stop


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    columns = Columns()
    if span.start == 0:
        header = memoryview(bytearray(FILE_HEADER))
        got = stream.readinto(header)
        if got:
            yield _header(span, got)
    # What was read before, so that a copy in slack is told as one; a copy that lies before its live record is kept.
    seen: set[tuple[object, ...]] | None = set() if span.setting("recover") else None
    while True:
        offset = stream.position
        buffer = bytearray(_BLOCK + TAIL)
        with memoryview(buffer) as view:
            used = stream.readinto(view[:_BLOCK])
        if not used:
            return
        del buffer[-(-used // CHUNK) * CHUNK + TAIL :]
        yield _block(span, columns, buffer, used, offset, seen)
        if used < _BLOCK:
            return


def _header(span: Span, size: int) -> Batch:
    skip = {"evidence_id": span.evidence.id, "log_offset": 0, "log_length": size, "reason": "file_header", "records": 0}
    return Batch(empty(EVENTS), empty(REJECTS), table([skip], SKIPS).combine_chunks().to_batches()[0])


def _block(
    span: Span, columns: Columns, buffer: bytearray, used: int, offset: int, seen: set[tuple[object, ...]] | None
) -> Batch:
    chunks = scan(buffer, used)
    cover = Cover(chunks, used, offset, span.evidence.id)
    recover = span.setting("recover") == "1"
    trusted = chunks.live & ~chunks.bad_magic[chunks.base // CHUNK] if len(chunks.place) else chunks.live
    rows = np.arange(len(chunks.place)) if recover else np.flatnonzero(trusted)
    if not recover:
        cover.skip_records(np.flatnonzero(~chunks.live), "slack")
        cover.reject_records(np.flatnonzero(chunks.live & ~trusted), "bad_chunk_magic", "read with --recover")
    told = int(span.setting("chunks_in_header", "0"))
    reader = _evtx_fields.Reader(chunks, cover, _flags(chunks, offset, told, trusted), offset, seen)
    made = [events(fields, span.evidence.id) for fields in reader.read(columns, rows)]
    cover.rest()
    rejects, skips = cover.tables()
    return Batch(pa.Table.from_batches(made, EVENTS) if made else empty(EVENTS), rejects, skips)


def _flags(chunks: Chunks, offset: int, told: int, trusted: np.ndarray) -> pa.DictionaryArray:
    """Return the flags of each record: its chunk's checksum, the header's count, slack."""
    number = (chunks.starts + offset - FILE_HEADER) // CHUNK
    words = {
        (bad, beyond, slack): ";".join(
            word for word, on in (("bad_checksum", bad), ("beyond_header", beyond), ("recovered", slack)) if on
        )
        for bad in (False, True)
        for beyond in (False, True)
        for slack in (False, True)
    }
    bad = bad_checksums(chunks)
    beyond = number >= told
    at = chunks.base // CHUNK
    codes = bad[at] * 4 + beyond[at] * 2 + ~trusted
    listed = [words[bool(i & 4), bool(i & 2), bool(i & 1)] for i in range(8)]
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes == 0), pa.array(listed))


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
        "client's own words; RdpCoreTS is missing before 2012; cleared or overwritten records are gone but for slack."
    ),
)
