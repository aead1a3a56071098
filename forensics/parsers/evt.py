"""Legacy event logs (.evt) of Windows 2000, XP and Server 2003: Security, System, Application.

The file is a ring: a record that does not fit at the end goes on behind the header, and a log that was not closed has a stale
header. So every record is found by its signature and its two equal lengths, wherever it lies; the end mark tells what is live
and what an older turn of the ring left behind (read with --recover, flagged). Layout: EVENTLOGHEADER, EVENTLOGRECORD and
EVENTLOGEOF of the Windows SDK. Times are seconds UTC.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from forensics.limits import EVENT_SPAN_BYTES
from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._evt_events import NUMBERS
from forensics.parsers._evt_record import END_MARK, END_SIZE, HEADER, LOG_FORMAT, MOST, SIGNATURE, length_at, row_of
from forensics.parsers._evt_recount import RecordCount
from forensics.parsers._evt_ring import Ring, header_range, ring_of
from forensics.parsers._exported import Collected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.stream import Stream

NAME: Final = LOG_FORMAT
_START: Final = struct.pack("<I", HEADER) + SIGNATURE


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    if head.start.startswith(_START):
        return Claim(100, "it starts with the header of a legacy event log (LfLe)")
    found = head.start.find(SIGNATURE, HEADER)
    if found >= 4 and length_at(head.start, found - 4) and head.start[:HEADER].count(0) >= HEADER // 2:
        return Claim(80, f"its header is damaged, and a legacy event record stands at byte {found - 4}")
    return NO_CLAIM


def _settle(_head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    return {"recover": "1"} if options.recover else {}


def _split(stream: Stream, whole: Span) -> Iterator[Span]:
    """Yield the file whole: a ring has no borders. One of several blocks is looked through first for what is live.

    A compressed one is not: its bytes would have to be kept. There the header of a closed log alone tells.
    """
    if whole.stop is None or whole.stop < EVENT_SPAN_BYTES:
        yield whole
        return
    ring = ring_of(_blocks(stream))
    yield replace(whole, settings=(*whole.settings, ("ring", ring.text)))


def _blocks(stream: Stream) -> Iterator[bytes]:
    view = memoryview(bytearray(EVENT_SPAN_BYTES))
    while got := stream.readinto(view):
        yield bytes(view[:got])


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    reader = _Reader(span)
    view = memoryview(bytearray(EVENT_SPAN_BYTES))
    while got := stream.readinto(view):
        last = got < len(view)
        yield reader.block(bytes(view[:got]), last=last)
        if last:
            return
    yield reader.block(b"", last=True)


class _Reader:
    """Walks a file block by block; a record that a block cuts waits for the next."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._recover = span.setting("recover") == "1"
        self._held = b""
        self._at = 0
        self._head = b""
        self._started = False
        self._ordinal = 0
        self._ring = Ring.told(span.setting("ring"))

    def block(self, raw: bytes, *, last: bool) -> Batch:
        """Read every record that is whole in what is held, or ends the file."""
        out = Collected(self._span, NAME)
        data = self._held + raw
        at = 0
        if not self._started:
            self._started = True
            self._head = data[: HEADER + MOST]
            if self._ring is None:
                self._ring = ring_of([data]) if last else Ring(*header_range(data))
            at = self._header(out, data)
        done = self._records(out, data, at, last=last)
        self._held = data[done:]
        self._at += done
        return out.batch()

    def _header(self, out: Collected, data: bytes) -> int:
        if not data.startswith(_START):
            return 0
        size = min(HEADER, len(data))
        out.skip(0, size, "file_header")
        tail = self._ring.tail if self._ring else 0
        out.skip(size, tail, "wrapped_tail")
        return size + tail

    def _records(self, out: Collected, data: bytes, at: int, *, last: bool) -> int:
        while True:
            found = data.find(SIGNATURE, at + 4)
            if found < 0:
                # A length may stand at the end of the block, its signature in the next.
                stop = len(data) if last else max(at, len(data) - 2 * END_SIZE)
                self._between(out, data, at, stop)
                return stop
            start = found - 4
            size = length_at(data, start)
            whole = start + size <= len(data)
            if size and not whole and not last:
                self._between(out, data, at, start)
                return start
            self._between(out, data, at, start)
            at = self._record(out, data, start, size, whole=whole)

    def _record(self, out: Collected, data: bytes, start: int, size: int, *, whole: bool) -> int:
        """Take one record up; return where it ends."""
        self._ordinal += 1
        if size and whole and data[start + size - 4 : start + size] == data[start : start + 4]:
            self._keep(out, data[start : start + size], start, size)
            return start + size
        if size and not whole:
            there = len(data) - start
            rest = self._head[HEADER : HEADER + size - there]
            joined = data[start:] + rest
            if joined[-4:] == data[start : start + 4] and len(joined) == size:
                self._keep(out, joined, start, there)
            else:
                detail = (
                    f"{there} of its {size} bytes stand at the end of the file, and the rest is not behind the header"
                )
                out.reject((self._at + start, there, self._ordinal), "torn_record", detail)
            return len(data)
        following = data.find(SIGNATURE, start + 8)
        stop = len(data) if following < 0 else following - 4
        stop = max(start + 8, stop)
        out.reject(
            (self._at + start, stop - start, self._ordinal),
            "damaged_record",
            "its two lengths are not one possible length",
        )
        return stop

    def _keep(self, out: Collected, record: bytes, start: int, size: int) -> None:
        place = (self._at + start, size, self._ordinal)
        live = self._ring is None or self._ring.holds(place[0])
        if not live and not self._recover:
            out.skip(place[0], size, "slack", 1)
        elif int.from_bytes(record[20:22], "little") not in NUMBERS:
            out.skip(place[0], size, "unwanted_event", 1)
        else:
            row = row_of(record)
            if isinstance(row, dict):
                row["log_offset"], row["log_length"], row["log_ordinal"] = place
                row["evidence_id"] = self._span.evidence.id
                if not live:
                    row["flags"] = "recovered"
                out.events.append(row)
            elif row[0] == "skip":
                out.skip(place[0], size, row[1], 1)
            else:
                out.reject(place, row[1], row[2])

    def _between(self, out: Collected, data: bytes, start: int, stop: int) -> None:
        """Account for bytes that no record claims: the end mark, padding, what a turn of the ring left half overwritten."""
        while start < stop:
            mark = data.find(END_MARK, start, stop)
            if mark < 0:
                out.skip(self._at + start, stop - start, "no_record")
                return
            end = min(mark + END_SIZE, stop)
            out.skip(self._at + start, mark - start, "no_record")
            out.skip(self._at + mark, end - mark, "end_of_log")
            start = end


PARSER = Parser(
    name=NAME,
    title="Legacy Windows event log (.evt of 2000, XP and Server 2003): Security, System, Application",
    suffixes=(".evt",),
    claims=_claims,
    split=_split,
    read=_read,
    recount=lambda _span: RecordCount(),
    settle=_settle,
    cannot_know=(
        "Times are whole seconds. Windows 2000 writes no source address and logs a Terminal Services logon as type 2; Server 2003 "
        "does not always fill the address. No Terminal Services channels: sessions come from Security alone. What the ring "
        "overwrote is gone but for older turns (--recover); in a compressed log above 64 MiB that was not closed they count as live."
    ),
)
