"""Tomcat access logs of AccessLogValve, any pattern: one line is one request, stamped when it ended.

Directives live in `_valve`, the meaning of a line in `_valve_rows` (strict, the specification), speed in `_valve_fast`.
Text stands in the columns as the log has it: whether a backslash is Tomcat's or the client's depends on the version,
which the line does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.evidence.spans import line_spans
from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers import _valve_fast
from forensics.parsers._line_batches import Lines, batches, long_line
from forensics.parsers._lines import LongLine, blocks
from forensics.parsers._local_time import offset_hints
from forensics.parsers._valve import compile_pattern
from forensics.parsers._valve_infer import best_of, candidates
from forensics.parsers._valve_rows import row_of
from forensics.parsers._wide_text import wide
from forensics.stream import Recount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.parsers._valve import Pattern
    from forensics.parsers._valve_fast import Fast
    from forensics.stream import Stream

NAME: Final = "tomcat_access"
_BELIEVED: Final = 50
"""A pattern that was told is used if it reads half of the first lines; else the log is older or newer than it."""


def _claims(head: Head, hints: Sequence[Hint]) -> Claim:
    found = best_of(head.start, candidates(tuple(h.value for h in _told(head, hints))), complete=head.complete)
    if found is None:
        return NO_CLAIM
    why = f"{found.lines} of its first lines are requests of the pattern {found.pattern.text}"
    return Claim(min(90, 50 + found.fit * 40 // 100), why)


def _told(head: Head, hints: Sequence[Hint]) -> list[Hint]:
    """Return the patterns that were typed, or that a server.xml gives to files so named."""
    name = head.label.rpartition("/")[2]
    return [h for h in hints if h.kind == "access_log_pattern" and name.startswith(h.applies_to)]


def _settle(head: Head, hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    """Choose the pattern: what the analyst typed, what a server.xml says of files so named, or what fits the lines best."""
    settings = {"zone": options.zone} if options.zone else {}
    if options.trusted_proxies:
        settings["trusted_proxies"] = " ".join(options.trusted_proxies)
    told = _told(head, hints)
    for hint in told:
        found = best_of(head.start, [compile_pattern(hint.value)], complete=head.complete)
        if found is not None and found.fit >= _BELIEVED:
            basis = "given by --pattern" if hint.source == "--pattern" else f"found in {hint.source}"
            return {**settings, "pattern": found.pattern.text, "pattern_basis": basis}
    found = best_of(head.start, candidates(tuple(h.value for h in told)), complete=head.complete)
    pattern = found.pattern if found else compile_pattern("common")
    return {**settings, "pattern": pattern.text, "pattern_basis": "inferred from the lines"}


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    pattern = compile_pattern(span.setting("pattern", "common"))
    shape = _valve_fast.shape_of(pattern, span.setting("trusted_proxies"))
    reading = _valve_fast.Reading(shape, span.evidence.id, span.setting("zone"))
    ordinal = span.first_ordinal
    for piece in blocks(stream):
        if isinstance(piece, LongLine):
            yield from batches(_read_lines(reading.take(), pattern, span), NAME)
            yield long_line(piece, span, ordinal)
            ordinal += 1
            continue
        ordinal += reading.add(piece, ordinal)
        if reading.full:
            yield from batches(_read_lines(reading.take(), pattern, span), NAME)
    yield from batches(_read_lines(reading.take(), pattern, span), NAME)


def _read_lines(
    found: Sequence[Fast], pattern: Pattern, span: Span
) -> Iterator[tuple[Lines, Sequence[pa.RecordBatch]]]:
    """Yield each block's lines with the doubtful ones read by the strict path, and its events of the fast path."""
    zone, proxies = span.setting("zone"), span.setting("trusted_proxies")
    for fast in found:
        lines = Lines(fast.block, span, fast.ordinal, fast.starts, fast.ends)
        lines.read(fast.doubtful, lambda line: row_of(line, pattern, zone, proxies))
        yield lines, fast.events


_PARSER = Parser(
    name=NAME,
    title="Tomcat access log (AccessLogValve, any pattern)",
    suffixes=(".txt", ".log", ""),
    claims=_claims,
    split=line_spans,
    read=_read,
    recount=lambda _span: Recount(),
    settle=_settle,
    hints=offset_hints,
    cannot_know=(
        "The stock pattern has no User-Agent, Referer, session or duration; times are to the second and stamp the end of a "
        "request; the last lines before a crash stay in a buffer; a deployment by copying a file leaves no line."
    ),
)

PARSER = wide(_PARSER)
