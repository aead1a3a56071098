"""Databases and lists of the analyst's own: added once, dated, hashed, and never made to say more than they do."""

from __future__ import annotations

import gzip
import random
from datetime import date, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import forensics
from forensics import enrichment, query
from forensics.cli import app
from forensics.enrichment import _lists, added
from forensics.enrichment._lists import read_list
from forensics.enrichment._witness import Addresses
from forensics.enrichment.lists import covering
from forensics.errors import DatabaseError, UsageError
from forensics.packaged import sample_evidence

DAY = date(2019, 5, 4)
HISTORY = Path(__file__).parents[2] / "shared" / "geo-sources" / "history"
MESSY = """\
# a list with comments
; and with another kind of them
203.0.113.7
198.51.100.0/24   # a whole network
10.1.2.3/16
192.0.2.1-192.0.2.9
exit.example.org
b\u00fccher.example
300.1.1.1
2001:db8::/32
192.0.2.9-192.0.2.1
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("C2TRAIL_GEO", str(tmp_path / "geo"))
    return tmp_path / "geo"


def written(tmp_path: Path, text: str | bytes, name: str = "list.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def labels(ip: str, day: date) -> list[str]:
    table = enrichment.load().enrich(_pairs([ip], day))
    return str(table.column("anonymity").to_pylist()[0] or "").split("; ")


def _pairs(ips: list[str], day: date) -> pa.Table:
    return pa.table({"source_ip": pa.array(ips), "day": pa.array([day] * len(ips), pa.date32())})


def test_lines_that_are_no_network_are_rejects_with_their_numbers(tmp_path: Path) -> None:
    listed = read_list(written(tmp_path, MESSY), "vpn", DAY)
    assert [(number, text) for number, text, _ in listed.rejects] == [
        (7, "exit.example.org"), (8, "b\u00fccher.example"), (9, "300.1.1.1"), (11, "192.0.2.9-192.0.2.1"),
    ]  # fmt: skip
    assert listed.host_bits == 1
    assert len(listed.intervals) == 5


def test_a_compressed_list_is_read_and_a_bomb_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = written(tmp_path, gzip.compress(MESSY.encode()), "list.netset.gz")
    assert len(read_list(packed, "vpn", DAY).intervals) == 5
    monkeypatch.setattr(_lists, "MAX_LIST", 1000)
    with pytest.raises(DatabaseError, match="inflates"):
        read_list(written(tmp_path, gzip.compress(b"1.1.1.1\n" * 9999), "bomb.gz"), "vpn", DAY)


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        (date(2019, 5, 4), "2019-04-30 to 2019-05-11"),
        (date(2019, 6, 1), "2019-04-30 to 2019-05-11, not on the day"),
        (date(2017, 1, 18), "2019-04-30 to 2019-05-11, not covered on the day"),
    ],
)
def test_a_list_with_days_answers_for_its_days_and_never_no_beyond_them(tmp_path: Path, day: date, ends: str) -> None:
    text = "address,first_day,last_day\n45.13.1.2,2019-04-30,2019-05-11\n45.13.1.3,2018-03-13,2019-12-31\n"
    added.add(written(tmp_path, text), "tor_exit", name="tor")
    assert f"tor_exit: tor, {ends}" in labels("45.13.1.2", day)
    assert not [one for one in labels("45.13.1.4", day) if "tor," in one]


def test_lookup_says_not_covered_and_not_listed_apart(tmp_path: Path) -> None:
    text = "address,first_day,last_day\n45.13.1.2,2019-04-30,2019-05-11\n"
    added.add(written(tmp_path, text), "tor_exit", name="tor")

    def says(ip: str, day: date) -> str:
        nonlocal distance
        (row,) = (r for r in enrichment.load().lookup(ip, day) if (r["witness"], r["fact"]) == ("tor", "tor_exit"))
        distance = row["distance_days"]
        return str(row["value"])

    distance = None
    assert says("45.13.1.2", date(2019, 5, 4)) == "yes, seen 2019-04-30 to 2019-05-11"
    assert distance == 0
    assert says("45.13.9.9", date(2019, 5, 4)) == "not listed on that day"
    assert says("45.13.9.9", date(2017, 1, 1)).startswith("not covered")
    assert distance == (date(2017, 1, 1) - date(2019, 4, 30)).days


def test_a_list_of_one_day_says_which_and_whether_the_address_was_on_it(tmp_path: Path) -> None:
    added.add(written(tmp_path, "45.13.1.2\n"), "scanner", day=DAY, name="mine")
    told = [f["value"] for f in enrichment.load().lookup("45.13.1.2", date(2020, 1, 1)) if f["witness"] == "mine"]
    assert told == ["not covered (the list speaks of 2019-05-04); seen on 2019-05-04"]


def test_overlapping_reasons_of_several_lists_are_all_kept(tmp_path: Path) -> None:
    added.add(written(tmp_path, "45.13.0.0/16\n", "a"), "hosting", day=DAY, name="a")
    added.add(written(tmp_path, "45.13.1.0/24\n", "b"), "vpn", day=DAY, name="b")
    added.add(written(tmp_path, "45.13.1.2\n", "c"), "scanner", day=DAY, name="c")
    assert {one.partition(":")[0] for one in labels("45.13.1.2", DAY)} >= {"hosting", "vpn", "scanner"}


@given(seed=st.integers(0, 1 << 32))
def test_the_search_in_intervals_is_that_of_a_naive_reader(seed: int) -> None:
    draw = random.Random(seed)
    intervals = []
    for _ in range(30):
        first = draw.randrange(0, 4000)
        since = DAY + timedelta(days=draw.randrange(-50, 50))
        intervals.append(_lists.Interval(first, first + draw.choice((0, 3, 300)), 4, "vpn", since, since))
    texts = [str(ip_address(draw.randrange(0, 4400))) for _ in range(20)]
    naive = {
        row: [n for n, i in enumerate(intervals) if i.first <= int(ip_address(text)) <= i.last]
        for row, text in enumerate(texts)
    }
    found = covering(intervals, Addresses(texts))
    assert {row: sorted(numbers) for row, numbers in found.items()} == {row: n for row, n in naive.items() if n}


def test_a_list_that_holds_nothing_and_a_kind_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1"):
        added.add(written(tmp_path, "junk\n"), "vpn", day=DAY)
    with pytest.raises(UsageError, match="kinds are"):
        added.add(written(tmp_path, "1.1.1.1\n"), "bad", day=DAY)
    with pytest.raises(UsageError, match="--date"):
        added.add(written(tmp_path, "1.1.1.1\n"), "vpn")


def test_what_was_added_is_listed_verified_and_removed(tmp_path: Path, own_folder: Path) -> None:
    run = CliRunner()
    path = written(tmp_path, MESSY)
    done = run.invoke(app, ["geo", "add", str(path), "--kind", "vpn", "--date", "2019-05-04", "--name", "mine"])
    assert done.exit_code == 0, done.output
    assert "line 7 was not understood" in done.output
    assert "mine" in run.invoke(app, ["geo", "list", "--format", "jsonl"]).output
    assert run.invoke(app, ["geo", "verify"]).exit_code == 0
    again = run.invoke(app, ["geo", "add", str(path), "--kind", "vpn", "--date", "2019-05-04", "--name", "mine"])
    assert again.exit_code == 2
    (own_folder / "mine.data").write_bytes(b"9.9.9.9\n")
    assert run.invoke(app, ["geo", "verify"]).exit_code == 5
    assert run.invoke(app, ["geo", "remove", "mine"]).exit_code == 0
    assert run.invoke(app, ["geo", "remove", "mine"]).exit_code == 2
    assert not added.entries()


def test_a_damaged_catalogue_says_so(own_folder: Path) -> None:
    own_folder.mkdir()
    (own_folder / "catalogue.json").write_text("[{")
    with pytest.raises(DatabaseError, match="catalogue"):
        enrichment.load()


def test_a_watched_network_is_a_rare_origin_of_the_case_with_its_source(tmp_path: Path) -> None:
    text = "network,label,grade,from,to,source\n163.172.40.0/24,our suspect,B,2017-01-01,2017-12-31,report 7\n"
    case = forensics.analyze(
        *sample_evidence(), out=tmp_path / "case", workers=1, watch=[written(tmp_path, text, "w.csv")]
    )
    (source,) = (row for row in query.rows(case, "sources") if row["source_ip"] == "163.172.40.33")
    assert (source["rare_origin"], source["rare_grade"]) == ("our suspect", "B")
    assert any(one["kind"] == "watch" and one["sha256"] for one in case.manifest["witnesses"])


@pytest.mark.parametrize("line", ["nonsense,label,A,,,", "1.2.3.0/24,label,Z,,,", "1.2.3.0/24,label,A,notaday,,"])
def test_a_watch_list_with_a_line_that_is_not_understood_stops_the_run(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"network,label,grade,from,to,source\n{line}\n", "w.csv")
    with pytest.raises(UsageError, match=r"w\.csv"):
        enrichment.load((), [path])


def test_a_reason_that_did_not_hold_on_the_day_marks_no_row_of_the_timeline() -> None:
    from forensics.analysis.timeline import _words

    assert _words("vpn: a, list of 2019-05-04; tor_exit: b, 2019 to 2020, not covered on the day") == ["vpn"]


def test_of_a_day_on_which_nobody_looked_a_list_says_nothing(tmp_path: Path) -> None:
    text = "address,first_day,last_day\n45.13.1.2,2019-04-30,2019-05-02\n45.13.1.3,2019-04-30,2019-05-11\n"
    days = written(tmp_path, "2019-04-30\n2019-05-02\n2019-05-11  # and no other\n", "days.txt")
    added.add(written(tmp_path, text), "tor_exit", name="tor", days=days)
    assert "tor_exit: tor, 2019-04-30 to 2019-05-02, not covered on the day" in labels("45.13.1.2", date(2019, 5, 4))
    assert "tor_exit: tor, 2019-04-30 to 2019-05-02, not on the day" in labels("45.13.1.2", date(2019, 5, 11))
    assert "tor_exit: tor, 2019-04-30 to 2019-05-11" in labels("45.13.1.3", date(2019, 5, 4))
    told = [f["value"] for f in enrichment.load().lookup("9.9.9.9", date(2019, 5, 4)) if f["fact"] == "tor_exit"]
    assert told == ["not covered (the list speaks of 2019-04-30 to 2019-05-11, but nobody looked on that day)"]


def test_a_file_of_days_that_holds_another_thing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "45.13.1.2\n")
    for text, why in (("2019-04-31\n", "line 1 is no day"), ("# none\n", "holds no day")):
        with pytest.raises(UsageError, match=why):
            added.add(path, "tor_exit", day=DAY, days=written(tmp_path, text, "days.txt"))
    assert not added.entries()


def test_a_damaged_database_is_refused_when_it_is_added_and_not_when_a_case_is_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no usable MaxMind-format database"):
        added.add(written(tmp_path, b"\x00" * 5000, "x.mmdb"), "mmdb")
    assert not added.entries()


def test_a_database_that_was_changed_after_it_was_added_is_no_witness(tmp_path: Path, own_folder: Path) -> None:
    added.add(written(tmp_path, "45.13.1.2\n"), "vpn", day=DAY, name="mine")
    (own_folder / "mine.data").write_text("9.9.9.9\n")
    with pytest.raises(DatabaseError, match="geo remove mine"):
        enrichment.load()


def test_a_catalogue_that_names_a_file_elsewhere_is_refused(tmp_path: Path, own_folder: Path) -> None:
    added.add(written(tmp_path, "45.13.1.2\n"), "vpn", day=DAY, name="mine")
    path = own_folder / "catalogue.json"
    path.write_text(path.read_text().replace("mine.data", "../mine.data"))
    with pytest.raises(DatabaseError, match="not its own"):
        added.entries()


@pytest.mark.skipif(not HISTORY.is_dir(), reason="the dated lists are not here")
def test_the_history_of_tor_exits_and_vpn_networks_is_read_whole() -> None:
    tor = read_list(HISTORY / "tor-exit-history.csv.gz", "tor_exit", None)
    assert len(tor.intervals) > 30_000
    assert not tor.rejects
    vpn = read_list(HISTORY / "vpn-hosting-history.csv.gz", None, None)
    assert {interval.word for interval in vpn.intervals} <= {"vpn", "hosting", "proxy", "relay_service", "tor_exit"}
    assert not vpn.rejects
    added.add(
        HISTORY / "tor-exit-history.csv.gz", "tor_exit", name="tor-by-day", days=HISTORY / "tor-exit-history.days.txt"
    )
    one = tor.intervals[len(tor.intervals) // 2]
    assert any(
        r.startswith("tor_exit: tor-by-day") and not r.endswith("on the day")
        for r in labels(str(ip_address(one.first)), one.since)
    )


def test_networks_of_a_list_are_those_of_the_standard_library(tmp_path: Path) -> None:
    listed = read_list(written(tmp_path, "198.51.100.0/22\n2001:db8::/32\n"), "vpn", DAY)
    for interval, text in zip(listed.intervals, ("198.51.100.0/22", "2001:db8::/32"), strict=True):
        network = ip_network(text)
        assert (interval.first, interval.last) == (int(network[0]), int(network[-1]))


def test_any_frame_with_time_and_address_is_placed_as_of_its_rows() -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2017-01-18 10:00", "2017-01-18 11:00", None, "2026-06-20 00:00"]),
            "source_ip": ["175.45.178.19", None, "51.254.1.2", "no address"],
            "mine": [1, 2, 3, 4],
        },
        index=[9, 7, 5, 3],
    )
    made = forensics.enrich(frame)
    assert list(made.index) == [9, 7, 5, 3]
    assert made["mine"].tolist() == [1, 2, 3, 4]
    assert made["country_iso_code"].fillna("").tolist() == ["KP", "", "", ""]
    assert made["rare_grade"].fillna("").tolist() == ["A", "", "", ""]
    with pytest.raises(UsageError, match="source_ip"):
        forensics.enrich(frame[["time"]])


def test_lookup_from_python_says_what_the_command_says() -> None:
    frame = forensics.lookup("175.45.178.19", "2017-01-18")
    assert {"KP"} <= set(frame.loc[frame["fact"] == "country", "value"])
    with pytest.raises(UsageError):
        forensics.lookup("no address")


def test_a_device_or_a_pipe_is_not_read(tmp_path: Path) -> None:
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for kind in ("vpn", "mmdb", "watch"):
        for path in (pipe, Path("/dev/zero"), tmp_path):
            with pytest.raises(DatabaseError, match="no regular file"):
                added.add(path, kind, day=DAY, name="endless")
    assert not added.entries()


@pytest.mark.parametrize("lines", ["1.2.3.0/24,x,D\n", "1.2.3.0/24,x,A\njunk,x,B\n"])
def test_a_watch_list_that_would_stop_every_later_run_is_refused_when_it_is_added(tmp_path: Path, lines: str) -> None:
    path = written(tmp_path, f"network,label,grade\n{lines}", "w.csv")
    with pytest.raises(UsageError, match=r"w\.csv"):
        added.add(path, "watch", name="w")
    assert not added.entries()
    enrichment.load()
