"""Counts read as English: no "1 days", no "2 addresss"."""

from __future__ import annotations

import re

import pytest

from forensics.case import Case
from forensics.text import counted, plural, were

_SLIP = re.compile(r"(?<![\d,.:+-])1 (?!(?:as|across|is|was|this|less)\b)[a-z]+s\b")


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [
        (1, "day", "1 day"),
        (0, "day", "0 days"),
        (2, "address", "2 addresses"),
        (1, "address", "1 address"),
        (31, "country", "31 countries"),
        (7411, "request", "7,411 requests"),
    ],
)
def test_a_number_stands_with_the_word_that_goes_with_it(number: int, thing: str, said: str) -> None:
    assert counted(number, thing) == said
    assert said.endswith(plural(number, thing))


def test_one_was_and_two_were() -> None:
    assert (were(1), were(2), were(0)) == ("was", "were", "were")


def test_no_sentence_of_the_sample_case_counts_one_of_several(demo_case: Case) -> None:
    for name in ("findings", "sources", "sessions", "links", "people", "endpoints", "beacons", "victims", "milestones"):
        frame = demo_case.frame(name)
        for column in frame.columns.intersection(["sentence", "because", "detail", "message"]):
            for text in frame[column].dropna():
                assert not _SLIP.findall(text), (name, _SLIP.search(text))
