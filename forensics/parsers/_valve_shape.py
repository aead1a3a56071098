"""Which patterns can be cut by counting, and what is counted. See `_valve_cut` for why that is proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.parsers._valve import Field, Kind
from forensics.parsers._valve_time import letters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.parsers._valve import Pattern

QUOTE: Final = 0x22
BLANK: Final = 0x20
_SEPARATORS: Final = b" \t|;,"
_LONGEST: Final = 48
"""Bytes of a literal, so that a look at all of it from any line stays inside PAD and TAIL."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a literal is held: `place` bytes into it, by quote number `number`, or by mark `number` behind quote `quote`."""

    place: int
    quote: int
    mark: int = -1


@dataclass(frozen=True, slots=True)
class Shape:
    """A pattern that can be cut by counting.

    `literals` has one more than `fields`, the first in front of them. `anchors` hold those between two fields. `marks` is
    how many separators stand behind each quote (and in front of the first), -1 for any number.
    """

    fields: tuple[Field, ...]
    literals: tuple[bytes, ...]
    anchors: tuple[Anchor, ...]
    separator: int
    marks: tuple[int, ...]
    never_escaped: bool
    """True when an escaped quote could end a field that Tomcat does not escape: lines with one are left to the strict parser."""

    numbers_at: int | None
    """Where raw quotes can be told from the pattern's (see `_valve_raw`): the stretch between two quotes that holds numbers
    alone, 0 if there is none; None for patterns where they cannot."""

    @property
    def quotes(self) -> int:
        """Quotes in a simple line."""
        return len(self.marks) - 1


def shape_of(pattern: Pattern) -> Shape | None:
    """Return how lines of a pattern are cut by counting; None if fields adjoin or nothing countable stands between them."""
    fields: list[Field] = []
    literals = [b""]
    for token in pattern.tokens:
        if isinstance(token, Field):
            fields.append(token)
            literals.append(b"")
        else:
            literals[-1] = token
    if any(b"\\" in text or b"\r" in text or b"\n" in text or len(text) > _LONGEST for text in literals):
        return None
    blank = not any(text.strip(b" \t") for text in literals)
    if blank and all(
        field.kind is Kind.FREE or (field.kind is Kind.TOKEN and field.shape == "any") for field in fields
    ):
        return None  # a blank line would fit it, and that is no event
    for separator in _SEPARATORS:
        if all(QUOTE in text or separator in text for text in literals[1:-1]):
            return _shape(tuple(fields), tuple(literals), separator)
    return None


@dataclass(slots=True)
class _Stretch:
    """What a pattern has between two quotes: its fields, the bytes of its literals, and how many separators (-1: any number)."""

    fields: list[Field]
    text: bytes = b""
    marks: int = 0


def _shape(fields: tuple[Field, ...], literals: tuple[bytes, ...], separator: int) -> Shape | None:
    anchors = []
    stretches = [_Stretch([])]
    for number, text in enumerate(literals):
        held = None
        for place, byte in enumerate(text):
            here = stretches[-1]
            if byte == QUOTE:
                held = held or Anchor(place, len(stretches))
                stretches.append(_Stretch([]))
                continue
            here.text += bytes([byte])
            if byte == separator:
                held = held or Anchor(place, len(stretches) - 1, here.marks)
                here.marks += 1
        if number == len(fields):
            break
        if number > 0 and held is not None:
            anchors.append(held)
        here, field = stretches[-1], fields[number]
        here.fields.append(field)
        inside = _inside(field, separator)
        if (
            text.endswith(b'"')
            and literals[number + 1].startswith(b'"')
            and (inside is None or field.kind is Kind.FREE)
        ):
            here.marks = -1
        elif inside is None:
            return None
        else:
            here.marks += inside
    ends_open = any(
        field.kind is Kind.TOKEN and field.shape == "any" and literals[number + 1].startswith(b'"')
        for number, field in enumerate(fields)
    )
    marks = tuple(one.marks for one in stretches)
    numbers_at = _numbers_at(stretches) if separator == BLANK else None
    return Shape(fields, literals, tuple(anchors), separator, marks, ends_open, numbers_at)


_NUMBERS: Final = frozenset({"status", "count", "number", "dash"})


def _numbers_at(stretches: Sequence[_Stretch]) -> int | None:
    """Return `Shape.numbers_at`: the time in front, the request in quotes, numbers, headers, and perhaps numbers again."""
    front, tail = stretches[0], stretches[-1]
    if len(stretches) < 3 or len(stretches) % 2 == 0 or not front.fields or front.fields[-1].kind is not Kind.TIME:
        return None
    if not all(len(one.fields) == 1 and one.fields[0].kind is Kind.FREE and one.marks < 0 for one in stretches[1::2]):
        return None
    between = stretches[2:-1:2]
    numbers = [number for number, one in enumerate(between) if one.fields]
    if numbers not in ([], [0]) or any(one.text != b" " * (len(one.fields) + 1) for one in between):
        return None
    if not all(field.shape in _NUMBERS for one in (*between, tail) for field in one.fields):
        return None
    return 2 if numbers else 0


def _inside(field: Field, separator: int) -> int | None:
    """Return how many separators a value of the field holds in a simple line; None if that is not known."""
    if field.kind is Kind.TIME:
        return int(separator == BLANK)
    if field.kind is not Kind.CLOCK:
        return 0
    text = "".join(letter * max(count, 1) for letter, count in letters(_form(field)) if count == 0)
    return None if '"' in text or "\\" in text else text.count(chr(separator))


def _form(field: Field) -> str:
    form = field.key.removeprefix("begin:").removeprefix("end:")
    return "" if form in {"sec", "msec", "msec_frac"} else form
