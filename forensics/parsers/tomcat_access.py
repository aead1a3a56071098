"""Tomcat access logs of AccessLogValve, any pattern: one line is one request, stamped when it ended.

Directives live in `_valve`, the meaning of a line in `_valve_rows` (strict, the specification), speed in `_valve_fast`.
Text stands in the columns as the log has it: whether a backslash is Tomcat's or the client's depends on the version,
which the line does not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.evidence.spans import line_spans
from forensics.model import NO_CLAIM, Batch, Claim, Parser
from forensics.parsers import _valve_fast
from forensics.parsers._lines import PAD, Block, LongLine, blocks
from forensics.parsers._local_time import offset_hints
from forensics.parsers._valve import compile_pattern
from forensics.parsers._valve_infer import best_of, candidates
from forensics.parsers._valve_rows import NotALine, Row, row_of, table_of
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty, table
from forensics.stream import Recount
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Head, Hint, Options, Span
    from forensics.parsers._valve import Pattern
    from forensics.stream import Stream

NAME: Final = "tomcat_access"
_DETAIL: Final = 200
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
    shape = _valve_fast.shape_of(pattern)
    ordinal = span.first_ordinal
    for piece in blocks(stream):
        if isinstance(piece, LongLine):
            yield _long_line(piece, span, ordinal)
            ordinal += 1
            continue
        batch, count = _read_block(piece, pattern, shape, span, ordinal)
        yield batch
        ordinal += count


def _read_block(
    block: Block, pattern: Pattern, shape: _valve_fast.Shape | None, span: Span, ordinal: int
) -> tuple[Batch, int]:
    evidence_id = span.evidence.id
    if shape is not None:
        fast = _valve_fast.read(block, shape, evidence_id, ordinal)
        quick, doubtful, starts, ends = fast.events, fast.doubtful, fast.starts, fast.ends
    else:
        body = np.frombuffer(block.buffer, np.uint8)[PAD : PAD + block.size]
        ends = np.flatnonzero(body == 0x0A) + 1 + block.offset
        starts = np.concatenate([[block.offset], ends[:-1]])
        quick, doubtful = empty(EVENTS), np.arange(len(starts))
    rows, rejects, blanks = _strictly(block, pattern, span, ordinal, starts, ends, doubtful)
    tables = [quick, *([table_of(rows, evidence_id)] if rows else [])]
    events = tables[0] if len(tables) == 1 else pa.Table.from_batches(tables)
    return Batch(events, _one(rejects, REJECTS), _one(_merged(blanks, evidence_id), SKIPS)), len(starts)


def _strictly(
    block: Block,
    pattern: Pattern,
    span: Span,
    ordinal: int,
    starts: np.ndarray,
    ends: np.ndarray,
    doubtful: np.ndarray,
) -> tuple[list[Row], list[Row], list[tuple[int, int]]]:
    """Read the doubtful lines one by one: events, rejects, and the places of blank lines."""
    rows: list[Row] = []
    rejects: list[Row] = []
    blanks: list[tuple[int, int]] = []
    zone = span.setting("zone")
    for number in doubtful.tolist():
        offset, end = int(starts[number]), int(ends[number])
        torn = block.torn and number == len(starts) - 1
        at = PAD + offset - block.offset
        line = bytes(block.buffer[at : at + end - offset - 1])
        place = {"log_offset": offset, "log_length": end - offset - torn, "log_ordinal": ordinal + number}
        text = line.removesuffix(b"\r")
        if not text.strip(b" \t"):
            blanks.append((offset, end - offset - torn))
            continue
        try:
            row = row_of(text, pattern, zone)
        except NotALine as why:
            reason = "torn_line" if torn and why.reason == "not_access_log" else why.reason
            detail = why.detail or visible(text[:_DETAIL].decode("latin-1"))
            rejects.append({**place, "evidence_id": span.evidence.id, "reason": reason, "detail": detail, "records": 1})
            continue
        if torn:
            row["flags"].append("torn")
        rows.append(row | place)
    return rows, rejects, blanks


def _merged(blanks: list[tuple[int, int]], evidence_id: str) -> list[Row]:
    skips: list[Row] = []
    for offset, length in blanks:
        if skips and skips[-1]["log_offset"] + skips[-1]["log_length"] == offset:
            skips[-1]["log_length"] += length
            skips[-1]["records"] += 1
        else:
            skips.append(
                {
                    "evidence_id": evidence_id,
                    "log_offset": offset,
                    "log_length": length,
                    "reason": "blank_line",
                    "records": 1,
                }
            )
    return skips


def _long_line(line: LongLine, span: Span, ordinal: int) -> Batch:
    reject = {
        "evidence_id": span.evidence.id,
        "log_offset": line.offset,
        "log_length": line.length,
        "log_ordinal": ordinal,
        "reason": "line_too_long",
        "detail": f"{line.length - (not line.torn)} bytes",
        "records": 1,
    }
    return Batch(empty(EVENTS), _one([reject], REJECTS), empty(SKIPS))


def _one(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    if not rows:
        return empty(schema)
    return table(rows, schema).combine_chunks().to_batches()[0]


PARSER = Parser(
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
