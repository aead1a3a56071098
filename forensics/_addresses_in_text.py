"""Addresses inside text, however they are written: what a reader, a search, or a resolver would take for one of them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_QUAD: Final = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
# One pass, longest form first; every alternative starts at a character of its own class, so none is tried twice at a place.
_CANDIDATE: Final = re.compile(
    r"(?:[0-9A-Fa-f]{0,4}(?::|%3[Aa])){2,8}(?:"
    + _QUAD
    + r"|[0-9A-Fa-f]{1,4})?"
    + rf"|{_QUAD}(?:\.in-addr)?"
    + r"|[0-9]{1,3}(?:-[0-9]{1,3}){3}"
    + r"|(?<![0-9A-Za-z])0[xX][0-9A-Fa-f]{8}(?![0-9A-Za-z])"
    + r"|(?<![0-9.])[0-9]{8,10}(?![0-9.])",
    re.ASCII,
)
_DIGIT: Final = re.compile("[0-9]|::", re.ASCII)
_COLON: Final = re.compile(":|%3[Aa]")
_OCTET: Final = 255
_PARTS: Final = 4
_GROUPS: Final = 7
"""Colons in an address that is not shortened."""


def replacing(instead: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that puts, in any text, what `instead` has for an address in the place of every spelling of it.

    Keys are normalised addresses. Spellings: dotted (with leading zeros too), dashed, reversed before `.in-addr`, as one number
    (decimal or `0x`), IPv6 short, long, in capitals, mapped to or from IPv4, with colons as `%3A`.
    """

    def answer(match: re.Match[str]) -> str:
        text = match[0]
        found = _normal(text)
        if found in instead:
            return instead[found]
        return _inside(text) if ":" in text or "%3" in text else text

    def _inside(text: str) -> str:
        """An address with something beside it, such as a time before or a port behind: its longest part that is one."""
        edges = [0, *(end for mark in _COLON.finditer(text) for end in mark.span()), len(text)]
        spans = sorted({(a, b) for a in edges for b in edges if b - a > 1}, key=lambda span: (span[0] - span[1], span))
        for start, stop in spans:
            pseudonym = instead.get(_normal(text[start:stop]))
            if pseudonym is not None:
                return f"{text[:start]}{pseudonym}{text[stop:]}"
        return text

    def replace(text: str) -> str:
        return _CANDIDATE.sub(answer, text) if _DIGIT.search(text) else text

    return replace


def _normal(text: str) -> str:
    """Return the normalised address that a candidate spells; an empty text where it spells none."""
    if text.endswith(".in-addr"):
        return ".".join(str(int(part)) for part in reversed(text.removesuffix(".in-addr").split(".")))
    if ":" in text or "%3" in text:
        return _six(_COLON.sub(":", text))
    if text[:2] in {"0x", "0X"}:
        return str(IPv4Address(int(text, 16)))
    if text.isdigit():
        number = int(text)
        return str(IPv4Address(number)) if number < 1 << 32 else ""
    parts = re.split("[.-]", text)
    if len(parts) != _PARTS or not all(part.isdigit() and int(part) <= _OCTET for part in parts):
        return ""
    return ".".join(str(int(part)) for part in parts)


def _six(text: str) -> str:
    # What cannot be one is told without the parser: text made to be tried at every place stays cheap.
    if "::" not in text and text.count(":") != (_GROUPS - 1 if "." in text else _GROUPS):
        return ""
    if ":::" in text:
        return ""
    try:
        found = IPv6Address(text)
    except ValueError:
        return ""
    return str(found.ipv4_mapped or found)
