"""What the embedded witnesses say of the addresses that matter, on the days that matter."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from forensics import enrichment
from forensics.enrichment import Witnesses
from forensics.errors import UsageError
from forensics.schemas import ADDRESSES

THEN, NOW = date(2017, 1, 18), date(2026, 6, 10)


@pytest.fixture(scope="module")
def witnesses() -> Witnesses:
    return enrichment.load()


def asked(*pairs: tuple[str | None, date | None]) -> pa.Table:
    ips, days = zip(*pairs, strict=True)
    return pa.table({"source_ip": pa.array(ips, pa.string()), "day": pa.array(days, pa.date32())})


def place(witnesses: Witnesses, ip: str, day: date, as_of: date | None = None) -> dict[str, Any]:
    (row,) = witnesses.enrich(asked((ip, day)), as_of=as_of).to_pylist()
    return row


def flags(row: dict[str, Any]) -> set[str]:
    return set((row["flags"] or "").split(";")) - {""}


@pytest.mark.parametrize("day", [THEN, NOW, date(2014, 1, 1), date(2020, 5, 5)])
@pytest.mark.parametrize("ip", ["175.45.176.10", "175.45.178.19", "175.45.178.222", "175.45.179.255"])
def test_the_north_korean_block_is_north_korean_and_grade_a_on_every_day(
    witnesses: Witnesses, ip: str, day: date
) -> None:
    row = place(witnesses, ip, day)
    assert row["country_iso_code"] == "KP"
    assert row["rare_grade"] == "A"
    assert row["as_number"] == 131279


def test_before_the_block_was_allocated_it_is_no_rare_origin(witnesses: Witnesses) -> None:
    assert place(witnesses, "175.45.178.19", date(2009, 12, 20))["rare_grade"] is None
    assert place(witnesses, "175.45.178.19", date(2009, 12, 21))["rare_grade"] == "A"


def test_one_database_that_says_milan_makes_the_answer_disputed_and_does_not_win(witnesses: Witnesses) -> None:
    for day in (THEN, NOW):
        row = place(witnesses, "175.45.178.19", day)
        assert row["country_disputed"]
        assert "disputed" in flags(row)
        assert "IT: DB-IP Lite 2026-06-01" in row["country_says"]
        assert row["country_says"].startswith("KP: ")


def test_a_range_registered_in_china_and_used_by_north_korea_shows_both_witnesses(witnesses: Witnesses) -> None:
    row = place(witnesses, "210.52.109.22", THEN)
    assert row["rare_grade"] == "B"
    assert row["country_disputed"]
    assert row["country_says"].startswith("KP: GeoLite2 2017-01-04; CN: ")
    assert place(witnesses, "210.52.109.22", NOW)["country_iso_code"] == "CN"


def test_a_documented_range_is_graded_only_while_it_was_held(witnesses: Witnesses) -> None:
    grades = {year: place(witnesses, "77.94.35.10", date(year, 6, 1))["rare_grade"] for year in (2016, 2017, 2026)}
    assert grades == {2016: "B", 2017: "C", 2026: None}
    assert place(witnesses, "77.94.35.10", date(2016, 6, 1))["country_iso_code"] == "RU"
    assert place(witnesses, "77.94.35.10", THEN)["country_iso_code"] == "LT"


@pytest.mark.parametrize("ip", ["188.43.136.10", "83.234.227.10", "80.237.84.5"])
def test_reported_use_is_grade_c_and_never_a_country(witnesses: Witnesses, ip: str) -> None:
    for day in (THEN, NOW):
        row = place(witnesses, ip, day)
        assert (row["country_iso_code"], row["rare_grade"]) == ("RU", "C")


def test_a_virtual_location_is_a_false_friend_and_no_origin(witnesses: Witnesses) -> None:
    row = place(witnesses, "45.42.151.10", THEN)
    assert "false_friend" in flags(row)
    assert row["rare_origin"] is None
    assert row["rare_grade"] is None
    assert row["country_iso_code"] is None
    assert "KP: GeoLite2 2017-01-04" in row["country_says"]
    assert "virtual location" in row["rare_basis"]


def test_a_range_that_has_another_holder_today_is_a_false_friend_no_longer(witnesses: Witnesses) -> None:
    row = place(witnesses, "45.42.151.10", NOW)
    assert row["country_iso_code"] == "US"
    assert "false_friend" not in flags(row)


def test_a_tunnel_broker_is_a_false_friend_over_ipv6(witnesses: Witnesses) -> None:
    assert "false_friend" in flags(place(witnesses, "2001:470:1f0b::2", THEN))
    assert "false_friend" not in flags(place(witnesses, "2001:471::2", THEN))


@pytest.mark.parametrize(
    ("ip", "then", "now"),
    [
        ("51.254.0.1", "FR", "FR"),
        ("90.0.0.1", "FR", "FR"),
        ("121.128.0.1", "KR", "KR"),
        ("1.226.0.1", "KR", "KR"),
        ("8.8.8.8", "US", "US"),
        ("171.25.193.77", "SE", "SE"),
        ("57.73.224.5", "KP", "BE"),
        ("5.62.56.161", "GB", "DE"),
    ],
)
def test_an_address_is_placed_by_the_day_not_by_today(witnesses: Witnesses, ip: str, then: str, now: str) -> None:
    row = place(witnesses, ip, THEN)
    assert (row["country_iso_code"], row["country_as_of"]) == (then, date(2017, 1, 4))
    assert (row["country_witness"], row["country_distance_days"]) == ("GeoLite2", 14)
    # Of 5.62.56.161 today's databases say Germany, and one of them North Korea: the range is a VPN's.
    assert place(witnesses, ip, date(2026, 6, 20))["country_iso_code"] == now


def test_agreement_of_both_neighbours_is_bracketed_and_a_move_between_them_disputed(witnesses: Witnesses) -> None:
    assert place(witnesses, "8.8.8.8", THEN)["country_basis"] == "bracketed"
    moving = place(witnesses, "77.94.35.10", date(2016, 9, 1))
    assert (moving["country_iso_code"], moving["country_basis"]) == ("RU", "disputed")
    assert "disputed" in flags(moving)


def test_an_event_before_every_database_is_placed_by_the_earliest_and_says_how_far_off(witnesses: Witnesses) -> None:
    row = place(witnesses, "8.8.8.8", date(2010, 1, 1))
    assert row["country_as_of"] == date(2014, 2, 7)
    assert row["country_distance_days"] == -1498
    assert row["country_basis"] == "single"
    assert "country_over_a_year" in flags(row)


def test_an_address_in_no_database_has_no_country_and_nothing_is_guessed(witnesses: Witnesses) -> None:
    row = place(witnesses, "2e00::1", THEN)
    assert row["address_kind"] == "public"
    assert row["country_basis"] == "none"
    assert not row["country_disputed"]
    told = ("country_iso_code", "country_says", "country_as_of", "country_witness", "as_number", "anonymity")
    assert [row[name] for name in told] == [None] * len(told)


def test_an_ipv6_address_has_country_and_network(witnesses: Witnesses) -> None:
    row = place(witnesses, "2001:4860:4860::8888", NOW)
    assert (row["country_iso_code"], row["as_number"]) == ("US", 15169)


@pytest.mark.parametrize(
    ("ip", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("100.64.0.1", "cgnat"),
        ("169.254.1.1", "link_local"),
        ("fe80::1", "link_local"),
        ("203.0.113.7", "documentation"),
        ("2001:db8::1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.1.2.3", "reserved"),
        ("198.18.0.1", "reserved"),
        ("240.0.0.1", "reserved"),
    ],
)
def test_an_address_that_is_not_routed_is_in_no_country(witnesses: Witnesses, ip: str, kind: str) -> None:
    row = place(witnesses, ip, THEN)
    assert row["address_kind"] == kind
    assert row["country_iso_code"] is None
    assert row["country_says"] is None
    assert "disputed" not in flags(row)


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1", "::"])
def test_a_tunnel_end_is_marked_and_not_located(witnesses: Witnesses, ip: str) -> None:
    row = place(witnesses, ip, THEN)
    assert "tunnel_end" in flags(row)
    assert row["country_basis"] == "none"


@pytest.mark.parametrize(
    ("ip", "word"),
    [
        ("2002:808:808::1", "6to4_of_8.8.8.8"),
        ("64:ff9b::808:808", "nat64_of_8.8.8.8"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "teredo_of_192.0.2.45"),
    ],
)
def test_an_ipv4_address_carried_inside_is_named(witnesses: Witnesses, ip: str, word: str) -> None:
    assert word in flags(place(witnesses, ip, THEN))


def test_every_reason_of_anonymity_names_its_list_and_date(witnesses: Witnesses) -> None:
    row = place(witnesses, "51.254.0.1", THEN)
    assert "hosting: OVH, AS16276 of 2026-06-17, 9 years younger than the event" in row["anonymity"].split("; ")
    assert "hosting: Google, list of 2026-10-05" in place(witnesses, "8.8.8.8", THEN)["anonymity"]


def test_a_proxy_flag_counts_for_the_builds_that_gave_it(witnesses: Witnesses) -> None:
    during = place(witnesses, "5.62.6.1", date(2016, 7, 20))["anonymity"]
    after = place(witnesses, "5.62.6.1", date(2018, 1, 1))["anonymity"]
    assert "proxy: GeoLite2 2015-05-07 to 2016-08-02" in during.split("; ")
    assert "proxy: GeoLite2 2015-05-07 to 2016-08-02, not on the day" in after.split("; ")


def test_rows_are_distinct_and_in_order_whatever_the_order_of_the_question(witnesses: Witnesses) -> None:
    pairs = [("9.9.9.9", NOW), ("8.8.8.8", THEN), ("::1", THEN), ("8.8.8.8", NOW), ("8.8.8.8", THEN), (None, THEN)]
    one, other = (witnesses.enrich(asked(*order)) for order in (pairs, pairs[::-1]))
    assert one.equals(other)
    assert one.schema.equals(ADDRESSES)
    keys = [(row["source_ip"], row["day"]) for row in one.to_pylist()]
    assert keys == sorted(set(keys))
    assert len(keys) == 4


def test_an_address_placed_alone_and_among_many_is_placed_the_same(
    witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [(f"{a}.{b}.7.9", day) for a in range(1, 223, 9) for b in (3, 77) for day in (THEN, NOW)]
    whole = witnesses.enrich(asked(*many))
    monkeypatch.setattr(enrichment, "BLOCK", 7)
    assert witnesses.enrich(asked(*many)).equals(whole)
    for ip, day in many[::11]:
        (row,) = (r for r in whole.to_pylist() if (r["source_ip"], r["day"]) == (ip, day))
        assert place(witnesses, ip, day) == row


def test_no_addresses_give_an_empty_table_and_a_text_that_is_none_gives_an_invalid_row(witnesses: Witnesses) -> None:
    empty = pa.table({"source_ip": pa.array([], pa.string()), "day": pa.array([], pa.date32())})
    assert witnesses.enrich(empty).num_rows == 0
    assert witnesses.enrich(empty).schema.equals(ADDRESSES)
    assert place(witnesses, "LOCAL", THEN)["address_kind"] == "invalid"


def test_as_of_a_day_moves_the_question_and_not_the_event(witnesses: Witnesses) -> None:
    row = place(witnesses, "77.94.35.10", THEN, as_of=date(2015, 4, 1))
    assert (row["day"], row["country_iso_code"], row["country_as_of"]) == (THEN, "RU", date(2015, 3, 3))


def test_a_look_up_says_what_every_witness_says_and_when(witnesses: Witnesses) -> None:
    facts = list(witnesses.lookup("210.52.109.22", THEN))
    told = {(fact["witness"], fact["date"], fact["value"]) for fact in facts if fact["fact"] == "country"}
    assert ("GeoLite2", date(2017, 1, 4), "KP") in told
    assert ("GeoLite2", date(2017, 2, 8), "KP") in told
    assert ("RIR delegations", date(2026, 6, 17), "CN") in told
    assert {fact["value"] for fact in facts if fact["fact"] == "rare_grade"} == {"B"}


def test_a_look_up_without_a_day_tells_every_move(witnesses: Witnesses) -> None:
    moves = [
        (str(f["date"]), f["value"])
        for f in witnesses.lookup("77.94.35.10")
        if (f["fact"], f["witness"]) == ("country", "GeoLite2")
    ]
    assert moves == [("2014-02-07", "RU"), ("2016-10-04", "LT")]


def test_what_is_no_address_cannot_be_looked_up(witnesses: Witnesses) -> None:
    with pytest.raises(UsageError, match="is no address"):
        list(witnesses.lookup("example.org"))


def test_every_witness_says_who_it_is(witnesses: Witnesses) -> None:
    told = witnesses.describe()
    assert len(told) >= 8
    for one in told:
        assert one["name"]
        assert one["dates"]
        assert one["licence"]
        assert len(one["sha256"]) == 64
        assert "/" not in one["file"]


def test_a_registered_country_is_named_as_such_where_the_database_places_the_address_nowhere(
    witnesses: Witnesses,
) -> None:
    row = place(witnesses, "5.62.6.1", date(2016, 7, 20))
    assert (row["country_iso_code"], row["country_witness"]) == ("GB", "GeoLite2 registered country")
    assert row["country_as_of"] == date(2016, 7, 6)


@pytest.mark.parametrize(
    ("ip", "technique"),
    [
        ("2002:af2d:b213::1", "6to4"),
        ("64:ff9b::175.45.178.19", "nat64"),
        ("2001:0:4136:e378:8000:63bf:50d2:4dec", "teredo"),
    ],
)
def test_a_rare_origin_carried_inside_an_ipv6_address_is_not_lost(
    witnesses: Witnesses, ip: str, technique: str
) -> None:
    row = place(witnesses, ip, THEN)
    assert (row["rare_grade"], row["rare_origin"]) == ("A", f"North Korea: Star Joint Venture (carried by {technique})")
    assert f"carried 175.45.178.19 ({technique}): KP: GeoLite2 2017-01-04" in row["country_says"]
    assert row["country_iso_code"] != "KP"


def test_a_look_up_tells_of_the_carried_address_too(witnesses: Witnesses) -> None:
    told = list(witnesses.lookup("2002:af2d:b213::1", THEN))
    assert {"address": "2002:af2d:b213::1", "fact": "carries", "value": "175.45.178.19 (6to4)"}.items() <= next(
        f for f in told if f["fact"] == "carries"
    ).items()
    assert any(f["address"] == "175.45.178.19" and f["value"] == "A" for f in told)


@pytest.mark.parametrize(
    "typed", ["::ffff:175.45.178.19", "[::ffff:af2d:b213]", " 175.45.178.19 ", "::ffff:175.45.178.19%4"]
)
def test_an_address_is_read_however_it_was_written(witnesses: Witnesses, typed: str) -> None:
    told = list(witnesses.lookup(typed, THEN))
    assert (told[0]["fact"], told[0]["value"]) == ("read_as", "175.45.178.19")
    assert any(f["fact"] == "rare_grade" and f["value"] == "A" for f in told)


def test_the_unspecified_address_with_its_zone_is_a_tunnel_end(witnesses: Witnesses) -> None:
    assert ("flags", "tunnel_end") in {(f["fact"], f["value"]) for f in witnesses.lookup("::%16777216")}
