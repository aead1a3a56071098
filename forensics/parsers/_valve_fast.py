r"""The fast path: a block of lines cut by counting (`_valve_cut`), its fields turned a column at a time, doubtful lines left over.

Every assumption is checked, and what fails a check is named in `Fast.doubtful`: the strict path (`_valve_rows`) decides
there. The fields of the stock patterns are read eight bytes at a time; all others by `_field_columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.parsers._fast_bytes import all_digits, clf_times, eight_digits
from forensics.parsers._fast_bytes import word as word_of
from forensics.parsers._fast_columns import coded, constant, texts
from forensics.parsers._field_columns import columns_of, events_of, plan
from forensics.parsers._lines import PAD, TAIL, Block
from forensics.parsers._valve import Kind
from forensics.parsers._valve_cut import Cuts, cut, places_of
from forensics.parsers._valve_pins import cut as cut_by_quotes
from forensics.parsers._valve_pins import pins_of
from forensics.parsers._valve_rows import LOG_FORMAT
from forensics.parsers._valve_shape import BLANK, Shape
from forensics.parsers._valve_shape import shape_of as cut_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._valve import Field, Pattern

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]
    Bools = NDArray[np.bool_]
    Columns = dict[str, Any]

_DASH, _MARK = 0x2D, 0x3F
_MASKS: Final = np.array([(1 << (8 * k)) - 1 for k in range(9)], np.uint64)
_METHODS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH")
_SHORT_METHODS: Final = [(i, word_of(f"{m} ".encode())) for i, m in enumerate(_METHODS) if len(m) < 8]
_VERSIONS: Final = ("1.1", "1.0", "2.0", "0.9")
_PROTOCOLS: Final = [(i, word_of(f"HTTP/{v}".encode())) for i, v in enumerate(_VERSIONS)]
_OUTCOMES: Final = ("success", "failure")


@dataclass(frozen=True, slots=True)
class Fast:
    """The simple lines of a block as events, the numbers of the others, and where every line starts and ends."""

    events: Sequence[pa.RecordBatch]
    doubtful: Ints
    starts: Ints
    ends: Ints


@dataclass(slots=True)
class _Lines:
    """The cut lines of a block, its bytes as `u` eight at a time from every place, and which lines are still simple."""

    block: Block
    cuts: Cuts
    u: Words
    ok: Bools


@dataclass(frozen=True, slots=True)
class _Source:
    """Where lines come from: their evidence and zone, and of every line of a block its offset in the stream and its number."""

    evidence_id: str
    zone: str
    offsets: Ints
    ordinals: Ints


def shape_of(pattern: Pattern, proxies: str = "") -> Shape | None:
    """Return how the fast path cuts lines of a pattern; None where the strict path must read all of them."""
    return cut_of(pattern) if plan(pattern.fields, proxies) else None


def read(block: Block, shape: Shape, evidence_id: str, first_ordinal: int, zone: str = "") -> Fast:
    """Return a block's simple lines as events: those that their quotes cut, then those that counting cuts."""
    pins = pins_of(shape)
    cuts = cut_by_quotes(block, shape, pins) if pins else cut(block, shape)
    count = len(cuts.starts)
    source = _Source(evidence_id, zone, cuts.starts - PAD + block.offset, np.arange(first_ordinal, first_ordinal + count))
    made, kept = _events(block, cuts, shape, source)
    events, simple = [made], np.zeros(count, bool)
    simple[kept] = True
    rest = np.flatnonzero(~simple[: count - block.torn])
    if pins and len(rest):
        few = _apart(block, cuts, rest)
        source = _Source(evidence_id, zone, source.offsets[rest], source.ordinals[rest])
        made, kept = _events(few, cut(few, shape), shape, source)
        events.append(made)
        simple[rest[kept]] = True
    ends = cuts.feeds + 1 - PAD + block.offset
    return Fast(events, np.flatnonzero(~simple), cuts.starts - PAD + block.offset, ends)


