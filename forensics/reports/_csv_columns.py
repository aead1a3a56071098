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

from forensics.instants import SECOND_US
from forensics.limits import MAX_FIELD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

# Printable ASCII that `visible` leaves alone, and no first character that would start a formula.
_SAFE: Final = r"[ -\[\]-~]"
_PLAIN: Final = rf"^([ -&(-*,.-<>?A-\[\]-~]{_SAFE}*)?$"
_ISO_LENGTH: Final = 19


Spell = Callable[[Any], str]


def csv_block(
    names: Sequence[str], batch: pa.RecordBatch, spell: Callable[[str, Any], str], uncut: Collection[str]
) -> bytes:
    """Return the rows of a batch as lines of CSV, every cell quoted.

    `spell` gives the text of a single value by the name of its column; columns in `uncut` hold text of any length.
    """
    cells = [
        _cells(batch.column(name), partial(spell, name), None if name in uncut else MAX_FIELD_SHOWN) for name in names
    ]
    lines = pc.binary_join_element_wise(*cells, '","', null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise('"', lines, '"\n', "")
    return "".join(lines.to_pylist()).encode()


def _cells(column: pa.Array, spell: Spell, limit: int | None) -> pa.Array:
    """Return the text of each cell, quotes doubled."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _cells(column.dictionary_decode(), spell, limit)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
        return column.cast(pa.string())
    if pa.types.is_string(kind):
        texts = _replaced(column, ~_true(_plain(column, limit)), spell)
    elif pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz == "UTC":
        texts = _times(column, spell)
    elif pa.types.is_float64(kind):
        # By their bits: 0.0 and -0.0 are equal, and spelt each in its way.
        bits = column.view(pa.int64()).dictionary_encode()
        words = [spell(value) for value in bits.dictionary.view(kind).to_pylist()]
        texts = pa.array(words, pa.string()).take(bits.indices)
    else:
        texts = pa.array([spell(value) for value in column.to_pylist()], pa.string())
    return pc.replace_substring(texts, '"', '""')


def _plain(column: pa.Array, limit: int | None) -> pa.Array:
    """Say which texts stand in a cell as they are; null where there is none."""
    plain = pc.match_substring_regex(column, _PLAIN)
    return plain if limit is None else pc.and_(plain, pc.less_equal(pc.binary_length(column), limit))


def _times(column: pa.Array, spell: Spell) -> pa.Array:
    us = column.cast(pa.int64()).fill_null(0).to_numpy()
    whole = us % SECOND_US == 0
    seconds = np.where(whole, us // SECOND_US, 0).astype("datetime64[s]")
    texts = np.char.add(np.datetime_as_string(seconds), "Z")
    made = pc.if_else(column.is_valid(), pa.array(texts, pa.string()), pa.scalar(None, pa.string()))
    odd = ~whole | (np.char.str_len(texts) != _ISO_LENGTH + 1)
    return _replaced(made, odd & _true(column.is_valid()), spell, column)


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
