"""Reading EVTX bytes in tests as the pipeline does, with the ledger on."""

from __future__ import annotations

import io
import struct
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from evtx_event import Event, Type
from evtx_writer import write_evtx

from forensics.evidence.ledger import Tally, Watch, check_file
from forensics.model import Evidence, Head, Options, Span
from forensics.parsers._evtx_chunks import CHUNK
from forensics.parsers._rdp import LSM
from forensics.parsers.evtx import PARSER
from forensics.stream import Stream

HEAD_BYTES = 65536


@dataclass(frozen=True)
class Reading:
    """What became of a file: rows as dictionaries, and how many records by (outcome, reason)."""

    events: list[dict[str, Any]]
    rejects: list[dict[str, Any]]
    skips: list[dict[str, Any]]
    tally: Tally

    @property
    def records(self) -> dict[str, int]:
        """Records by reason, those without any left out."""
        return {reason: count for (_, reason), count in sorted(self.tally.records.items()) if count}

    @property
    def codes(self) -> Counter[tuple[str, str]]:
        """Events by provider and code."""
        return Counter((row["event_provider"], row["event_code"]) for row in self.events)


def spans_of(raw: bytes, *, recover: bool = False) -> list[Span]:
    evidence = Evidence("E0001", "log.evtx", Path("log.evtx"), len(raw))
    settings = PARSER.settle(Head("log.evtx", raw[:HEAD_BYTES], complete=False), (), Options(recover=recover))
    whole = Span(evidence, PARSER.name, 0, len(raw), 1, tuple(sorted(settings.items())))
    return list(PARSER.split(Stream(io.BytesIO(raw), 0, None), whole))


def read(raw: bytes, *, recover: bool = False) -> Reading:
    """Read a file span by span; LedgerError if a byte or a record is not accounted for."""
    tally, ends = Tally(), []
    tables: dict[str, list[dict[str, Any]]] = {"events": [], "rejects": [], "skips": []}
    for span in spans_of(raw, recover=recover):
        recount, watch = PARSER.recount(span), Watch(span)
        length = None if span.stop is None else span.stop - span.start
        stream = Stream(io.BytesIO(raw[span.start :]), span.start, length, recount.feed)
        for batch in PARSER.read(span, stream):
            watch.check(batch)
            for name, rows in tables.items():
                part: pa.Table | pa.RecordBatch = getattr(batch, name)
                rows.extend(part.to_pylist())
        watch.close(stream.position, recount.total())
        tally.merge(watch.tally)
        ends.append((span.start, stream.position))
    check_file("log.evtx", ends, len(raw), tally)
    return Reading(tables["events"], tables["rejects"], tables["skips"], tally)


def real_logs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.evtx"))


FIRST = 4096 + 512
NOON = datetime(2017, 1, 18, 12, tzinfo=UTC)


def session(number: int, **more: Any) -> Event:
    fields = [
        ("User", Type.STRING, f"WIN-C2\\operator{number % 7}"),
        ("SessionID", Type.UINT32, number % 5),
        ("Address", Type.STRING, f"192.0.2.{number % 250}"),
    ]
    base: dict[str, Any] = {
        "time": NOON + timedelta(seconds=number),
        "computer": "WIN-C2",
        "channel": "LSM/Operational",
    }
    return Event(provider=LSM, event_id=21, fields=fields, shape="event_xml", **(base | more))


@cache
def _written(count: int, *, dirty: bool) -> bytes:
    return write_evtx([session(n) for n in range(count)], dirty=dirty)


def log(count: int, *, dirty: bool = False) -> bytearray:
    """Return a log of sessions, a fresh copy to damage."""
    return bytearray(_written(count, dirty=dirty))


THREE_CHUNKS = 600


def chunk_count(raw: bytes | bytearray) -> int:
    return (len(raw) - 4096) // CHUNK


def starts(raw: bytes | bytearray) -> list[int]:
    """Return where the records of a sound log start."""
    out = []
    for base in range(4096, len(raw), CHUNK):
        at, free = base + 512, base + struct.unpack_from("<I", raw, base + 48)[0]
        while at < free:
            out.append(at)
            at += struct.unpack_from("<I", raw, at + 4)[0]
    return out