def _apart(block: Block, cuts: Cuts, rows: Ints) -> Block:
    """Return some lines of a block as a block of their own."""
    places = zip(cuts.starts[rows].tolist(), (cuts.feeds[rows] + 1).tolist(), strict=True)
    view = memoryview(block.buffer)
    lines = b"".join([view[start:end] for start, end in places])
    return Block(bytearray(b"\n".rjust(PAD, b"\0") + lines + bytes(TAIL)), len(lines), block.offset, torn=False)


def _events(block: Block, cuts: Cuts, shape: Shape, source: _Source) -> tuple[pa.RecordBatch, Ints]:
    """Check the fields that can be looked at in place, then make the columns of the lines that pass; return their numbers."""
    u = np.ndarray((len(block.buffer) - 7,), "<u8", block.buffer, 0, (1,))
    lines = _Lines(block, cuts, u, np.ones(len(cuts.row), bool))
    makers = []
    others = []
    for number, field in enumerate(shape.fields):
        reader = _reader(field)
        if reader is None:
            others.append(number)
        else:
            makers.append(reader(lines, cuts.opening[number], cuts.closing[number]))
    keep = np.flatnonzero(lines.ok)
    columns, bad = columns_of(
        [shape.fields[n] for n in others], [_texts(lines, n, keep) for n in others], source.zone, len(keep)
    )
    if shape.separator != BLANK:
        for number in others:
            if shape.fields[number].kind is Kind.TOKEN:
                bad |= pc.match_substring(_texts(lines, number, keep), " ").to_numpy(zero_copy_only=False)
    if bad.any():
        chosen = np.flatnonzero(~bad)
        keep = keep[chosen]
        columns = {name: column.take(pa.array(chosen)) for name, column in columns.items()}
    for make in makers:
        columns |= make(keep)
    row = cuts.row[keep]
    columns["log_offset"] = pa.array(source.offsets[row])
    columns["log_length"] = pa.array(cuts.feeds[row] + 1 - cuts.starts[row])
    columns["log_ordinal"] = pa.array(source.ordinals[row])
    return events_of(columns, len(keep), LOG_FORMAT, source.evidence_id), row


def _texts(lines: _Lines, number: int, keep: Ints) -> pa.StringArray:
    return texts(lines.block.buffer, lines.cuts.opening[number][keep], lines.cuts.closing[number][keep])


def _reader(field: Field) -> Callable[[_Lines, Ints, Ints], Callable[[Ints], Columns]] | None:
    """Return what checks a field in place and then makes its columns; None for a field that `_field_columns` reads."""
    if field.kind is Kind.TIME:
        return _times
    return _IN_PLACE.get(field.letter) if not field.key else None


