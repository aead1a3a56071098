r"""The fast path: a block of lines split by structure with numpy, each assumption checked, doubtful lines left to `_valve_rows`.

A line is simple when its unescaped quotes are exactly those of the pattern. All borders then follow from the quotes and
the fixed width of the time. What fails any check is named in `Fast.doubtful`, and the strict path decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from forensics.limits import MAX_LINE
from forensics.parsers._fast_bytes import all_digits, clf_times, eight_digits
from forensics.parsers._fast_bytes import word as word_of
from forensics.parsers._fast_columns import coded, constant, nulls, source_ips, texts
from forensics.parsers._lines import PAD, TAIL
from forensics.parsers._valve import Field, Kind
from forensics.parsers._valve_rows import LOG_FORMAT
from forensics.schemas import EVENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Pattern

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Bools = NDArray[np.bool_]

_QUOTE, _LF, _BACKSLASH, _CR, _MARK = 0x22, 0x0A, 0x5C, 0x0D, 0x3F
_PIECE: Final = 1 << 17  # 128 KiB: the comparison's temporaries stay in cache
_HEADERS: Final = {"referer": "http_request_referrer", "user-agent": "user_agent_original"}


_MASKS: Final = np.array([(1 << (8 * k)) - 1 for k in range(9)], np.uint64)
_METHODS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH")
_SHORT_METHODS: Final = [(i, word_of(f"{m} ".encode())) for i, m in enumerate(_METHODS) if len(m) < 8]
_VERSIONS: Final = ("1.1", "1.0", "2.0", "0.9")
_PROTOCOLS: Final = [(i, word_of(f"HTTP/{v}".encode())) for i, v in enumerate(_VERSIONS)]
_OUTCOMES: Final = ("success", "failure")


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern that the fast path knows: `columns` of the quoted headers behind the byte count, in order."""

    columns: tuple[str, ...]

    @property
    def quotes(self) -> int:
        """Quotes in a simple line."""
        return 2 + 2 * len(self.columns)


def shape_of(pattern: Pattern) -> Shape | None:
    """Return the fast shape of `%h %l %u %t "%r" %s %b` with any of Referer and User-Agent behind it; None for others."""
    letters = [t.decode() if isinstance(t, bytes) else t.letter for t in pattern.tokens]
    host = letters[0] if letters else ""
    if host not in {"h", "a"} or letters[1:13] != [" ", "l", " ", "u", " ", "t", ' "', "r", '" ', "s", " ", "b"]:
        return None
    if any(isinstance(t, Field) and (t.key or t.kind is Kind.CLOCK) for t in pattern.tokens[:13]):
        return None
    rest = pattern.tokens[13:]
    columns = []
    for index in range(0, len(rest) - 1, 2):
        literal, field = rest[index], rest[index + 1]
        column = _HEADERS.get(field.key.lower()) if isinstance(field, Field) and field.letter == "i" else None
        if literal != (b' "' if index == 0 else b'" "') or column is None or column in columns:
            return None
        columns.append(column)
    if bool(rest) and (rest[-1] != b'"' or len(rest) % 2 == 0):
        return None
    return Shape(tuple(columns))


@dataclass(frozen=True, slots=True)
class Fast:
    """The simple lines of a block as events, the numbers of the others, and where every line starts and ends."""

    events: pa.RecordBatch
    doubtful: Ints
    starts: Ints
    ends: Ints


@dataclass(slots=True)
class _Lines:
    """Candidate lines: their number in the block, start, text end, and the place of each quote."""

    a: NDArray[np.uint8]
    u: Words
    row: Ints
    start: Ints
    end: Ints
    quotes: list[Ints]
    ok: Bools


def read(block: Block, shape: Shape, evidence_id: str, first_ordinal: int) -> Fast:
    """Return a block's simple lines as events."""
    a = np.frombuffer(block.buffer, np.uint8)
    places = _places(a[: PAD + block.size], PAD - 1, _QUOTE, _LF, _BACKSLASH)
    places = _drop_escaped(a, places)
    kinds = a[places]
    breaks = np.flatnonzero(kinds == _LF)
    feeds = places[breaks]
    starts, ends = feeds[:-1] + 1, feeds[1:]
    # Nothing but quotes is left between line feeds: a line is simple when it has the pattern's, and is not over-long.
    simple = (np.diff(breaks) == shape.quotes + 1) & (ends - starts <= MAX_LINE)
    if block.torn:
        simple[-1] = False
    simple[broken_lines(block, a, starts)] = False
    row = np.flatnonzero(simple)
    lines = _lines(block, a, places, breaks, starts, ends, row, shape)
    events, kept = _events(block, lines, shape, evidence_id, first_ordinal)
    simple[:] = False
    simple[kept] = True
    return Fast(events, np.flatnonzero(~simple), starts - PAD + block.offset, ends + 1 - PAD + block.offset)


