"""What has no column, put together by column, is the JSON that a row by itself would have."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from forensics.parsers._kept_text import Kept, unmapped

PLAIN = st.text(st.sampled_from("ab c-{}:,/é"), max_size=6)
NAMES = st.lists(st.sampled_from(["%D", "%F", '%{a"b}i', "%{é}c", "%S"]), unique=True, max_size=4)


@given(st.data(), NAMES, st.integers(0, 8), st.integers(0, 2**8))
def test_rows_put_together_by_column_are_the_json_of_each_row(
    data: st.DataObject, names: list[str], size: int, plain: int
) -> None:
    values = {name: data.draw(st.lists(st.one_of(st.none(), PLAIN), min_size=size, max_size=size)) for name in names}
    kept = {}
    for number, name in enumerate(names):
        absent = np.array([value is None for value in values[name]], bool)
        if plain >> number & 1:
            texts = [value or "-" for value in values[name]]
        else:
            texts = ["" if v is None else json.dumps({name: v + '"\\'}, ensure_ascii=False)[1:-1] for v in values[name]]
            values[name] = [None if value is None else value + '"\\' for value in values[name]]
        kept[name] = Kept(pa.array(texts, pa.string()), absent, plain=bool(plain >> number & 1))
        if kept[name].plain:
            values[name] = [None if v is None else t for v, t in zip(values[name], texts, strict=True)]
    expected = []
    for row in range(size):
        rest = {name: values[name][row] for name in names if values[name][row] is not None}
        expected.append(json.dumps(rest, sort_keys=True, ensure_ascii=False) if rest else None)
    made = unmapped(kept, size)
    made.validate(full=True)
    assert made.to_pylist() == expected
