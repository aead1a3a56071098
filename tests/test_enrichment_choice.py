"""The as-of choice and the range search, held against models that are slow and plain."""

from __future__ import annotations

from datetime import date, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forensics.enrichment._kinds import _borders, kind_of, kinds_of
from forensics.enrichment._placing import MONTH_DAYS, columns, opinions, snapshot_for
from forensics.enrichment._witness import Addresses, Countries, Pairs, range_rows, range_rows_v6

DAY_ONE = date(2014, 1, 1)
days = st.integers(0, 4000).map(lambda n: DAY_ONE + timedelta(n))
dates = st.lists(days, min_size=1, max_size=6, unique=True).map(sorted)
codes = st.sampled_from(["", "KP", "CN", "FR"])


@st.composite
def one_series(draw: st.DrawFn) -> tuple[list[date], list[str]]:
    told = draw(dates)
    return told, draw(st.lists(codes, min_size=len(told), max_size=len(told)))


def countries(name: str, told: list[date], said: list[str]) -> Countries:
    names = ("", *sorted(set(said) - {""}))
    return Countries(name, tuple(told), np.array([[names.index(code) for code in said]]), names)


def spoken(told: list[date], day: date) -> int:
    before = [place for place, when in enumerate(told) if when <= day]
    return before[-1] if before else 0


@given(st.lists(st.integers(0, 500), min_size=1, unique=True), st.lists(st.integers(0, 600), min_size=1))
def test_a_range_row_is_the_last_that_starts_at_or_before_the_address(starts: list[int], asked: list[int]) -> None:
    starts.sort()
    found = range_rows(np.array(starts, np.uint32), np.array(asked, np.uint32))
    assert found.tolist() == [sum(start <= value for start in starts) - 1 for value in asked]


halves = st.tuples(st.integers(0, 3), st.integers(0, 5))


@given(st.lists(halves, min_size=1, unique=True), st.lists(halves, min_size=1))
def test_an_ipv6_range_row_is_the_same_over_two_halves(starts: list[tuple[int, int]], asked: list[tuple[int, int]]):
    starts.sort()
    high, low = (np.array(part, np.uint64) for part in zip(*starts, strict=True))
    value_high, value_low = (np.array(part, np.uint64) for part in zip(*asked, strict=True))
    found = range_rows_v6(high, low, value_high, value_low)
    assert found.tolist() == [sum(start <= value for start in starts) - 1 for value in asked]


@given(dates, days)
def test_the_latest_snapshot_not_after_the_event_speaks_else_the_earliest_after_it(told: list[date], day: date) -> None:
    column, following = snapshot_for(np.array(told, "datetime64[D]"), np.array([day], "datetime64[D]"))
    before = [when for when in told if when <= day]
    after = [when for when in told if when > day]
    assert told[column[0]] == (before[-1] if before else after[0])
    assert (told[following[0]] if following[0] >= 0 else None) == (after[0] if before and after else None)


@given(one_series(), days)
def test_neighbours_that_agree_bracket_and_neighbours_that_differ_dispute(
    series: tuple[list[date], list[str]], day: date
) -> None:
    told, said = series
    table, _ = columns(opinions([countries("one", told, said)], Pairs.on(["192.0.2.1"], day)))
    place = spoken(told, day)
    if not said[place]:
        assert table["country_basis"][0] == "none"
        assert table["country_iso_code"][0] is None
        return
    assert table["country_iso_code"][0] == said[place]
    assert table["country_as_of"].tolist() == [told[place]]
    assert table["country_distance_days"].tolist() == [(day - told[place]).days]
    if told[place] > day or place + 1 == len(told):
        assert table["country_basis"][0] == "single"
    else:
        assert table["country_basis"][0] == ("bracketed" if said[place + 1] == said[place] else "disputed")


