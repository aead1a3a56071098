"""Tomcat access logs of JsonAccessLogValve: one JSON object a line, every value a string.

The valve came with 8.5.88, 9.0.74, 10.1.8 and 11.0.0-M5. It writes the elements of AccessLogValve's pattern under names of
its own and drops the text between them. What the keys mean stands in `_json_lines`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.evidence.spans import line_spans
from forensics.model import NO_CLAIM, Claim, Head, Parser
from forensics.parsers import _json_fast
from forensics.parsers._json_lines import OWN, compile_template, field_of, pairs_of, row_of, template_of
from forensics.parsers._line_batches import Lines, long_line
from forensics.parsers._lines import PAD, LongLine, blocks
from forensics.parsers._local_time import offset_hints
from forensics.parsers._wide_text import wide
from forensics.stream import Recount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from forensics.model import Batch, Hint, Options, Span
    from forensics.parsers._json_lines import Pairs
    from forensics.parsers._lines import Block
    from forensics.stream import Stream

NAME: Final = "tomcat_json"
_SAMPLE: Final = 100
_LEAST_KEYS: Final = 3
_LEAST_SHARE: Final = 20
_CERTAIN_LINES: Final = 3


def _lines(head: Head) -> list[bytes]:
    lines = [line.removesuffix(b"\r") for line in head.start.split(b"\n")]
    if not head.complete and len(lines) > 1:
        lines.pop()
    return [line for line in lines[:_SAMPLE] if line.strip()]


def _own(line: bytes) -> Pairs | None:
    """Return the pairs of a line that nobody but the valve writes: all keys its own, each once."""
    pairs = pairs_of(line) if line[:1] == b"{" and len(line) < 1 << 14 else None
    if not pairs or len(pairs) < _LEAST_KEYS or len({path for path, _ in pairs}) < len(pairs):
        return None
    names = {path[0].partition("-")[0] for path, _ in pairs}
    return pairs if names & OWN and all(field_of(path) is not None for path, _ in pairs) else None


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    if head.start.lstrip(b" \t\r\n")[:1] != b"{":
        return NO_CLAIM
    lines = _lines(head)
    own = sum(_own(line) is not None for line in lines)
    fit = 100 * own // len(lines) if lines else 0
    if fit < _LEAST_SHARE and own < _CERTAIN_LINES:
        return NO_CLAIM
    return Claim(
        min(96, 56 + fit * 40 // 100), f"{own} of its first lines are objects with the keys of JsonAccessLogValve"
    )


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    """Settle the keys that the file's lines have, most common first, and among equals the first seen."""
    settings = {"zone": options.zone} if options.zone else {}
    if options.trusted_proxies:
        settings["trusted_proxies"] = " ".join(options.trusted_proxies)
    seen = Counter(template_of(pairs) for line in _lines(head) if (pairs := _own(line)) is not None)
    known = [text for text, _ in seen.most_common() if compile_template(text) is not None]
    return {**settings, "keys": known[0]} if known else settings


def _hints(head: Head) -> Sequence[Hint]:
    """Return the offsets of the server's clock; only what stands under `time` is asked, the rest is the clients' word."""
    pairs = (_own(line) or [] for line in _lines(head))
    times = [text.encode() for line in pairs for path, text in line if path == ("time",)]
    return offset_hints(Head(head.label, b"\n".join(times), complete=True))


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    ordinal = span.first_ordinal
    for piece in blocks(stream):
        if isinstance(piece, LongLine):
            yield long_line(piece, span, ordinal)
            ordinal += 1
            continue
        batch, count = _read_block(piece, span, ordinal)
        yield batch
        ordinal += count


def _read_block(block: Block, span: Span, ordinal: int) -> tuple[Batch, int]:
    a = np.frombuffer(block.buffer, np.uint8)
    ends = np.flatnonzero(a[PAD : PAD + block.size] == 0x0A) + PAD + 1
    starts = np.concatenate([[PAD], ends[:-1]])
    lines = Lines(block, span, ordinal, starts - PAD + block.offset, ends - PAD + block.offset)
    keys, zone, proxies = span.setting("keys"), span.setting("zone"), span.setting("trusted_proxies")
    shape = _json_fast.shape_of(keys, proxies)
    quick, simple = [], np.zeros(len(starts), bool)
    if shape is not None:
        events, simple = _json_fast.read(block, shape, starts, ends, ordinal, zone, (NAME, span.evidence.id))
        quick = [events] if events is not None else []
    lines.read(np.flatnonzero(~simple), lambda line: row_of(line, keys, zone, proxies))
    return lines.batch(quick, NAME), len(starts)


_PARSER = Parser(
    name=NAME,
    title="Tomcat access log (JsonAccessLogValve)",
    suffixes=(".json", ".txt", ".log", ""),
    claims=_claims,
    split=line_spans,
    read=_read,
    recount=lambda _span: Recount(),
    settle=_settle,
    hints=_hints,
    cannot_know=(
        "From 9.0.74 to 9.0.116 (10.1.8 to 10.1.53) a backslash of the request line stands unescaped and reads as an escape; "
        "the text between the elements of the pattern is not written; times stamp the end of a request; the last lines before "
        "a crash stay in a buffer."
    ),
)

PARSER = wide(_PARSER)
