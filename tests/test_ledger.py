"""The ledger notices every byte that is missed or taken twice."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import LedgerError
from forensics.evidence.ledger import Tally, Watch, check_file
from forensics.model import Batch, Evidence, Span
from forensics.schemas import EVENTS, REJECTS, SKIPS, empty

SPAN = Span(Evidence("E0001", "a.log", Path("a.log"), 100), "tomcat_access", 0, 100, 1)


def batch(places: list[tuple[str, int, int]]) -> Batch:
    """Build a batch from (outcome, offset, length)."""

    def places_of(outcome: str, schema: pa.Schema) -> pa.RecordBatch:
        chosen = [(o, n) for kind, o, n in places if kind == outcome]
        columns = {"log_offset": [o for o, _ in chosen], "log_length": [n for _, n in chosen]}
        columns |= {"reason": ["r"] * len(chosen), "records": [1] * len(chosen)}
        arrays = [pa.array(columns.get(f.name, [None] * len(chosen)), f.type) for f in schema]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Batch(places_of("event", EVENTS), places_of("reject", REJECTS), places_of("skip", SKIPS))


def test_bytes_covered_once_in_any_mix_of_outcomes_are_accounted_for() -> None:
    watch = Watch(SPAN)
    watch.check(batch([("skip", 0, 10), ("event", 10, 40), ("reject", 50, 5)]))
    watch.check(batch([("event", 55, 45)]))
    watch.close(100, 4)
    assert sum(watch.tally.bytes.values()) == 100


@pytest.mark.parametrize(
    "places",
    [
        [("event", 1, 99)],
        [("event", 0, 50), ("event", 51, 49)],
        [("event", 0, 50), ("reject", 49, 51)],
        [("event", 0, 50), ("event", 0, 50), ("skip", 50, 50)],
    ],
    ids=["first byte missed", "hole", "overlap", "same record twice"],
)
def test_a_byte_missed_or_taken_twice_stops_the_run(places: list[tuple[str, int, int]]) -> None:
    watch = Watch(SPAN)
    with pytest.raises(LedgerError, match="bug of c2trail"):
        watch.check(batch(places))
        watch.close(100, len(places))


def test_a_span_that_ends_early_stops_the_run() -> None:
    watch = Watch(SPAN)
    watch.check(batch([("event", 0, 99)]))
    with pytest.raises(LedgerError):
        watch.close(100, 1)


def test_a_second_count_that_differs_stops_the_run() -> None:
    watch = Watch(SPAN)
    watch.check(batch([("event", 0, 100)]))
    with pytest.raises(LedgerError, match="second count"):
        watch.close(100, 2)


@given(
    st.lists(st.tuples(st.sampled_from(["event", "reject", "skip"]), st.integers(1, 50)), min_size=1, max_size=30),
    st.data(),
)
def test_moving_any_record_by_one_byte_is_noticed(parts: list[tuple[str, int]], data: st.DataObject) -> None:
    places, at = [], 0
    for kind, size in parts:
        places.append((kind, at, size))
        at += size
    span = Span(SPAN.evidence, "p", 0, at, 1)
    watch = Watch(span)
    watch.check(batch(places))
    watch.close(at, len(places))
    i = data.draw(st.integers(0, len(places) - 1))
    kind, offset, size = places[i]
    places[i] = (kind, offset + data.draw(st.sampled_from([-1, 1])), size)
    broken = Watch(span)
    with pytest.raises(LedgerError):
        broken.check(batch(places))
        broken.close(at, len(places))


def test_spans_of_a_file_must_adjoin_and_sum_to_its_size() -> None:
    tally = Tally()
    tally.add("event", "x", 3, 100)
    check_file("a.log", [(50, 100), (0, 50)], 100, tally)
    with pytest.raises(LedgerError):
        check_file("a.log", [(0, 50), (51, 100)], 100, tally)
    with pytest.raises(LedgerError):
        check_file("a.log", [(0, 101)], 101, tally)


def test_an_empty_batch_accounts_for_nothing() -> None:
    watch = Watch(SPAN)
    watch.check(Batch(empty(EVENTS), empty(REJECTS), empty(SKIPS)))
    assert not watch.tally.bytes
