"""Which pattern a file's first lines were written with, when nobody says so: the candidate that reads most of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from forensics.parsers._valve import NAMED, compile_pattern
from forensics.parsers._valve_rows import NotALine, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.parsers._valve import Pattern

_COMMON, _COMBINED = NAMED["common"], NAMED["combined"]
_VHOST: Final = "%v "

KNOWN: Final = (
    _COMMON,
    _COMBINED,
    f"{_COMMON} %D",
    f"{_COMMON} %T",
    f"{_COMMON} %D %I",
    f"{_COMMON} %T %D",
    f'{_COMMON} "%{{Referer}}i" "%{{User-Agent}}i" %D',
    f'{_COMMON} "%{{Referer}}i" "%{{User-Agent}}i" %T',
    f'{_COMMON} "%{{Referer}}i" "%{{User-Agent}}i" %I',
    f'{_COMMON} "%{{Referer}}i" "%{{User-Agent}}i" %S',
    f'{_COMBINED} "%{{X-Forwarded-For}}i"',
    f'{_COMBINED} "%{{X-Forwarded-For}}i" %D',
    f'{_COMMON} %D "%{{Referer}}i" "%{{User-Agent}}i"',
    f'{_COMMON} "%{{User-Agent}}i"',
    f'{_COMMON} "%{{X-Forwarded-For}}i"',
    _VHOST + _COMMON,
    _VHOST + _COMBINED,
    "%{X-Forwarded-For}i " + _COMMON,
    "%{X-Forwarded-For}i " + _COMBINED,
    # Jira and Confluence ship with this one.
    "%t %{X-AUSERNAME}o %I %h %r %s %Dms %b %{Referer}i %{User-Agent}i",
    '%v %h %S %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i" %D',
)
"""Patterns seen in the field: the two named ones first, then what administrators add to them."""

_SAMPLE: Final = 80
_ENOUGH: Final = 95
_CERTAIN_LINES: Final = 3
_LEAST_SHARE: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern, how many of the sampled lines it reads, and how many in a hundred that is."""

    pattern: Pattern
    lines: int
    fit: int


@cache
def candidates(more: tuple[str, ...]) -> tuple[Pattern, ...]:
    """Return the patterns to try, `more` first."""
    return tuple(compile_pattern(text) for text in dict.fromkeys((*more, *KNOWN)))


def best_of(start: bytes, patterns: Sequence[Pattern], *, complete: bool) -> Found | None:
    """Return the pattern that reads most of the first lines, plainly before ambiguously; None if it is too few of them."""
    lines = [line.removesuffix(b"\r") for line in start.split(b"\n")]
    if not complete and len(lines) > 1:
        lines.pop()
    lines = [line for line in lines if line.strip() and len(line) < 1 << 14]
    step = max(1, len(lines) // _SAMPLE)
    sample = lines[::step]
    best: tuple[int, int, Pattern] | None = None
    for pattern in patterns:
        plain, read = _count(sample, pattern)
        if read and (best is None or (plain, read) > best[:2]):
            best = (plain, read, pattern)
        if best is not None and 100 * best[0] >= _ENOUGH * len(sample):
            break
    if best is None:
        return None
    _, read, pattern = best
    fit = 100 * read // len(sample)
    return Found(pattern, read, fit) if fit >= _LEAST_SHARE or read >= _CERTAIN_LINES else None


def _count(sample: Sequence[bytes], pattern: Pattern) -> tuple[int, int]:
    """Return how many lines the pattern reads in one way only, and how many at all."""
    plain = read = 0
    for line in sample:
        try:
            row = row_of(line, pattern)
        except NotALine:
            continue
        read += 1
        plain += "ambiguous" not in row["flags"]
    return plain, read
