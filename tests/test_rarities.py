"""What stands alone in a case is told by the case's own numbers, and never becomes an origin."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from forensics import enrichment
from forensics.analysis.rarities import RULE
from forensics.enrichment._witness import Pairs
from forensics.schemas import ADDRESSES, SOURCES, table

DAY = date(2017, 1, 18)
SEEN = datetime(2017, 1, 18, 9, tzinfo=UTC)


def placed(ip: str, country: str, number: int, size: int = 1 << 20, **more: Any) -> dict[str, Any]:
    return {
        "source_ip": ip, "day": DAY, "address_kind": "public", "country_iso_code": country, "country_witness": "GeoLite2",
        "country_as_of": date(2017, 1, 4), "country_disputed": False, "as_number": number,
        "as_organization_name": f"Net {number}", "as_as_of": date(2026, 6, 17), "as_addresses": size, **more,
    }  # fmt: skip


def asked(addresses: list[dict[str, Any]], roles: dict[str, str] | None = None) -> list[dict[str, Any]]:
    because = json.dumps([{"sentence": "it came", "weight": 1, "locators": ["E0001:0+10#1"]}])
    seen = [
        {
            "source_ip": row["source_ip"], "role": (roles or {}).get(row["source_ip"], "visitor"), "because": because,
            "first_seen": SEEN, "last_seen": SEEN,
        }
        for row in addresses
    ]  # fmt: skip
    with duckdb.connect() as db:
        db.register("addresses", table(addresses, ADDRESSES))
        db.register("sources", table(seen, SOURCES))
        return RULE.run(db).to_pylist()


def crowd(count: int) -> list[dict[str, Any]]:
    return [placed(f"9.0.{n // 256}.{n % 256}", "US", 64500) for n in range(count)]


def test_the_only_address_of_a_country_among_hundreds_is_told_with_its_basis() -> None:
    rows = asked([*crowd(300), placed("8.8.8.8", "MN", 64501)])
    assert [(r["kind"], r["value"], r["source_ip"], r["among"]) for r in rows] == [
        ("alone_in_as", "AS64501 Net 64501", "8.8.8.8", 301),
        ("alone_in_country", "MN", "8.8.8.8", 301),
    ]
    (why,) = json.loads(rows[1]["because"])
    assert why["sentence"] == "the only one of 301 placed addresses in MN (GeoLite2 2017-01-04)"
    assert why["locators"] == ["E0001:0+10#1"]
    assert rows[1]["confidence"] == "possible"


def test_among_few_addresses_nothing_is_rare_by_standing_alone() -> None:
    assert asked([*crowd(100), placed("8.8.8.8", "MN", 64501)]) == []


def test_a_network_as_small_as_a_village_is_told_in_a_case_of_any_size() -> None:
    (row,) = asked([placed("8.8.8.8", "MN", 64501, 1024), placed("8.8.8.9", "MN", 64501, 1024, day=date(2017, 1, 20))])[
        :1
    ]
    assert (row["kind"], row["value"]) == ("small_as", "AS64501 Net 64501")
    assert "announces no more than 1,024 addresses" in row["because"]


def test_a_disputed_place_says_so_and_a_declared_one_is_left_out() -> None:
    disputed = placed("8.8.8.8", "MN", 64500, country_disputed=True)
    declared = placed("8.8.4.4", "KP", 64500, flags="false_friend")
    (row,) = asked([*crowd(300), disputed, declared])
    assert row["value"] == "MN"
    assert "other witnesses place it elsewhere" in row["because"]


def test_a_scanner_is_rare_by_country_only() -> None:
    rows = asked([*crowd(300), placed("8.8.8.8", "MN", 64501, 256)], {"8.8.8.8": "scanner"})
    assert [row["kind"] for row in rows] == ["alone_in_country"]


@pytest.mark.parametrize(("ip", "size"), [("175.45.178.19", 1024), ("192.0.2.1", None)])
def test_the_size_of_a_system_is_what_it_announces(ip: str, size: int | None) -> None:
    found = [w.labels(Pairs.on([ip], DAY)) for w in enrichment.load().all]
    assert [told["as_addresses"] for told in found if "as_addresses" in told] == [[size]]
