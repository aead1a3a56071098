"""Windows events exported as XML: wevtutil with and without a root, Event Viewer's file and its clipboard copy.

An export is cut at `<Event …>` and `</Event>`, and each event is read for itself: one broken event costs no other,
files without a root or with several are files like any other, and a DTD, which no export has, is never read. Event Viewer's
copy has `- ` before elements that can be folded. Element names are Microsoft's event schema of 2004/08.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import numpy as np

from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._evtx_render import Rendered
from forensics.parsers._export_columns import Columnar, Learned, Shapes
from forensics.parsers._export_fields import number_of
from forensics.parsers._export_pieces import Mark, encoding_of
from forensics.parsers._export_reader import Proven, Reader
from forensics.parsers._export_shapes import PAD, NotPlain, fields_as_slots, slot_of
from forensics.parsers._exported import canonical, free_name
from forensics.parsers._rdp import IDS
from forensics.parsers._xml_tokens import document, tokens_of
from forensics.stream import Recount
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.parsers._export_pieces import Cut
    from forensics.stream import Stream

    Ints = NDArray[np.int64]

NAME: Final = "evtx_xml"
_OPEN: Final = re.compile(rb"<Event[\s>]")
_SHUT: Final = b"</Event>"
_SCHEMA: Final = b"schemas.microsoft.com/win/2004/08/events/event"
_NUMBER: Final = re.compile(rb"<EventID[^<>]*>\s*([0-9]{1,5})\s*<")
_ATTRIBUTES: Final = {"Provider": "Name", "TimeCreated": "SystemTime", "Correlation": "ActivityID"}
_TEXTS: Final = frozenset({"EventID", "EventRecordID", "Computer", "Channel"})
_SYSTEM: Final = {
    "Provider": "provider",
    "TimeCreated": "written",
    "Correlation": "activity",
    "EventID": "number",
    "EventRecordID": "record",
    "Computer": "computer",
    "Channel": "channel",
}
"""What System says of an event that a row keeps, by the names that all exports share."""
_DOCTYPE: Final = re.compile(rb"\A[^<]*(?:<\?xml[^<>]*\?>\s*)?<!DOCTYPE", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"(?:[\s\ufeff-]|<\?xml[^<>]*\?>|</?Events[^<>]*>|<!--[^<>]*-->)*")


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    encoding = encoding_of(head.start)
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
    return {"encoding": encoding_of(head.start)} | ({"zone": options.zone} if options.zone else {})


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    return _Reader(span, NAME).batches(stream, Mark(_OPEN, lines=False))


class _Reader(Reader):
    """Reads events one by one, and many of one shape at once."""

    marks = (b"<", b"&")

    def __init__(self, span: Span, name: str) -> None:
        super().__init__(span, name)
        self._shapes = Shapes(_learn)
        self._columnar = Columnar()

    def record(self, piece: bytes) -> None:
        """Read the event at the start of a piece."""
        self.ordinal += 1
        end = piece.find(_SHUT) + len(_SHUT)
        if end < len(_SHUT):
            reason = "truncated_event" if self.last else "malformed_event"
            self.reject(piece, reason, "the event has no end", 1)
            return
        self._event(piece[:end])
        self.gap(piece[end:])

    def proven(self, cut: Cut, numbers: Ints) -> Proven | None:
        """Return the events that are whole."""
        shut = np.array([found.end() for found in re.finditer(_SHUT, cut.text)], np.int64)
        begin, behind = cut.bounds[numbers], cut.bounds[numbers + 1]
        at = np.searchsorted(shut, begin, "right")
        whole = np.append(shut, len(cut.text) + 1)[at]
        keep = whole <= behind
        numbers, ends = numbers[keep], whole[keep]
        if not len(numbers):
            return None
        tokens, good = tokens_of(cut.text + bytes(PAD), begin[keep], ends)
        if not good.any():
            return None
        return Proven(self._columnar, tokens, self._shapes.of(tokens), numbers[good], numbers[good], ends[good])

    def _event(self, raw: bytes) -> None:
        place = self.place(raw)
        number = _NUMBER.search(raw)
        if number is not None and int(number.group(1)) not in IDS:
            self.out.skip(*place[:2], "unwanted_event", 1)
            return
        flags = None
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raw, flags = decode(raw).encode("utf-8", "replace"), "broken_text"
        try:
            record, written = _record(raw)
        except (ET.ParseError, ValueError, KeyError) as error:
            self.out.reject(place, "malformed_event", str(error))
            return
        self.out.event(place, record, written, flags)

    def behind(self, raw: bytes) -> str:
        """Pass over markup, if there is nothing else."""
        return "markup" if _BETWEEN.fullmatch(raw.decode("utf-8", "replace")) else ""

    def gap(self, raw: bytes) -> None:
        """Account for what stands between events."""
        if raw and self.behind(raw):
            self.skip(raw, "markup", 0)
        elif raw:
            self.reject(raw, "not_an_event", raw.decode("utf-8", "replace").strip(), 0)


def _parts(raw: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Return what System says of an event, and its own fields; ParseError or ValueError if it is none.

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
                        system.setdefault(_SYSTEM[known], child.attrib[attribute])
                elif known in _TEXTS:
                    system.setdefault(_SYSTEM[known], child.text or "")
        elif name != "RenderingInfo":
            _fields(part, named)
    return system, named


def _record(raw: bytes) -> tuple[Rendered, str]:
    """Return one event and its time as written; ParseError, ValueError or KeyError if it is none."""
    system, named = _parts(raw)
    event_id = number_of(system["number"], 1 << 16)
    if event_id is None:
        raise ValueError(f"{system['number'][:40]!r} is no event number")
    record = Rendered(
        provider=system.get("provider", "").strip(),
        event_id=event_id,
        us=None,
        record_id=number_of(system.get("record"), 1 << 63),
        computer=system.get("computer", "").strip(),
        channel=system.get("channel", "").strip(),
        activity=canonical(system.get("activity", "").strip()),
        named=named,
    )
    return record, system.get("written", "")


def _learn(glue: tuple[bytes, ...]) -> Learned:
    """Read a shape once, with marks for its values; ValueError if its events are for the strict reader."""
    raw = document(glue)
    # The strict reader looks for the number before it reads anything else.
    if raw.count(b"<EventID") != 1:
        raise NotPlain
    try:
        system, named = _parts(raw)
    except ET.ParseError as error:
        raise NotPlain from error
    fields = fields_as_slots(named)
    return Learned({name: slot_of(text) for name, text in system.items()}, lambda _provider, _event_id: fields)


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