def _places(a: NDArray[np.uint8], start: int, *marks: int) -> Ints:
    """Return the places from `start` on of bytes that are one of the marks."""
    found = []
    for at in range(start, len(a), _PIECE):
        piece = a[at : at + _PIECE]
        mask = piece == marks[0]
        for mark in marks[1:]:
            mask |= piece == mark
        hits = np.flatnonzero(mask)
        hits += at
        found.append(hits)
    return np.concatenate(found)


def _drop_escaped(a: NDArray[np.uint8], places: Ints) -> Ints:
    """Drop backslashes, and the quotes behind an odd run of them."""
    slash = a[places] == _BACKSLASH
    if not slash.any():
        return places
    where = places[slash]
    opens = np.ones(len(where), bool)
    opens[1:] = where[1:] != where[:-1] + 1
    index = np.arange(len(where))
    within = index - np.maximum.accumulate(np.where(opens, index, 0))
    behind = where[within % 2 == 0] + 1
    drop = slash.copy()
    found = np.searchsorted(places, behind)
    inside = found < len(places)
    found, behind = found[inside], behind[inside]
    hit = found[places[found] == behind]
    drop[hit[a[places[hit]] == _QUOTE]] = True
    kept: Ints = places[~drop]
    return kept


def broken_lines(block: Block, a: NDArray[np.uint8], starts: Ints) -> Ints:
    """Return the numbers of lines that are no UTF-8."""
    body = memoryview(block.buffer)[PAD : PAD + block.size]
    try:
        str(body, "utf-8")
    except UnicodeDecodeError:
        high = np.flatnonzero(a[PAD : PAD + block.size] >= 0x80) + PAD
        rows = np.unique(np.searchsorted(starts, high, "right") - 1)
        return np.array([r for r in rows.tolist() if not _is_text(block, starts, r)], np.int64)
    return np.zeros(0, np.int64)


def _is_text(block: Block, starts: Ints, row: int) -> bool:
    end = int(starts[row + 1]) if row + 1 < len(starts) else PAD + block.size
    try:
        block.buffer[int(starts[row]) : end].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _lines(
    block: Block, a: NDArray[np.uint8], places: Ints, breaks: Ints, starts: Ints, ends: Ints, row: Ints, shape: Shape
) -> _Lines:
    u = np.ndarray((len(block.buffer) - 7,), "<u8", block.buffer, 0, (1,))
    end = ends[row]
    end = end - ((a[end - 1] == _CR) & (end > starts[row]))
    last = breaks[row + 1]
    quotes = [places[last - shape.quotes + i] for i in range(shape.quotes)]
    return _Lines(a, u, row, starts[row], end, quotes, np.ones(len(row), bool))


def _events(
    block: Block, lines: _Lines, shape: Shape, evidence_id: str, first_ordinal: int
) -> tuple[pa.RecordBatch, Ints]:
    """Check every assumption, then gather the columns of the lines that pass; return them with their line numbers."""
    time, heads, run = _times(lines)
    status, count, dash, tail = _numbers(lines, shape)
    method, version, target, target_end = _request(lines)
    host_end, user, user_end, named = _who(lines)
    _quoted(lines, shape, tail)
    keep = np.flatnonzero(lines.ok)
    host = texts(block.buffer, lines.start[keep], host_end[keep]).dictionary_encode()
    keep, host = _known_hosts(keep, host)
    return _gather(
        block, lines, shape, keep,
        {
            "time": pa.array(time[keep], pa.int64()).cast(EVENTS.field("time").type),
            "time_original": _originals(block, heads, run[keep]),
            "event_outcome": coded((status[keep] >= 400).astype(np.int32), None, _OUTCOMES),
            "source_ip": source_ips(host),
            "source_address": _without_dash(host),
            "user_name": _users(block, user[keep], user_end[keep], named[keep]),
            "http_request_method": coded(method[keep], None, _METHODS),
            "http_version": coded(version[keep], None, _VERSIONS),
            "http_response_status_code": pa.array(status[keep].astype(np.int16)),
            "http_response_bytes": pa.array(count[keep], mask=dash[keep]),
            "log_offset": pa.array(lines.start[keep] - PAD + block.offset),
            "log_ordinal": pa.array(lines.row[keep] + first_ordinal),
            **_targets(block, lines.a, target[keep], target_end[keep]),
        },
        evidence_id,
    ), lines.row[keep]  # fmt: skip


