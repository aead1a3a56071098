"""Build a large valid EVTX of a chosen mix by repeating real full chunks: records renumbered, checksums recomputed.

Usage: make_big_evtx.py OUT MEGABYTES WANTED_PERCENT FILE_OR_FOLDER... The numbers inside the records stay as they were.
`WANTED_PERCENT` is the share of records that c2trail makes events of; chunks are picked so as to come close to it.
"""

from __future__ import annotations

import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forensics.evidence.open import head, open_span
from forensics.model import Evidence, Options, Span
from forensics.parsers.evtx import PARSER

CHUNK, FILE_HEADER, CHUNK_HEADER = 65536, 4096, 512
FULL = 60_000
"""A chunk of a log in use is written until the next record does not fit."""


@dataclass(frozen=True)
class Source:
    """One real chunk: its bytes, where its records start, where they end, and how many of them are wanted."""

    raw: bytes
    records: tuple[int, ...]
    free: int
    wanted: int


def event_offsets(path: Path) -> np.ndarray:
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = tuple(PARSER.settle(head(evidence), (), Options()).items())
    span = Span(evidence, PARSER.name, 0, evidence.size, 1, settings)
    found = [batch.events.column("log_offset").to_numpy() for batch in PARSER.read(span, open_span(span))]
    return np.sort(np.concatenate(found))


def record_starts(chunk: bytes, free: int) -> tuple[int, ...]:
    """Return where the records start if they chain exactly to the free space, else nothing."""
    starts, at = [], CHUNK_HEADER
    while at + 28 <= free and chunk[at : at + 4] == b"**\0\0":
        starts.append(at)
        size = struct.unpack_from("<I", chunk, at + 4)[0]
        if size < 28:
            return ()
        at += size
    return tuple(starts) if at == free and at >= FULL else ()


def sources(paths: list[Path]) -> list[Source]:
    out = []
    for path in paths:
        raw = path.read_bytes()
        if raw[:8] != b"ElfFile\0":
            continue
        offsets = event_offsets(path)
        for at in range(FILE_HEADER, len(raw) - CHUNK + 1, CHUNK):
            chunk = raw[at : at + CHUNK]
            free = struct.unpack_from("<I", chunk, 48)[0]
            starts = record_starts(chunk, free) if chunk[:8] == b"ElfChnk\0" and free <= CHUNK else ()
            if starts:
                low, high = np.searchsorted(offsets, [at, at + free])
                out.append(Source(chunk, starts, free, int(high - low)))
    return out


def sealed(source: Source, first: int) -> bytes:
    """Return the chunk with its records numbered from `first`."""
    out, last = bytearray(source.raw), first + len(source.records) - 1
    struct.pack_into("<QQQQ", out, 8, first, last, first, last)
    for number, at in enumerate(source.records):
        struct.pack_into("<Q", out, at + 8, first + number)
    struct.pack_into("<I", out, 52, zlib.crc32(out[CHUNK_HEADER : source.free]))
    struct.pack_into("<I", out, 124, zlib.crc32(out[:120] + out[128:CHUNK_HEADER]))
    return bytes(out)


def file_header(chunks: int, following: int) -> bytes:
    out = bytearray(FILE_HEADER)
    struct.pack_into(
        "<8sQQQIHHHH", out, 0, b"ElfFile\0", 0, chunks - 1, following, 128, 1, 3, FILE_HEADER, min(chunks, 65535)
    )
    struct.pack_into("<I", out, 124, zlib.crc32(out[:120]))
    return bytes(out)


def build(out: Path, megabytes: int, share: float, paths: list[Path]) -> tuple[int, int]:
    """Write the file; return how many records it has and how many are wanted."""
    found = sources(paths)
    if not found:
        sys.exit("no full chunk among the files given")
    rich = [s for s in found if s.wanted / len(s.records) >= share] or found
    poor = [s for s in found if s.wanted / len(s.records) < share] or found
    chunks, records, wanted, taken = megabytes * 1_000_000 // CHUNK, 0, 0, [0, 0]
    with out.open("wb") as file:
        file.write(bytes(FILE_HEADER))
        for _ in range(chunks):
            low = wanted <= share * records
            pool = rich if low else poor
            source = pool[taken[low] % len(pool)]
            taken[low] += 1
            file.write(sealed(source, records + 1))
            records += len(source.records)
            wanted += source.wanted
        file.seek(0)
        file.write(file_header(chunks, records + 1))
    return records, wanted


def main() -> None:
    out, megabytes, percent = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    given = [Path(name) for name in sys.argv[4:]]
    paths = sorted(p for name in given for p in (name.rglob("*.evtx") if name.is_dir() else [name]))
    records, wanted = build(out, megabytes, percent / 100, paths)
    print(f"{out.name}: {records:,} records, {wanted:,} wanted ({100 * wanted / records:.1f} %)", file=sys.stderr)


if __name__ == "__main__":
    main()
