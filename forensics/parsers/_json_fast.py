"""The fast path of JSON lines: orjson a line, then columns. Only lines with exactly the file's keys, each once, are simple."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from forensics.limits import MAX_LINE
from forensics.parsers._field_columns import columns_of, events_of, plan
from forensics.parsers._json_lines import compile_template
from forensics.parsers._lines import PAD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._lines import Block
    from forensics.parsers._valve import Field

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shape:
    """Keys of a line in order, the first `plain` of strings, the others of sub-objects, whose keys are `inner`.

    `quotes` stand around the keys and their values.
    """

    fields: tuple[Field, ...]
    keys: tuple[str, ...]
    plain: int
    inner: tuple[tuple[str, tuple[str, ...]], ...]
    quotes: int


@lru_cache(maxsize=64)
def shape_of(template: str, proxies: str) -> Shape | None:
    """Return the shape of a file's keys, None if its lines are for the strict path."""
    pattern = compile_template(template)
    if pattern is None or not plan(pattern.fields, proxies):
        return None
    paths = tuple(tuple(path) for path in json.loads(template))
    keys = tuple(dict.fromkeys(path[0] for path in paths))
    plain = sum(len(path) == 1 for path in paths)
    if any(len(path) > 1 for path in paths[:plain]):
        return None
    inner: dict[str, tuple[str, ...]] = {}
    for path in paths:
        if len(path) > 1:
            inner[path[0]] = (*inner.get(path[0], ()), path[1])
    return Shape(pattern.fields, keys, plain, tuple(inner.items()), 4 * len(paths) + 2 * len(inner))


def read(
    block: Block, shape: Shape, starts: Ints, ends: Ints, ordinal: int, zone: str, names: tuple[str, str]
) -> tuple[pa.RecordBatch | None, Bools]:
    """Return the simple lines of a block as events, and which lines those are.

    `starts` and `ends` are places in the buffer, the LF included; `names` are those of the log format and the evidence.
    """
    simple = np.zeros(len(starts), bool)
    made: list[tuple[Any, ...]] = []
    data = bytes(block.buffer)
    rows: list[int] = []
    last = len(starts) - 1 if block.torn else len(starts)
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if number < last and end - start <= MAX_LINE and (line := _simple(data[start:end], shape)) is not None:
            made.append(line)
            rows.append(number)
    values = _values(made)
    if values is None:
        return None, simple
    columns, bad = columns_of(shape.fields, values, zone, len(rows))
    kept = np.array(rows, np.int64)
    columns |= {
        "log_offset": pa.array(starts[kept] - PAD + block.offset),
        "log_length": pa.array(ends[kept] - starts[kept]),
        "log_ordinal": pa.array(kept + ordinal),
    }
    events = events_of(columns, len(kept), *names)
    if bad.any():
        events, kept = events.filter(pa.array(~bad)), kept[~bad]
    simple[kept] = True
    return events, simple


def _simple(raw: bytes, shape: Shape) -> tuple[Any, ...] | None:
    """Return the values of a line if it has the shape's keys and none of them twice, which its quotes tell."""
    try:
        made = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if type(made) is not dict or tuple(made) != shape.keys:
        return None
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    if raw.count(b'"') != shape.quotes:
        return None
    values = tuple(made.values())
    if not shape.inner:
        return values
    flat = values[: shape.plain]
    for (_, keys), value in zip(shape.inner, values[shape.plain :], strict=True):
        if type(value) is not dict or tuple(value) != keys:
            return None
        flat += tuple(value.values())
    return flat


def _values(made: list[tuple[Any, ...]]) -> list[pa.StringArray] | None:
    """Return the values of each field; None if there are none, or one is no string."""
    try:
        values = [pa.array(texts, pa.string()) for texts in zip(*made, strict=True)]
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None
    return values if values and not any(column.null_count for column in values) else None
