"""Event logs cut into spans and blocks, known by their bytes: the same events however they are read."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace

import pytest
from evtx_reading import THREE_CHUNKS, log, read, spans_of

from forensics.model import Head
from forensics.parsers import evtx
from forensics.parsers._evtx_chunks import CHUNK
from forensics.parsers.evtx import PARSER
from forensics.stream import Stream


def test_spans_adjoin_start_at_chunks_and_give_the_same_events(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytes(log(1200))
    whole = read(raw)
    monkeypatch.setattr(evtx, "EVENT_SPAN_BYTES", 2 * CHUNK)
    spans = spans_of(raw)
    assert len(spans) == 4
    assert [span.start for span in spans[1:]] == [4096 + n * 2 * CHUNK for n in (1, 2, 3)]
    assert read(raw).events == whole.events


def test_blocks_smaller_than_a_span_give_the_same_events(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytes(log(1200))
    whole = read(raw)
    monkeypatch.setattr(evtx, "_BLOCK", CHUNK)
    assert read(raw).events == whole.events


def test_two_readers_at_once_do_not_share_a_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytes(log(1200))
    monkeypatch.setattr(evtx, "_BLOCK", 2 * CHUNK)
    (span,) = spans_of(raw)
    apart = [PARSER.read(span, Stream(io.BytesIO(raw), 0, len(raw))) for _ in range(2)]
    left, right = ([row for batch in one for row in batch.events.to_pylist()] for one in apart)
    together = list(zip(*[PARSER.read(span, Stream(io.BytesIO(raw), 0, len(raw))) for _ in range(2)], strict=True))
    assert left == right
    assert left == [row for batch, _ in together for row in batch.events.to_pylist()]
    assert left == [row for _, batch in together for row in batch.events.to_pylist()]


def test_a_stream_of_unknown_length_is_one_span_read_to_its_end() -> None:
    raw = bytes(log(THREE_CHUNKS))
    span = replace(spans_of(raw)[0], stop=None)
    assert list(PARSER.split(Stream(io.BytesIO(raw), 0, None), span)) == [span]
    stream = Stream(gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(raw, 1))), 0, None)
    assert sum(batch.events.num_rows for batch in PARSER.read(span, stream)) == THREE_CHUNKS


@pytest.mark.parametrize(
    ("start", "score"),
    [
        (b"ElfFile\0" + bytes(100), 100),
        (b"ElfFile\0", 100),
        (bytes(4096) + b"ElfChnk\0", 90),
        (b"ElfFil", 0),
        (b"MZ" + bytes(5000), 0),
        (b"", 0),
    ],
)
def test_a_log_is_known_by_its_bytes_whatever_its_name(start: bytes, score: int) -> None:
    for name in ("Security.evtx", "renamed.txt", ""):
        assert PARSER.claims(Head(name, start, complete=True), ()).score == score
