"""What reaches a screen can be seen, and two different texts never look the same."""

from __future__ import annotations

import itertools
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.text import decode, visible

PAYLOADS = [
    "\x1b[2J", "\x9b2J", "\x7f", "\u202e", "\u200b", "\U000e0041", "\u2028", "\x00", "\x1b]52;c;Zm9vY\x07",
    "\x1b]8;;http://x\x1b\\y", "a\rb", "\x07", "\u3164", "e" + "\u0301" * 9, "a\ufe0f", "\ud800", "[bold]x[/bold]", ":skull:",
]  # fmt: skip


def test_every_code_point_is_printable_or_spelt_out() -> None:
    for code in range(sys.maxunicode + 1):
        shown = visible(chr(code))
        assert shown.isprintable()
        assert unicodedata.category(shown[0]) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_no_two_short_texts_of_an_adversary_look_the_same() -> None:
    alphabet = ["\\", "x", "4", "1", "\x1b", "u", "{", "}", "\u202e", "a", "\u0301"]
    texts = ["".join(t) for n in range(5) for t in itertools.product(alphabet, repeat=n)]
    assert len({visible(t) for t in texts}) == len(texts)


@given(st.text(alphabet=st.characters(), max_size=20), st.text(alphabet=st.characters(), max_size=20))
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (visible(one) == visible(other)) == (one == other)


@pytest.mark.parametrize("text", ["C:\\Program Files\\x", "CORP\\ann", "Zo\u00eb", "\uae40", "a b", "\\x"])
def test_what_can_be_read_stays_readable(text: str) -> None:
    assert visible(text) == text


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    assert visible("a" * 600, 512) == "a" * 512 + "…(+88)"


@given(st.binary(max_size=40))
def test_decoded_bytes_can_always_be_stored(raw: bytes) -> None:
    decode(raw).encode("utf-8")


def test_bytes_that_are_no_utf8_are_spelt_out_and_the_rest_is_kept() -> None:
    assert decode(b"a\xff\xc3\xa9") == "a\\xff\u00e9"
