"""The fields of cut lines that can be looked at where they lie: checked eight bytes at a time, then turned into columns.

Each reader says at once which lines it cannot be sure of, and later makes its columns of those that all readers passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from forensics.columns import TIME
from forensics.parsers._fast_bytes import all_digits, clf_times, eight_digits, pieces_of
from forensics.parsers._fast_bytes import word as word_of
from forensics.parsers._fast_columns import coded, constant, cut_at_mark, encoded, masked, texts
from forensics.parsers._field_vectors import dash_to_null
from forensics.parsers._valve import Kind
from forensics.parsers._valve_rows import HEADERS
from forensics.parsers._valve_shape import BLANK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Field
    from forensics.parsers._valve_cut import Cuts

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
# `clf_times` wants bytes 0 to 23, then 18 to 25 once more; the opening bracket stands before them.
_CLF_BYTES: Final = np.concatenate([np.arange(24), np.arange(18, 26)]) + 1


Maker = Callable[["Ints"], "Columns"]
"""Makes columns of the lines whose numbers it is given."""


@dataclass(slots=True)
class InPlace:
    """The cut lines of a block, its bytes as `u` eight at a time from every place, and which lines are still simple."""

    block: Block
    cuts: Cuts
    u: Words
    ok: Bools


Reader = Callable[[InPlace, "Ints", "Ints"], Maker]
"""Checks a field of the lines, given where it opens and closes in each."""


def begin(block: Block, cuts: Cuts) -> InPlace:
    """Return the cut lines of a block, all of them simple so far."""
    u = np.ndarray((len(block.buffer) - 7,), "<u8", block.buffer, 0, (1,))
    return InPlace(block, cuts, u, np.ones(len(cuts.row), bool))


def reader_of(field: Field) -> Reader | None:
    """Return what checks a field in place and then makes its columns; None for a field that `_field_columns` reads."""
    if field.kind is Kind.TIME:
        return _times
    if field.letter == "i" and field.key.lower() in HEADERS:
        return partial(_header, HEADERS[field.key.lower()])
    return _IN_PLACE.get(field.letter) if not field.key else None


def _dashes(lines: InPlace, opening: Ints, closing: Ints) -> Maker:
    """`%l` is a dash, always."""
    lines.ok &= (closing - opening == 1) & (lines.cuts.a[opening] == _DASH)
    return lambda _keep: {}


def _times(lines: InPlace, opening: Ints, _closing: Ints) -> Maker:
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


def _statuses(lines: InPlace, opening: Ints, closing: Ints) -> Maker:
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


def _counts(lines: InPlace, opening: Ints, closing: Ints) -> Maker:
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


def _requests(lines: InPlace, opening: Ints, closing: Ints) -> Maker:
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


def _header(column: str, lines: InPlace, opening: Ints, closing: Ints) -> Maker:
    """Every text is a header's; few are seldom met, and long."""
    buffer = lines.block.buffer
    return lambda keep: {column: dash_to_null(encoded(buffer, opening[keep], closing[keep]))}


def _users(lines: InPlace, opening: Ints, closing: Ints) -> Maker:
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


_IN_PLACE: Final[dict[str, Reader]] = {
    "l": _dashes,
    "s": _statuses,
    "b": _counts,
    "B": _counts,
    "r": _requests,
    "u": _users,
}
