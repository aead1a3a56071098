"""Windows events exported as XML: wevtutil with and without a root, Event Viewer's file and its clipboard copy.

An export is cut at `<Event …>` and `</Event>`, and each event is read for itself: one broken event costs no other,
files without a root or with several are files like any other, and a DTD, which no export has, is never read. Event Viewer's
copy has `- ` before elements that can be folded. Element names are Microsoft's event schema of 2004/08.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from forensics.limits import BLOCK_BYTES, MAX_LINE
from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._evtx_render import Rendered
from forensics.parsers._exported import Collected, canonical, free_name
from forensics.parsers._rdp import IDS
from forensics.stream import Recount
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.stream import Stream

NAME: Final = "evtx_xml"
_MOST: Final = 4 * MAX_LINE
"""An EVTX record has 64 KiB; written out as UTF-16 with markup it stays far below."""
_LONGEST_NUMBER: Final = 20
_OPEN: Final = re.compile(rb"<Event[\s>]")
_SCHEMA: Final = b"schemas.microsoft.com/win/2004/08/events/event"
_NUMBER: Final = re.compile(rb"<EventID[^<>]*>\s*([0-9]{1,5})\s*<")
_ATTRIBUTES: Final = {"Provider": "Name", "TimeCreated": "SystemTime", "Correlation": "ActivityID"}
_TEXTS: Final = frozenset({"EventID", "EventRecordID", "Computer", "Channel"})
"""What System says of an event that a row keeps."""
_DOCTYPE: Final = re.compile(rb"\A[^<]*(?:<\?xml[^<>]*\?>\s*)?<!DOCTYPE", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"(?:[\s\ufeff-]|<\?xml[^<>]*\?>|</?Events[^<>]*>|<!--[^<>]*-->)*")
_ENCODINGS: Final = {"utf-8": 1, "utf-16-le": 2, "utf-16-be": 2}


def _encoding(start: bytes) -> str:
    if start[:2] == b"\xff\xfe" or (start[:4:2] in (b"<E", b"<?", b"- ") and start[1:4:2] == b"\0\0"):
        return "utf-16-le"
    if start[:2] == b"\xfe\xff" or (start[1:4:2] in (b"<E", b"<?", b"- ") and start[:4:2] == b"\0\0"):
        return "utf-16-be"
    return "utf-8"


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    encoding = _encoding(head.start)
    start = head.start if encoding == "utf-8" else head.start.decode(encoding, "replace").encode("utf-8", "replace")
    first = _OPEN.search(start)
    if _DOCTYPE.search(start) and (_SCHEMA in start or b"<EventID" in start):
        return Claim(1, "it has a document type (DTD), which no export of Windows has: refused")
    if (
        first is None
        or b"<System" not in start
        or not _BETWEEN.fullmatch(start[: first.start()].decode("utf-8", "replace"))
    ):
        return NO_CLAIM
    if _SCHEMA not in start and b"<EventID" not in start:
        return NO_CLAIM
    return Claim(95, f"it holds Windows events as XML ({encoding})")


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    return {"encoding": _encoding(head.start)} | ({"zone": options.zone} if options.zone else {})


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    reader = _Reader(span)
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while got := stream.readinto(buffer):
        reader.feed(bytes(buffer[:got]))
        yield reader.batch()
    reader.close()
    yield reader.batch()


class _Reader:
    """Cuts a stream at the starts of events; what follows the last start waits for the next block."""

    def __init__(self, span: Span) -> None:
        self._encoding = span.setting("encoding", "utf-8")
        self._open = _widened(b"<Event", self._encoding)
        self._after = [_widened(one, self._encoding) for one in (b" ", b">", b"\t", b"\r", b"\n", b"\x0b", b"\x0c")]
        self._shut = _widened(b"</Event>", self._encoding)
        self._held = bytearray()
        self._at = span.start
        """Where the held bytes start in the stream."""
        self._ordinal = 0
        self._long = False
        self._span = span
        self._out = Collected(span, NAME, span.setting("zone"))

    def batch(self) -> Batch:
        """Return what is ready."""
        out, self._out = self._out, Collected(self._span, NAME, self._span.setting("zone"))
        return out.batch()

    def feed(self, block: bytes) -> None:
        """Take a block; read every event that the next one's start has closed."""
        self._held += block
        start = 0
        here = self._next(0)
        if here is None:
            self._shorten()
            return
        if here > 0:
            self._before(here)
            start = here
        while (after := self._next(start + 1)) is not None:
            self._segment(start, after)
            start = after
        del self._held[:start]
        self._at += start
        self._shorten()

    def close(self) -> None:
        """Read what is left at the end of the stream."""
        if not self._held:
            return
        if self._next(0) == 0:
            self._segment(0, len(self._held), last=True)
        else:
            self._before(len(self._held))
        self._held.clear()

    def _next(self, start: int) -> int | None:
        """Return the place of the next start of an event that is sure to be one."""
        size = len(self._open)
        step = len(self._after[0])
        at = self._held.find(self._open, start)
        while at >= 0:
            behind = self._held[at + size : at + size + step]
            if len(behind) < step:
                return None
            if bytes(behind) in self._after:
                return at
            at = self._held.find(self._open, at + 1)
        return None

    def _shorten(self) -> None:
        """Give up bytes that wait for an end that does not come."""
        if len(self._held) <= _MOST:
            return
        keep = len(self._open) + len(self._after[0])
        size = len(self._held) - keep
        if self._next(0) == 0:
            self._count()
            self._out.reject((self._at, size, self._ordinal), "event_too_long", f"over {_MOST} bytes without an end")
        else:
            self._out.reject((self._at, size, None), "not_an_event", self._text(0, size), 0)
        del self._held[:size]
        self._at += size

    def _before(self, stop: int) -> None:
        """Account for what stands before an event: markup, or nothing that belongs there."""
        self._gap(0, stop)

    def _segment(self, start: int, stop: int, *, last: bool = False) -> None:
        """Read the event that starts at `start`; the next one starts at `stop`."""
        self._count()
        end = self._held.find(self._shut, start, stop)
        if end < 0:
            reason = "truncated_event" if last else "malformed_event"
            place = (self._at + start, stop - start, self._ordinal)
            self._out.reject(place, reason, "the event has no end")
            return
        end += len(self._shut)
        self._event(start, end)
        self._gap(end, stop)

    def _count(self) -> None:
        self._ordinal += 1

    def _event(self, start: int, end: int) -> None:
        raw = bytes(self._held[start:end])
        place = (self._at + start, end - start, self._ordinal)
        narrow = raw if self._encoding == "utf-8" else raw.decode(self._encoding, "replace").encode("utf-8", "replace")
        number = _NUMBER.search(narrow)
        if number is not None and int(number.group(1)) not in IDS:
            self._out.skip(*place[:2], "unwanted_event", 1)
            return
        flags = None
        try:
            narrow.decode("utf-8")
        except UnicodeDecodeError:
            narrow, flags = decode(narrow).encode("utf-8", "replace"), "broken_text"
        try:
            record, written = _record(narrow)
        except (ET.ParseError, ValueError, KeyError) as error:
            self._out.reject(place, "malformed_event", str(error))
            return
        self._out.event(place, record, written, flags)

    def _gap(self, start: int, stop: int) -> None:
        text = self._text(start, stop)
        if _BETWEEN.fullmatch(text):
            self._out.skip(self._at + start, stop - start, "markup")
        elif stop > start:
            self._out.reject((self._at + start, stop - start, None), "not_an_event", text.strip(), 0)

    def _text(self, start: int, stop: int) -> str:
        return bytes(self._held[start:stop]).decode(self._encoding, "replace")


