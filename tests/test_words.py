"""Counts read as English: no "1 days", no "2 addresss"."""

from __future__ import annotations

import re

import pytest

from forensics.case import Case
from forensics.schemas import TABLES
from forensics.text import counted, plural, were

_SLIP = re.compile(r"(?<![\d,.:+-])1 (?!(?:as|is|was|this)\b)[a-z]*[a-rt-z]s\b")
"""One of several; words such as `address` end in s by themselves."""


def slips(case: Case) -> list[tuple[str, str]]:
    """Return what counts one as several in any sentence of a case."""
    found = []
    for name in TABLES:
        frame = case.frame(name) if name != "events" else case.table("events").slice(0, 0).to_pandas()
        for column in frame.columns.intersection(["sentence", "because", "detail", "message", "notes", "cannot_know"]):
            found += [(name, slip) for text in frame[column].dropna() for slip in _SLIP.findall(text)]
    return found


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
    assert not slips(demo_case)
