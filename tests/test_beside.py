"""The second thread of an analysis: it works beside the first, its errors are heard, and it stops when the first does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import duckdb
import pytest

import forensics
from forensics import pipeline
from forensics.beside import beside
from forensics.case import bind, connect
from forensics.model import Report
from forensics.schemas import REJECTS

LONG = "SELECT count(*) FROM range(1000000000000) numbers(n) WHERE n % 7 = 3"


def test_the_second_thread_sees_the_tables_of_the_first_and_spells_times_in_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Pyongyang")
    time.tzset()
    seen: list[object] = []
    (tmp_path / "tables").mkdir()
    with connect(tmp_path) as db:
        bind(db, tmp_path, "rejects", REJECTS)
        with beside(db) as other:
            asked = "SELECT (SELECT count(*) FROM rejects), CAST(TIMESTAMPTZ '2017-01-18 23:30:00+00' AS VARCHAR)"
            other.do(lambda cursor: seen.extend(cursor.sql(asked).fetchall())).result()
    monkeypatch.undo()
    time.tzset()
    assert seen == [(0, "2017-01-18 23:30:00+00")]


def test_an_error_of_the_second_thread_is_raised_where_its_work_is_waited_for() -> None:
    with duckdb.connect() as db, pytest.raises(duckdb.CatalogException), beside(db) as other:
        other.do(lambda cursor: cursor.execute("SELECT * FROM nowhere") and None).result()


def test_a_question_under_way_ends_with_the_block_that_failed() -> None:
    begun = Event()

    def ask(cursor: duckdb.DuckDBPyConnection) -> None:
        begun.set()
        cursor.execute(LONG).fetchall()

    with duckdb.connect() as db, pytest.raises(KeyboardInterrupt), beside(db) as other:
        asked = other.do(ask)
        waits = other.do(ask)
        assert begun.wait(60)
        raise KeyboardInterrupt
    assert isinstance(asked.exception(), duckdb.InterruptException)
    assert waits.cancelled()


def test_pieces_are_given_up_between_two_when_the_block_failed() -> None:
    begun = Event()
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            begun.set()
            yield len(made)

    with duckdb.connect() as db, pytest.raises(KeyboardInterrupt), beside(db) as other:
        given = other.do(lambda _cursor: made.extend(other.checked(endless())))
        assert begun.wait(60)
        raise KeyboardInterrupt
    assert given.exception() is not None


def test_a_report_that_fails_leaves_no_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
        yield b"begun"
        raise ValueError("no more")

    one = Report("broken", "broken.csv", "Broken", ("events",), broken)
    monkeypatch.setattr(pipeline, "reports", lambda: {"broken": one})
    log = tmp_path / "access_log.2017-01-18.txt"
    log.write_text('198.51.100.7 - - [18/Jan/2017:09:00:00 +0000] "GET / HTTP/1.1" 200 5\n')
    with pytest.raises(ValueError, match="no more"):
        forensics.analyze(log, out=tmp_path / "case", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == [log.name]
