"""What keeps a large case fast and small gives the same bytes as the plain way to do it."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import forensics
from forensics.analysis import _backwards, _kinds, _places, _segments, _traffic, beacons, rules
from forensics.analysis._segments import spread
from forensics.analysis._words import LOCATOR, because
from forensics.case import Case, Draft, connect, roomy
from forensics.reports._cells import LONG, cell, csv_lines
from forensics.reports._csv_columns import csv_block
from forensics.schemas import TABLES

TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=30) | st.sampled_from(
    ["=1+1", "'", '"', "\\x1b", "-", "a" * 600, "@x", "é" * 300, "\n", "", ' "quoted" ']
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | TEXTS,
            "because": st.none() | TEXTS,
            "time": st.none()
            | st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))
            | st.just(datetime(2017, 1, 18, 9, 3, 9, tzinfo=UTC)),
            "number": st.none() | st.integers(-(2**63), 2**63 - 1),
            "share": st.none() | st.floats(),
            "day": st.none() | st.dates(date(1990, 1, 1), date(2099, 1, 1)),
            "sure": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("because", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("number", pa.int64()),
        ("share", pa.float64()),
        ("day", pa.date32()),
        ("sure", pa.bool_()),
    ]
)


@given(ROWS)
def test_a_block_of_csv_is_the_bytes_of_its_cells_one_by_one(rows: list[dict[str, object]]) -> None:
    (batch,) = pa.Table.from_pylist(rows, SCHEMA).combine_chunks().to_batches()
    slow = b"".join(csv_lines(SCHEMA.names, batch.to_pylist()))
    fast = b"".join(csv_lines(SCHEMA.names, ())) + csv_block(SCHEMA.names, batch, cell, LONG, {})
    assert fast == slow


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10**9)), max_size=40), st.booleans())
def test_the_order_of_a_key_is_the_order_of_series_and_value(rows: list[tuple[int, int]], halves: bool) -> None:
    series = np.array([s for s, _ in rows], np.int64)
    values = np.array([v for _, v in rows], np.float64) / (2 if halves else 1)
    assert _segments._sorted(series, values).tolist() == values[np.lexsort((values, series))].tolist()


def test_values_that_no_key_holds_are_sorted_as_well() -> None:
    series, values = np.array([1, 0, 0]), np.array([0.25, 1e12, -3.0])
    assert spread(series, values, 2).low.tolist() == [-3.0, 0.0]


@pytest.fixture
def regular(tmp_path: Path) -> Case:
    """Several addresses that ask for several paths by a timer each."""
    lines = []
    for minute in range(240):
        for host in range(5):
            if minute % (host + 1) == 0:
                when = f"18/Jan/2017:{minute // 60:02d}:{minute % 60:02d}:00 +0000"
                lines += [
                    f'198.51.100.{host} - - [{when}] "POST {path} HTTP/1.1" 200 {100 + host}\n'
                    for path in ("/a.jsp", "/b.jsp")
                ]
    log = tmp_path / "access_log.2017-01-18.txt"
    log.write_text("".join(lines))
    return forensics.analyze(log, out=tmp_path / "case", workers=1)


def test_beacons_are_the_same_whatever_is_held_at_once(regular: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = regular.table("beacons")
    assert expected.num_rows == 10
    monkeypatch.setattr(beacons, "_PORTION", 100)
    monkeypatch.setattr(beacons, "_READ", 64)
    with regular.database() as db:
        assert beacons.RULE.run(db).equals(expected)


def test_addresses_counted_a_few_at_a_time_are_the_same_as_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f'198.51.100.{host} - - [18/Jan/2017:{minute // 60:02d}:{minute % 60:02d}:{host:02d} +0000] "POST /x/c.jsp HTTP/1.1" 200 36\n'
        for minute in range(0, 240, 5)
        for host in range(20)
        if minute % (host % 3 + 1) == 0
    ]
    log = tmp_path / "access_log.2017-01-18.txt"
    log.write_text("".join(lines))
    case = forensics.analyze(log, out=tmp_path / "case", workers=1)
    expected = case.table("sources")
    assert expected.column("role").to_pylist() == ["implant"] * 20
    monkeypatch.setattr(_traffic, "SHARE", 50)
    assert len(list(_traffic.shares(len(lines)))) > 10
    with case.database() as db:
        assert rules()["sources"].run(db).equals(expected)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"word": st.none() | st.sampled_from("abc"), "number": st.none() | st.integers(0, 2), "sure": st.booleans()}
        ),
        max_size=30,
    ),
    st.sampled_from([1, 4, 1 << 62]),
)
def test_rows_are_of_one_kind_if_and_only_if_they_are_alike(rows: list[dict[str, object]], most: int) -> None:
    schema = pa.schema([("word", pa.string()), ("number", pa.int64()), ("sure", pa.bool_())])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kinds, "_MOST", most)
        first, kind = _kinds.kinds(pa.RecordBatch.from_pylist(rows, schema))
    assert [rows[first[one]] for one in kind] == rows
    assert len(first) == len({(row["word"], row["number"], row["sure"]) for row in rows})


def test_a_table_has_the_same_bytes_wherever_its_pieces_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.case._ROWS_A_GROUP", 7)
    table = pa.table({"word": [f"w{n % 5}" for n in range(50)], "number": range(50)})
    written = set()
    for size in (1, 3, 7, 20, 50):
        (tmp_path / str(size)).mkdir()
        building = Draft(tmp_path / str(size))
        building.write_pieces("t", table.schema, (table.slice(at, size) for at in range(0, 50, size)))
        written.add((building.parts / "t.parquet").read_bytes())
    assert len(written) == 1
    assert pq.read_table(building.parts / "t.parquet").equals(table)
    assert pq.ParquetFile(building.parts / "t.parquet").num_row_groups == 8


def test_a_table_of_one_piece_has_the_bytes_of_one_that_was_written_whole(tmp_path: Path) -> None:
    building = Draft(tmp_path)
    for table in (pa.table({"word": ["a", "b", None]}), pa.table({"word": pa.array([], pa.string())})):
        building.write_table("whole", table)
        building.write_pieces("pieces", table.schema, [table])
        assert (building.parts / "whole.parquet").read_bytes() == (building.parts / "pieces.parquet").read_bytes()


def test_reasons_spelt_column_by_column_are_those_of_each_row(regular: Case) -> None:
    for row in regular.table("beacons").to_pylist():
        told = json.loads(row["because"])
        assert row["because"] == because(told)
        assert [one["weight"] for one in told] == [7, 5]
        assert told[0]["sentence"].startswith(f"{row['requests']:,} requests every {row['period_s']:g} s, ")
        assert f"sizes of answers {row['size_score']:.3f}, duration {row['duration_score']:.3f}" in told[1]["sentence"]
        assert all(one["locators"][0].startswith("E0001:") for one in told)


def test_every_row_falls_into_one_share(regular: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_traffic, "SHARE", 50)
    with regular.database() as db:
        counts = [db.sql(f"SELECT count(*) FROM events e WHERE {one}").fetchall()[0][0] for one in _traffic.shares(600)]
    assert sum(counts) == regular.table("events").num_rows
    assert max(counts) < sum(counts)


def test_the_number_of_a_place_keeps_the_order_of_events_and_gives_back_the_locator(tmp_path: Path) -> None:
    with connect(tmp_path) as db:
        db.execute("""
            CREATE OR REPLACE VIEW events AS SELECT * REPLACE (time::TIMESTAMPTZ AS time) FROM (VALUES
                ('E0002', NULL, 0, 7, 1), ('E0001', NULL, 9, 7, NULL), ('E0001', '1990-01-01 00:00:00Z', 17592186044415, 4294967295, -5),
                ('E0002', '1990-01-01 00:00:00Z', 3, 0, 9223372036854775807), ('E0001', '2099-12-31 23:59:59.999999Z', 0, 209, 5052406),
                ('E10000', '1990-01-01 00:00:00Z', 3, 1, 2)
            ) AS rows(evidence_id, time, log_offset, log_length, log_ordinal)""")
        _places.number_evidence(db)
        found = db.sql(f"""
            SELECT {_places.locator_at("place", "mark", line=False)}, {LOCATOR}, {_places.time_at("place")} IS NOT DISTINCT FROM time,
                   row_number() OVER (ORDER BY place) = row_number() OVER (ORDER BY time NULLS LAST, evidence_id, log_offset)
            FROM (SELECT e.*, {_places.PLACE} AS place, {_places.MARK} AS mark FROM events e JOIN _evidence_numbers USING (evidence_id))
            """).fetchall()
    assert len(found) == 6
    assert all(shown == plain and timed and ordered for shown, plain, timed, ordered in found)


@pytest.mark.parametrize("cut", [1.0, 0.7])
def test_a_compressed_log_is_cut_into_spans_while_it_is_inflated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: float
) -> None:
    monkeypatch.setattr("forensics.evidence.spans.SPAN_BYTES", 20_000)
    monkeypatch.setattr("forensics.reading.PART_BYTES", 20_000)
    line = b'192.0.2.7 - - [18/Jan/2017:10:03:09 +0100] "GET /%08x.jsp HTTP/1.1" 200 512\n'
    rng = np.random.default_rng(3)
    plain = b"".join(line % number for number in rng.integers(0, 1 << 31, 3000).tolist())
    stored = gzip.compress(plain, mtime=0)
    (tmp_path / "access_log.gz").write_bytes(stored[: int(len(stored) * cut)])
    one = forensics.analyze(tmp_path / "access_log.gz", out=tmp_path / "one", workers=1)
    two = forensics.analyze(tmp_path / "access_log.gz", out=tmp_path / "two", workers=2)
    assert one.manifest["files"] == two.manifest["files"]
    assert len(list((one.folder / "tables" / "events").iterdir())) > 5
    events, evidence = one.table("events"), one.table("evidence").to_pylist()[0]
    assert events.column("log_ordinal").to_pylist() == list(range(1, events.num_rows + 1))
    assert evidence["sha256"] == hashlib.sha256(stored[: int(len(stored) * cut)]).hexdigest()
    if cut == 1.0:
        assert events.num_rows == 3000
        assert one.table("rejects").num_rows == 0
    else:
        assert 1500 < events.num_rows < 3000
        damage = one.table("rejects").to_pylist()[-1]
        assert (damage["reason"], damage["log_offset"]) == ("gzip_truncated", evidence["stream_size"])


def test_a_question_too_large_for_the_databases_memory_is_asked_again_with_all_there_is(tmp_path: Path) -> None:
    with connect(tmp_path) as db:
        db.execute("SET memory_limit = '1MB'")
        tried = []

        def ask() -> int:
            tried.append(db.sql("SELECT current_setting('memory_limit')").fetchall())
            if len(tried) == 1:
                raise duckdb.OutOfMemoryException
            return 7

        assert roomy(db, ask) == 7
        assert tried[0] != tried[1]


def test_nothing_that_was_spilt_stays_in_a_case(regular: Case) -> None:
    assert not list(regular.folder.rglob(".*"))
    assert {path.stem for path in (regular.folder / "tables").glob("*.parquet")} <= set(TABLES)


@pytest.mark.parametrize(("held", "read"), [(1 << 20, 1 << 20), (2000, 500), (1, 7)])
def test_times_that_go_back_are_counted_in_one_pass_as_a_window_over_all_would(
    demo_case: Case, monkeypatch: pytest.MonkeyPatch, held: int, read: int
) -> None:
    """With too few rows held back the order is lost, which is seen, and the database sorts."""
    monkeypatch.setattr(_backwards, "HELD", held)
    monkeypatch.setattr(_backwards, "_READ", read)
    with demo_case.database() as db:
        counted = _backwards.times_back(db, -1, -1)
        assert counted == _backwards._sorted(db, -1, -1)
        assert sum(back.times for back in counted.values()) > 0
