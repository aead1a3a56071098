"""Rows that are alike in every column, found column by column: what is judged of one holds for all of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

_MOST: Final = 1 << 62


def kinds(rows: pa.RecordBatch) -> tuple[Ints, Ints]:
    """Return the first row of each kind, and the kind of each row."""
    code, size = np.zeros(len(rows), np.int64), 1
    for column in rows.columns:
        values = pc.dictionary_encode(column, null_encoding="encode")
        if size * len(values.dictionary) >= _MOST:
            distinct, code = np.unique(code, return_inverse=True)
            size = len(distinct)
        code = code * len(values.dictionary) + values.indices.to_numpy()
        size *= max(1, len(values.dictionary))
    _, first, kind = np.unique(code, return_index=True, return_inverse=True)
    return first, kind
