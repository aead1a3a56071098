"""Tomcat access logs of ExtendedAccessLogValve (W3C extended log format), read by their own `#Fields`.

Tomcat writes `#Fields`, `#Version: 2.0` and `#Software`, in this order, when the file is empty. Fields may change inside a
file that was put together from several, so each span carries those in force where it starts. `date` and `time` are GMT.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.evidence.spans import line_spans
from forensics.limits import MAX_LINE
from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers import _w3c_fast
from forensics.parsers._day_turns import day_hints
from forensics.parsers._line_batches import Lines, long_line
from forensics.parsers._lines import PAD, LongLine, blocks
from forensics.parsers._valve_cut import broken_lines
from forensics.parsers._valve_rows import NotALine
from forensics.parsers._w3c import compile_fields, fields_of, is_header, row_of
from forensics.parsers._wide_text import wide
from forensics.stream import Recount, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Pattern

NAME: Final = "tomcat_w3c"
HINT: Final = "extended_log_fields"
_SAMPLE: Final = 200
_CERTAIN: Final = 95
"""A tail without `#Fields` is read by what server.xml says only if so many of a hundred lines agree."""
_FEW: Final = 64
"""Fewer lines than this between two headers are not worth the fast path."""
_IIS: Final = frozenset(
    {
        "s-sitename",
        "s-computername",
        "s-port",
        "cs-username",
        "cs-version",
        "cs-host",
        "sc-substatus",
        "sc-win32-status",
    }
)
_METHODS: Final = (b" GET ", b" POST ", b" HEAD ", b" PUT ", b" OPTIONS ")


def _lines(head: Head) -> list[bytes]:
    lines = [line.removesuffix(b"\r") for line in head.start.split(b"\n")]
    if not head.complete and len(lines) > 1:
        lines.pop()
    return [line for line in lines[:_SAMPLE] if line.strip()]


def _claims(head: Head, hints: Sequence[Hint]) -> Claim:
    lines = _lines(head)
    header = [line for line in lines if line.startswith(b"#")]
    fields = next((found for line in header if (found := fields_of(line)) is not None), None)
    software = next((line[10:].strip() for line in header if line.startswith(b"#Software:")), b"")
    if b"Microsoft" in software:
        return Claim(1, "its #Software names Microsoft: an IIS log, not Tomcat's")
    if fields is None:
        return _headless(lines, _told(head, hints))
    if set(fields.split()) & _IIS:
        return Claim(1, "its #Fields are those of IIS, not of Tomcat")
    if compile_fields(fields) is None:
        return NO_CLAIM
    if software.startswith(b"Apache Tomcat/"):
        return Claim(97, f"its #Software is {software.decode('ascii', 'replace')}, its fields are Tomcat's")
    # Who runs a server can change what it calls itself; the order of the header is the valve's own.
    order = [line.partition(b":")[0] for line in header[:3]]
    if order == [b"#Fields", b"#Version", b"#Software"][: len(order)] and b"#Version: 2.0" in header:
        return Claim(80, "its header stands in the order of Tomcat's ExtendedAccessLogValve, its fields are Tomcat's")
    return NO_CLAIM


def _headless(lines: Sequence[bytes], told: Sequence[Hint]) -> Claim:
    """Claim the tail of a log by what a server.xml says, if it is certain; else say what is missing."""
    for hint in told:
        fit = _fit(lines, compile_fields(hint.value))
        if fit >= _CERTAIN:
            return Claim(70, f"{fit} % of its first lines are requests of the fields that {hint.source} gives")
    dated = [line for line in lines if line[4:5] == line[7:8] == b"-" and line[13:14] == line[16:17] == b":"]
    if dated and 2 * sum(any(method in line for method in _METHODS) for line in dated) > len(lines):
        return Claim(1, "it looks like the tail of a W3C log; without its #Fields line nobody knows its columns")
    return NO_CLAIM


def _fit(lines: Sequence[bytes], pattern: Pattern | None) -> int:
    read = 0
    for line in lines:
        try:
            row_of(line, pattern)
        except NotALine:
            continue
        read += 1
    return 100 * read // len(lines) if lines else 0


def _told(head: Head, hints: Sequence[Hint]) -> list[Hint]:
    name = head.label.rpartition("/")[2]
    return [hint for hint in hints if hint.kind == HINT and name.startswith(hint.applies_to)]


def _settle(head: Head, hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    settings = {"trusted_proxies": " ".join(options.trusted_proxies)} if options.trusted_proxies else {}
    lines = _lines(head)
    fields = next((found for line in lines if (found := fields_of(line)) is not None), None)
    if fields is not None:
        first = bool(lines) and fields_of(lines[0]) is not None
        return {**settings, **({"fields": fields} if first else {}), "fields_basis": "its own #Fields"}
    for hint in _told(head, hints):
        if _fit(lines, compile_fields(hint.value)) >= _CERTAIN:
            return {**settings, "fields": hint.value, "fields_basis": f"found in {hint.source}"}
    return settings


class _Noted(Stream):
    """A stream whose `#Fields` lines are noted while it passes."""

    __slots__ = ("_fields", "_line", "_stream", "found")

    def __init__(self, stream: Stream, fields: str) -> None:
        self._stream = stream
        self._line: bytes | None = b""
        """What was read of a line that has not ended; None when it can be no header."""
        self._fields = fields
        self.found: list[tuple[int, str]] = []
        """Where the lines behind each `#Fields` start, and what it says."""
        self.position = stream.position

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` from the stream underneath."""
        got = self._stream.readinto(buffer)
        self._look(bytes(buffer[:got]), self.position)
        self.position = self._stream.position
        return got

    def _look(self, raw: bytes, base: int) -> None:
        end = raw.find(b"\n") + 1
        if not end:
            if self._line is not None:
                self._line = self._held(self._line + raw)
            return
        if self._line is not None:
            self._note(self._line + raw[: end - 1], base + end)
        at = end - 1
        while (at := raw.find(b"\n#Fields:", at)) >= 0:
            stop = raw.find(b"\n", at + 1)
            if stop < 0:
                break
            self._note(raw[at + 1 : stop], base + stop + 1)
            at = stop
        self._line = self._held(raw[raw.rfind(b"\n") + 1 :])

    @staticmethod
    def _held(line: bytes) -> bytes | None:
        return line if line[:8] == b"#Fields:"[: len(line)] and len(line) <= MAX_LINE else None

    def _note(self, line: bytes, behind: int) -> None:
        line = line.removesuffix(b"\r")
        if is_header(line, compile_fields(self._fields)) and (fields := fields_of(line)) is not None:
            self._fields = fields
            self.found.append((behind, fields))


