"""What ships in geo/: whole, licensed, dated, and made by functions that do what they say."""

from __future__ import annotations

import csv
import hashlib
import importlib
import json
from datetime import date
from ipaddress import IPv4Address, ip_network
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.enrichment import verify

LAST_SPACE = 1 << 32


@pytest.fixture(scope="module")
def geo(repository: Path) -> Path:
    return repository / "geo"


@pytest.fixture(scope="module")
def listed(geo: Path) -> list[dict[str, str]]:
    told: list[dict[str, str]] = json.loads((geo / "witnesses.json").read_text())
    return told


@pytest.fixture
def tables(geo: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(geo))
    return importlib.import_module("tables")


def test_every_file_is_what_its_sha256_says(geo: Path, listed: list[dict[str, str]]) -> None:
    for entry in listed:
        assert hashlib.sha256((geo / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
    assert list(verify()) == []


def test_people_and_program_are_told_the_same(geo: Path, listed: list[dict[str, str]]) -> None:
    page = (geo / "SOURCES.md").read_text()
    for entry in listed:
        (line,) = (row for row in page.splitlines() if row.startswith(f"| {entry['file']} |"))
        assert entry["sha256"] in line
        assert entry["licence"] in line
        assert entry["origin"] in line


def test_no_data_file_lies_here_without_a_source(geo: Path, listed: list[dict[str, str]]) -> None:
    data = {path.name for path in geo.iterdir() if path.suffix in {".npz", ".csv", ".gz", ".mmdb"}}
    assert data == {entry["file"] for entry in listed}


def test_every_witness_has_a_licence_and_every_foreign_one_a_credit(listed: list[dict[str, str]]) -> None:
    for entry in listed:
        assert entry["licence"]
        assert entry["attribution"] or entry["origin"].startswith("this project")


@pytest.mark.parametrize("name", ["country-v4-geolite2-2014-2019", "country-v4-2026-06", "country-v4-ipfire-2026-06"])
def test_a_history_covers_the_whole_space_once_and_refers_to_nothing_outside_itself(geo: Path, name: str) -> None:
    with np.load(geo / f"{name}.npz", allow_pickle=False) as table:
        assert table["start"][0] == 0
        assert (np.diff(table["start"].astype(np.int64)) > 0).all()
        assert table["hist"].max() < len(table["table"])
        assert table["table"].max() < len(table["codes"])
        assert table["table"].shape[1] == len(table["date"]) == len(table["series"])
        assert table["codes"][0] == ""
        assert list(table["date"]) == sorted(table["date"]) or len(set(table["series"])) > 1


def test_the_two_faulty_builds_are_not_in_the_history(geo: Path) -> None:
    with np.load(geo / "country-v4-geolite2-2014-2019.npz", allow_pickle=False) as table:
        days = set(table["date"].tolist())
    assert len(days) == 36
    assert not days & {"2016-09-06", "2016-09-07", "2018-03-08"}


def test_a_build_that_lost_a_tenth_of_its_ranges_is_refused(tables: ModuleType) -> None:
    def build(month: int, ranges: int) -> Any:
        return tables.Snapshot(date(2016, month, 1), "x", np.arange(ranges, dtype=np.uint32), ["FR"] * ranges, set())

    kept = tables.refuse_short_snapshots([build(8, 1000), build(9, 889), build(10, 1010)])
    assert [snapshot.day.month for snapshot in kept] == [8, 10]
    assert len(tables.refuse_short_snapshots([build(8, 1000), build(9, 950), build(10, 1010)])) == 3


def test_systems_that_announce_ipv6_only_have_names_too(geo: Path) -> None:
    with np.load(geo / "asn-v6-2026-06.npz") as six, np.load(geo / "asn-v4-2026-06.npz") as four:
        assert set(six["asn"].tolist()) - {0} <= set(four["org_asn"].tolist())
        assert len(bytes(four["org_utf8"]).decode().split("\n")) == len(four["org_asn"])


def test_labels_without_a_written_licence_are_not_shipped(geo: Path) -> None:
    with (geo / "hosting-vpn-tor-2026-10.csv").open(newline="") as file:
        providers = {row["provider"] for row in csv.DictReader(file)}
    refused = "Akamai BunnyCDN BuyVM CDN77 Cogent Contabo DataCamp GTHost GleSYS Melbicom Scalaxy Vercel"
    assert not providers & set(refused.split())


def test_every_rare_origin_has_a_grade_dates_and_a_source_and_no_false_friend_has_a_grade(geo: Path) -> None:
    with (geo / "rare-origins.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert ip_network(row["network"]).prefixlen >= 19
        assert row["label"]
        assert row["basis"]
        assert row["source"]
        assert row["grade"] in {"A", "B", "C"} if row["kind"] == "rare_origin" else row["grade"] == ""
        assert (row["valid_from"] or "0000") < (row["valid_to"] or "9999")
        if row["grade"] in {"A", "B"}:
            date.fromisoformat(row["valid_from"])
    assert [row["network"] for row in rows if row["grade"] == "A"] == ["175.45.176.0/22"]


nested = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(1, 4)), max_size=12)


@given(nested)
def test_where_listed_ranges_overlap_the_narrowest_speaks(repository: Path, drawn: list[tuple[int, int, int]]) -> None:
    import sys

    sys.path.insert(0, str(repository / "geo"))
    try:
        compact = importlib.import_module("tables").compact
    finally:
        sys.path.pop(0)
    rows = [(first, min(first + width, 63), value) for first, width, value in drawn]
    starts, values = compact(rows, 6)
    for number in range(64):
        around = sorted((last - first, last, value) for first, last, value in rows if first <= number <= last)
        true = around[0][2] if around else 0
        assert values[int(np.searchsorted(starts, number, "right")) - 1] == true
    assert all(a != b for a, b in pairwise(values))


def test_a_flattened_tree_answers_as_the_reader_does(tables: ModuleType, repository: Path) -> None:
    import maxminddb

    path = repository.parent / "shared" / "geo-sources" / "fetched" / "maxmind-test-data" / "GeoLite2-Country-Test.mmdb"
    if not path.is_file():
        pytest.skip("MaxMind's test databases are not here")
    snapshot = tables.read_mmdb(path, "test").located
    with maxminddb.open_database(path) as reader:
        for start, code in zip(snapshot.start.tolist(), snapshot.country, strict=True):
            record: Any = reader.get(str(IPv4Address(start))) or {}
            assert code == record.get("country", {}).get("iso_code", "")
    assert snapshot.start[0] == 0
    assert len(set(snapshot.country)) > 3
