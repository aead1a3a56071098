"""Tomcat's own logs as java.util.logging writes them (JULI): catalina, localhost, manager, host-manager, standard output.

Heads are found by `_juli_heads`, a record's parts by `_juli_record`, its meaning by `_juli_acts`; `_records` keeps the
account. Times are the server's clock without offset, read as `_local_time` says.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._juli_acts import WANTED, act_of, is_teller
from forensics.parsers._juli_heads import HEAD, HEAD_BEHIND_A_LINE, WRAPPER, heads
from forensics.parsers._juli_record import record_of
from forensics.parsers._local_time import iso_local, timed, zone_settings
from forensics.parsers._records import Format, RecordCount, Refused, read_records, record_spans
from forensics.parsers._wide_text import wide
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forensics.model import Batch, Head, Hint, Span
    from forensics.stream import Stream

NAME: Final = "juli"
_TOMCAT: Final = re.compile(rb"org\.apache\.(?:catalina|coyote|tomcat|jasper|juli|jk)\.")
_WRAPPER: Final = re.compile(WRAPPER)
_STAMP: Final = 19
_ASKED: Final = 400
_SURE, _LIKELY = 92, 60
_FEW: Final = 20
"""One record in more lines than this, stack traces included, may stand in a log of another kind."""


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    """Claim a head that holds records of known level; one of Tomcat's classes makes it sure, unless other lines abound."""
    lines = head.start.split(b"\n")
    known = tomcat = 0
    for i, raw in enumerate(lines[:_ASKED]):
        line = raw.lstrip(b"\0")
        text = b"\n".join([line, lines[i + 1] if i + 1 < len(lines) else b""])
        if HEAD.match(text + b"\n") is None:
            continue
        record = record_of(text)
        wrapper = _WRAPPER.match(line) is not None
        if wrapper or (record is not None and record.local is not None and record.level is not None):
            known += 1
            tomcat += wrapper or _TOMCAT.search(text) is not None
    if not known:
        return NO_CLAIM
    what = f"{known} of its first lines start records of java.util.logging"
    if not tomcat:
        return Claim(_LIKELY, what)
    others = sum(1 for raw in lines[:_ASKED] if raw.strip() and not raw[:1].isspace()) - known
    return Claim(_LIKELY if others > known * _FEW else _SURE, f"{what}, {tomcat} of Tomcat's own")


def kind_of(label: str) -> str:
    """Return what a file of that name is for: catalina, localhost, manager, host-manager, stdout, stderr; else juli."""
    name = label.rpartition("/")[2].lower()
    for kind in ("host-manager", "manager", "catalina", "localhost", "admin"):
        if name.startswith(kind):
            return kind
    return next((kind for kind in ("stdout", "stderr") if kind in name), NAME)


def _meaning(held: bytes, span: Span) -> dict[str, Any] | None:
    kind = kind_of(span.evidence.label)
    if wrapper := _WRAPPER.match(held[:200]):
        message = decode(wrapper[0][_STAMP + 1 :])
        row: dict[str, Any] = {"event_action": "tomcat_start", "event_outcome": "unknown"}
        row |= {"event_provider": kind, "flags": [], "rest": {"step": "wrapper", "message": message}}
        return timed(row, wrapper[0][:_STAMP].decode(), iso_local(wrapper[0][:_STAMP]), span)
    record = record_of(held)
    if record is None:
        return None
    if record.message is None:
        if is_teller(record.method):
            raise Refused("no_message")
        return None
    told = act_of(record, kind)
    if told is None:
        return None
    told |= {"event_provider": kind, "event_code": record.method, "flags": ["broken_text"] if record.broken else []}
    return timed(told, record.stamp, record.local, span)


_FORMAT: Final = Format(NAME, HEAD, heads, WANTED, _meaning)


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    yield from read_records(_FORMAT, span, stream)


_PARSER = Parser(
    name=NAME,
    title="Tomcat's own logs (JULI: catalina, localhost, manager, standard output)",
    suffixes=(".log", ".out", ""),
    claims=_claims,
    split=partial(record_spans, _FORMAT),
    read=_read,
    recount=lambda span: RecordCount(HEAD_BEHIND_A_LINE, span.start),
    settle=zone_settings,
    cannot_know=(
        "Times are local without an offset. No source address stands in it, and a script copied into a deployed application "
        "leaves no line. What an application prints can look like a record of Tomcat's."
    ),
)

PARSER = wide(_PARSER)
