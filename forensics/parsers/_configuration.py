"""Tomcat's configuration files as evidence: one event a file, its elements as JSON, secrets masked.

Read by expat; a DTD is refused at its first word, since Tomcat's files have none and entities are how XML attacks its readers.
The time of the event is null: a configuration does not say since when it holds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from forensics.limits import MAX_CONFIGURATION, MAX_XML_DEPTH, MIB
from forensics.model import NO_CLAIM, Batch, Claim, Parser
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table
from forensics.stream import Recount
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from forensics.model import Head, Hint, Span
    from forensics.stream import Stream

MASKED: Final = "(masked)"
_SECRET: Final = re.compile(r"pass(word|wd|phrase)?$|secret$|credential|digest$|salt$", re.IGNORECASE | re.ASCII)
_IN_ADDRESS: Final = re.compile(r"(?i)((?:password|pwd|secret)=)[^&;\s\"']+|(//[^/:@\s\"']*:)[^@/\s\"']+(?=@)")
_ASSIGNED: Final = re.compile(
    rb"""(?ix) ( (?:[\w.-]*(?:pass(?:word|wd|phrase)?|secret|digest|salt)|[\w.-]*credential[\w.-]*) \s*=\s* )
         ( "[^"]*"? | '[^']*'? | [^\s"'<>]+ )"""
)
_LOGGED_IN: Final = re.compile(rb"(//[^/:@\s\"']*:)([^@/\s\"']+)(?=@)")


class OneRecord(Recount):
    """A configuration file is one record, whatever its lines."""

    def feed(self, block: memoryview) -> None:
        """See whether there is anything."""
        self.records = 1 if len(block) else self.records

    def total(self) -> int:
        """Return one for a file that holds something."""
        return self.records


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its name and attributes as written."""

    name: str
    attributes: Mapping[str, str]


class Elements:
    """Collects elements while expat reads; `why` is set when the document is refused."""

    def __init__(self) -> None:
        self.found: list[Element] = []
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
        except (expat.ExpatError, ValueError, LookupError) as error:
            self.why = self.why or str(error)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            self._refuse(f"elements more than {MAX_XML_DEPTH} deep")
        self.found.append(Element(name.rpartition(":")[2], attributes))

    def _end(self, _name: str) -> None:
        self._depth -= 1

    def _doctype(self, *_: object) -> None:
        self._refuse("it declares a DTD")

    def _refuse(self, why: str) -> None:
        self.why = why
        raise ValueError(why)


def elements_of(head: Head) -> list[Element]:
    """Return the elements that stand in a head."""
    reading = Elements()
    reading.feed(head.start, last=head.complete)
    return reading.found


def masked_values(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return attributes without their secrets: passwords, and those inside addresses of databases."""
    return {
        name: MASKED if _SECRET.search(name) else _IN_ADDRESS.sub(rf"\1\2{MASKED}", value)
        for name, value in attributes.items()
    }


def kept(elements: Sequence[Element], names: Sequence[str]) -> Mapping[str, Any]:
    """Return the elements of some names, each a list of its attributes without secrets."""
    out: dict[str, list[dict[str, str]]] = {}
    for one in elements:
        if one.name in names:
            out.setdefault(one.name, []).append(masked_values(one.attributes))
    return out


def mask(raw: bytes) -> bytes:
    """Return a configuration's bytes with every secret overwritten by asterisks, each as long as it was."""

    def stars(found: re.Match[bytes]) -> bytes:
        value = found.group(2)
        quote = value[:1] if value[:1] in (b'"', b"'") else b""
        closed = quote and value.endswith(quote) and len(value) > 1
        inner = len(value) - len(quote) - (1 if closed else 0)
        return found.group(1) + quote + b"*" * inner + (quote if closed else b"")

    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        # Two bytes a letter: none is shown, since none can be told from a secret here.
        return b"*" * len(raw)
    assigned = _ASSIGNED.sub(stars, raw)
    return _LOGGED_IN.sub(lambda found: found.group(1) + b"*" * len(found.group(2)), assigned)


def xml_parser(
    name: str,
    title: str,
    claims: Callable[[Head], Claim],
    facts: Callable[[Sequence[Element]], Mapping[str, Any]],
    cannot_know: str,
    hints: Callable[[Head], Sequence[Hint]] = lambda _head: (),
) -> Parser:
    """Return the parser of one kind of XML file; `facts` turns its elements into what the event keeps."""

    def told(raw: bytes) -> tuple[Mapping[str, Any], str]:
        reading = Elements()
        reading.feed(raw, last=True)
        return ({}, reading.why) if reading.why else (facts(reading.found), "")

    return configuration_parser(name, title, (".xml",), claims, told, "malformed_xml", cannot_know, hints)


def configuration_parser(
    name: str,
    title: str,
    suffixes: tuple[str, ...],
    claims: Callable[[Head], Claim],
    told: Callable[[bytes], tuple[Mapping[str, Any], str]],
    reason: str,
    cannot_know: str,
    hints: Callable[[Head], Sequence[Hint]] = lambda _head: (),
) -> Parser:
    """Return a parser of small files: `told` gives the facts, or why the file cannot be read."""

    def read(span: Span, stream: Stream) -> Iterator[Batch]:
        raw, size = _held(stream)
        if not size:
            return
        place = {"evidence_id": span.evidence.id, "log_offset": span.start, "log_length": size, "log_ordinal": 1}
        found, why = told(raw) if size <= MAX_CONFIGURATION else ({}, f"over {MAX_CONFIGURATION} bytes")
        if why:
            row = {**place, "reason": reason, "detail": why, "records": 1}
            yield Batch(empty(EVENTS), table([row], REJECTS).combine_chunks().to_batches()[0], empty(SKIPS))
            return
        row = {
            **place,
            "event_action": "configuration",
            "event_outcome": "unknown",
            "event_provider": "tomcat",
            "log_format": name,
            "unmapped": json.dumps(found, sort_keys=True, ensure_ascii=False),
        }
        yield Batch(table([row], EVENTS), empty(REJECTS), empty(SKIPS))

    return Parser(
        name=name,
        title=title,
        suffixes=suffixes,
        claims=lambda head, _hints: claims(head),
        split=_whole,
        read=read,
        recount=lambda _span: OneRecord(),
        hints=hints,
        cannot_know=cannot_know,
        mask=mask,
    )


def _whole(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


def _held(stream: Stream) -> tuple[bytes, int]:
    """Return what of a stream a configuration may have, and how many bytes there were."""
    buffer = memoryview(bytearray(MIB))
    held, size = bytearray(), 0
    while got := stream.readinto(buffer):
        size += got
        if size <= MAX_CONFIGURATION:
            held += buffer[:got]
    return bytes(held), size


def root_claim(head: Head, root: bytes, also: Sequence[bytes], what: str) -> Claim:
    """Claim XML whose root element has a name and that holds one of some others, if any are asked for."""
    start = head.start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] != b"<" or re.search(rb"<(?:[\w-]+:)?" + root + rb"[\s/>]", start) is None:
        return NO_CLAIM
    first = re.search(rb"<([A-Za-z][\w:.-]*)", re.sub(rb"<!--.*?-->", b"", start, flags=re.DOTALL))
    if first is None or first.group(1).rpartition(b":")[2] != root:
        return NO_CLAIM
    if also and not any(b"<" + one in start for one in also):
        return NO_CLAIM
    return Claim(95, f"it is XML with {what}")


def text_of(raw: bytes) -> str:
    """Return a small file's text."""
    return decode(raw)
