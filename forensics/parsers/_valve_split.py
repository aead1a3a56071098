r"""Splitting one line by a pattern, from both ends: the specification that the fast path is held against.

Every way to cut the line is counted, none is tried by backtracking: for each token the set of places where it can end is
carried along, so time grows with the length of the line. One way is a plain reading. Several ways are *ambiguous*: old
Tomcats write a client's quotes and blanks as they came (nothing was escaped before 8.5.62 and 9.0.42), so a client can
imitate the text between two fields. First the line is read with `\"` as a quote inside a field; only if nothing fits so,
with every quote as it stands.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from forensics.parsers._valve import Field, Kind, Pattern, Token
from forensics.parsers._valve_time import CLF_LENGTH, clock_end, has_clf_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOST: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%_-[]"
_FIXED_WIDTH: Final = {
    "date": re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "time": re.compile(rb"[0-9]{2}:[0-9]{2}:[0-9]{2}"),
}
_MANY: Final = 2
_COUNT_DIGITS: Final = 18

Cut = list[tuple[int, int]]
"""Start and end of each field, in the order of the pattern's fields."""


def split(line: bytes, pattern: Pattern) -> tuple[Cut, bool] | None:
    """Return where each field lies and whether another cut was possible; None if the line does not fit the pattern."""
    plain = _plain(pattern)
    if plain is not None and (found := plain.fullmatch(line)) is not None:
        return [found.span(number) for number in range(1, len(found.regs))], False
    if b"\\" in line:
        escaped = _cut(line, pattern, escapes=True)
        if escaped is not None and not escaped[1]:
            return escaped
    return _cut(line, pattern, escapes=False)


@cache
def _plain(pattern: Pattern) -> re.Pattern[bytes] | None:
    """Return an expression for lines that can only be cut one way, None for patterns that have no such lines.

    Every field that holds anything must stand between quotes and hold none here; the user name in front of the time may hold
    blanks but no bracket, elsewhere not even blanks. The quotes of such a line are the pattern's own, in order, so no other
    cut exists. Negated classes only: it cannot backtrack over more than one field.
    """
    out = []
    tokens = pattern.tokens
    for index, token in enumerate(tokens):
        if isinstance(token, bytes):
            out.append(re.escape(token))
            continue
        before, after = tokens[index - 1] if index else b"", tokens[index + 1] if index + 1 < len(tokens) else b""
        if not isinstance(before, bytes) or not isinstance(after, bytes):
            return None
        quoted = before.endswith(b'"') and after.startswith(b'"')
        spaced = (before.endswith(b" ") or not index) and (after.startswith(b" ") or index + 1 == len(tokens))
        if token.kind is Kind.FREE and (quoted or (token.letter == "u" and spaced)):
            timed = index + 2 < len(tokens) and after == b" " and _is_time(tokens[index + 2])
            out.append(rb'([^"\\]*)' if quoted else rb'([^\["\\]*)' if timed else rb'([^ "\\]*)')
        elif token.kind is Kind.TIME and spaced:
            out.append(rb"(\[[0-9]{2}/[^ ]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\])")
        elif token.kind is Kind.TOKEN and spaced and token.shape in _SHAPES:
            out.append(_SHAPES[token.shape])
        else:
            return None
    return re.compile(b"".join(out), re.DOTALL)


def _is_time(token: Token) -> bool:
    return isinstance(token, Field) and token.kind is Kind.TIME


_SHAPES: Final = {
    "host": rb"([0-9a-zA-Z.:%_\-\[\]]+)",
    "dash": rb"(-)",
    "status": rb"([0-9]{3}|-)",
    "count": rb"([0-9]{1,18}|-)",
}


def unsplit(line: bytes, pattern: Pattern, cut: Cut) -> bytes:
    """Put a line together again from its fields and the pattern's literals; equal to the line for every accepted one."""
    out = []
    fields = iter(cut)
    for token in pattern.tokens:
        if isinstance(token, Field):
            start, end = next(fields)
            out.append(line[start:end])
        else:
            out.append(token)
    return b"".join(out)


def _cut(line: bytes, pattern: Pattern, *, escapes: bool) -> tuple[Cut, bool] | None:
    found = _forwards(line, pattern, escapes=escapes)
    if found is None:
        return None
    steps, reach = found
    ways = steps[-1].get(len(line), 0)
    if not ways:
        return None
    return _choose(line, pattern, steps, reach), ways >= _MANY


_Steps = list[dict[int, int]]
"""Before each token and after the last: the places the cut can stand at, and in how many ways (2 is many)."""
_Reach = list[dict[int, "Sequence[int]"]]
"""For each token or time: where it can end, by where it starts."""


def _forwards(line: bytes, pattern: Pattern, *, escapes: bool) -> tuple[_Steps, _Reach] | None:
    """Walk the pattern once; None if no cut gets through."""
    steps: _Steps = [{0: 1}]
    reach: _Reach = []
    here = steps[0]
    for token, literal in _behind(pattern):
        ends: dict[int, Sequence[int]] = {}
        if isinstance(token, bytes):
            size = len(token)
            after = {at + size: ways for at, ways in here.items() if line.startswith(token, at)}
        elif token.kind is Kind.FREE:
            after = _free_ends(line, here, literal, escapes=escapes)
        else:
            after = {}
            for at, ways in here.items():
                ends[at] = found = _ends(line, at, token, literal)
                for end in found:
                    after[end] = min(_MANY, after[end] + ways) if end in after else ways
        if not after:
            return None
        reach.append(ends)
        steps.append(after)
        here = after
    return steps, reach


