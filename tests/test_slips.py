"""Contacts out of pattern: the one that stands out is told first, what many do is a habit, and few show no pattern."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from evtx_writer import write_evtx
from test_analysis import SECOND, START, lsm, request

import forensics
from forensics.analysis import _slips
from forensics.answers import CHAIN
from forensics.case import Case
from forensics.schemas import MILESTONE_ROWS, SOURCES, table

VPN = "vpn: listed by X since 2016-01-01"


def stay(
    day: float, ip: str, country: str, hidden: bool = True, minutes: float = 120, operator: str = "O1", **more: Any
) -> dict[str, Any]:
    since = START + timedelta(days=day)
    return {
        "operator_id": operator, "session_uid": f"S{int(day * 10):04d}", "source_ip": ip, "country_iso_code": country,
        "anonymity": VPN if hidden else None, "since": since, "until": since + timedelta(minutes=minutes), "locator": f"E0001:{int(day * 100)}+10#1", **more,
    }  # fmt: skip


def proxies(count: int = 6) -> list[dict[str, Any]]:
    return [stay(number, f"203.0.113.{number}", ("FR", "DE", "NL")[number % 3]) for number in range(count)]


def found(stays: list[dict[str, Any]], sources: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        tables: dict[str, pa.Table] = {
            "chain": table(stays, CHAIN),
            "sources": table(sources or [], SOURCES),
            "milestones": table([], MILESTONE_ROWS),
        }
        for name, rows in tables.items():
            db.register(name, rows)
        return list(_slips.slips(db))


def test_a_direct_address_between_stays_by_vpn_is_told_with_what_makes_it_stand_out() -> None:
    (row,) = found([*proxies(), stay(2.3, "192.0.2.77", "CN", hidden=False, minutes=41 / 60)])
    assert (row["kind"], row["source_ip"], row["confidence"]) == ("opsec_slip", "192.0.2.77", "likely")
    assert (
        "192.0.2.77 (CN), which no list calls a proxy, was used for operator O1's session S0023 for 41 seconds"
        in row["sentence"]
    )
    assert "between stays through such networks: out of pattern" in row["sentence"]
    said = [one["sentence"] for one in row["reasons"]]
    assert "6 of the operator's 6 other addresses are hosting, VPN, proxy or Tor" in said
    assert "it was used once" in said
    assert all(one["locators"] for one in row["reasons"])


def test_a_long_first_stay_without_a_proxy_is_out_of_pattern_too() -> None:
    (row,) = found([stay(-3, "192.0.2.77", "CN", hidden=False, minutes=300), *proxies()])
    assert row["confidence"] == "possible"
    assert "for 300 minutes" in row["sentence"]


def test_one_short_stay_of_a_country_of_its_own_is_told_where_no_list_knows_any_address() -> None:
    stays = [stay(number, f"203.0.113.{number}", "FR", hidden=False) for number in range(4)]
    (row,) = found([*stays, stay(2.5, "192.0.2.77", "KR", hidden=False, minutes=1)])
    assert row["source_ip"] == "192.0.2.77"


@pytest.mark.parametrize("direct", [3, 6])
def test_what_many_addresses_do_is_a_habit(direct: int) -> None:
    assert not found([*proxies(4), *(stay(20 + n, f"192.0.2.{n}", "CN", hidden=False) for n in range(direct))])


def test_two_other_addresses_show_no_pattern() -> None:
    assert not found([*proxies(2), stay(1.5, "192.0.2.77", "CN", hidden=False, minutes=1)])


def test_a_rare_origin_is_told_as_such_and_not_twice() -> None:
    assert not found([*proxies(), stay(2.3, "175.45.178.1", "KP", hidden=False, minutes=1, rare_grade="A")])


def test_operators_are_judged_each_by_their_own_pattern() -> None:
    others = [stay(number + 0.5, f"198.51.100.{number}", "CN", hidden=False, operator="O2") for number in range(6)]
    assert [row["source_ip"] for row in found([*proxies(), *others, stay(2.3, "192.0.2.77", "CN", hidden=False)])] == [
        "192.0.2.77"
    ]


def knower(ip: str, requests: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "source_ip": ip, "role": "operator", "role_confidence": "likely", "rdp_sessions": 0, "http_requests": requests, "country_iso_code": "CN",
        "because": '[{"locators": ["E0002:0+9#1"], "sentence": "1 request to the panel was answered", "weight": 7}]',
        "first_seen": START + timedelta(days=2.1), "last_seen": START + timedelta(days=2.1), **more,
    }  # fmt: skip


def test_a_direct_address_that_only_knew_the_secret_path_is_out_of_pattern() -> None:
    (row,) = found(proxies(), [knower("192.0.2.88")])
    assert row["source_ip"] == "192.0.2.88"
    assert (
        "came without a session of its own, within a day of the operator's sessions: 1 request to the panel was answered"
        in row["sentence"]
    )
    assert row["reasons"][0]["locators"] == ["E0002:0+9#1"]
    assert not found(proxies(), [knower("192.0.2.88", anonymity=VPN)])
    assert not found(proxies(), [knower("192.0.2.88", requests=500)])


def test_a_residential_address_between_hosting_ones_is_finding_number_one_among_thousands(tmp_path: Path) -> None:
    """Hosting of OVH, DigitalOcean and Hetzner, and one minute by Korea Telecom; ten thousand requests of strangers beside it."""
    hosted = ["51.254.1.2", "46.101.1.1", "138.201.1.1", "104.236.1.1"]
    events = [lsm(21, 0, hosted[0]), lsm(24, 30, hosted[0])]
    for number, ip in enumerate(hosted[1:], 1):
        events += [lsm(25, 60 * number, ip), lsm(24, 60 * number + 30, ip)]
    events += [lsm(25, 100, SECOND), lsm(24, 101, SECOND), lsm(23, 300)]
    folder = tmp_path / "seized"
    folder.mkdir()
    (folder / "log.evtx").write_bytes(write_evtx(sorted(events, key=lambda event: event.time)))
    lines = (request(n / 10, f"198.51.{n % 100}.{n % 250}", f"/{n % 50}.php", status=404) for n in range(10_000))
    (folder / "access_log").write_text("".join(f"{line}\n" for line in lines))
    first = forensics.analyze(folder, out=tmp_path / "case", workers=1).table("findings").to_pylist()[0]
    assert (first["rank"], first["kind"], first["source_ip"]) == (1, "opsec_slip", SECOND)
    assert first["confidence"] == "likely"
    assert "for 60 seconds, between stays through such networks" in first["sentence"]
    assert first["locators"]


def test_the_sample_case_has_no_slip_beside_its_rare_origin(demo_case: Case) -> None:
    kinds = list(demo_case.findings["kind"])
    assert kinds[0] == "rare_origin"
    assert "opsec_slip" not in kinds
