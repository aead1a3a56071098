"""Arrow columns out of places in a buffer and codes in an array, without a Python object a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.parsers._address import NORMAL, UNSPECIFIED, is_normal, source_ip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FEW: Final = 400
"""Arrow sets up a matcher anew each time, which costs as much as so many matches of Python's."""


def texts(
    buffer: bytearray | pa.Buffer,
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    absent: NDArray[np.bool_] | None = None,
) -> pa.StringArray:
    """Return buffer[start:end] of each row as text; rows ascend and do not overlap, and hold valid UTF-8.

    Field and gap alternate in one array over the buffer, and every second value is taken: one copy a field.
    """
    count = len(start)
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2] = start
    offsets[1::2] = end
    offsets[-1] = end[-1] if count else 0
    whole = pa.Array.from_buffers(pa.string(), 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(buffer)])
    wanted = np.arange(0, 2 * count, 2)
    return whole.take(pa.array(wanted) if absent is None else pa.array(wanted, mask=absent))


def cut_at_mark(whole: pa.StringArray) -> dict[str, pa.Array]:
    """Cut targets at their first question mark; the query of one without is null."""
    offsets = np.frombuffer(whole.buffers()[1], np.int32)[whole.offset : whole.offset + len(whole) + 1]
    data = whole.buffers()[2] or pa.py_buffer(b"")
    start, end = offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64)
    marks = np.append(np.flatnonzero(np.frombuffer(data, np.uint8) == 0x3F), np.iinfo(np.int32).max)
    mark = marks[np.searchsorted(marks, start)]
    has = mark < end
    cut = np.where(has, mark, end)
    return {"url_path": texts(data, start, cut), "url_query": texts(data, np.where(has, cut + 1, end), end, ~has)}


def constant(value: str, count: int) -> pa.DictionaryArray:
    """Return one word for all rows."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value]))


def coded(codes: NDArray[np.int32], absent: NDArray[np.bool_] | None, words: Sequence[str]) -> pa.DictionaryArray:
    """Return words by their numbers."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=absent), pa.array(words, pa.string()))


def nulls(kind: pa.DataType, count: int) -> pa.Array:
    """Return a column of nothing."""
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
