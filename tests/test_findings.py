"""Links, the proxy chain, hours, coverage and findings: on the sample story, and on cases with hardly anything in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from evtx_reading import log, session
from evtx_writer import Event, write_evtx
from test_analysis import FIRST, NORTH_KOREAN, SECOND, at, lsm

import forensics
from forensics.analysis._clock_zones import holidays_of, offset_minutes
from forensics.case import Case
from forensics.instants import EPOCH
from forensics.model import CONFIDENCES


def written(folder: Path, events: Iterable[Event]) -> Case:
    """Analyse one event log."""
    folder.mkdir(exist_ok=True)
    (folder / "log.evtx").write_bytes(write_evtx(sorted(events, key=lambda e: e.time)))
    return forensics.analyze(folder / "log.evtx", out=folder / "case", workers=1)


def test_the_north_korean_contact_is_the_first_finding(demo_case: Case) -> None:
    first = demo_case.table("findings").to_pylist()[0]
    assert (first["rank"], first["kind"], first["source_ip"]) == (1, "rare_origin", "175.45.178.141")
    assert "67 seconds" in first["sentence"]
    assert first["locators"]


def test_a_report_opens_with_ten_findings_at_most_and_always_tells_its_limits(demo_case: Case) -> None:
    kinds = Counter(demo_case.findings["kind"])
    assert sum(count for kind, count in kinds.items() if kind != "limit") == 10
    assert kinds["limit"] >= 1


def test_every_answer_says_how_sure_it_is_on_the_one_scale(demo_case: Case) -> None:
    for name, column in (
        ("findings", "confidence"),
        ("links", "confidence"),
        ("zones", "confidence"),
        ("victims", "confidence"),
    ):
        assert set(demo_case.frame(name)[column]) <= set(CONFIDENCES), name


def test_every_reason_of_every_table_has_a_sentence_a_weight_and_its_places(demo_case: Case) -> None:
    for name in ("findings", "links", "zones", "beacons", "victims"):
        for text in demo_case.frame(name)["because"]:
            for one in json.loads(text):
                assert one["sentence"]
                assert 1 <= one["weight"] <= 10
                assert isinstance(one["locators"], list)


def test_the_chain_leads_from_address_to_address_in_order(demo_case: Case) -> None:
    rows = demo_case.table("chain").to_pylist()
    addresses = [row["source_ip"] for row in rows]
    assert [row["next_source_ip"] for row in rows] == [*addresses[1:], None]
    (slip,) = [row for row in rows if row["source_ip"] == "175.45.178.141"]
    assert slip["flags"] == "faster_than_travel"
    assert 0 < slip["gap_s"] < 600


def test_one_machine_name_behind_all_addresses_makes_one_operator(demo_case: Case) -> None:
    links = demo_case.links
    named = links[links["relation"] == "client_name"]
    assert set(named["b"]) == {"WS-SYNTH-04"}
    assert len(named) == 7
    assert set(links["operator_id"].dropna()) == {"O1"}
    assert {"hand_over", "rdp_http", "loopback", "client_zone"} <= set(links["relation"])


def test_the_true_offset_is_among_the_candidates_and_the_client_s_word_stands_beside(demo_case: Case) -> None:
    zones = demo_case.zones
    candidates = zones[zones["candidate"]]
    assert "+08:30" in set(candidates["offset"])
    assert len(candidates) > 1
    assert zones.set_index("offset").loc["+08:00", "client_sessions"] == 5


def test_pyongyang_stood_half_an_hour_behind_seoul_from_2015_to_2018_and_rests_on_sundays_only() -> None:
    def when(year: int, month: int) -> int:
        moment = EPOCH.replace(year=year, month=month)
        return offset_minutes("Asia/Pyongyang", moment)

    assert [when(2015, 1), when(2017, 1), when(2018, 12)] == [540, 510, 540]
    day = EPOCH.replace(year=2017, month=4, day=15).date()
    assert holidays_of("KP", day, day) == {day}


def test_two_people_on_one_account_are_two_operators_unless_a_session_or_a_machine_unites_them(tmp_path: Path) -> None:
    apart = [lsm(21, 0, FIRST, 2), lsm(23, 10, session=2), lsm(21, 60, SECOND, 3), lsm(23, 70, session=3)]
    case = written(tmp_path / "apart", apart)
    assert sorted(set(case.chain["operator_id"])) == ["O1", "O2"]
    handed = [lsm(21, 0, FIRST, 2), lsm(24, 10, FIRST, 2), lsm(25, 12, SECOND, 2), lsm(23, 70, session=2)]
    case = written(tmp_path / "handed", handed)
    assert set(case.chain["operator_id"]) == {"O1"}
    assert list(case.chain["gap_s"].dropna()) == [120]


def test_a_rare_contact_of_one_second_is_the_first_finding_even_among_thousands_of_refusals(tmp_path: Path) -> None:
    noise = [lsm(21, 5, FIRST, 2), lsm(24, 200, FIRST, 2), lsm(25, 201, NORTH_KOREAN, 2), lsm(24, 201.02, NORTH_KOREAN, 2), lsm(25, 210, SECOND, 2), lsm(23, 300, session=2)]  # fmt: skip
    case = written(tmp_path, noise)
    first = case.table("findings").to_pylist()[0]
    assert (first["kind"], first["source_ip"]) == ("rare_origin", NORTH_KOREAN)


def test_holes_in_record_numbers_are_counted_and_unwanted_records_are_none(tmp_path: Path) -> None:
    raw = log(60)
    path = tmp_path / "whole.evtx"
    path.write_bytes(raw)
    (row,) = [r for r in forensics.analyze(path, out=tmp_path / "a").table("coverage").to_pylist() if r["label"]]
    assert (row["first_number"], row["last_number"], row["numbers_missing"], row["events"]) == (1, 60, 0, 60)
    kept = [replace(session(n), record_id=n + 1) for n in range(60) if not 20 <= n < 27]
    path.write_bytes(write_evtx(kept))
    (row,) = [r for r in forensics.analyze(path, out=tmp_path / "b").table("coverage").to_pylist() if r["label"]]
    assert (row["numbers_missing"], row["largest_gap"]) == (7, "21 to 27, 7 records")


def test_what_is_not_in_evidence_says_what_cannot_be_known(tmp_path: Path) -> None:
    case = written(tmp_path, [lsm(21, 0), lsm(23, 10)])
    absent = {row["log"]: row["cannot_know"] for row in case.table("coverage").to_pylist() if row["cannot_know"]}
    assert "Tomcat access log" in absent
    assert "RDP connections (RdpCoreTS)" in absent
    assert not any("LocalSessionManager" in name for name in absent)
    sentences = list(case.findings[case.findings["kind"] == "limit"]["sentence"])
    assert any("Tomcat access log is not in evidence" in one for one in sentences)


def test_a_missing_day_of_rotated_logs_is_named(tmp_path: Path) -> None:
    line = '192.0.2.7 - - [{:%d/%b/%Y:10:00:00} +0000] "GET / HTTP/1.1" 200 5\n'
    for day in (0, 1, 3, 7):
        when = at(0) + timedelta(days=day)
        (tmp_path / f"localhost_access_log.{when:%Y-%m-%d}.txt").write_text(line.format(when) * 4)
    case = forensics.analyze(tmp_path, out=tmp_path.parent / "case")
    days = {row["label"][-14:-4]: row["missing_days"] for row in case.table("coverage").to_pylist() if row["label"]}
    assert days == {
        "2017-01-18": None,
        "2017-01-19": None,
        "2017-01-21": "2017-01-20",
        "2017-01-25": "2017-01-22 to 2017-01-24",
    }


@pytest.mark.parametrize("lines", [1, 5])
def test_a_case_with_next_to_nothing_says_that_it_is_not_enough(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "access_log"
    path.write_text('- - - [18/Jan/2017:10:00:00 +0000] "GET / HTTP/1.1" 200 5\n' * lines)
    case = forensics.analyze(path, out=tmp_path / "case")
    first = case.table("findings").to_pylist()[0]
    assert first["kind"] == "none"
    for name in ("links", "chain", "hours", "zones", "beacons", "victims"):
        assert len(case.frame(name)) == 0, name


def test_a_scanner_in_a_range_of_reported_use_is_one_row_a_day_and_its_country_stays(tmp_path: Path) -> None:
    lines = "".join(
        f'188.43.136.7 - - [18/Jan/2017:10:{n // 60:02d}:{n % 60:02d} +0000] "GET /p{n} HTTP/1.1" 404 5\n'
        for n in range(900)
    )
    path = tmp_path / "access_log"
    path.write_text(lines)
    case = forensics.analyze(path, out=tmp_path / "case")
    (row,) = [
        r
        for r in case.table("timeline").to_pylist()
        if r["source_ip"] == "188.43.136.7" and r["act"] == "reported_origin"
    ]
    assert (row["count"], row["rare_grade"], row["country_iso_code"]) == (900, "C", "RU")
    assert len(case.timeline) < 5


def test_refusals_of_an_operator_s_own_address_are_told_and_are_no_noise(tmp_path: Path) -> None:
    from test_analysis import logon, refused

    events = [*(refused(n / 10, FIRST) for n in range(3)), logon(1), lsm(21, 1, FIRST), lsm(23, 30)]
    case = written(tmp_path, events)
    told = {row["act"]: row for row in case.table("timeline").to_pylist() if row["outcome"] == "failure"}
    assert told["logon"]["count"] == 3
    assert "noise_rdp" not in told


def test_a_server_that_posts_to_itself_runs_no_command_path(tmp_path: Path) -> None:
    path = tmp_path / "access_log"
    line = '127.0.0.1 - - [18/Jan/2017:10:{:02d}:00 +0000] "POST /app/status.action HTTP/1.1" 200 5\n'
    path.write_text("".join(line.format(n) for n in range(11)))
    case = forensics.analyze(path, out=tmp_path / "case")
    assert "c2" not in set(case.endpoints["kind"])
    assert "command" not in set(case.findings["kind"])


def test_an_operators_address_that_stands_alone_in_its_country_is_told_and_named_no_origin() -> None:
    import duckdb

    from forensics.analysis import _sentences

    with duckdb.connect() as db:
        db.sql(
            "CREATE TABLE rarities AS SELECT * FROM (VALUES ('alone_in_country', 'MN', '192.0.2.1', 'operator', 900, "
            "TIMESTAMPTZ '2017-01-18 10:00:00Z'), ('alone_in_country', 'FJ', '192.0.2.2', 'visitor', 900, "
            "TIMESTAMPTZ '2017-01-18 11:00:00Z')) t(kind, value, source_ip, role, among, first_seen)"
        )
        db.sql(
            "CREATE TABLE chain AS SELECT '192.0.2.1' AS source_ip, TIMESTAMPTZ '2017-01-18' AS since, 'E0001:1+2#3' AS locator"
        )
        (found,) = _sentences.alone(db)
    assert found["sentence"].startswith(
        "192.0.2.1, an operator's address, is the only one of 900 placed addresses in MN"
    )
    assert "says nothing of who sat there" in found["sentence"]
    assert found["confidence"] == "possible"


def test_only_lists_that_had_an_address_on_the_day_make_it_a_known_proxy() -> None:
    import duckdb

    from forensics.analysis._words import HIDDEN

    texts = [
        "vpn: a, list of 2017-01-01",
        "tor_exit: b, 2019 to 2020, not covered on the day",
        "proxy: c, 2014 to 2015, not on the day; hosting: d",
    ]
    with duckdb.connect() as db:
        got = [
            db.execute(f"SELECT {HIDDEN} FROM (SELECT ? AS anonymity)", [text]).fetchone() for text in [*texts, None]
        ]
    assert [one[0] for one in got if one] == [True, False, True, False]
