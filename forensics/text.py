r"""Text from evidence: decoded once on the way in, made visible once on the way out. Nothing else touches it.

Whoever ran the server chose its user names, paths and agents, so no character may act on a terminal, a spreadsheet or a
browser. `visible` keeps what can be read and spells out the rest (`\x1b`, `\u{202e}`), so that two different texts never
look the same.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from forensics.limits import MAX_FIELD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

# Letters that Unicode calls printable and every font draws as nothing: fillers of Hangul, and the empty Braille cell.
_BLANK_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_MARKS_KEPT: Final = 2
# A run is entered at its first backslash only: without the look-behind a long run that is no escape costs its square.
_ESCAPE_LIKE: Final = re.compile(r"(?<!\\)(\\+)(?!\\)(?=x[0-9a-f]{2}|u\{[0-9a-f]{1,6}\})")
_SURROGATE_FIRST, _SURROGATE_LAST = 0xDC80, 0xDCFF


def decode(raw: bytes) -> str:
    r"""Return `raw` as text: UTF-8, and every byte that is not UTF-8 as `\xNN`.

    The result never holds a surrogate, so it can be stored in Arrow and Parquet. Distinct bytes give distinct text
    except that a literal `\xNN` typed by a client reads the same as a broken byte in *valid* UTF-8; the locator leads to
    the bytes themselves.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _spell(raw.decode("utf-8", "surrogateescape"), _is_broken_byte, lambda c: f"\\x{ord(c) - 0xDC00:02x}")


def visible(text: str, limit: int | None = None) -> str:
    r"""Return `text` with everything that cannot be seen spelt out; injective as long as no `limit` cuts it.

    Controls, format characters (bidi overrides, zero-width, tags), surrogates, private and unassigned code points,
    variation selectors, blank letters and the third and later combining mark of a run become `\xNN` or `\u{N}`. A run of
    backslashes is doubled exactly where it could be taken for such an escape, so `CORP\ann` stays readable.
    With `limit`, at most that many characters are kept and `…(+N)` counts what was cut.
    """
    cut = ""
    if limit is not None and len(text) > limit:
        cut = f"…(+{len(text) - limit})"
        text = text[:limit]
    if text.isprintable() and text.isascii() and "\\" not in text:
        return text + cut
    return _spell(text, _Hidden(), _escape) + cut


_MANY_DAYS: Final = 30


def plural(number: int, thing: str) -> str:
    """Return the English word for so many things: "1 address", but "2 addresses"."""
    if number == 1:
        return thing
    if thing.endswith("y") and thing[-2:-1] not in tuple("aeiou"):
        return f"{thing[:-1]}ies"
    return f"{thing}es" if thing.endswith("s") else f"{thing}s"


def counted(number: int, thing: str) -> str:
    """Return a number with what it counts: `1 request`, `2,000 requests`."""
    return f"{number:,} {plural(number, thing)}"


def were(number: int) -> str:
    """Return the verb that goes with a number of things."""
    return "was" if number == 1 else "were"


def lasted(span: timedelta) -> str:
    """Return a span in words: to the minute, below two minutes to the second, above a month to the day."""
    seconds = round(span.total_seconds())
    if seconds < 120:
        return counted(seconds, "second")
    days, rest = divmod(seconds, 86_400)
    if days >= _MANY_DAYS:
        return counted(days, "day")
    hours, rest = divmod(rest, 3600)
    parts = [(days, "day"), (hours, "hour"), (rest // 60, "minute")]
    return " ".join(f"{number} {plural(number, name)}" for number, name in parts if number)


def shown(text: str | None) -> str:
    """Return `visible` text cut to what one cell of a screen or a CSV holds; nothing for None."""
    return "" if text is None else visible(text, MAX_FIELD_SHOWN)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def _is_broken_byte(char: str) -> bool:
    return _SURROGATE_FIRST <= ord(char) <= _SURROGATE_LAST


class _Hidden:
    """Says of each character in turn whether it must be spelt out; remembers the run of combining marks."""

    def __init__(self) -> None:
        self._marks = 0

    def __call__(self, char: str) -> bool:
        if char.isascii():
            self._marks = 0
            return not char.isprintable()
        if unicodedata.category(char)[0] == "M":
            self._marks += 1
            return self._marks > _MARKS_KEPT or _is_variation_selector(ord(char))
        self._marks = 0
        return not char.isprintable() or char in _BLANK_LETTERS


def _is_variation_selector(code: int) -> bool:
    return 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F


def _spell(text: str, hidden: Callable[[str], bool], escape: Callable[[str], str]) -> str:
    """Replace each hidden character by its escape, and double the backslashes that would change an escape's meaning."""
    out: list[str] = []
    plain: list[str] = []
    for char in text:
        if hidden(char):
            before = "".join(plain)
            plain.clear()
            trailing = len(before) - len(before.rstrip("\\"))
            out.append(_double_lookalikes(before) + "\\" * trailing)
            out.append(escape(char))
        else:
            plain.append(char)
    out.append(_double_lookalikes("".join(plain)))
    return "".join(out)


def _double_lookalikes(text: str) -> str:
    return _ESCAPE_LIKE.sub(lambda run: run[1] * 2, text) if "\\" in text else text
