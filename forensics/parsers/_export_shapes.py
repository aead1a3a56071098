"""Texts that tools wrote by one template, told apart by what they have in common: the fast path of exports rests on it.

A text is cut into values and the glue between them. Texts with the same glue are of one shape: what a reader makes of one of
them, with marks in the place of its values, it makes of all. So the strict reader reads each shape once, and says by the marks
where every value goes; the values of all texts are then taken a column at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._evtx_values import Words, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Octets = NDArray[np.uint8]

PAD: Final = 32
"""Zeros that stand behind the text of a block, so that looking ahead stays inside."""
Slot = int | str
"""Where a part of an event stands in a shape: the number of a value, or the text that all texts of the shape have."""
WHOLE: Final = -2
"""The number that stands for a whole text."""

OPEN, SHUT = "\uf8fe", "\uf8ff"
_MARK: Final = re.compile(f"{OPEN}([0-9]+){SHUT}", re.ASCII)


class NotPlain(ValueError):  # noqa: N818  # as NotALine of the access logs
    """A value takes part in a text beside others, or in a name: the shape is for the strict reader."""


def mark(number: int) -> str:
    """Return what stands for a value while its shape is read."""
    return f"{OPEN}{number}{SHUT}"


def slot_of(text: str) -> Slot:
    """Return the value that a text stands for, or the text itself; NotPlain if it is a mixture."""
    if OPEN not in text and SHUT not in text:
        return text
    found = _MARK.fullmatch(text)
    if found is None:
        raise NotPlain
    return int(found[1])


def fields_as_slots(named: Mapping[str, str]) -> dict[str, Slot]:
    """Return where fields stand by the marks that were read for their values; NotPlain if one has a mark in its name."""
    if any(isinstance(slot_of(name), int) for name in named):
        raise NotPlain
    return {name: slot_of(text) for name, text in named.items()}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The values of texts in a buffer of valid UTF-8: those of text `n` have the numbers from `first[n]` up to `first[n + 1]`.

    Texts ascend and do not overlap; `begin` and `stop` are their bounds, `start` and `end` those of the values.
    """

    buffer: bytes
    begin: Ints
    stop: Ints
    start: Ints
    end: Ints
    first: Ints
    plain: Callable[[Sequence[str]], Sequence[str]]
    """Turns distinct values as written into what they say: without the escapes of their format."""

    def shapes(self) -> tuple[NDArray[np.int32], list[tuple[bytes, ...]]]:
        """Return the number of each text's shape, and the glue of every shape."""
        count = len(self.begin)
        of = np.repeat(np.arange(count), np.diff(self.first))
        bounds = np.empty(2 * (len(self.start) + count), np.int32)
        numbers = np.arange(count)
        bounds[2 * (self.first[:-1] + numbers)] = self.begin
        bounds[2 * (self.first[1:] + numbers) + 1] = self.stop
        at = 2 * (np.arange(len(self.start)) + of)
        bounds[at + 1] = self.start
        bounds[at + 2] = self.end
        # Glue and values alternate; between two texts lies a gap in the place of a value.
        parts = pa.Array.from_buffers(
            pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(self.buffer)]
        )
        glue = parts.take(pa.array(np.arange(0, len(bounds) - 1, 2))).dictionary_encode()
        codes = glue.indices.to_numpy().astype(np.int32, copy=False)
        lines = (4 * (self.first + np.arange(count + 1))).astype(np.int32)
        sequences = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(lines), pa.py_buffer(codes)])
        shaped = sequences.dictionary_encode()
        words = glue.dictionary.to_pylist()
        told = [
            tuple(words[code] for code in np.frombuffer(one, np.int32).tolist())
            for one in shaped.dictionary.to_pylist()
        ]
        return shaped.indices.to_numpy().astype(np.int32, copy=False), told

    def pick(self, texts: Ints, of: Ints, slots: Sequence[Slot | None]) -> Words:
        """Return one part of some texts: `of` is the group of each, `slots` say for each group where its part stands."""
        value = np.array([slot if isinstance(slot, int) else -1 for slot in slots] or [-1], np.int64)[of]
        there = np.flatnonzero((value >= 0) | (value == WHOLE))
        told = nothing(len(texts))
        if len(there):
            some, value = texts[there], value[there]
            at = np.clip(self.first[some] + value, 0, max(len(self.start) - 1, 0))
            start = np.where(value < 0, self.begin[some], self.start[at]) if len(self.start) else self.begin[some]
            end = np.where(value < 0, self.stop[some], self.end[at]) if len(self.start) else self.stop[some]
            coded = distinct(self.buffer, start, end, pa.string())
            codes = np.full(len(texts), -1, np.int32)
            codes[there] = coded.indices.to_numpy()
            told = Words(codes, list(self.plain(coded.dictionary.to_pylist())))
        constants = [slot if isinstance(slot, str) else "" for slot in slots]
        if not any(constants):
            return told
        codes = np.array([number if text else -1 for number, text in enumerate(constants)], np.int32)[of]
        return Words(codes, constants).over(told)


def ranges(low: Ints, high: Ints) -> Ints:
    """Return all numbers of some ranges, one range behind the other."""
    count = high - low
    before = np.cumsum(count) - count
    result: Ints = np.arange(int(count.sum())) + np.repeat(low - before, count)
    return result


def distinct(buffer: bytes, start: Ints, end: Ints, kind: pa.DataType) -> pa.DictionaryArray:
    """Return parts of a buffer, each distinct one once; they ascend and do not overlap, so one array over it has them all."""
    bounds = np.zeros(2 * len(start) + 1, np.int32)
    bounds[0:-1:2] = start
    bounds[1::2] = end
    bounds[-1] = bounds[-2] if len(start) else 0
    whole = pa.Array.from_buffers(kind, 2 * len(start), [None, pa.py_buffer(bounds), pa.py_buffer(buffer)])
    return whole.take(pa.array(np.arange(0, 2 * len(start), 2))).dictionary_encode()


def decodable(text: bytes, a: Octets, begin: Ints, stop: Ints) -> Bools:
    """Say which texts are UTF-8."""
    good = np.ones(len(begin), bool)
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        wide = np.flatnonzero(a >= 0x80)
        for number in np.flatnonzero(~untouched(wide, begin, stop)).tolist():
            try:
                text[begin[number] : stop[number]].decode("utf-8")
            except UnicodeDecodeError:
                good[number] = False
    return good


def untouched(places: Ints, begin: Ints, stop: Ints) -> Bools:
    """Say which texts hold none of some ascending places."""
    result: Bools = np.searchsorted(places, begin) == np.searchsorted(places, stop)
    return result


def spelt(a: Octets, places: Ints, letters: bytes) -> Bools:
    """Say at which places some bytes stand."""
    found = np.ones(len(places), bool)
    for number, letter in enumerate(letters):
        found &= a[np.clip(places + number, 0, len(a) - 1)] == letter
    return found & (places >= 0)


def counted(places: Ints, begin: Ints, stop: Ints) -> Ints:
    """Return how many of some ascending places each text holds."""
    result: Ints = np.searchsorted(places, stop) - np.searchsorted(places, begin)
    return result


def those(places: Ints, begin: Ints, stop: Ints, good: Bools) -> Ints:
    """Return the places that lie in good texts."""
    return places[ranges(np.searchsorted(places, begin[good]), np.searchsorted(places, stop[good]))]


def within(places: Ints, begin: Ints, stop: Ints) -> Bools:
    """Say which places lie in one of some texts."""
    result: Bools = np.searchsorted(begin, places, "right") > np.searchsorted(stop, places, "right")
    return result