def _gather(
    block: Block, lines: _Lines, shape: Shape, keep: Ints, columns: dict[str, Any], evidence_id: str
) -> pa.RecordBatch:
    size = len(keep)
    full_end = np.frombuffer(block.buffer, np.uint8)[lines.end[keep]] == _CR
    columns["log_length"] = pa.array(lines.end[keep] + full_end + 1 - lines.start[keep])
    for index, column in enumerate(shape.columns):
        opening, closing = lines.quotes[2 + 2 * index][keep], lines.quotes[3 + 2 * index][keep]
        columns[column] = _without_dash(texts(block.buffer, opening + 1, closing).dictionary_encode())
    for name, value in (
        ("time_basis", "offset_in_log"),
        ("event_action", "http_request"),
        ("event_provider", "tomcat"),
        ("log_format", LOG_FORMAT),
        ("evidence_id", evidence_id),
    ):
        columns[name] = constant(value, size)
    arrays = [columns[f.name] if f.name in columns else nulls(f.type, size) for f in EVENTS]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS)


def _times(lines: _Lines) -> tuple[Ints, Ints, Ints]:
    """Parse `[dd/MMM/yyyy:HH:mm:ss +zzzz] "` in front of the request; only heads of runs of equal text are looked at.

    Returns microseconds a line, the place of each head's text, and the head's number for each line.
    """
    a, u = lines.a, lines.u
    first = lines.quotes[0]
    # Host, dash, dash and the time take 34 bytes at least; PAD keeps the look back inside the buffer.
    lines.ok &= (first - lines.start >= 34) & (a[first - 29] == 0x5B) & ((u[first - 7] >> 40) == 0x22205D)
    words = [u[first - back] for back in (28, 20, 12, 10)]
    new = np.ones(len(first), bool)
    new[1:] = words[0][1:] != words[0][:-1]
    for word in words[1:]:
        new[1:] |= word[1:] != word[:-1]
    heads = np.flatnonzero(new)
    run = np.cumsum(new) - 1
    us, good = clf_times(np.stack([word[heads] for word in words], 1).view(np.uint8))
    lines.ok &= good[run] if len(run) else True
    return (us[run] if len(run) else us), first[heads] - 28, run


def _numbers(lines: _Lines, shape: Shape) -> tuple[Ints, Ints, Bools, Ints]:
    """Read `" 200 5`: status, byte count, whether the count is a dash, and where the count ends."""
    a, u = lines.a, lines.u
    second = lines.quotes[1]
    word = u[second]
    lines.ok &= (word & 0x0000FF000000FFFF) == 0x0000200000002022
    digits = ((word >> 16) & 0xFFFFFF).astype(np.int64)
    d0, d1, d2 = digits & 255, (digits >> 8) & 255, digits >> 16
    for d in (d0, d1, d2):
        lines.ok &= (d >= 0x30) & (d <= 0x39)
    status = (d0 - 0x30) * 100 + (d1 - 0x30) * 10 + (d2 - 0x30)
    tail = lines.quotes[2] - 1 if shape.columns else lines.end
    size = tail - second - 6
    lines.ok &= (size >= 1) & (size <= 8)
    text = u[tail - 8]
    dash = (size == 1) & (a[tail - 1] == 0x2D)
    shift = ((8 - np.clip(size, 1, 8)) * 8).astype(np.uint64)
    text = ((text >> shift) << shift) | (np.uint64(0x3030303030303030) & ~(np.uint64(0xFFFFFFFFFFFFFFFF) << shift))
    lines.ok &= dash | all_digits(text)
    return status, eight_digits(text), dash, tail


def _request(lines: _Lines) -> tuple[NDArray[np.int32], NDArray[np.int32], Ints, Ints]:
    """Read `GET /path HTTP/1.1`: method and version as codes, and where the target lies."""
    a, u = lines.a, lines.u
    first, second = lines.quotes[0], lines.quotes[1]
    word = u[first + 1]
    length = np.full(len(first), -1, np.int64)
    method = np.full(len(first), -1, np.int32)
    for code, text in _SHORT_METHODS:
        size = len(_METHODS[code])
        hit = (word & _MASKS[size + 1]) == text
        method[hit], length[hit] = code, size
    version = np.full(len(first), -1, np.int32)
    protocol = u[second - 8]
    for code, text in _PROTOCOLS:
        version[protocol == text] = code
    target, target_end = first + 2 + length, second - 9
    lines.ok &= (method >= 0) & (version >= 0) & (target_end >= target) & (a[target_end] == 0x20)
    # A dash alone, or before a question mark, is no path: the strict path says so.
    lines.ok &= (a[target] != 0x2D) | ((target_end - target != 1) & (a[target + 1] != _MARK))
    return method, version, target, target_end


