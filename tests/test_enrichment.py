"""Witnesses: the day chooses, neighbours bracket, disagreement stands, grades never become countries."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import enrichment
from forensics.enrichment._kinds import kind_of
from forensics.enrichment._witness import range_rows, range_rows_v6
from forensics.errors import DatabaseError, UsageError
from forensics.schemas import ADDRESSES

THEN, NOW = date(2017, 1, 18), date(2026, 6, 20)


@pytest.fixture(scope="module")
def witnesses() -> enrichment.Witnesses:
    return enrichment.load()


@pytest.fixture(scope="module")
def at(witnesses: enrichment.Witnesses):
    def placed(ip: str, day: date = THEN, **options: Any) -> dict[str, Any]:
        pairs = pa.table({"source_ip": [ip], "day": pa.array([day], pa.date32())})
        made = witnesses.enrich(pairs, **options)
        assert made.schema.equals(ADDRESSES)
        (row,) = made.to_pylist()
        return row

    return placed


@pytest.mark.parametrize(
    ("ip", "then", "now", "grade"),
    [
        ("175.45.176.10", "KP", "KP", "A"),
        ("175.45.178.19", "KP", "KP", "A"),
        ("210.52.109.22", "KP", "CN", "B"),
        ("188.43.136.10", "RU", "RU", "C"),
        ("83.234.227.10", "RU", "RU", "C"),
        ("80.237.84.5", "RU", "RU", "C"),
        ("8.8.8.8", "US", "US", None),
        ("51.254.0.1", "FR", "FR", None),
        ("121.128.0.1", "KR", "KR", None),
        ("1.226.0.1", "KR", "KR", None),
    ],
)
def test_an_address_lies_where_the_databases_of_the_day_put_it(
    at, ip: str, then: str, now: str, grade: str | None
) -> None:
    first, last = at(ip), at(ip, NOW)
    assert (first["country_iso_code"], last["country_iso_code"]) == (then, now)
    assert (first["rare_grade"], last["rare_grade"]) == (grade, grade)
    assert first["country_as_of"] == date(2017, 1, 4)
    assert first["country_distance_days"] == 14
    assert first["country_basis"] == "bracketed"


def test_a_witness_that_disagrees_is_heard(at) -> None:
    row = at("175.45.178.19")
    assert row["country_disputed"]
    assert "IT: DB-IP Lite 2026-06-01" in row["country_says"]
    assert row["country_says"].startswith("KP: GeoLite2 2017-01-04")


def test_a_grade_c_never_becomes_a_country(at) -> None:
    row = at("188.43.136.10")
    assert (row["country_iso_code"], row["rare_grade"]) == ("RU", "C")


def test_a_declared_location_is_labelled_and_no_origin(at) -> None:
    row = at("45.42.151.10")
    assert "false_friend" in row["flags"]
    assert row["rare_grade"] is None
    assert row["country_iso_code"] is None
    assert row["country_says"].startswith("KP: GeoLite2 2017-01-04")


def test_a_range_named_for_north_korea_has_its_end_date(at) -> None:
    assert at("77.94.35.10", date(2015, 6, 1))["rare_grade"] == "B"
    assert at("77.94.35.10", NOW)["rare_grade"] is None


def test_an_event_before_every_snapshot_takes_the_first_after_it_and_says_how_far(at) -> None:
    row = at("8.8.8.8", date(2010, 1, 1))
    assert row["country_as_of"] == date(2014, 2, 7)
    assert row["country_distance_days"] < -366
    assert "country_over_a_year" in row["flags"]
    assert row["country_basis"] == "single"


def test_as_of_places_all_addresses_on_one_day(at) -> None:
    assert at("210.52.109.22", THEN, as_of=NOW)["country_iso_code"] == "CN"


@pytest.mark.parametrize(
    ("ip", "kind"),
    [
        ("127.0.0.1", "loopback"), ("::1", "loopback"), ("10.1.2.3", "private"), ("192.168.1.1", "private"), ("100.64.0.1", "cgnat"),
        ("169.254.1.1", "link_local"), ("fe80::1", "link_local"), ("192.0.2.1", "documentation"), ("2001:db8::1", "documentation"),
        ("224.0.0.1", "multicast"), ("0.0.0.0", "reserved"), ("fd00::1", "private"), ("8.8.8.8", "public"), ("2002:808:808::", "public"),
        ("LOCAL", "invalid"), ("", "invalid"), ("1.2.3", "invalid"),
    ],
)  # fmt: skip
def test_special_ranges_are_known_for_what_they_are(ip: str, kind: str) -> None:
    assert kind_of(ip) == kind


@pytest.mark.parametrize("ip", ["127.0.0.1", "10.1.2.3", "192.0.2.1"])
def test_what_is_not_public_is_not_located(at, ip: str) -> None:
    row = at(ip)
    assert row["country_iso_code"] is None
    assert row["country_basis"] == "none"


def test_an_ipv6_address_that_carries_another_says_which(at) -> None:
    assert "6to4_of_8.8.8.8" in at("2002:808:808::1")["flags"]


def test_hosting_names_its_list_and_date(at) -> None:
    assert at("51.254.37.118")["anonymity"].startswith("hosting: ")
    assert "2026" in at("51.254.37.118")["anonymity"]


def test_a_proxy_flag_is_told_with_the_builds_that_carried_it(at) -> None:
    assert "proxy: GeoLite2 2015-05-07 to 2016-08-02" in at("5.56.16.7", date(2016, 1, 1))["anonymity"]
    assert "not on the day" in at("5.56.16.7", date(2019, 1, 1))["anonymity"]


def test_rows_come_in_order_of_address_and_day(witnesses: enrichment.Witnesses) -> None:
    pairs = [("9.9.9.9", NOW), ("1.1.1.1", NOW), ("9.9.9.9", THEN)]
    table = pa.table({"source_ip": [p[0] for p in pairs], "day": pa.array([p[1] for p in pairs], pa.date32())})
    rows = witnesses.enrich(table).to_pylist()
    assert [(r["source_ip"], r["day"]) for r in rows] == sorted(pairs)


def test_no_pairs_make_no_rows(witnesses: enrichment.Witnesses) -> None:
    empty = pa.table({"source_ip": pa.array([], pa.string()), "day": pa.array([], pa.date32())})
    assert witnesses.enrich(empty).num_rows == 0


def test_every_embedded_file_is_what_its_listing_says() -> None:
    assert not list(enrichment.verify())


def test_every_witness_says_who_it_is(witnesses: enrichment.Witnesses) -> None:
    for about in witnesses.describe():
        assert about["name"]
        assert about["licence"]
        assert len(about["sha256"]) == 64


def test_a_lookup_asks_every_witness(witnesses: enrichment.Witnesses) -> None:
    facts = list(witnesses.lookup("175.45.178.19", THEN))
    said = {(f["witness"], f["value"]) for f in facts if f["fact"] == "country"}
    assert {("GeoLite2", "KP"), ("DB-IP Lite", "IT"), ("IPFire", "KP")} <= said
    with pytest.raises(UsageError):
        list(witnesses.lookup("not an address"))


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50, unique=True),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50),
)
def test_ranges_are_found_as_a_naive_search_finds_them(starts: list[int], values: list[int]) -> None:
    starts = sorted(starts)
    naive = [max((i for i, s in enumerate(starts) if s <= v), default=-1) for v in values]
    assert range_rows(np.array(starts, np.uint32), np.array(values, np.uint32)).tolist() == naive


@given(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=30, unique=True), st.data())
def test_ipv6_ranges_are_found_as_a_naive_search_finds_them(starts: list[int], data: st.DataObject) -> None:
    starts = sorted({*starts, *(s ^ 1 for s in starts)})
    near = st.sampled_from(starts).flatmap(lambda s: st.sampled_from([s, max(0, s - 1), min(2**128 - 1, s + 1)]))
    values = data.draw(st.lists(near, min_size=1, max_size=20))
    naive = [max((i for i, s in enumerate(starts) if s <= v), default=-1) for v in values]

    def halves(numbers: list[int]) -> tuple[Any, Any]:
        return np.array([n >> 64 for n in numbers], np.uint64), np.array([n & (2**64 - 1) for n in numbers], np.uint64)

    assert range_rows_v6(*halves(starts), *halves(values)).tolist() == naive


@given(st.dates(date(2010, 1, 1), date(2030, 1, 1)))
def test_the_snapshot_that_speaks_is_the_latest_not_after_the_day(day: date) -> None:
    from forensics.enrichment._placing import columns, opinions
    from forensics.enrichment._witness import Countries, Pairs

    dates = tuple(date(2014, 1, 1) + timedelta(days=200 * i) for i in range(10))
    series = Countries("x", dates, np.arange(1, 11, dtype=np.int64)[None, :], ("", *"ABCDEFGHIJ"))
    table, _ = columns(opinions([series], Pairs.on(["192.0.2.1"], day)))
    before = [d for d in dates if d <= day]
    assert table["country_as_of"].tolist() == [before[-1] if before else dates[0]]


def test_a_damaged_database_is_an_error_that_names_it_or_an_answer(evidence_dir: Path) -> None:
    folder = evidence_dir.parent / "geo-sources" / "fetched" / "maxmind-bad-data"
    if not folder.is_dir():
        pytest.skip("the damaged databases are not here")
    refused = 0
    for path in sorted(folder.iterdir()):
        try:
            loaded = enrichment.load([path])
            list(loaded.lookup("1.1.1.1", NOW))
        except DatabaseError as error:
            refused += 1
            assert path.name in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("name", "ip", "fact", "value"),
    [
        ("GeoIP2-City-Test.mmdb", "81.2.69.160", "country", "GB"),
        ("GeoLite2-Country-Test.mmdb", "81.2.69.160", "country", "GB"),
        ("GeoLite2-ASN-Test.mmdb", "1.128.0.1", "as_number", "1221"),
        ("GeoIP2-Anonymous-IP-Test.mmdb", "1.124.213.1", "anonymity", "vpn"),
    ],
)
def test_a_maxmind_database_of_any_kind_is_one_more_witness(
    evidence_dir: Path, name: str, ip: str, fact: str, value: str
) -> None:
    path = evidence_dir.parent / "geo-sources" / "fetched" / "maxmind-test-data" / name
    if not path.is_file():
        pytest.skip("the test databases are not here")
    facts = list(enrichment.load([path]).lookup(ip, NOW))
    assert any(f["fact"] == fact and value in f["value"] and name in f["witness"] for f in facts)