def _widened(ascii_bytes: bytes, encoding: str) -> bytes:
    return ascii_bytes.decode("ascii").encode(encoding)


def _record(raw: bytes) -> tuple[Rendered, str]:
    """Return one event and its time as written; ParseError, ValueError or KeyError if it is none.

    The bytes start with `<Event`, so no DTD can stand before it: there are no entities to expand.
    """
    system: dict[str, str] = {}
    named: dict[str, str] = {}
    for part in ET.fromstring(raw, ET.XMLParser(encoding="utf-8")):  # noqa: S314
        name = _local(part.tag)
        if name == "System":
            for child in part:
                known = _local(child.tag)
                if known in _ATTRIBUTES:
                    attribute = _ATTRIBUTES[known]
                    if attribute in child.attrib:
                        system.setdefault(known, child.attrib[attribute])
                elif known in _TEXTS:
                    system.setdefault(known, (child.text or "").strip())
        elif name != "RenderingInfo":
            _fields(part, named)
    sequence = system.get("EventRecordID", "")
    record = Rendered(
        provider=system.get("Provider", ""),
        event_id=int(system["EventID"]),
        us=None,
        record_id=int(sequence)
        if sequence.isascii() and sequence.isdigit() and len(sequence) < _LONGEST_NUMBER
        else None,
        computer=system.get("Computer", ""),
        channel=system.get("Channel", ""),
        activity=canonical(system.get("Correlation", "")),
        named=named,
    )
    return record, system.get("TimeCreated", "")


def _fields(part: ET.Element, named: dict[str, str]) -> None:
    """Collect the texts of the elements that hold no others; unnamed Data elements are numbered."""
    unnamed = 0
    for leaf in part.iter():
        if len(leaf) or leaf is part:
            continue
        name = leaf.get("Name") or _local(leaf.tag)
        if name == "Data":
            unnamed += 1
            name = f"Data{unnamed}"
        # A pretty printer fills an empty element with its line ends.
        if leaf.text and not leaf.text.isspace():
            named[free_name(name, named) if name in named else name] = canonical(leaf.text)


def _local(tag: str) -> str:
    return tag[tag.rfind("}") + 1 :]


class _Opens(Recount):
    """Counts starts of events by a regular expression, block by block."""

    __slots__ = ("_pattern", "_tail")

    def __init__(self, encoding: str) -> None:
        super().__init__()
        zero = {"utf-8": (b"", b""), "utf-16-le": (b"", rb"\x00"), "utf-16-be": (rb"\x00", b"")}[encoding]
        letters = [zero[0] + one.encode() + zero[1] for one in ("<", "E", "v", "e", "n", "t", r"[\s>]")]
        self._pattern = re.compile(b"".join(letters))
        self._tail = b""

    def feed(self, block: memoryview) -> None:
        """Count the starts that end in this block."""
        raw = self._tail + bytes(block)
        at = 0
        for found in self._pattern.finditer(raw):
            self.records += 1
            at = found.end()
        self._tail = raw[max(at, len(raw) - 13) :]

    def total(self) -> int:
        """Return the count."""
        return self.records


def _whole(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


PARSER = Parser(
    name=NAME,
    title="Windows events exported as XML (wevtutil, Event Viewer)",
    suffixes=(".xml",),
    claims=_claims,
    split=_whole,
    read=_read,
    recount=lambda span: _Opens(span.setting("encoding", "utf-8")),
    settle=_settle,
    cannot_know="What an export left out: slack, damaged records, events that a filter did not ask for.",
)
