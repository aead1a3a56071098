"""A country that a database of another year gives is said to be such."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import pytest

from forensics.analysis._sentences_of_logs import _far_databases
from forensics.schemas import ADDRESSES, SOURCES, table

DAY = date(2017, 1, 18)


def said(*distances: int) -> list[str]:
    addresses = [
        {
            "source_ip": f"192.0.2.{n}",
            "day": DAY,
            "country_distance_days": distance,
            "country_as_of": DAY - timedelta(days=distance),
        }
        for n, distance in enumerate(distances)
    ]
    sources = [{"source_ip": "192.0.2.0", "role": "operator"}]
    with duckdb.connect() as db:
        for name, rows in (("addresses", table(addresses, ADDRESSES)), ("sources", table(sources, SOURCES))):
            db.register(name, rows)
        return [row["sentence"] for row in _far_databases(db)]


@pytest.mark.parametrize("distances", [(), (0, 365, -365)])
def test_within_a_year_nothing_is_said(distances: tuple[int, ...]) -> None:
    assert not said(*distances)


def test_an_operators_address_is_named_with_the_databases_day() -> None:
    (sentence,) = said(366, 10, -900)
    assert sentence.startswith(
        "2 of 3 placed addresses were placed by a database more than a year from the day of the event, 900 days at most"
    )
    assert sentence.endswith(
        "of the operator's addresses: 192.0.2.0, seen on 2017-01-18, is placed by a database of 2016-01-18"
    )


def test_one_address_is_one() -> None:
    (sentence,) = said(10, 400)
    assert sentence.startswith("1 of 2 placed addresses was placed")
    assert "who held it on that day" in sentence
