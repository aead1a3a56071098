"""Databases that the analyst adds: any maker's schema is read, and a damaged file is refused in one clear line."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from forensics import enrichment
from forensics.errors import DatabaseError

DAY = date(2017, 1, 18)
BUILT = datetime(2017, 1, 16, tzinfo=UTC)


def encoded(value: Any) -> bytes:
    """Encode one value as the MaxMind DB format 2.0 has it; enough types for the databases below."""

    def head(kind: int, size: int) -> bytes:
        size_bits, more = (size, b"") if size < 29 else (29, bytes([size - 29]))
        return (bytes([kind << 5 | size_bits]) if kind < 8 else bytes([size_bits, kind - 7])) + more

    match value:
        case bool():
            return head(14, int(value))
        case str():
            return head(2, len(value.encode())) + value.encode()
        case float():
            return head(3, 8) + struct.pack(">d", value)
        case int():
            raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
            return head(9 if value >> 32 else 6, len(raw)) + raw
        case list():
            return head(11, len(value)) + b"".join(map(encoded, value))
        case _:
            return head(7, len(value)) + b"".join(encoded(k) + encoded(v) for k, v in value.items())


def mmdb(records: Mapping[str, Any], kind: str, built: int) -> bytes:
    """Return an IPv4 database of disjoint networks."""
    nodes: list[list[int | None]] = [[None, None]]
    data, leaves = b"", {}
    for text, record in records.items():
        network = IPv4Network(text)
        bits = f"{int(network.network_address):032b}"[: network.prefixlen]
        node = 0
        for bit in bits[:-1]:
            if nodes[node][int(bit)] is None:
                nodes.append([None, None])
                nodes[node][int(bit)] = len(nodes) - 1
            node = nodes[node][int(bit)] or 0
        leaves[node, int(bits[-1])] = len(data)
        data += encoded(record)
    count = len(nodes)
    for (node, bit), offset in leaves.items():
        nodes[node][bit] = count + 16 + offset
    tree = b"".join((count if side is None else side).to_bytes(3, "big") for node in nodes for side in node)
    about = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": built,
        "database_type": kind,
        "description": {"en": "made for a test"},
        "ip_version": 4,
        "languages": ["en"],
        "node_count": count,
        "record_size": 24,
    }
    return tree + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + encoded(about)


def placed(path: Path, *ips: str) -> dict[str, dict[str, Any]]:
    pairs = pa.table({"source_ip": list(ips), "day": pa.array([DAY] * len(ips), pa.date32())})
    return {row["source_ip"]: row for row in enrichment.load([path]).enrich(pairs).to_pylist()}


SCHEMAS = {
    "MaxMind City": (
        {"country": {"iso_code": "NL", "names": {"en": "Netherlands"}}, "city": {"names": {"en": "X"}}},
        "NL",
    ),
    "ip-location-db": ({"country_code": "NL"}, "NL"),
    "IPinfo of today": ({"country": "Netherlands", "country_code": "NL", "asn": "AS1103"}, "NL"),
    "IPinfo of before": ({"country": "NL", "country_name": "Netherlands"}, "NL"),
    "a country's name alone": ({"country": "Netherlands"}, None),
    "a number where a country should be": ({"country": 528}, None),
    "an empty record": ({}, None),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_country_is_read_whatever_the_maker_calls_it(schema: str, tmp_path: Path) -> None:
    record, code = SCHEMAS[schema]
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": record, "9.0.0.0/8": {}}, schema, int(BUILT.timestamp())))
    says = placed(path, "8.8.8.8")["8.8.8.8"]["country_says"]
    assert (f"NL: {schema} (added.mmdb) 2017-01-16" in says) == (code is not None)


@pytest.mark.parametrize(
    "record",
    [
        {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"},
        {"asn": "AS64500", "as_name": "Example Net"},
        {"asn": "as64500", "name": "Example Net"},
        {"traits": {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"}},
        {"autonomous_system_number": 64500, "autonomous_system_name": "Example Net"},
    ],
)
def test_the_system_is_read_whatever_the_maker_calls_it(record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": record}, "asn", int(BUILT.timestamp())))
    row = placed(path, "8.8.8.8")["8.8.8.8"]
    assert (row["as_number"], row["as_organization_name"], row["as_as_of"]) == (64500, "Example Net", date(2017, 1, 16))


def test_a_number_of_one_witness_never_stands_beside_the_name_of_another(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"asn": 64500}}, "asn", int(BUILT.timestamp())))
    row = placed(path, "8.8.8.8")["8.8.8.8"]
    assert (row["as_number"], row["as_organization_name"]) == (64500, None)


def test_flags_of_anonymity_are_read_and_dated(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    record = {"is_tor_exit_node": True, "is_anonymous_vpn": False, "traits": {"is_anonymous_proxy": True}}
    path.write_bytes(mmdb({"8.8.8.0/24": record}, "Anonymous", int(BUILT.timestamp())))
    reasons = placed(path, "8.8.8.8")["8.8.8.8"]["anonymity"].split("; ")
    assert {r.partition(":")[0] for r in reasons if "added.mmdb" in r} == {"tor_exit", "proxy"}
    assert all("2017-01-16" in r for r in reasons if "added.mmdb" in r)


def test_an_ipv4_database_is_silent_about_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"0.0.0.0/1": {"country_code": "NL"}}, "v4", int(BUILT.timestamp())))
    assert "added.mmdb" not in placed(path, "2001:4860:4860::8888")["2001:4860:4860::8888"]["country_says"]


def test_a_build_date_beyond_the_calendar_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"country_code": "NL"}}, "late", (1 << 64) - 1))
    assert "NL: late (added.mmdb) 2100-01-01" in placed(path, "8.8.8.8")["8.8.8.8"]["country_says"]


def test_a_folder_gives_all_its_databases_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        raw = mmdb({"8.8.8.0/24": {"country_code": "NL"}}, name, int(BUILT.timestamp()))
        (tmp_path / f"{name}.mmdb").write_bytes(raw)
    assert {"a.mmdb", "b.mmdb"} <= {told["file"] for told in enrichment.load([tmp_path]).describe()}
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatabaseError, match=r"holds no \.mmdb"):
        enrichment.load([tmp_path / "empty"])


@pytest.mark.parametrize("raw", [b"", b"no database", b"\x00" * 5000, b"\xab\xcd\xefMaxMind.com", b"start,end\n1,2\n"])
def test_a_file_that_is_no_database_is_refused_by_name(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wrong.mmdb"
    path.write_bytes(raw)
    with pytest.raises(DatabaseError, match=r"wrong\.mmdb") as told:
        enrichment.load([path])
    assert told.value.exit_code == 5
    assert "\n" not in str(told.value)


def test_a_database_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"missing\.mmdb"):
        enrichment.load([tmp_path / "missing.mmdb"])


def test_a_mutated_database_answers_or_is_refused_and_nothing_else(tmp_path: Path) -> None:
    rng = random.Random(20170118)
    whole = mmdb(
        {f"{n}.0.0.0/8": {"country": {"iso_code": "NL"}, "asn": n} for n in range(1, 20)}, "x", int(BUILT.timestamp())
    )
    refused = 0
    for number in range(150):
        raw = bytearray(whole)
        for _ in range(rng.choice([1, 4, 40])):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        path = tmp_path / f"{number}.mmdb"
        path.write_bytes(raw[: rng.randrange(len(raw))] if number % 5 == 0 else raw)
        try:
            mine = next(w for w in enrichment.kinds()["mmdb"].open(tmp_path, [], [path]))
            pairs = enrichment.Pairs.on([f"{n}.1.2.3" for n in range(1, 20)], DAY)
            mine.countries(pairs.addresses)
            mine.labels(pairs)
        except DatabaseError:
            refused += 1
    assert 0 < refused < 150


def bad_files() -> list[Path]:
    folder = Path(__file__).resolve().parents[2] / "shared" / "geo-sources" / "fetched"
    return sorted([*folder.glob("maxmind-bad-data/*.mmdb"), *folder.glob("maxmind-test-data/*.mmdb")])


@pytest.mark.skipif(not bad_files(), reason="MaxMind's collection of bad databases is not here")
def test_each_bad_database_of_maxmind_answers_or_is_refused_and_nothing_else() -> None:
    ips = ["1.1.1.1", "8.8.8.8", "81.2.69.142", "175.45.178.19", "2001:4860:4860::8888", "::1"]
    refused = set()
    for path in bad_files():
        try:
            placed(path, *ips)
        except DatabaseError as error:
            refused.add(str(error).partition(":")[0])
    assert refused <= {path.name for path in bad_files()}
    assert len(refused) >= 14
    assert "GeoIP2-City-Test.mmdb" not in refused


def test_of_two_databases_of_systems_the_one_of_the_day_speaks(tmp_path: Path) -> None:
    for name, number, built in (("a-later", 64501, datetime(2017, 3, 1, tzinfo=UTC)), ("b-of-then", 64500, BUILT)):
        (tmp_path / f"{name}.mmdb").write_bytes(mmdb({"8.8.8.0/24": {"asn": number}}, "asn", int(built.timestamp())))
    row = placed(tmp_path, "8.8.8.8")["8.8.8.8"]
    assert (row["as_number"], row["as_as_of"]) == (64500, date(2017, 1, 16))


def test_a_database_of_years_before_goes_behind_the_embedded_one_for_an_event_of_today(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"asn": 64500}}, "asn", int(BUILT.timestamp())))
    pairs = pa.table({"source_ip": ["8.8.8.8"], "day": pa.array([date(2026, 7, 1)], pa.date32())})
    (row,) = enrichment.load([path]).enrich(pairs).to_pylist()
    assert row["as_number"] == 15169


def test_hosting_by_system_is_told_of_the_system_of_the_day(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"asn": "AS9009", "as_name": "M247"}}, "asn", int(BUILT.timestamp())))
    assert "hosting: M247, AS9009 of 2017-01-16" in placed(path, "8.8.8.8")["8.8.8.8"]["anonymity"].split("; ")


def test_a_registered_country_speaks_as_such_where_the_database_places_the_address_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"registered_country": {"iso_code": "NL"}}}, "X", int(BUILT.timestamp())))
    assert "NL: X (added.mmdb) registered country 2017-01-16" in placed(path, "8.8.8.8")["8.8.8.8"]["country_says"]


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({"vpn": "true", "proxy": ""}, "vpn"),
        ({"is_hosting": True, "is_anonymous": True}, "hosting"),
        ({"relay": True}, "relay_service"),
        ({"traits": {"user_type": "hosting"}}, "hosting"),
        ({"is_anonymous": True}, "anonymous"),
    ],
)
def test_flags_are_read_whatever_the_maker_calls_them(record: dict[str, Any], word: str, tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": record}, "flags", int(BUILT.timestamp())))
    reasons = placed(path, "8.8.8.8")["8.8.8.8"]["anonymity"].split("; ")
    assert [r for r in reasons if "added.mmdb" in r] == [f"{word}: flags (added.mmdb) 2017-01-16"]


def test_a_list_says_how_much_younger_than_the_event_it_is(tmp_path: Path) -> None:
    path = tmp_path / "added.mmdb"
    path.write_bytes(mmdb({"8.8.8.0/24": {"vpn": True}}, "flags", int(datetime(2018, 3, 1, tzinfo=UTC).timestamp())))
    assert "2018-03-01, 1 year younger than the event" in placed(path, "8.8.8.8")["8.8.8.8"]["anonymity"]
