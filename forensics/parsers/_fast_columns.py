"""Arrow columns out of places in a buffer and codes in an array, without a Python object a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.parsers._address import source_ip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Already what `source_ip` would return: dotted quads, and eight groups none of which is zero, without leading zeros.
_QUAD = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_GROUP = r"[1-9a-f][0-9a-f]{0,3}"
_NORMAL = rf"^(({_QUAD}\.){{3}}{_QUAD}|({_GROUP}:){{7}}{_GROUP})$"
_UNSPECIFIED = "0.0.0.0"  # noqa: S104  # an address that was logged, not one to bind to


def texts(
    buffer: bytearray, start: NDArray[np.int64], end: NDArray[np.int64], absent: NDArray[np.bool_] | None = None
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


def source_ips(written: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the addresses that host texts name, null for a text that names none; the distinct texts alone are parsed."""
    names = written.dictionary
    normal = pc.match_substring_regex(names, _NORMAL).to_numpy(zero_copy_only=False)
    if (unspecified := pc.index(names, _UNSPECIFIED).as_py()) >= 0:
        normal[unspecified] = False
    odd = np.flatnonzero(~normal)
    if not len(odd):
        return written
    mask = np.zeros(len(names), bool)
    mask[odd] = True
    found = pa.array([source_ip(text) for text in names.take(pa.array(odd)).to_pylist()], pa.string())
    parsed = pc.replace_with_mask(names, mask, found).dictionary_encode()
    return pa.DictionaryArray.from_arrays(parsed.indices.take(written.indices), parsed.dictionary)