@cache
def _behind(pattern: Pattern) -> tuple[tuple[Token, bytes | None], ...]:
    """Return each token with the literal behind it, b'' if a field stands there, None at the end.

    Behind a field that holds anything, a literal in front of a time has the time's bracket too: of the many blanks where
    such a field could end, the time follows few.
    """
    tokens = pattern.tokens
    behind: list[bytes | None] = [token if isinstance(token, bytes) else b"" for token in tokens[1:]]
    for index, token in enumerate(tokens[:-2]):
        if isinstance(token, Field) and token.kind is Kind.FREE and behind[index] and _is_time(tokens[index + 2]):
            behind[index] = (behind[index] or b"") + b"["
    return tuple(zip(tokens, [*behind, None], strict=True))


def _free_ends(line: bytes, starts: dict[int, int], literal: bytes | None, *, escapes: bool) -> dict[int, int]:
    """A field that holds anything ends wherever the next literal stands; each end is reached from every start before it."""
    first = min(starts)
    if literal is None:
        return {len(line): min(_MANY, sum(starts.values()))}
    ordered = sorted(starts)
    ends: dict[int, int] = {}
    ways = passed = 0
    for end in _places(line, literal, first, escapes=escapes):
        while passed < len(ordered) and ordered[passed] <= end:
            ways = min(_MANY, ways + starts[ordered[passed]])
            passed += 1
        ends[end] = ways
    return ends


def _places(line: bytes, literal: bytes, first: int, *, escapes: bool) -> Sequence[int]:
    if not literal:
        return range(first, len(line) + 1)
    places = []
    at = line.find(literal, first)
    while at >= 0:
        if not (escapes and literal[0] == 0x22 and _is_escaped(line, at)):
            places.append(at)
        at = line.find(literal, at + 1)
    return places


def _is_escaped(line: bytes, at: int) -> bool:
    run = at
    while run > 0 and line[run - 1] == 0x5C:
        run -= 1
    return (at - run) % 2 == 1


def _ends(line: bytes, at: int, field: Field, literal: bytes | None) -> Sequence[int]:
    """Return where a token or time that starts at `at` can end."""
    if field.kind is Kind.TIME:
        return (at + CLF_LENGTH,) if has_clf_shape(line, at) else ()
    if field.kind is Kind.CLOCK:
        end = clock_end(line, at, field.key)
        return (end,) if end >= 0 else ()
    blank = line.find(b" ", at)
    stop = len(line) if blank < 0 else blank
    if literal == b" ":
        return (stop,) if stop > at and blank >= 0 and _has_shape(line[at:stop], field.shape) else ()
    if literal is None:
        ends: Sequence[int] = (len(line),) if blank < 0 else ()
    elif not literal:
        ends = range(at + 1, stop + 1)
    elif literal[0] == 0x20:
        ends = (stop,) if line.startswith(literal, stop) else ()
    else:
        ends = [end for end in _places(line, literal, at, escapes=False) if end <= stop]
    return [end for end in ends if end > at and _has_shape(line[at:end], field.shape)]


def fits(text: bytes, field: Field) -> bool:
    """Say whether a value whose borders are known can be one of the field."""
    if field.kind is Kind.TIME:
        return len(text) == CLF_LENGTH and has_clf_shape(text, 0)
    if field.kind is Kind.CLOCK:
        return clock_end(text, 0, field.key) == len(text)
    return field.kind is not Kind.TOKEN or _has_shape(text, field.shape)


def _has_shape(text: bytes, shape: str) -> bool:
    if shape == "any" or text == b"-":
        return True
    if shape == "dash":
        return False
    if shape == "host":
        return not text.translate(None, _HOST)
    if shape == "status":
        return len(text) == 3 and text.isdigit()
    if shape == "count":
        return len(text) <= _COUNT_DIGITS and text.isdigit()
    if shape in _FIXED_WIDTH:
        return _FIXED_WIDTH[shape].fullmatch(text) is not None
    whole, _, fraction = text.partition(b".")
    return len(text) <= _COUNT_DIGITS and whole.isdigit() and (fraction.isdigit() or not fraction)


def _choose(line: bytes, pattern: Pattern, steps: _Steps, reach: _Reach) -> Cut:
    """Pick one cut among those that reach the end: the user name ends as early as it can, the request as late.

    A client writes the request line, and the user name only after logging on, so the earliest time and the last status
    are the server's own as far as a line can tell.
    """
    good = _backwards(line, pattern, steps, reach)
    cut: Cut = []
    at = 0
    for index, token in enumerate(pattern.tokens):
        if isinstance(token, bytes):
            at += len(token)
            continue
        if token.kind is Kind.FREE:
            ends = [end for end in good[index + 1] if end >= at]
        else:
            ends = [end for end in reach[index][at] if end in good[index + 1]]
        end = max(ends) if token.letter == "r" and not token.key else min(ends)
        cut.append((at, end))
        at = end
    return cut


def _backwards(line: bytes, pattern: Pattern, steps: _Steps, reach: _Reach) -> list[set[int]]:
    """Return, for each step, the places from which the end can be reached."""
    good: list[set[int]] = [set() for _ in steps]
    good[-1] = {len(line)}
    tokens = pattern.tokens
    for index in range(len(tokens) - 1, -1, -1):
        token, after = tokens[index], good[index + 1]
        if isinstance(token, bytes):
            # Whoever stands behind a literal came from in front of it.
            size = len(token)
            good[index] = {at - size for at in after}
        elif token.kind is Kind.FREE:
            last = max(after, default=-1)
            good[index] = {at for at in steps[index] if at <= last}
        else:
            good[index] = {at for at, ends in reach[index].items() if not after.isdisjoint(ends)}
    return good
