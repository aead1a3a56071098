"""EVTX side by side with the evtx package's records_json and orjson, one process each, on replicated real chunks.

Usage: evtx_logs.py FILE.evtx [MEGABYTES] [ROUNDS]. Ratios are of processor time, taken in turn. The share of wanted
records is what the file has; then the table of meanings is cut down to one rare event, to show what skipping costs.
"""

from __future__ import annotations

import statistics
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import evtx
import orjson

from forensics.evidence.open import head, open_span
from forensics.model import Evidence, Options, Span
from forensics.parsers import _evtx_fields, parsers
from forensics.parsers._rdp import MEANINGS

CHUNK, HEADER = 65536, 4096


def replicate(source: bytes, size: int) -> bytes:
    """Repeat the whole chunks of a file up to `size` bytes, records and chunks renumbered, checksums right."""
    chunks = [source[at : at + CHUNK] for at in range(HEADER, len(source) - CHUNK + 1, CHUNK)]
    chunks = [c for c in chunks if c[:8] == b"ElfChnk\0"]
    out, record = bytearray(HEADER), 1
    for number in range(size // CHUNK):
        chunk = bytearray(chunks[number % len(chunks)])
        (free,) = struct.unpack_from("<I", chunk, 48)
        at, first = 512, record
        while at + 28 <= free and chunk[at : at + 4] == b"**\0\0":
            struct.pack_into("<Q", chunk, at + 8, record)
            at += struct.unpack_from("<I", chunk, at + 4)[0]
            record += 1
        struct.pack_into("<QQQQ", chunk, 8, first, record - 1, first, record - 1)
        struct.pack_into("<I", chunk, 52, zlib.crc32(bytes(chunk[512:free])))
        struct.pack_into("<I", chunk, 124, zlib.crc32(bytes(chunk[:120]) + bytes(chunk[128:512])))
        out += chunk
    struct.pack_into(
        "<8sQQQIHHHH", out, 0, b"ElfFile\0", 0, size // CHUNK - 1, record, 128, 1, 3, HEADER, min(size // CHUNK, 65535)
    )
    return bytes(out)


def ours(path: Path) -> int:
    parser = parsers()["evtx"]
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = tuple(sorted(parser.settle(head(evidence), (), Options()).items()))
    span = Span(evidence, "evtx", 0, evidence.size, 1, settings)
    stream = open_span(span)
    events = sum(batch.events.num_rows for batch in parser.read(span, stream))
    stream.close()
    return events


def theirs(path: Path) -> int:
    return sum(
        1 for record in evtx.PyEvtxParser(str(path), number_of_threads=1).records_json() if orjson.loads(record["data"])
    )


def cpu(work: object, path: Path) -> tuple[float, int]:
    start = time.process_time()
    count = work(path)  # type: ignore[operator]
    return time.process_time() - start, count


def main() -> None:
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.evtx"
        path.write_bytes(replicate(Path(sys.argv[1]).read_bytes(), megabytes << 20))
        for title, meanings in (("as it is", MEANINGS), ("one rare event", dict(list(MEANINGS.items())[:1]))):
            _evtx_fields.MEANINGS, _evtx_fields.IDS = meanings, frozenset(n for _, n in meanings)  # type: ignore[misc]
            pairs = [(cpu(theirs, path), cpu(ours, path)) for _ in range(rounds)]
            ratio = statistics.median(a[0] / b[0] for a, b in pairs)
            (theirs_s, records), (ours_s, events) = pairs[-1]
            print(
                f"{title}: {records:,} records, {events:,} events ({100 * events / records:.1f} %): evtx + orjson {theirs_s:.2f} cpu-s, c2trail {ours_s:.2f}, {ratio:.2f} times faster"
            )


if __name__ == "__main__":
    main()
