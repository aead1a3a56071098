r"""The fast path: a block of lines cut by counting (`_valve_cut`), its fields turned a column at a time, doubtful lines left over.

Every assumption is checked, and what fails a check is named in `Fast.doubtful`: the strict path (`_valve_rows`) decides
there. The fields of the stock patterns are read eight bytes at a time; all others by `_field_columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.parsers._fast_bytes import all_digits, clf_times, eight_digits, pieces_of
from forensics.parsers._fast_bytes import word as word_of
from forensics.parsers._fast_columns import coded, constant, cut_at_mark, encoded, masked, texts
from forensics.parsers._field_columns import columns_of, events_of
from forensics.parsers._field_roles import Role, roles_of
from forensics.parsers._field_vectors import dash_to_null
from forensics.parsers._lines import PAD, TAIL, Block
from forensics.parsers._valve import Kind
from forensics.parsers._valve_cut import Cuts, cut
from forensics.parsers._valve_pins import cut as cut_by_quotes
from forensics.parsers._valve_pins import pins_of
from forensics.parsers._valve_rows import HEADERS, LOG_FORMAT
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

_FIVE_ZEROS: Final = np.uint64(0x3030303030000000)
_DIGITS: Final = np.uint64(0x0F0F0F)
_DASH, _MARK = 0x2D, 0x3F
_MASKS: Final = np.array([(1 << (8 * k)) - 1 for k in range(9)], np.uint64)
_METHODS: Final = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH")
_SHORT_METHODS: Final = [
    (i, _MASKS[len(m) + 1], np.uint64(word_of(f"{m} ".encode()))) for i, m in enumerate(_METHODS) if len(m) < 8
]
_METHOD_LENGTHS: Final = np.array([*(len(m) for m in _METHODS), -1], np.int64)
"""By code; the last is of what is none."""
_VERSIONS: Final = ("1.1", "1.0", "2.0", "0.9")
_PROTOCOLS: Final = [(i, _MASKS[8], np.uint64(word_of(f"HTTP/{v}".encode()))) for i, v in enumerate(_VERSIONS)]
_OUTCOMES: Final = ("success", "failure")
_FEW: Final = 32
"""Lines that the strict parser reads in the time that cutting them by counting costs at least."""
# `clf_times` wants bytes 0 to 23, then 18 to 25 once more; the opening bracket stands before them.
_CLF_BYTES: Final = np.concatenate([np.arange(24), np.arange(18, 26)]) + 1


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
    return cut_of(pattern) if roles_of(pattern.fields, proxies) is not None else None


def read(block: Block, shape: Shape, evidence_id: str, first_ordinal: int, zone: str = "") -> Fast:
    """Return a block's simple lines as events: those that their quotes cut, then those that counting cuts."""
    pins = pins_of(shape)
    cuts = cut_by_quotes(block, shape, pins) if pins else cut(block, shape)
    count = len(cuts.starts)
    source = _Source(
        evidence_id, zone, cuts.starts - PAD + block.offset, np.arange(first_ordinal, first_ordinal + count)
    )
    made, kept = _events(block, cuts, shape, source)
    events, simple = [made], np.zeros(count, bool)
    simple[kept] = True
    rest = np.flatnonzero(~simple[: count - block.torn])
    if pins and len(rest) > _FEW:
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
    roles = roles_of(shape.fields, "") or ()
    for number, field in enumerate(shape.fields):
        apart = roles[number] is Role.FILLS and not (field.kind is Kind.TIME and Role.ADDS in roles)
        reader = _reader(field) if apart else None
        if reader is None:
            others.append(number)
        else:
            makers.append(reader(lines, cuts.opening[number], cuts.closing[number]))
    keep = np.flatnonzero(lines.ok)
    columns, bad = columns_of(
        [shape.fields[n] for n in others],
        [_texts(lines, n, keep) for n in others],
        source.zone,
        len(keep),
        [roles[n] for n in others],
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
    if field.letter == "i" and field.key.lower() in HEADERS:
        return partial(_header, HEADERS[field.key.lower()])
    return _IN_PLACE.get(field.letter) if not field.key else None


def _dashes(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """`%l` is a dash, always."""
    lines.ok &= (closing - opening == 1) & (lines.cuts.a[opening] == _DASH)
    return lambda _keep: {}


def _times(lines: _Lines, opening: Ints, _closing: Ints) -> Callable[[Ints], Columns]:
    """Parse `[dd/MMM/yyyy:HH:mm:ss +zzzz]`; only heads of runs of equal text are looked at."""
    pieces = pieces_of(lines.cuts.a, opening, 4)
    new = np.ones(len(opening), bool)
    # The last word holds bytes behind the closing bracket.
    new[1:] = (pieces[1:, 3] ^ pieces[:-1, 3]) & _MASKS[4] != 0
    for word in (2, 1, 0):
        new[1:] |= pieces[1:, word] != pieces[:-1, word]
    heads = np.flatnonzero(new)
    run = np.cumsum(new) - 1
    text = pieces[heads].view(np.uint8).reshape(-1, 32)
    us, good = clf_times(text[:, _CLF_BYTES])
    good &= (text[:, 0] == 0x5B) & (text[:, 27] == 0x5D)
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
    text = (lines.u[opening] & _MASKS[3]) | _FIVE_ZEROS
    lines.ok &= (closing - opening == 3) & all_digits(text)

    def make(keep: Ints) -> Columns:
        d = (text[keep] & _DIGITS).astype(np.uint32)
        status = ((d & 15) * 100 + ((d >> 8) & 15) * 10 + (d >> 16)).astype(np.int16)
        return {
            "http_response_status_code": pa.array(status),
            "event_outcome": coded((status >= 400).astype(np.int32), None, _OUTCOMES),
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
        return {"http_response_bytes": masked(eight_digits(text[keep]), dash[keep])}

    return make


def _requests(lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Read `GET /path HTTP/1.1`: method and version as codes, and where the target lies."""
    a, u = lines.cuts.a, lines.u
    method = _codes(u[opening], _SHORT_METHODS)
    version = _codes(u[closing - 8], _PROTOCOLS)
    target, target_end = opening + 1 + _METHOD_LENGTHS[method], closing - 9
    good = (method >= 0) & (version >= 0) & (target_end >= target) & (a[target_end] == BLANK)
    first = a[target]
    if (first == _DASH).any():
        # A dash alone, or before a question mark, is no path: the strict path says so.
        good &= (first != _DASH) | ((target_end - target != 1) & (a[target + 1] != _MARK))
    # A dash for all of it is a request that Tomcat could not read.
    unread = (closing - opening == 1) & (a[opening] == _DASH)
    lines.ok &= good | unread
    some = unread if unread.any() else None
    if some is not None:
        target, target_end = np.where(some, opening, target), np.where(some, opening, target_end)

    def make(keep: Ints) -> Columns:
        absent = None if some is None else some[keep]
        columns: Columns = {
            "http_request_method": coded(method[keep], absent, _METHODS),
            "http_version": coded(version[keep], absent, _VERSIONS),
            **cut_at_mark(texts(lines.block.buffer, target[keep], target_end[keep]), absent),
        }
        if absent is not None:
            columns["flags"] = coded(np.zeros(len(keep), np.int32), ~absent, ("dash_request",))
        return columns

    return make


def _codes(words: Words, known: Sequence[tuple[int, np.uint64, np.uint64]]) -> NDArray[np.int32]:
    """Return the code of each word that is one of the known under its mask, -1 for others; the frequent ones come first."""
    codes = np.full(len(words), -1, np.int32)
    left = np.arange(len(words))
    for code, mask, word in known:
        hit = (words & mask) == word
        codes[left[hit]] = code
        left, words = left[~hit], words[~hit]
        if not len(left):
            break
    return codes


def _header(column: str, lines: _Lines, opening: Ints, closing: Ints) -> Callable[[Ints], Columns]:
    """Every text is a header's; few are seldom met, and long."""
    buffer = lines.block.buffer
    return lambda keep: {column: dash_to_null(encoded(buffer, opening[keep], closing[keep]))}


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
        return {"user_name": pa.DictionaryArray.from_arrays(masked(codes, codes < 0), found.dictionary)}

    return make


_IN_PLACE: Final[dict[str, Callable[[_Lines, Ints, Ints], Callable[[Ints], Columns]]]] = {
    "l": _dashes,
    "s": _statuses,
    "b": _counts,
    "B": _counts,
    "r": _requests,
    "u": _users,
}