def _split(stream: Stream, whole: Span) -> Iterator[Span]:
    """Cut as all line formats do, and give each span the fields in force where it starts."""
    fields = whole.setting("fields")
    noted = _Noted(stream, fields)
    for span in line_spans(noted, whole):
        while noted.found and noted.found[0][0] <= span.start:
            fields = noted.found.pop(0)[1]
        settings = dict(whole.settings) | {"fields": fields}
        yield replace(span, settings=tuple(sorted(settings.items())))


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    ordinal, fields = span.first_ordinal, span.setting("fields")
    for piece in blocks(stream):
        if isinstance(piece, LongLine):
            yield long_line(piece, span, ordinal)
            ordinal += 1
            continue
        batch, count, fields = _read_block(piece, fields, span, ordinal)
        yield batch
        ordinal += count


def _read_block(block: Block, fields: str, span: Span, ordinal: int) -> tuple[Batch, int, str]:
    """Read the lines between headers by the fields in force; return the fields that hold at the end too."""
    a = np.frombuffer(block.buffer, np.uint8)
    ends = np.flatnonzero(a[PAD : PAD + block.size] == 0x0A) + PAD + 1
    starts = np.concatenate([[PAD], ends[:-1]])
    odd = np.zeros(len(starts), bool)
    odd[broken_lines(block, a, starts)] = True
    lines = Lines(block, span, ordinal, starts - PAD + block.offset, ends - PAD + block.offset)
    quick: list[pa.RecordBatch] = []
    first = 0
    for number in np.flatnonzero(a[starts] == 0x23).tolist():
        text = lines.text(number)
        if is_header(text, compile_fields(fields)):
            _read_run(lines, quick, fields, odd, (starts, ends), range(first, number))
            lines.skip(number, "header")
            found = fields_of(text)
            fields, first = (fields if found is None or lines.torn(number) else found), number + 1
    _read_run(lines, quick, fields, odd, (starts, ends), range(first, len(starts)))
    return lines.batch(quick, NAME), len(starts), fields


def _read_run(
    lines: Lines,
    quick: list[pa.RecordBatch],
    fields: str,
    odd: NDArray[np.bool_],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    run: range,
) -> None:
    pattern = compile_fields(fields)
    proxies = lines.span.setting("trusted_proxies")
    numbers = np.arange(run.start, run.stop)
    shape = _w3c_fast.shape_of(pattern, proxies) if pattern is not None and len(run) >= _FEW else None
    if shape is not None:
        some = slice(run.start, run.stop)
        starts, ends = places
        names = (NAME, lines.span.evidence.id)
        events, simple = _w3c_fast.read(
            lines.block, shape, starts[some], ends[some], odd[some], lines.ordinal + run.start, names
        )
        quick.append(events)
        numbers = numbers[~simple]
    lines.read(numbers, lambda line: row_of(line, pattern, proxies))


_PARSER = Parser(
    name=NAME,
    title="Tomcat access log (ExtendedAccessLogValve, W3C format)",
    suffixes=(".txt", ".log", ""),
    claims=_claims,
    split=_split,
    read=_read,
    recount=lambda _span: Recount(),
    settle=_settle,
    hints=day_hints,
    cannot_know=(
        "cs(…) shows the first header of a name only, so an X-Forwarded-For that a proxy adds as a header of its own stays "
        "unseen behind one that the client sent; up to 7.0.59 the character behind each apostrophe of a header is lost; "
        "times are to the second; the last lines before a crash stay in a buffer."
    ),
)

PARSER = wide(_PARSER)
