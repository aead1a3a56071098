"""The values of XML events in a block, found by counting markup: texts of elements without others, and attributes that vary.

Tags and all other attributes are glue. An event with anything that this reader does not prove (character references, comments,
both kinds of quotes, a bare `>`) is left out of `good`, for the strict reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from forensics.parsers._export_shapes import NotPlain, Tokens, counted, decodable, mark, spelt, those, untouched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
    Octets = NDArray[np.uint8]

_OPEN, _CLOSE, _SLASH, _AND, _SPACE = 0x3C, 0x3E, 0x2F, 0x26, 0x20
_VARYING: Final = (b"Time=", b"ID=")
"""How attributes end whose values differ from event to event: SystemTime, ActivityID, ProcessID, ThreadID, UserID."""
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
"""Those that XML has without a declaration; `&amp;` comes last."""
_IN_TEXT: Final = np.isin(np.arange(256), [0x09, 0x0A, 0x0D])
_NO_CHARACTERS: Final = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")
"""U+FFFE and U+FFFF, which XML does not have."""


def tokens_of(text: bytes, begin: Ints, stop: Ints) -> tuple[Tokens, Bools]:
    """Return the values of the events between some bounds of a padded text, and which events those are."""
    a = np.frombuffer(text, np.uint8)
    good = decodable(text, a, begin, stop) & _clean(text, a, begin, stop)
    opens, closes = np.flatnonzero(a == _OPEN), np.flatnonzero(a == _CLOSE)
    good &= counted(opens, begin, stop) == counted(closes, begin, stop)
    opens, closes = those(opens, begin, stop, good), those(closes, begin, stop, good)
    crossed = np.concatenate([opens[opens > closes], opens[1:][closes[:-1] > opens[1:]]])
    quotes, odd = _quotes(a, opens, closes, begin, stop, good)
    bad = np.sort(np.concatenate([crossed, odd]))
    if len(bad):
        good &= untouched(bad, begin, stop)
        opens, closes = those(opens, begin, stop, good), those(closes, begin, stop, good)
        quotes = those(quotes, begin, stop, good)
    leaf = (a[opens[1:] + 1] == _SLASH) & (a[opens[:-1] + 1] != _SLASH) & (a[closes[:-1] - 1] != _SLASH)
    first, last = quotes[0::2], quotes[1::2]
    varies = np.zeros(len(first), bool)
    for name in _VARYING:
        varies |= spelt(a, first - len(name), name)
    start = np.concatenate([closes[:-1][leaf] + 1, first[varies] + 1])
    end = np.concatenate([opens[1:][leaf], last[varies]])
    order = np.argsort(start, kind="stable")
    start, end, begin, stop = start[order], end[order], begin[good], stop[good]
    return Tokens(text, begin, stop, start, end, np.append(np.searchsorted(start, begin), len(start)), unescaped), good


def document(glue: Sequence[bytes]) -> bytes:
    """Return an event of some shape with marks for its values; NotPlain if it has a comment or the like."""
    out = [glue[0]]
    for number, behind in enumerate(glue[1:]):
        out += [mark(number).encode(), behind]
    made = b"".join(out)
    if b"<!" in made or b"<?" in made:
        raise NotPlain
    return made


def unescaped(values: Sequence[str]) -> list[str]:
    """Return texts without entities, lines ended as XML has them."""
    told = list(values)
    for number, text in enumerate(told):
        if "&" in text or "\r" in text:
            plain = text.replace("\r\n", "\n").replace("\r", "\n")
            for entity, character in _ENTITIES.items():
                plain = plain.replace(entity, character)
            told[number] = plain
    return told


def _clean(text: bytes, a: Octets, begin: Ints, stop: Ints) -> Bools:
    """Say which texts have no characters and no references that XML, or this reader, does not have."""
    control = np.flatnonzero(a < _SPACE)
    bad = [control[~_IN_TEXT[a[control]]]]
    ands = np.flatnonzero(a == _AND)
    if len(ands):
        known = np.zeros(len(ands), bool)
        for entity in _ENTITIES:
            known |= spelt(a, ands, entity.encode())
        bad.append(ands[~known])
    for character in _NO_CHARACTERS:
        at = text.find(character)
        while at >= 0:
            bad.append(np.array([at]))
            at = text.find(character, at + 1)
    return untouched(np.sort(np.concatenate(bad)), begin, stop)


def _quotes(a: Octets, opens: Ints, closes: Ints, begin: Ints, stop: Ints, good: Bools) -> tuple[Ints, Ints]:
    """Return the quotes inside tags, two by two, and places in events whose quotes are not so simple."""
    kinds = [those(np.flatnonzero(a == kind), begin, stop, good) for kind in b"\"'"]
    inside = [one[np.searchsorted(opens, one) > np.searchsorted(closes, one)] for one in kinds]
    both = (counted(inside[0], begin, stop) > 0) & (counted(inside[1], begin, stop) > 0)
    quotes = np.sort(np.concatenate(inside))
    wrong = good & (both | (counted(quotes, begin, stop) % 2 == 1))
    quotes = those(quotes, begin, stop, good & ~wrong)
    first, last = quotes[0::2], quotes[1::2]
    apart = np.searchsorted(opens, first) != np.searchsorted(opens, last)
    control = np.flatnonzero(a < _SPACE)
    lined = np.searchsorted(control, first) != np.searchsorted(control, last)
    return quotes, np.concatenate([begin[wrong], first[apart | lined]])