def _who(lines: _Lines) -> tuple[Ints, Ints, Ints, Bools]:
    """Find the host's end, the user's place in front of the time, and who has one: ` - - [` mostly, else ` - name [`."""
    a, u = lines.a, lines.u
    first = lines.quotes[0]
    plain = (u[first - 36] >> 16) == 0x5B202D202D20
    host_end, user = first - 34, first - 31
    named = np.flatnonzero(lines.ok & ~plain)
    if len(named):
        window = a[lines.start[named][:, None] + np.arange(48)] == 0x20
        blank = window.argmax(1)
        end = lines.start[named] + blank
        good = window.any(1) & (blank > 0) & ((u[end] & 0xFFFFFF) == 0x202D20)
        size = first[named] - 30 - (end + 3)
        good &= (size >= 1) & (size <= 24) & (a[first[named] - 30] == 0x20)
        # A look past the buffer's end is impossible: the time and the request lie behind the user.
        odd = ((a[(end + 3)[:, None] + np.arange(24)] - np.uint8(33)) > 93) & (np.arange(24) < size[:, None])
        good &= ~odd.any(1)
        host_end[named] = np.where(good, end, host_end[named])
        user[named] = np.where(good, end + 3, user[named])
        lines.ok[named[~good]] = False
    lines.ok &= (host_end > lines.start) & (host_end - lines.start <= 48)
    return host_end, user, first - 30, ~plain


def _quoted(lines: _Lines, shape: Shape, tail: Ints) -> None:
    """Check the blanks between the quoted headers and the line's end behind the last."""
    if not shape.columns:
        return
    a = lines.a
    lines.ok &= a[tail] == 0x20
    for index in range(3, shape.quotes - 1, 2):
        closing, opening = lines.quotes[index], lines.quotes[index + 1]
        lines.ok &= (opening - closing == 2) & (a[closing + 1] == 0x20)
    lines.ok &= lines.quotes[-1] + 1 == lines.end


_HOST_BYTES: Final = np.zeros(256, bool)
_HOST_BYTES[list(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%_-")] = True


def _known_hosts(keep: Ints, host: pa.DictionaryArray) -> tuple[Ints, pa.DictionaryArray]:
    """Leave out lines whose host has a byte no address or name has; only the distinct texts are looked at."""
    names = host.dictionary
    if not len(names):
        return keep, host
    offsets = np.frombuffer(names.buffers()[1], np.int32)[names.offset : names.offset + len(names) + 1]
    data = np.frombuffer(names.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    odd = np.flatnonzero(~_HOST_BYTES[data])
    if not len(odd):
        return keep, host
    bad = np.unique(np.searchsorted(offsets - offsets[0], odd, "right") - 1)
    good = ~np.isin(host.indices.to_numpy(), bad)
    return keep[good], host.filter(pa.array(good))


def _users(block: Block, user: Ints, end: Ints, named: Bools) -> pa.DictionaryArray:
    some = np.flatnonzero(named)
    if not len(some):
        return nulls(EVENTS.field("user_name").type, len(user))
    found = _without_dash(texts(block.buffer, user[some], end[some]).dictionary_encode())
    codes = np.full(len(user), -1, np.int32)
    codes[some] = found.indices.fill_null(-1).to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), found.dictionary)


def _without_dash(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """A lone dash is Tomcat's word for nothing: null."""
    found = pa.compute.index(column.dictionary, "-").as_py()
    if found < 0:
        return column
    codes = column.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes == found), column.dictionary)


def _originals(block: Block, heads: Ints, run: Ints) -> pa.DictionaryArray:
    distinct = texts(block.buffer, heads, heads + 26).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(pa.array(run)), distinct.dictionary)


def _targets(block: Block, a: NDArray[np.uint8], target: Ints, end: Ints) -> dict[str, pa.Array]:
    """Cut each target at its first question mark."""
    marks = np.append(_places(a[: len(a) - TAIL], PAD, _MARK), len(a))
    mark = marks[np.searchsorted(marks, target)]
    has = mark < end
    cut = np.where(has, mark, end)
    return {
        "url_path": texts(block.buffer, target, cut),
        "url_query": texts(block.buffer, np.where(has, cut + 1, end), end, ~has),
    }