def _dashes(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """`%l` is a dash, always."""
    lines.ok &= (closing - opening == 1) & (lines.cuts.a[opening] == _DASH)
    return lambda _keep: {}


def _times(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Parse `[dd/MMM/yyyy:HH:mm:ss +zzzz]`; only heads of runs of equal text are looked at."""
    a, u = lines.cuts.a, lines.u
    lines.ok &= (a[opening] == 0x5B) & (a[closing - 1] == 0x5D)
    words = [u[opening + ahead] for ahead in (1, 9, 17, 19)]
    new = np.ones(len(opening), bool)
    new[1:] = words[0][1:] != words[0][:-1]
    for word in words[1:]:
        new[1:] |= word[1:] != word[:-1]
    heads = np.flatnonzero(new)
    run = np.cumsum(new) - 1
    us, good = clf_times(np.stack([word[heads] for word in words], 1).view(np.uint8))
    lines.ok &= good[run]
    written, buffer = opening[heads] + 1, lines.block.buffer

    def make(keep: Ints) -> Columns:
        distinct = texts(buffer, written, written + 26).dictionary_encode()
        codes = distinct.indices.take(pa.array(run[keep]))
        return {
            "time": pa.array(us[run[keep]]).cast(TIME),
            "time_original": pa.DictionaryArray.from_arrays(codes, distinct.dictionary),
            "time_basis": constant("offset_in_log", len(keep)),
        }

    return make


def _statuses(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    digits = (lines.u[opening] & _MASKS[3]).astype(np.int64)
    d0, d1, d2 = digits & 255, (digits >> 8) & 255, digits >> 16
    lines.ok &= closing - opening == 3
    for d in (d0, d1, d2):
        lines.ok &= (d >= 0x30) & (d <= 0x39)
    status = (d0 - 0x30) * 100 + (d1 - 0x30) * 10 + (d2 - 0x30)

    def make(keep: Ints) -> Columns:
        return {
            "http_response_status_code": pa.array(status[keep].astype(np.int16)),
            "event_outcome": coded((status[keep] >= 400).astype(np.int32), None, _OUTCOMES),
        }

    return make


def _counts(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Read a count of up to eight digits, or a dash."""
    size = closing - opening
    lines.ok &= (size >= 1) & (size <= 8)
    text = lines.u[closing - 8]
    dash = (size == 1) & (lines.cuts.a[closing - 1] == _DASH)
    shift = ((8 - np.clip(size, 1, 8)) * 8).astype(np.uint64)
    text = ((text >> shift) << shift) | (np.uint64(0x3030303030303030) & ~(np.uint64(0xFFFFFFFFFFFFFFFF) << shift))
    lines.ok &= dash | all_digits(text)

    def make(keep: Ints) -> Columns:
        return {"http_response_bytes": pa.array(eight_digits(text[keep]), mask=dash[keep])}

    return make


def _requests(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Read `GET /path HTTP/1.1`: method and version as codes, and where the target lies."""
    a, u = lines.cuts.a, lines.u
    word = u[opening]
    length = np.full(len(opening), -1, np.int64)
    method = np.full(len(opening), -1, np.int32)
    for code, text in _SHORT_METHODS:
        size = len(_METHODS[code])
        hit = (word & _MASKS[size + 1]) == text
        method[hit], length[hit] = code, size
    version = np.full(len(opening), -1, np.int32)
    protocol = u[closing - 8]
    for code, text in _PROTOCOLS:
        version[protocol == text] = code
    target, target_end = opening + 1 + length, closing - 9
    lines.ok &= (method >= 0) & (version >= 0) & (target_end >= target) & (a[target_end] == BLANK)
    # A dash alone, or before a question mark, is no path: the strict path says so.
    lines.ok &= (a[target] != _DASH) | ((target_end - target != 1) & (a[target + 1] != _MARK))

    def make(keep: Ints) -> Columns:
        return {
            "http_request_method": coded(method[keep], None, _METHODS),
            "http_version": coded(version[keep], None, _VERSIONS),
            **_targets(lines.block, a, target[keep], target_end[keep]),
        }

    return make


def _targets(block: Block, a: NDArray[np.uint8], target: Ints, end: Ints) -> dict[str, pa.Array]:
    """Cut each target at its first question mark."""
    marks = np.append(places_of(a[: len(a) - TAIL], PAD, _MARK), len(a))
    mark = marks[np.searchsorted(marks, target)]
    has = mark < end
    cut_at = np.where(has, mark, end)
    return {
        "url_path": texts(block.buffer, target, cut_at),
        "url_query": texts(block.buffer, np.where(has, cut_at + 1, end), end, ~has),
    }


def _users(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Most users are a dash; the others alone are looked at."""
    named = (closing - opening != 1) | (lines.cuts.a[opening] != _DASH)

    def make(keep: Ints) -> Columns:
        some = np.flatnonzero(named[keep])
        if not len(some):
            return {}
        found = texts(lines.block.buffer, opening[keep][some], closing[keep][some]).dictionary_encode()
        codes = np.full(len(keep), -1, np.int32)
        codes[some] = found.indices.to_numpy()
        return {"user_name": pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), found.dictionary)}

    return make


_IN_PLACE: Final[dict[str, Callable[[_Lines, Ints, Ints], Callable[[Ints], Columns]]]] = {
    "l": _dashes,
    "s": _statuses,
    "b": _counts,
    "B": _counts,
    "r": _requests,
    "u": _users,
}
