"""AccessLogValve patterns compiled to tokens: literal bytes and the directives between them.

Directives and their version quirks are those of Tomcat's AbstractAccessLogValve (5.5 to 11) and its documentation of the
Access Log Valve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Final

from forensics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED: Final[Mapping[str, str]] = {
    "common": '%h %l %u %t "%r" %s %b',
    "combined": '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"',
}
"""The two patterns that Tomcat knows by name."""


class Kind(Enum):
    """What bytes a field can hold, which decides how its end is found."""

    TOKEN = "token"  # noqa: S105  # no blank, not empty
    TIME = "time"  # dd/MMM/yyyy:HH:mm:ss Z in brackets
    CLOCK = "clock"  # a SimpleDateFormat of the configuration
    FREE = "free"  # anything, also nothing
    WORD = "word"  # no blank, also nothing
    WRAPPED = "wrapped"  # in quotes of ExtendedAccessLogValve, a dash, or nothing
    LITERAL = "literal"  # what the valve writes for a field it does not know how to fill


@dataclass(frozen=True, slots=True)
class Field:
    """One directive: `%{key}letter`. `shape` bounds the bytes of a token.

    ExtendedAccessLogValve and JsonAccessLogValve write the same elements under other names: `written` is that name.
    """

    letter: str
    key: str
    kind: Kind
    shape: str = "any"
    written: str = ""

    @property
    def name(self) -> str:
        """The directive as it stands in a pattern, or the field's name in the log."""
        return self.written or (f"%{{{self.key}}}{self.letter}" if self.key else f"%{self.letter}")


Token = bytes | Field


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern; `text` is the pattern as written, its names expanded."""

    text: str
    tokens: tuple[Token, ...]
    fields: tuple[Field, ...] = field(init=False, repr=False, compare=False)
    """The directives in order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(token for token in self.tokens if isinstance(token, Field)))

    def __hash__(self) -> int:
        """What is known of a pattern is looked up once a line, so its hash must cost nothing."""
        return hash(self.text)


PLAIN: Final[Mapping[str, tuple[Kind, str]]] = {
    "a": (Kind.TOKEN, "host"),
    "A": (Kind.TOKEN, "host"),
    "b": (Kind.TOKEN, "count"),
    "B": (Kind.TOKEN, "count"),
    "D": (Kind.TOKEN, "count"),  # milliseconds to 9.0, microseconds from 10.0: the unit is not in the line
    "F": (Kind.TOKEN, "count"),  # milliseconds to the commit of the response
    "h": (Kind.TOKEN, "host"),
    "H": (Kind.FREE, "any"),  # old parsers read the protocol to the line's end without looking at it
    "I": (Kind.TOKEN, "any"),
    "l": (Kind.TOKEN, "dash"),  # Tomcat always writes "-": LogicalUserNameElement
    "m": (Kind.TOKEN, "any"),
    "p": (Kind.TOKEN, "count"),
    "q": (Kind.FREE, "any"),
    "r": (Kind.FREE, "any"),
    "s": (Kind.TOKEN, "status"),
    "S": (Kind.TOKEN, "any"),
    "t": (Kind.TIME, "any"),
    "T": (Kind.TOKEN, "number"),  # s.mmm from 7.0 to 9.0, whole seconds from 10.0
    "u": (Kind.FREE, "any"),
    "U": (Kind.FREE, "any"),
    "v": (Kind.TOKEN, "any"),
    "X": (Kind.TOKEN, "any"),
}

KEYED: Final[Mapping[str, tuple[Kind, str]]] = {
    "a": (Kind.TOKEN, "host"),  # remote, peer; any other key behaves as remote
    "c": (Kind.FREE, "any"),
    "i": (Kind.FREE, "any"),
    "L": (Kind.TOKEN, "any"),
    "o": (Kind.FREE, "any"),
    "p": (Kind.TOKEN, "count"),
    "r": (Kind.FREE, "any"),
    "s": (Kind.FREE, "any"),
    "t": (Kind.CLOCK, "any"),
    "T": (Kind.TOKEN, "number"),
}


_PATH: Final = Field("U", "", *PLAIN["U"])
TARGET: Final = Field("Uq", "", Kind.FREE, written="%U%q")
"""A path and, next to it, the query that brings its own question mark: the first one parts them, for no path holds one."""


@cache
def compile_pattern(text: str) -> Pattern:
    """Compile a pattern, `common` or `combined`; UsageError if it holds no directive."""
    text = NAMED.get(text, text)
    tokens: list[Token] = []
    literal = ""
    at = 0
    while at < len(text):
        if text[at] != "%" or at + 1 == len(text):
            literal += text[at]
            at += 1
            continue
        token, at = _directive(text, at + 1)
        if isinstance(token, str):
            literal += token
            continue
        if literal:
            tokens.append(literal.encode())
            literal = ""
        if token.name == "%q" and tokens and tokens[-1] == _PATH:
            tokens[-1] = TARGET
        else:
            tokens.append(token)
    if literal:
        tokens.append(literal.encode())
    if not any(isinstance(token, Field) for token in tokens):
        raise UsageError(f"'{text}' is no AccessLogValve pattern; it looks like {NAMED['common']}")
    return Pattern(text, tuple(tokens))


def _directive(text: str, at: int) -> tuple[Field | str, int]:
    """Return the field, or the literal text that Tomcat writes for what it does not know, and the place behind it."""
    key = ""
    if text[at] == "{":
        close = text.find("}", at)
        if close < 0 or close + 1 >= len(text):
            return "%{", at + 1
        key, at = text[at + 1 : close], close + 1
        letter = text[at]
        if letter in KEYED:
            kind, shape = KEYED[letter]
            if letter == "t" and key in {"begin", "end"}:
                return Field("t", key, Kind.TIME), at + 1
            return Field(letter, key, kind, shape), at + 1
        return "???", at + 1
    letter = text[at]
    if letter in PLAIN:
        kind, shape = PLAIN[letter]
        return Field(letter, "", kind, shape), at + 1
    # From 9.0.119, 10.1.56 and 11.0.23 `%%` is a per cent sign; before, it was written like any unknown letter.
    return ("%" if letter == "%" else f"???{letter}???"), at + 1
