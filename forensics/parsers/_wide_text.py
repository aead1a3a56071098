"""Line logs that somebody saved again in UTF-16: PowerShell's `>` and Notepad's "Unicode" write that.

The parser of the format sees UTF-8 and places in it; every place of its rows is then brought back to the bytes as stored.
A file is one span: where a line starts in UTF-16 is not told by one byte.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.limits import BLOCK_BYTES, MIB
from forensics.model import Batch, Claim, Head, Parser
from forensics.parsers._export_pieces import encoding_of, narrow, stored_places
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table
from forensics.stream import Recount, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.model import Hint, Options, Span

    Ints = NDArray[np.int64]

_SETTING: Final = "text_encoding"
_UTF8: Final = "utf-8"
_MOST: Final = 64 * MIB
_HELD: Final = 4
"""Blocks at the start and at the end of what is not told yet whose bytes are kept."""
_BOM: Final = "\ufeff".encode()


def wide(parser: Parser) -> Parser:
    """Return the parser, which now reads its logs in UTF-16 too."""

    def claims(head: Head, hints: Sequence[Hint]) -> Claim:
        claim = parser.claims(_narrow(head), hints)
        encoding = encoding_of(head.start)
        return claim if encoding == _UTF8 or not claim.score else Claim(claim.score, f"{claim.why} ({encoding})")

    def settle(head: Head, hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
        encoding = encoding_of(head.start)
        settled = parser.settle(_narrow(head), hints, options)
        return settled if encoding == _UTF8 else {**settled, _SETTING: encoding}

    def split(stream: Stream, whole: Span) -> Iterator[Span]:
        return iter([whole]) if whole.setting(_SETTING) else parser.split(stream, whole)

    def read(span: Span, stream: Stream) -> Iterator[Batch]:
        encoding = span.setting(_SETTING)
        return _read(parser, encoding, span, stream) if encoding else parser.read(span, stream)

    def recount(span: Span) -> Recount:
        encoding = span.setting(_SETTING)
        return _WideCount(parser.recount(span), encoding) if encoding else parser.recount(span)

    return replace(
        parser,
        claims=claims,
        settle=settle,
        split=split,
        read=read,
        recount=recount,
        hints=lambda head: parser.hints(_narrow(head)),
    )


def _narrow(head: Head) -> Head:
    encoding = encoding_of(head.start)
    if encoding == _UTF8:
        return head
    return Head(head.label, narrow(head.start, encoding).removeprefix(_BOM), head.complete)


def _read(parser: Parser, encoding: str, span: Span, stream: Stream) -> Iterator[Batch]:
    text = _Narrow(stream, encoding, span.start)
    if text.mark:
        yield _rest(span, span.start, text.mark, "byte_order_mark", skipped=True)
    for batch in parser.read(replace(span, start=0, stop=None), text):
        yield text.widened(batch)
    if text.half:
        yield _rest(span, text.stored - text.half, text.half, "truncated_text", skipped=False)


def _rest(span: Span, offset: int, length: int, reason: str, *, skipped: bool) -> Batch:
    row = {"evidence_id": span.evidence.id, "log_offset": offset, "log_length": length, "reason": reason, "records": 0}
    schema = SKIPS if skipped else REJECTS
    made = table([row | ({} if skipped else {"detail": "half a character"})], schema).combine_chunks().to_batches()[0]
    return Batch(empty(EVENTS), empty(REJECTS) if skipped else made, made if skipped else empty(SKIPS))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A stretch of the text: where it starts in UTF-8 and as stored, its size, and its bytes if rows may start inside."""

    start: int
    stored: int
    size: int
    text: bytes


