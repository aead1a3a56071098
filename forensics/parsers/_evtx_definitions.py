"""Template definitions known by their bytes: a definition is walked once, and every like one is compared word by word.

Each chunk carries its own copies of the definitions it uses. Two are the same when all their bytes are, but for the places
of their names, which differ from chunk to chunk, and when the names that stand there are. So a forged definition under a
known GUID is not taken for the one that was walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._evtx_chunks import CHUNK
from forensics.parsers._evtx_template import Odd, Template, walk
from forensics.parsers._evtx_values import grouped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]

_MOST_VERSIONS: Final = 64
"""Definitions kept under one GUID. A provider has few versions of an event; more are made up, and are walked each time."""
_MOST_KNOWN: Final = 4096
"""Definitions kept in all; a server's logs have some hundred."""
_LOW: Final = np.uint64(0xFFFFFFFF)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_HEADER: Final = 24
_NAME_TEXT: Final = 8
"""A name is the place of the next one (4), its hash (2), its length (2), then UTF-16 text."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A walked definition as words to compare: the body's, and those of its names (`whose` name, `within` it).

    A name is `inline` if it stands behind its own place; then the body has it. Of the `others`, which lie elsewhere, those
    at one place are one: `alike` is the first of them for each name.
    """

    template: Template
    body: Words
    mask: Words
    names: Ints
    inline: NDArray[np.bool_]
    alike: Ints
    others: Ints
    reach: Ints
    whose: Ints
    within: Ints
    text: Words
    text_mask: Words


@dataclass(slots=True)
class Definitions:
    """Definitions that were walked, by a key made of GUID and size.

    What is kept saves time and changes nothing: a definition means the same whether it is walked or recognised.
    """

    _known: dict[int, list[_Known]] = field(default_factory=dict)
    _count: int = 0

    def identify(self, chunks: Chunks, places: Ints, bases: Ints) -> tuple[list[Template | None], Ints]:
        """Return templates, None for what is odd, and which of them each definition is: one for all that are the same."""
        size = (chunks.word(places + 20) & _LOW).astype(np.int64)
        key = chunks.word(places + 4) ^ (chunks.word(places + 12) * _MIX) ^ size.astype(np.uint64)
        found = _Found(np.zeros(len(places), np.int64))
        if self._count > _MOST_KNOWN:
            self._known.clear()
            self._count = 0
        for name, rows in grouped(key.view(np.int64)):
            inside = places[rows] - bases[rows] + _HEADER + size[rows] <= CHUNK
            self._of_one_key(chunks, name, (places, bases), rows if inside.all() else rows[inside], found)
        return found.templates, found.which

    def _of_one_key(self, chunks: Chunks, key: int, where: tuple[Ints, Ints], rows: Ints, found: _Found) -> None:
        places, bases = where
        known = self._known.setdefault(key, [])
        for one in known:
            rows = _settle(chunks, one, where, rows, found)
        while len(rows):
            try:
                one = _learn(chunks, int(places[rows[0]]), int(bases[rows[0]]))
            except Odd:
                rows = rows[1:]
                continue
            found.give(one.template, rows[:1])
            if len(known) < _MOST_VERSIONS:
                known.append(one)
                self._count += 1
                rows = _settle(chunks, one, where, rows[1:], found)
            else:
                rows = rows[1:]


@dataclass(slots=True)
class _Found:
    """Templates by number, the first none, and which of them each definition is."""

    which: Ints
    templates: list[Template | None] = field(default_factory=lambda: [None])

    def give(self, template: Template, rows: Ints) -> None:
        """Say what some definitions are."""
        if len(rows):
            if self.templates[-1] is not template:
                self.templates.append(template)
            self.which[rows] = len(self.templates) - 1


def _settle(chunks: Chunks, one: _Known, where: tuple[Ints, Ints], rows: Ints, found: _Found) -> Ints:
    """Give the template to the rows that equal it; return the others."""
    if not len(rows):
        return rows
    same = _equal(chunks, one, where[0][rows], where[1][rows])
    if same.all():
        found.give(one.template, rows)
        return rows[:0]
    found.give(one.template, rows[same])
    return rows[~same]


def _learn(chunks: Chunks, place: int, base: int) -> _Known:
    template = walk(chunks.bytes[base : base + CHUNK].tobytes(), place - base)
    start = place + _HEADER
    names = np.array(template.names, np.int64)
    offsets = (chunks.word(start + names) & _LOW).astype(np.int64)
    inline = offsets == start - base + names + 4
    mask = np.full(template.size, 0xFF, np.uint8)
    for name, own in zip(names.tolist(), inline.tolist(), strict=True):
        mask[name : name + (8 if own else 4)] = 0
    masks = np.frombuffer(mask.tobytes() + bytes(-template.size % 8), "<u8")
    reach = _NAME_TEXT + 2 * (chunks.word(base + offsets) >> np.uint64(48)).astype(np.int64)
    _, first, alike = np.unique(offsets, return_index=True, return_inverse=True)
    others = np.setdiff1d(first, np.flatnonzero(inline & (names + 4 + reach <= template.size)))
    offsets, reach = offsets[others], reach[others]
    whose, within, text_mask = _name_words(reach)
    text = chunks.word(base + offsets[whose] + within) & text_mask
    body = chunks.run(np.array([start]), len(masks))[0] & masks
    return _Known(template, body, masks, names, inline, first[alike], others, reach, whose, within, text, text_mask)


def _name_words(reach: Ints) -> tuple[Ints, Ints, Words]:
    """Return the words that hold hash, length and text of each name: whose, where in it, and the bytes that count."""
    whose, within, masks = [], [], []
    for number, length in enumerate(reach.tolist()):
        for at in range(4, length, 8):
            whose.append(number)
            within.append(at)
            masks.append((1 << 8 * min(8, length - at)) - 1)
    return np.array(whose, np.int64), np.array(within, np.int64), np.array(masks, np.uint64)


def _equal(chunks: Chunks, one: _Known, places: Ints, bases: Ints) -> NDArray[np.bool_]:
    """Say which definitions, all inside their chunks, equal a known one."""
    start = places + _HEADER
    size = (chunks.word(places + 20) & _LOW).astype(np.int64)
    same: NDArray[np.bool_] = size == one.template.size
    start = np.where(same, start, bases)
    body = chunks.run(start, len(one.mask))
    same &= ((body & one.mask) == one.body).all(1)
    offsets = (chunks.word(start[:, None] + one.names) & _LOW).astype(np.int64)
    same &= ((offsets == (start - bases)[:, None] + one.names + 4) == one.inline).all(1)
    same &= (offsets == offsets[:, one.alike]).all(1)
    offsets = offsets[:, one.others]
    inside = offsets + one.reach <= CHUNK
    same &= inside.all(1)
    offsets = np.where(inside, offsets, 0) + bases[:, None]
    text = chunks.word(offsets[:, one.whose] + one.within)
    same &= ((text & one.text_mask) == one.text).all(1)
    return same
