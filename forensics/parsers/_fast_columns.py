"""Arrow columns out of places in a buffer and codes in an array, without a Python object a row."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.parsers._address import NORMAL, UNSPECIFIED, is_normal, source_ip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64] | NDArray[np.int32]

_FEW: Final = 400
"""Arrow sets up a matcher anew each time, which costs as much as so many matches of Python's."""
_KEPT: Final = 1 << 17
"""Rows of columns that are the same in every block, and made once: blocks have 20,000, seldom more than this."""


def texts(
    buffer: bytearray | pa.Buffer,
    start: Ints,
    end: Ints,
    absent: NDArray[np.bool_] | None = None,
) -> pa.StringArray:
    """Return buffer[start:end] of each row as text; rows ascend and do not overlap, and hold valid UTF-8.

    Field and gap alternate in one array over the buffer, and every second value is taken: one copy a field.
    """
    wanted = _even(len(start))
    if absent is not None:
        wanted = masked(wanted.to_numpy(), absent)
    return pc.take(_fields_and_gaps(buffer, start, end, None), wanted, boundscheck=False)


def encoded(buffer: bytearray, start: Ints, end: Ints) -> pa.DictionaryArray:
    """Return the same as `texts`, without nulls, as codes and their words; only words are copied."""
    count = len(start)
    if not count:
        return texts(buffer, start, end).dictionary_encode()
    # Every other value is null: the gaps are not looked at.
    found = _fields_and_gaps(buffer, start, end, pa.py_buffer(bytes([0x55]) * (count // 4 + 1))).dictionary_encode()
    codes = np.frombuffer(found.indices.buffers()[1], np.int32)[: 2 * count : 2]
    return pa.DictionaryArray.from_arrays(pa.array(np.ascontiguousarray(codes)), found.dictionary)


def _fields_and_gaps(buffer: bytearray | pa.Buffer, start: Ints, end: Ints, valid: pa.Buffer | None) -> pa.StringArray:
    count = len(start)
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2] = start
    offsets[1::2] = end
    offsets[-1] = end[-1] if count else 0
    return pa.Array.from_buffers(pa.string(), 2 * count, [valid, pa.py_buffer(offsets), pa.py_buffer(buffer)])


def masked(values: Ints, absent: NDArray[np.bool_]) -> pa.Array:
    """Return numbers, null where they are absent; they are not copied."""
    valid = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, pa.py_buffer(values)])


def _even(count: int) -> pa.Int64Array:
    return _evens().slice(0, count) if count <= _KEPT else pa.array(np.arange(0, 2 * count, 2))


@cache
def _evens() -> pa.Int64Array:
    return pa.array(np.arange(0, 2 * _KEPT, 2))


def cut_at_mark(whole: pa.StringArray, absent: NDArray[np.bool_] | None = None) -> dict[str, pa.Array]:
    """Cut targets at their first question mark; the query of one without is null, and both where the target is absent."""
    if not len(whole):
        return {"url_path": whole, "url_query": whole}
    offsets = np.frombuffer(whole.buffers()[1], np.int32)[whole.offset : whole.offset + len(whole) + 1]
    data = whole.buffers()[2] or pa.py_buffer(b"")
    start, end = offsets[:-1], offsets[1:]
    marks = np.flatnonzero(np.frombuffer(data, np.uint8)[: offsets[-1]] == 0x3F)
    marks = marks[marks >= offsets[0]]
    rows = np.searchsorted(offsets, marks, "right") - 1
    none = np.ones(len(start), bool)
    none[rows] = False
    cut = end.copy()
    # Of several marks in one target numpy keeps the last: going backwards, the first.
    cut[rows[::-1]] = marks[::-1]
    return {
        "url_path": texts(data, start, cut, absent),
        "url_query": texts(data, np.where(none, end, cut + 1), end, none),
    }


def constant(value: str, count: int) -> pa.DictionaryArray:
    """Return one word for all rows."""
    codes = _zeros().slice(0, count) if count <= _KEPT else pa.array(np.zeros(count, np.int32))
    return pa.DictionaryArray.from_arrays(codes, _words((value,)))


@cache
def _zeros() -> pa.Int32Array:
    return pa.array(np.zeros(_KEPT, np.int32))


@lru_cache(maxsize=256)
def _words(words: tuple[str, ...]) -> pa.StringArray:
    return pa.array(words, pa.string())


def coded(codes: NDArray[np.int32], absent: NDArray[np.bool_] | None, words: tuple[str, ...]) -> pa.DictionaryArray:
    """Return words by their numbers."""
    return pa.DictionaryArray.from_arrays(pa.array(codes) if absent is None else masked(codes, absent), _words(words))


def nulls(kind: pa.DataType, count: int) -> pa.Array:
    """Return a column of nothing."""
    return _nothing(kind, _KEPT).slice(0, count) if count <= _KEPT else _nothing.__wrapped__(kind, count)


@cache
def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if pa.types.is_dictionary(kind):
        empty = pa.array([], pa.string())
        return pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()), empty)
    return pa.nulls(count, kind)


def unusual_hosts(names: pa.StringArray) -> NDArray[np.int64]:
    """Return the numbers of the host texts that are not already what `source_ip` returns for them."""
    if len(names) <= _FEW:
        return np.flatnonzero([not is_normal(name) for name in names.to_pylist()])
    normal = pc.match_substring_regex(names, NORMAL).to_numpy(zero_copy_only=False)
    if (unspecified := pc.index(names, UNSPECIFIED).as_py()) >= 0:
        normal[unspecified] = False
    return np.flatnonzero(~normal)


def source_ips(written: pa.DictionaryArray, unusual: NDArray[np.int64]) -> pa.DictionaryArray:
    """Return the addresses that host texts name, null for a text that names none; only the unusual texts are parsed."""
    if not len(unusual):
        return written
    names = written.dictionary
    found = pa.array([source_ip(text) for text in names.take(pa.array(unusual)).to_pylist()], pa.string())
    mask = np.zeros(len(names), bool)
    mask[unusual] = True
    parsed = pc.replace_with_mask(names, mask, found)
    twice = pc.is_in(names, found).to_numpy(zero_copy_only=False) & ~mask
    if found.null_count or len(pc.unique(found)) < len(found) or twice.any():
        # Two texts name one address, or one names none: the dictionary has to be made again.
        coded_once = parsed.dictionary_encode()
        return pa.DictionaryArray.from_arrays(coded_once.indices.take(written.indices), coded_once.dictionary)
    return pa.DictionaryArray.from_arrays(written.indices, parsed)
