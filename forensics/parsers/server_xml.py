"""Tomcat's server.xml: no events, but the patterns its access logs were written with.

Attributes and their defaults are those of the Access Log Valve (Tomcat 5.5 to 11). A DTD is refused at its first word:
Tomcat's file has none, and entities are how XML attacks its readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from forensics.limits import MAX_CONFIGURATION, MAX_XML_DEPTH, MIB
from forensics.model import NO_CLAIM, Batch, Claim, Hint, Parser
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table
from forensics.stream import Recount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.model import Head, Span
    from forensics.stream import Stream

NAME: Final = "server_xml"
_VALVES: Final = {
    "AccessLogValve": "access_log_pattern",
    "FastCommonAccessLogValve": "access_log_pattern",
    "ExtendedAccessLogValve": "extended_log_fields",
}
"""Class of a valve, and the kind of hint that its pattern is."""
_DEFAULT_PREFIX: Final = "access_log"


class _NoRecords(Recount):
    """A configuration holds no records, whatever its lines."""

    def feed(self, block: memoryview) -> None:
        """Count nothing."""
        del block

    def total(self) -> int:
        """Return no records."""
        return 0


class _Valves:
    """Collects the access-log valves while expat reads; `why` is set when the document is refused."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []
        self.why = ""
        self._depth = 0
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, raw: bytes, *, last: bool) -> None:
        """Read a piece; after the first refusal nothing more is read."""
        if self.why:
            return
        try:
            self._parser.Parse(raw, last)
        except (expat.ExpatError, ValueError) as error:
            self.why = self.why or str(error)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            self._refuse(f"elements more than {MAX_XML_DEPTH} deep")
        kind = attributes.get("className", "").rpartition(".")[2]
        if name == "Valve" and kind in _VALVES:
            pattern = attributes.get("pattern") or "common"
            self.found.append((_VALVES[kind], pattern, attributes.get("prefix", _DEFAULT_PREFIX)))

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _doctype(self, *_: object) -> None:
        self._refuse("it declares a DTD")

    def _refuse(self, why: str) -> None:
        self.why = why
        raise ValueError(why)


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    start = head.start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if (
        start[:1] == b"<"
        and b"<Server" in start
        and (b"<Service" in start or b"<Connector" in start or b"<Engine" in start)
    ):
        return Claim(95, "it is XML with a Tomcat Server element")
    return NO_CLAIM


def _hints(head: Head) -> Sequence[Hint]:
    valves = _Valves()
    valves.feed(head.start, last=head.complete)
    return [Hint(kind, pattern, prefix, head.label) for kind, pattern, prefix in valves.found]


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    valves = _Valves()
    buffer = memoryview(bytearray(MIB))
    size = 0
    while got := stream.readinto(buffer):
        size += got
        if size > MAX_CONFIGURATION:
            valves.why = valves.why or f"over {MAX_CONFIGURATION} bytes"
        valves.feed(bytes(buffer[:got]), last=False)
    valves.feed(b"", last=True)
    place = {"evidence_id": span.evidence.id, "log_offset": span.start, "log_length": size, "records": 0}
    if valves.why:
        reject = {**place, "reason": "malformed_xml", "detail": valves.why}
        yield Batch(empty(EVENTS), table([reject], REJECTS).combine_chunks().to_batches()[0], empty(SKIPS))
    elif size:
        skip = {**place, "reason": "configuration"}
        yield Batch(empty(EVENTS), empty(REJECTS), table([skip], SKIPS).combine_chunks().to_batches()[0])


def _split(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


PARSER = Parser(
    name=NAME,
    title="Tomcat server.xml (access-log patterns)",
    suffixes=(".xml",),
    claims=_claims,
    split=_split,
    read=_read,
    recount=lambda _span: _NoRecords(),
    hints=_hints,
    cannot_know="What the configuration was before it was last changed; a log may be older than its pattern.",
)