@given(st.lists(one_series(), min_size=1, max_size=4), days)
def test_every_series_that_knows_is_heard_and_the_nearest_before_the_event_is_used(
    drawn: list[tuple[list[date], list[str]]], day: date
) -> None:
    series = [countries(f"w{place}", *one) for place, one in enumerate(drawn)]
    table, flags = columns(opinions(series, Pairs.on(["192.0.2.1"], day)))
    heard = []
    for place, (told, said) in enumerate(drawn):
        when, code = told[spoken(told, day)], said[spoken(told, day)]
        far = abs((day - when).days)
        if code:
            near = far <= MONTH_DAYS
            heard.append(((not near and when > day, 0 if near else far, place), code, when, far))
    if not heard:
        assert table["country_says"][0] is None
        assert not table["country_disputed"][0]
        return
    (_, _, place), code, when, far = min(heard)[0], *min(heard)[1:]
    assert table["country_witness"][0] == f"w{place}"
    assert table["country_iso_code"][0] == code
    assert flags["country_over_a_year"][0] == (far > 366)
    for (_, _, other), its_code, its_date, _ in heard:
        (part,) = (p for p in table["country_says"][0].split("; ") if p.startswith(f"{its_code}: "))
        assert f"w{other} {its_date}" in part
    assert table["country_says"][0].startswith(f"{code}: w{place} {when}")
    if len({c for _, c, _, _ in heard}) > 1:
        assert table["country_disputed"][0]


def test_within_a_month_of_the_event_the_order_of_the_witnesses_decides_not_the_nearest_day() -> None:
    first = countries("first", [date(2026, 6, 17)], ["KP"])
    second = countries("second", [date(2026, 6, 1)], ["FR"])
    table, _ = columns(opinions([first, second], Pairs.on(["192.0.2.1"], date(2026, 6, 10))))
    assert table["country_iso_code"][0] == "KP"
    assert table["country_disputed"][0]


def test_a_witness_of_before_goes_before_a_nearer_one_of_after() -> None:
    before = countries("before", [date(2015, 1, 1)], ["KP"])
    after = countries("after", [date(2017, 1, 1)], ["FR"])
    table, _ = columns(opinions([after, before], Pairs.on(["192.0.2.1"], date(2016, 11, 1))))
    assert table["country_witness"][0] == "before"


SPECIAL_V6 = (
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2000::/3", "2001::/16", "2001::/23", "2001::/32",
    "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20", "fc00::/7", "fe80::/10", "ff00::/8",
)  # fmt: skip
borders = st.sampled_from(_borders()[0].tolist())
v4 = st.one_of(
    st.integers(0, (1 << 32) - 1),
    st.builds(lambda b, d: min(max(b + d, 0), (1 << 32) - 1), borders, st.integers(-1, 1)),
)
v6 = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.integers(0, 1 << 40),
    st.integers(0, 1 << 100).map(lambda n: (0x2001 << 112) | n),
    st.builds(
        lambda border, step: min(max(border + step, 0), (1 << 128) - 1),
        st.sampled_from([int(IPv6Network(text)[end]) for text in SPECIAL_V6 for end in (0, -1)]),
        st.integers(-1, 1),
    ),
)


@given(
    st.lists(
        st.text(max_size=12)
        | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,4}){2,4}\n?", fullmatch=True)
        | st.sampled_from(["1.2.3.4 ", "01.2.3.4", "1.2.3.4%eth0", "fe80::1%eth0", "::ffff:1.2.3.4", "1.2.3.٤", ""]),
        max_size=8,
    )
)
def test_what_is_no_address_to_the_standard_library_is_none_among_many(texts: list[str]) -> None:
    found = Addresses(texts)
    read = {row: int(value) for row, value in zip(found.rows_v4.tolist(), found.v4.tolist(), strict=True)}
    halves = zip(found.rows_v6.tolist(), found.high.tolist(), found.low.tolist(), strict=True)
    read |= {row: (high << 64) | low for row, high, low in halves}
    assert read == {row: number for row, text in enumerate(texts) if (number := number_of(text)) is not None}


def number_of(text: str) -> int | None:
    try:
        return int(ip_address(text))
    except ValueError:
        return None


@given(st.lists(st.one_of(v4.map(IPv4Address), v6.map(IPv6Address)), max_size=20))
def test_the_kinds_of_many_addresses_are_the_kinds_of_each(drawn: list[IPv4Address | IPv6Address]) -> None:
    texts = [str(address) for address in drawn]
    assert kinds_of(Addresses(texts)).tolist() == [kind_of(text) for text in texts]


def test_no_special_network_of_the_standard_library_is_missing_from_the_borders() -> None:
    starts, kinds = _borders()
    ends = np.append(starts[1:].astype(np.int64), 1 << 32) - 1
    for start, end, kind in zip(starts.tolist(), ends.tolist(), kinds.tolist(), strict=True):
        for number in {start, end, (start + end) // 2}:
            assert kind_of(str(ip_address(number))) == kind
