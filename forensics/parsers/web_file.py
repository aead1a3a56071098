"""File times of web applications: WARs, JSPs, and what Tomcat compiled from them, as their disk or archive carries them.

A script that is copied into a deployed application leaves no line in any log. Its own time, and that of
`work/Catalina/<host>/<context>/org/apache/jsp/<name>_jsp.java`, which Jasper writes at the first request, may be all there is.
Times of files are easily set and change when files are copied: such an event is weak, and says so by its basis.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from forensics.instants import iso, moment
from forensics.limits import MIB, TIME_MAX_US, TIME_MIN_US
from forensics.model import NO_CLAIM, Batch, Claim, Parser
from forensics.parsers._configuration import OneRecord
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.model import Head, Hint, Span
    from forensics.stream import Stream

NAME: Final = "web_file"
_COMPILED: Final = re.compile(
    r"(?:^|/)work/[^/]+/[^/]+/(?P<context>[^/]+)/org/apache/jsp/(?P<name>.+)_(?P<kind>jspx?|tag)\.(?P<form>java|class)$",
    re.IGNORECASE,
)
_SCRIPT: Final = re.compile(r"(?:^|/)webapps/(?P<path>.+\.jspx?)$|(?P<loose>[^/]+\.jspx?)$", re.IGNORECASE)
_ARCHIVE: Final = re.compile(r"(?:^|/)(?P<name>[^/]+)\.war$", re.IGNORECASE)
_WORDS: Final = {"java": "jsp_java", "class": "jsp_class"}


def kind_of(label: str) -> tuple[str, str | None] | None:
    """Return what a file of a web application is (`war`, `jsp`, `jsp_java`, `jsp_class`) and the path it answers under."""
    label = label.replace("\\", "/")
    compiled = _COMPILED.search(label)
    if compiled:
        context = "" if compiled["context"] in ("ROOT", "_") else f"/{compiled['context'].replace('#', '/')}"
        return _WORDS[
            compiled["form"].lower()
        ], f"{context}/{compiled['name'].replace('_002d', '-')}.{compiled['kind']}"
    script = _SCRIPT.search(label)
    if script:
        path = script["path"]
        return "jsp", f"/{path.removeprefix('ROOT/')}" if path else None
    archive = _ARCHIVE.search(label)
    if archive:
        return "war", "/" if archive["name"] == "ROOT" else f"/{archive['name'].replace('#', '/')}"
    return None


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    kind = kind_of(head.label)
    if kind is None or (kind[0] == "war" and head.start[:2] != b"PK"):
        return NO_CLAIM
    return Claim(60, f"its name is that of a {kind[0].replace('_', ' ')} file of a web application; its time is kept")


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    buffer = memoryview(bytearray(MIB))
    size = 0
    while got := stream.readinto(buffer):
        size += got
    evidence = span.evidence
    word, path = kind_of(evidence.label) or ("web_file", None)
    us = evidence.modified
    known = us is not None and TIME_MIN_US <= us <= TIME_MAX_US
    if not size:
        return
    row = {
        "time": moment(us) if us is not None and known else None,
        "time_original": iso(us) if us is not None and known else None,
        "time_basis": "file_time" if known else None,
        "event_action": "file_time",
        "event_outcome": "unknown",
        "event_provider": "file system",
        "event_code": word,
        "url_path": path,
        "log_format": NAME,
        "evidence_id": evidence.id,
        "log_offset": span.start,
        "log_length": size,
        "log_ordinal": 1,
        "unmapped": json.dumps(
            {"file": evidence.label, "modified_basis": evidence.modified_basis}, sort_keys=True, ensure_ascii=False
        ),
    }
    yield Batch(table([row], EVENTS), empty(REJECTS), empty(SKIPS))


def _whole(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


PARSER = Parser(
    name=NAME,
    title="Files of web applications (WAR, JSP, compiled JSP): their times",
    suffixes=(".war", ".jsp", ".jspx", ".java", ".class"),
    claims=_claims,
    split=_whole,
    read=_read,
    recount=lambda _span: OneRecord(),
    tells_file_time=True,
    cannot_know="Whether its time was set by hand or by copying; what the file did.",
)
