"""Whole columns as CSV at once: the same bytes as cell by cell, without a Python object a cell.

What a column's own type or a look over it shows to be plain is turned by Arrow; every other value is spelt by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.instants import DAY_US, SECOND_US
from forensics.limits import MAX_FIELD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

# Printable ASCII that `visible` leaves alone, and no first character that would start a formula.
_SAFE: Final = r"[ -\[\]-~]"
_FIRST: Final = r"[ -&(-*,.-<>?A-\[\]-~]"
_PLAIN: Final = rf"^({_FIRST}{_SAFE}*)?$"
_BEGINS_PLAIN: Final = rf"^({_FIRST}|$)"
_SAFE_BYTES: Final = bytes(sorted(set(range(0x20, 0x7F)) - {ord("\\")}))
_ISO_LENGTH: Final = 20
_FLOATS_KEPT: Final = 1 << 17


Spell = Callable[[Any], str]


def csv_block(
    names: Sequence[str],
    batch: pa.RecordBatch,
    spell: Callable[[str, Any], str],
    uncut: Collection[str],
    floats: dict[int, str],
) -> bytes:
    """Return the rows of a batch as lines of CSV, every cell quoted.

    `spell` gives the text of a single value by the name of its column; columns in `uncut` hold text of any length; `floats` is
    kept from batch to batch.
    """
    cells = [
        _cells(batch.column(name), partial(spell, name), None if name in uncut else MAX_FIELD_SHOWN, floats)
        for name in names
    ]
    lines = pc.binary_join_element_wise(*cells, '","', null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise('"', lines, '"\n', "")
    return _bytes_of(lines)


def _cells(column: pa.Array, spell: Spell, limit: int | None, floats: dict[int, str]) -> pa.Array:
    """Return the text of each cell, quotes doubled."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), spell, limit, floats)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind):
        texts = _replaced(column, ~_true(_plain(column, limit)), spell)
    elif pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz == "UTC":
        texts = _times(column, spell)
    elif pa.types.is_float64(kind):
        texts = _floats(column, spell, floats)
    else:
        texts = pa.array([spell(value) for value in column.to_pylist()], pa.string())
    return pc.replace_substring(texts, '"', '""')


def _floats(column: pa.Array, spell: Spell, known: dict[int, str]) -> pa.Array:
    """Return floats as text, each value spelt once; by their bits, since 0.0 and -0.0 are equal, and spelt each in its way."""
    bits = column.view(pa.int64()).dictionary_encode()
    listed = bits.dictionary.to_pylist()
    new = [one for one in listed if one not in known]
    values = pa.array(new, pa.int64()).view(column.type).to_pylist()
    if len(known) > _FLOATS_KEPT:
        known.clear()
        new, values = listed, bits.dictionary.view(column.type).to_pylist()
    known.update(zip(new, map(spell, values), strict=True))
    return pa.array([known[one] for one in listed], pa.string()).take(bits.indices)


def _plain(column: pa.Array, limit: int | None) -> pa.Array:
    """Say which texts stand in a cell as they are; null where there is none."""
    # Mostly no text of a column has an odd byte: that is seen ten times faster than by looking at each.
    harmless = not _bytes_of(column).translate(None, _SAFE_BYTES)
    plain = pc.match_substring_regex(column, _BEGINS_PLAIN if harmless else _PLAIN)
    return plain if limit is None else pc.and_(plain, pc.less_equal(pc.binary_length(column), limit))


def _bytes_of(texts: pa.Array) -> bytes:
    """Return all texts of a column one behind the other; where one is null there may be anything."""
    _, places, values = texts.buffers()
    if values is None:
        return b""
    ends = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    made: bytes = values[int(ends[0]) : int(ends[-1])].to_pybytes()
    return made


def _times(column: pa.Array, spell: Spell) -> pa.Array:
    us = column.cast(pa.int64()).fill_null(0).to_numpy()
    day, within = np.divmod(us, DAY_US)
    days = pa.array(day.astype(np.int32), mask=~_true(column.is_valid())).cast(pa.date32()).dictionary_encode()
    dates = days.dictionary.cast(pa.string()).take(days.indices)
    clock = pa.array((within // SECOND_US).astype(np.int32)).cast(pa.time32("s")).cast(pa.string())
    texts = pc.binary_join_element_wise(pc.binary_join_element_wise(dates, clock, "T"), "Z", "")
    odd = (us % SECOND_US != 0) | _true(pc.not_equal(pc.binary_length(texts), _ISO_LENGTH))
    return _replaced(texts, odd, spell, column)


def _replaced(texts: pa.Array, odd: NDArray[np.bool_], spell: Spell, of: pa.Array | None = None) -> pa.Array:
    """Return texts, those marked odd spelt value by value from the column `of`, or from themselves."""
    places = np.flatnonzero(odd & _true(texts.is_valid()))
    if not len(places):
        return texts
    values = (texts if of is None else of).take(pa.array(places)).to_pylist()
    mask = np.zeros(len(texts), bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array([spell(value) for value in values], pa.string()))


def _true(flags: pa.Array) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = flags.fill_null(True).to_numpy(zero_copy_only=False)
    return result
