r"""ExtendedAccessLogValve: its `#Fields` compiled, one line split by them, and what its columns mean.

A request cannot put a blank into a bare field, and what a client says stands in quotes, so a line can be cut in one way
only. The quotes have two ages: single ones up to 7.0.59, where an apostrophe of the value becomes `'"` and the character
behind it is lost; double ones with `""` from 7.0.60 on. From 8.5.62 and 9.0.42 a backslash of the value is doubled too;
like in the other access logs it stays as the log has it. (Tomcat's ExtendedAccessLogValve, 5.5 to 10.1.60.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from forensics.limits import MAX_LINE
from forensics.parsers._valve import Field, Kind, Pattern
from forensics.parsers._valve_rows import NotALine, Row, columns_of, is_broken
from forensics.parsers._valve_split import fits
from forensics.parsers._valve_time import utc
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTIVES: Final = (b"#Fields:", b"#Version:", b"#Software:", b"#Date:", b"#Start-Date:", b"#End-Date:", b"#Remark:")
"""Header lines: Tomcat writes the first three when a file is empty; the others are of the W3C draft (WD-logfile)."""

MAX_FIELDS: Final = 16 * 1024
"""Bytes of a `#Fields` line that are believed; every field that Tomcat knows takes less than a tenth."""

_BARE: Final[Mapping[str, tuple[str, str, Kind, str]]] = {
    "bytes": ("b", "", Kind.TOKEN, "count"),
    "c-dns": ("h", "", Kind.TOKEN, "host"),
    "c-ip": ("a", "", Kind.TOKEN, "host"),
    "cached": ("", "", Kind.LITERAL, "-"),
    "cs-method": ("m", "", Kind.TOKEN, "any"),
    "cs-uri": ("uri", "", Kind.WORD, "any"),
    "cs-uri-query": ("query", "", Kind.WORD, "any"),
    "cs-uri-stem": ("U", "", Kind.WORD, "any"),
    "date": ("date", "", Kind.TOKEN, "date"),
    "s-dns": ("v", "", Kind.TOKEN, "any"),
    "s-ip": ("A", "", Kind.TOKEN, "host"),
    "sc-comment": ("", "", Kind.LITERAL, "?"),
    "sc-status": ("s", "", Kind.TOKEN, "status"),
    "time": ("time", "", Kind.TOKEN, "time"),
    # The bare form counts seconds, with three decimals to 9.0 and without from 10.0; the others came with 10.1.24.
    "time-taken": ("T", "", Kind.TOKEN, "number"),
    "time-taken-fracsec": ("T", "fracsec", Kind.TOKEN, "number"),
    "time-taken-ms": ("T", "ms", Kind.TOKEN, "number"),
    "time-taken-ns": ("T", "ns", Kind.TOKEN, "number"),
    "time-taken-s": ("T", "s", Kind.TOKEN, "number"),
    "time-taken-us": ("T", "us", Kind.TOKEN, "number"),
    "x-threadname": ("I", "", Kind.TOKEN, "any"),
    "x-H(remoteUser)": ("u", "", Kind.WRAPPED, "any"),
    "x-H(protocol)": ("H", "", Kind.WRAPPED, "any"),
    "x-H(scheme)": ("scheme", "", Kind.TOKEN, "any"),
}
_KEYED: Final[Mapping[str, str]] = {"cs": "i", "sc": "o", "x-C": "c", "x-R": "r", "x-S": "s"}
_OTHERS: Final = frozenset({"x-A", "x-H", "x-O", "x-P"})


@lru_cache(maxsize=256)
def compile_fields(text: str) -> Pattern | None:
    """Compile what stands behind `#Fields:`; None if Tomcat would not know its first field, or two fields touch.

    At the first field that Tomcat does not know it stops, and so do its lines: what follows is not in them.
    """
    tokens: list[bytes | Field] = []
    at, text = 0, text.strip(" \t")
    while at < len(text):
        run = at
        while at < len(text) and text[at] in " \t":
            at += 1
        if at > run:
            tokens.append(text[run:at].encode())
        field, at = _field(text, at)
        if field is None:
            break
        if tokens and isinstance(tokens[-1], Field):
            return None
        tokens.append(field)
    if not any(isinstance(token, Field) for token in tokens):
        return None
    return Pattern(text, tuple(tokens))


def _field(text: str, at: int) -> tuple[Field | None, int]:
    """Return the field that starts at `at`, and the place behind it."""
    end = at
    while end < len(text) and text[end] not in " \t(":
        end += 1
    name = text[at:end]
    if end == len(text) or text[end] != "(":
        if name.startswith(("sr-", "rs-")):
            return Field("", "", Kind.LITERAL, "-", name), end
        return (Field(*_BARE[name], name) if name in _BARE else None), end
    close = text.find(")", end)
    if close < 0:
        return None, len(text)
    key, whole = text[end + 1 : close], text[at : close + 1]
    if whole in _BARE:
        return Field(*_BARE[whole], whole), close + 1
    if name in {"sr", "rs"}:
        return Field("", "", Kind.LITERAL, "-", whole), close + 1
    if name in _KEYED and key:
        return Field(_KEYED[name], key, Kind.WRAPPED, "any", whole), close + 1
    return (Field("x", whole, Kind.WRAPPED, "any", whole) if name in _OTHERS else None), close + 1


def split(line: bytes, pattern: Pattern) -> tuple[list[bytes], bool] | None:
    """Return the values of a line and whether one could be cut otherwise; None if the line does not fit."""
    values: list[bytes] = []
    at, doubled = 0, False
    for index, token in enumerate(pattern.tokens):
        if isinstance(token, bytes):
            if not line.startswith(token, at):
                return None
            at += len(token)
            continue
        following = pattern.tokens[index + 1] if index + 1 < len(pattern.tokens) else None
        end = _end(line, at, token, following if isinstance(following, bytes) else None)
        if end < 0:
            return None
        value = line[at:end]
        if token.kind is Kind.WRAPPED and value[:1] == b'"':
            # Cookies of one name were written side by side, each in its quotes (to 8.5 at least).
            doubled |= token.letter == "c" and b'""' in value[1:-1]
            value = value[1:-1].replace(b'""', b'"')
        elif token.kind is Kind.WRAPPED and value[:1] == b"'":
            value = value[1:-1]
        elif token.kind is Kind.WRAPPED:
            # A cookie or attribute that was not there left nothing at all in some versions.
            value = b"-"
        if not fits(value, token):
            return None
        values.append(value)
        at = end
    return (values, doubled) if at == len(line) else None


def _end(line: bytes, at: int, field: Field, literal: bytes | None) -> int:
    """Return where the value that starts at `at` ends, -1 if none does."""
    if field.kind is Kind.LITERAL:
        return at + len(field.shape) if line.startswith(field.shape.encode(), at) else -1
    if field.kind is Kind.WRAPPED and line[at : at + 1] in (b'"', b"'"):
        return _closing(line, at)
    end = len(line) if literal is None else line.find(literal, at)
    if end < 0 or any(blank in line[at:end] for blank in (b" ", b"\t")):
        return -1
    return end if field.kind is not Kind.WRAPPED or line[at:end] in {b"", b"-"} else -1


def _closing(line: bytes, at: int) -> int:
    """Return the place behind the quote that ends what the quote at `at` began: the first that no `"` follows."""
    quote = line[at : at + 1]
    look = at + 1
    while (found := line.find(quote, look)) >= 0:
        if line[found + 1 : found + 2] != b'"':
            return found + 1
        look = found + 2
    return -1


def row_of(line: bytes, pattern: Pattern | None, proxies: str = "") -> Row:
    """Return the columns of one line (no line end); NotALine if it does not fit or has no possible time."""
    if len(line) > MAX_LINE:
        raise NotALine("line_too_long", f"{len(line)} bytes")
    if pattern is None:
        raise NotALine("no_fields", "no #Fields line before it says what its columns are")
    found = split(line, pattern)
    if found is None:
        raise NotALine("not_access_log", "")
    values, ambiguous = found
    said = [
        (field, value) for field, value in zip(pattern.fields, values, strict=True) if field.kind is not Kind.LITERAL
    ]
    date, time = (next((pair for pair in said if pair[0].letter == letter), None) for letter in ("date", "time"))
    dated = date is not None and time is not None
    rest = [pair for pair in said if not (dated and pair in (date, time))]
    row = columns_of([field for field, _ in rest], [value for _, value in rest], proxies=proxies)
    if date is not None and time is not None:
        row |= _time(date[1], time[1])
    if ambiguous:
        row["flags"].append("ambiguous")
    if is_broken(line):
        row["flags"].append("broken_text")
    return row


def _time(date: bytes, time: bytes) -> Row:
    written = f"{date.decode()} {time.decode()}"
    us = utc(date, time) if b"-" not in (date, time) else None
    if us is None:
        raise NotALine("bad_time", written)
    return {"time": us, "time_original": written, "time_basis": "utc_by_format"}


def is_header(line: bytes, pattern: Pattern | None) -> bool:
    """Say whether a line is one of the header: a directive that is not also a request of the fields in force.

    Where the first field is the target, a client of an old Tomcat could send one that starts like a directive.
    """
    if len(line) > MAX_LINE or not line.startswith(DIRECTIVES):
        return False
    if line == b"#Version: 2.0" or pattern is None or len(line) > MAX_FIELDS:
        return True
    return split(line, pattern) is None


def fields_of(line: bytes) -> str | None:
    """Return what stands behind `#Fields:` in a header line, nothing if it is too long to believe; None for others."""
    if not line.startswith(b"#Fields:"):
        return None
    return decode(line[8:]).strip(" \t") if len(line) <= MAX_FIELDS else ""
