"""The values of messages that Windows rendered for a viewer: what stands behind the first colon of a line.

Whatever else a message has is glue, so messages of one event are mostly of one shape (`_rendered_message` says what they mean).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._export_shapes import PAD, NotPlain, Tokens, fields_as_slots, mark, untouched
from forensics.parsers._rendered_message import ADDRESS_IDS
from forensics.parsers._rendered_message import fields_of as message_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._export_shapes import Slot

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_LF, _CR, _TAB, _SPACE, _COLON = 0x0A, 0x0D, 0x09, 0x20, 0x3A
_WIDE_COLON: Final = (0xEF, 0xBC, 0x9A)
_FOUND, _STRANGE = "\uf8fd:", "\uf8fc"
_SPACES_START: Final = (0xC2, 0xE1, 0xE2, 0xE3)
"""First bytes of the spaces beyond ASCII."""


def tokens_of(texts: Sequence[str], events: Sequence[tuple[str, int]]) -> tuple[Tokens, Bools]:
    """Return the values of messages of some events, and which messages those are."""
    encoded = [
        (_sentence(event, text) if event in ADDRESS_IDS and text else text).encode()
        for text, event in zip(texts, events, strict=True)
    ]
    text = b"\n".join(encoded) + b"\n" + bytes(PAD)
    sizes = np.array([len(one) for one in encoded], np.int64)
    begin = np.cumsum(sizes + 1) - sizes - 1
    stop = begin + sizes
    a = np.frombuffer(text, np.uint8)
    control = np.flatnonzero(a[: len(text) - PAD] < _SPACE)
    kind = a[control]
    strange = control[~np.isin(kind, [_LF, _CR, _TAB]) | ((kind == _CR) & (a[control + 1] != _LF))]
    good = untouched(strange, begin, stop)
    ends = np.flatnonzero(a == _LF)
    lines = np.append(0, ends[:-1] + 1)
    start, end = _behind_colon(a, lines, ends)
    likely = np.flatnonzero(np.isin(a[start], _SPACES_START) | (a[end - 1] >= 0x80))
    values = [(start[one], text[start[one] : end[one]].decode()) for one in likely.tolist()]
    spaced = [place for place, value in values if value != value.strip()]
    good &= untouched(np.array(spaced, np.int64), begin, stop)
    if not good.all():
        keep = np.searchsorted(begin, start, "right") - 1
        kept = good[keep]
        start, end, begin, stop = start[kept], end[kept], begin[good], stop[good]
    first = np.append(np.searchsorted(start, begin), len(start))
    return Tokens(text, begin, stop, start, end, first, lambda values: values), good


def shape_of(glue: Sequence[bytes]) -> Callable[[str, int], Mapping[str, Slot]]:
    """Return what says, for a provider and an event id, where the fields stand in messages of a shape."""
    message = glue[0].decode()
    for number, behind in enumerate(glue[1:]):
        message += mark(number) + behind.decode()

    def fields(provider: str, event_id: int) -> Mapping[str, Slot]:
        if (provider, event_id) in ADDRESS_IDS:
            if message.startswith(_STRANGE):
                raise NotPlain
            return {ADDRESS_IDS[provider, event_id]: 0} if message == _FOUND + mark(0) else {}
        return fields_as_slots(message_fields(provider, event_id, message))

    return fields


def _sentence(event: tuple[str, int], text: str) -> str:
    """Return the address of a sentence as a line of its own, since it is found by what it looks like and by no label."""
    found = message_fields(*event, text)
    if found:
        return _FOUND + found[ADDRESS_IDS[event]]
    return _STRANGE + text if text.startswith(_FOUND) else text


def _behind_colon(a: NDArray[np.uint8], lines: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Return the values of lines without the blanks around them, for lines that have one."""
    narrow = np.flatnonzero(a == _COLON)
    wide = np.flatnonzero(a == _WIDE_COLON[0])
    wide = wide[(a[wide + 1] == _WIDE_COLON[1]) & (a[wide + 2] == _WIDE_COLON[2])]
    colons = np.sort(np.concatenate([narrow, wide])) if len(wide) else narrow
    at = np.searchsorted(colons, lines)
    has = np.append(colons, len(a))[at] < ends
    place, end = colons[at[has]], ends[has].copy()
    start = place + np.where(a[place] == _COLON, 1, 3)
    _strip(a, start, end, 1)
    _strip(a, start, end, -1)
    full = end > start
    return start[full], end[full]


def _strip(a: NDArray[np.uint8], start: Ints, end: Ints, step: int) -> None:
    open_ = np.arange(len(start))
    while len(open_):
        byte = a[start[open_]] if step > 0 else a[end[open_] - 1]
        blank = (byte == _SPACE) | (byte == _TAB) | (byte == _CR)
        open_ = open_[blank & (end[open_] > start[open_])]
        if step > 0:
            start[open_] += 1
        else:
            end[open_] -= 1
