"""`unmapped` of many rows: the JSON text of what has no column, put together without a Python object a row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Kept:
    """What one field brings: a text for each row, and the rows that have none.

    A `plain` text is put in quotes behind the field's name as it is; another is name and value in JSON already.
    """

    texts: pa.StringArray
    absent: NDArray[np.bool_]
    plain: bool


def unmapped(kept: Mapping[str, Kept], size: int) -> pa.StringArray:
    """Return the JSON objects of `size` rows, names in order as the strict path writes them; null where nothing is kept."""
    if not kept:
        return pa.nulls(size, pa.string())
    literals = ["", "}"]
    indices = np.zeros((size, 3 * len(kept) + 1), np.int64)
    some = np.zeros(size, bool)
    # The literals stand in front of all texts: an opening for the first of a row and for later ones, and a closing.
    base = 2 + 3 * len(kept)
    for number, name in enumerate(sorted(kept)):
        one = kept[name]
        opening = json.dumps(name, ensure_ascii=False) + ': "' if one.plain else ""
        place = len(literals)
        literals += ["{" + opening, ", " + opening, '"' if one.plain else ""]
        here = ~one.absent
        indices[:, 3 * number] = np.where(here, place + some, 0)
        indices[:, 3 * number + 1] = np.where(here, base + number * size + np.arange(size), 0)
        indices[:, 3 * number + 2] = np.where(here, place + 2, 0)
        some |= here
    indices[:, -1] = some
    pool = pa.concat_arrays([pa.array(literals, pa.string()), *(kept[name].texts for name in sorted(kept))])
    parts = pool.take(pa.array(indices.reshape(-1)))
    # The parts of a row lie side by side: every so many offsets one row ends.
    offsets = np.frombuffer(parts.buffers()[1], np.int32)[: len(parts) + 1][:: indices.shape[1]]
    absent = None if some.all() else pa.array(some).buffers()[1]
    data = parts.buffers()[2] or pa.py_buffer(b"")
    return pa.Array.from_buffers(pa.string(), size, [absent, pa.py_buffer(np.ascontiguousarray(offsets)), data])