class _Narrow(Stream):
    """The stream in UTF-8, without its byte order mark; `position` counts the bytes of that."""

    __slots__ = ("_chunks", "_encoding", "_odd", "_pending", "_source", "half", "mark", "position", "stored")

    def __init__(self, source: Stream, encoding: str, start: int) -> None:
        self._source = source
        self._encoding = encoding
        self._chunks: list[_Chunk] = []
        self._pending = memoryview(b"")
        self._odd = b""
        self.position = 0
        self.stored = start
        """Where the stored bytes end that were turned."""
        self.half = 0
        """Bytes of half a character at the end."""
        self.mark = 0
        """Bytes of the byte order mark."""
        self._more()

    @property
    def damage(self) -> tuple[str, str] | None:
        """Why the stream beneath ended early."""
        return self._source.damage

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` as far as the text goes."""
        got = 0
        while got < len(buffer) and (len(self._pending) or self._more()):
            size = min(len(buffer) - got, len(self._pending))
            buffer[got : got + size] = self._pending[:size]
            self._pending = self._pending[size:]
            got += size
        self.position += got
        return got

    def _more(self) -> bool:
        """Turn the next block; False at the end."""
        block = bytearray(BLOCK_BYTES)
        while got := self._source.readinto(memoryview(block)):
            raw = self._odd + bytes(block[:got])
            whole = len(raw) & ~1
            high = raw[whole - 1 if self._encoding == "utf-16-le" else whole - 2] if whole else 0
            # A pair is not cut in two.
            whole -= 2 if 0xD8 <= high < 0xDC else 0
            self._odd = raw[whole:]
            if self._take(raw[:whole]):
                return True
        last, self._odd = self._odd, b""
        self.half = len(last) & 1 or self.half
        taken = self._take(last[: len(last) & ~1])
        self.stored += len(last) & 1
        return taken

    def _take(self, raw: bytes) -> bool:
        text = narrow(raw, self._encoding)
        if not self._chunks and not self.mark and text.startswith(_BOM):
            self.mark = 2
            self.stored += 2
            text, raw = text[len(_BOM) :], raw[2:]
        if not text:
            return False
        start = self._chunks[-1].start + self._chunks[-1].size if self._chunks else 0
        self._chunks.append(_Chunk(start, self.stored, len(text), text))
        if len(self._chunks) > 2 * _HELD and start - self._chunks[0].start > _MOST:
            # A line as long as this is passed over: no row starts or ends in its midst.
            self._chunks[_HELD] = replace(self._chunks[_HELD], text=b"")
            del self._chunks[_HELD + 1 : -_HELD]
        self.stored += len(raw)
        self._pending = memoryview(text)
        return True

    def widened(self, batch: Batch) -> Batch:
        """Return a batch with its places as stored, and forget the text before its end."""
        events, rejects, skips = (self._moved(rows) for rows in (batch.events, batch.rejects, batch.skips))
        told = [rows for rows in (batch.events, batch.rejects, batch.skips) if rows.num_rows]
        end = max((int(np.max(_column(rows, "log_offset") + _column(rows, "log_length"))) for rows in told), default=0)
        self._chunks = [one for one in self._chunks[:-1] if one.start + one.size >= end] + self._chunks[-1:]
        return Batch(events, rejects, skips)

    def _moved(self, rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
        if not rows.num_rows:
            return rows
        start = _column(rows, "log_offset")
        places = {"log_offset": (stored := self._as_stored(start))}
        places["log_length"] = self._as_stored(start + _column(rows, "log_length")) - stored
        for name, values in places.items():
            rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), pa.array(values))
        return rows

    def _as_stored(self, places: Ints) -> Ints:
        out = np.zeros(len(places), np.int64)
        starts = np.array([one.start for one in self._chunks], np.int64)
        of = np.searchsorted(starts, places, "right") - 1
        for number in np.unique(of).tolist():
            chunk, here = self._chunks[number], of == number
            out[here] = chunk.stored + stored_places(chunk.text, places[here] - chunk.start, self._encoding)
        return out


def _column(rows: pa.RecordBatch | pa.Table, name: str) -> Ints:
    values: Ints = rows.column(name).to_numpy()
    return values


class _WideCount(Recount):
    """Counts what another count counts, in UTF-8."""

    __slots__ = ("_count", "_decoder", "_encoding", "_first")

    def __init__(self, count: Recount, encoding: str) -> None:
        super().__init__()
        self._count = count
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._encoding = encoding
        self._first = True

    def feed(self, block: memoryview) -> None:
        """Count what ends in `block`."""
        self._text(self._decoder.decode(bytes(block)))

    def _text(self, text: str) -> None:
        if self._first and text:
            text, self._first = text.removeprefix("\ufeff"), False
        if text:
            self._count.feed(memoryview(text.encode("utf-8", "surrogatepass")))

    def total(self) -> int:
        """Return the count; half a pair at the end is a character."""
        held = self._decoder.getstate()[0]
        self._text(held[: len(held) & ~1].decode(self._encoding, "surrogatepass"))
        return self._count.total()
