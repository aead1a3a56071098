"""The values of JSON objects in a block, found by counting quotes: a string, or a whole number behind a key.

Keys, the value behind `@Name`, and whatever is no string and no plain number are glue. An object with anything that this
reader does not prove is left out of `good`, for the strict reader.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import orjson

from forensics.parsers._export_fields import fields_of
from forensics.parsers._export_shapes import (
    PAD,
    SHUT,
    NotPlain,
    Tokens,
    decodable,
    fields_as_slots,
    mark,
    ranges,
    spelt,
    untouched,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._export_shapes import Slot

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Octets = NDArray[np.uint8]

_QUOTE, _BACKSLASH, _COLON, _SPACE, _ZERO, _NINE = 0x22, 0x5C, 0x3A, 0x20, 0x30, 0x39
_MOST_DIGITS: Final = 18
_ESCAPES: Final = np.isin(np.arange(256), np.frombuffer(b'"\\/bfnrtu', np.uint8))
_HEX: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdefABCDEF", np.uint8))
_MARKED_KEY: Final = re.compile(SHUT.encode() + rb'"\s*:')
_NAME: Final = b'"@Name":'


def tokens_of(text: bytes, begin: Ints, stop: Ints) -> tuple[Tokens, Bools]:
    """Return the values of the objects between some bounds of a padded text, and which objects those are."""
    a = np.frombuffer(text, np.uint8)
    good = decodable(text, a, begin, stop)
    clear, bad = _without_escapes(a)
    good &= untouched(bad, begin, stop)
    quotes = np.flatnonzero(clear == _QUOTE)
    low, high = np.searchsorted(quotes, begin), np.searchsorted(quotes, stop)
    good &= (high - low) % 2 == 0
    quotes = quotes[ranges(low[good], high[good])]
    control = np.flatnonzero(a < _SPACE)
    inside = control[np.searchsorted(quotes, control) % 2 == 1]
    if len(inside):
        good &= untouched(inside, begin, stop)
        quotes = quotes[within(quotes, begin[good], stop[good])]
    opened, closed = quotes[0::2], quotes[1::2]
    colon = closed + 1 + (a[closed + 1] == _SPACE)
    key = a[colon] == _COLON
    number, end, odd = _numbers(a, colon[key] + 1)
    if len(odd):
        good &= untouched(odd, begin, stop)
    value = ~key
    if _NAME in text:
        value &= ~_behind_name(a, opened)
    start = np.concatenate([opened[value] + 1, number])
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.concatenate([closed[value], end])[order]
    begin, stop = begin[good], stop[good]
    if len(odd):
        kept = within(start, begin, stop)
        start, end = start[kept], end[kept]
    first = np.append(np.searchsorted(start, begin), len(start))
    return Tokens(text, begin, stop, start, end, first, unescaped), good


def document(glue: Sequence[bytes]) -> bytes:
    """Return an object of some shape with marks for its values; NotPlain if a key is taken for one."""
    out = [glue[0]]
    for number, (before, behind) in enumerate(pairwise(glue)):
        said = mark(number).encode()
        out += [said if before.endswith(b'"') else b'"' + said + b'"', behind]
    made = b"".join(out)
    if _MARKED_KEY.search(made):
        raise NotPlain
    return made


def payload_tokens(texts: Sequence[str], _events: Sequence[tuple[str, int]]) -> tuple[Tokens, Bools]:
    """Return the values of JSON texts, and which texts those are."""
    joined = "\n".join(texts).encode() + bytes(PAD)
    sizes = np.array([len(text.encode()) for text in texts], np.int64)
    begin = np.cumsum(sizes + 1) - sizes - 1
    return tokens_of(joined, begin, begin + sizes)


def payload_shape(glue: Sequence[bytes]) -> Callable[[str, int], dict[str, Slot]]:
    """Return what says where the fields stand in JSON texts of a shape; ValueError if they are for the strict reader."""
    fields = fields_as_slots(fields_of(orjson.loads(document(glue))))
    return lambda _provider, _event_id: fields


def unescaped(values: Sequence[str]) -> list[str]:
    """Return string values without their escapes."""
    told = list(values)
    numbers = [number for number, text in enumerate(told) if "\\" in text]
    if numbers:
        plain = orjson.loads('["' + '","'.join(told[number] for number in numbers) + '"]')
        for number, text in zip(numbers, plain, strict=True):
            told[number] = text
    return told


def _without_escapes(a: Octets) -> tuple[Octets, Ints]:
    """Return the bytes with zeros for what is escaped, and the places of escapes that JSON does not have."""
    slashes = np.flatnonzero(a == _BACKSLASH)
    if not len(slashes):
        return a, slashes
    heads = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    length = np.diff(heads, append=len(slashes))
    odd = length % 2 == 1
    escaped = (slashes[heads] + length)[odd]
    clear = a.copy()
    clear[escaped] = 0
    wrong = ~_ESCAPES[a[escaped]]
    points = np.flatnonzero(a[escaped] == 0x75)
    if len(points):
        digits = a[np.minimum(escaped[points][:, None] + np.arange(1, 5), len(a) - 1)]
        # Halves of surrogate pairs: D800 to DFFF.
        half = ((digits[:, 0] | 0x20) == 0x64) & ~((digits[:, 1] >= _ZERO) & (digits[:, 1] <= 0x37))
        wrong[points] = ~_HEX[digits].all(1) | half
    return clear, escaped[wrong]


def _numbers(a: Octets, start: Ints) -> tuple[Ints, Ints, Ints]:
    """Return starts and ends of the whole numbers that stand at some places, and the places of those that are not plain."""
    start = start + (a[start] == _SPACE)
    start = start[(a[start] >= _ZERO) & (a[start] <= _NINE)]
    end = start + 1
    open_ = np.arange(len(start))
    for _ in range(_MOST_DIGITS):
        digit = a[end[open_]]
        open_ = open_[(digit >= _ZERO) & (digit <= _NINE)]
        if not len(open_):
            break
        end[open_] += 1
    odd = np.zeros(len(start), bool)
    odd[open_] = True
    odd |= (a[start] == _ZERO) & (end > start + 1)
    return start, end, start[odd]


def _behind_name(a: Octets, opened: Ints) -> Bools:
    """Say which strings are the values of `@Name`."""
    space = (a[opened - 1] == _SPACE) & (opened > 0)
    return spelt(a, opened - len(_NAME) - space, _NAME)
