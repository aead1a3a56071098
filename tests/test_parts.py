"""Parts of the tables: the same rows are the same bytes, however they were cut and encoded before."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics import parts
from forensics.parts import EarlierRows, PartWriter, Taken, canonical
from forensics.schemas import EVENTS, REJECTS, table

WORDS = st.one_of(st.none(), st.sampled_from(["", "GET", "POST", "192.0.2.1", "é"]))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "source_ip": WORDS,
            "http_request_method": WORDS,
            "url_path": st.one_of(st.none(), st.text(max_size=5)),
            "log_offset": st.integers(0, 2**40),
            "log_length": st.integers(0, 9),
            "evidence_id": st.sampled_from(["E0001", "E0002"]),
        }
    ),
    max_size=40,
)


def written(folder: Path, pieces: list[pa.Table]) -> bytes:
    writer = PartWriter(folder, "events", 0)
    for piece in pieces:
        writer.add(piece)
    return (folder / writer.name).read_bytes() if writer.close() else b""


def otherwise_encoded(rows: pa.Table) -> pa.Table:
    """The same rows with dictionaries turned round and a value in them that no row has."""
    for at, kind in enumerate(rows.schema):
        if pa.types.is_dictionary(kind.type):
            plain = rows.column(at).combine_chunks()
            values = pa.array([*reversed(plain.dictionary.to_pylist()), "never"], pa.string())
            where = {value: n for n, value in enumerate(values.to_pylist())}
            codes = [None if value is None else where[value] for value in plain.to_pylist()]
            rows = rows.set_column(at, kind, pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), values))
    return rows


@given(ROWS, st.lists(st.integers(0, 40), max_size=5), st.sampled_from([1, 3, 1 << 20]), st.sampled_from([1, 4, 4096]))
def test_the_bytes_of_a_part_depend_on_its_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], cuts: list[int], group: int, some: int
) -> None:
    whole = table(rows, EVENTS)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = [otherwise_encoded(whole.slice(a, b - a)) for a, b in itertools.pairwise(edges)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_ROWS_A_GROUP", group)
        patch.setattr(parts, "_SOME", some)
        one = written(tmp_path_factory.mktemp("one"), [whole])
        assert written(tmp_path_factory.mktemp("cut"), pieces) == one
    if rows:
        back = pq.ParquetFile(pa.BufferReader(one))
        assert back.read().cast(EVENTS).to_pylist() == whole.to_pylist()
        assert back.num_row_groups == -(-len(rows) // group)
    else:
        assert one == b""


@given(ROWS, st.sampled_from([1, 4, 4096]))
def test_a_canonical_table_is_the_same_table_and_canonical(rows: list[dict[str, Any]], some: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_SOME", some)
        once = canonical(otherwise_encoded(table(rows, EVENTS)))
    assert once.to_pylist() == table(rows, EVENTS).to_pylist()
    if rows:
        ips = once.column("source_ip").chunk(0)
        assert ips.dictionary.to_pylist() == list(dict.fromkeys(v for v in ips.to_pylist() if v is not None))


def test_texts_that_repeat_have_a_dictionary_and_columns_of_one_value_are_not_compressed(tmp_path: Path) -> None:
    rows = [
        {
            "evidence_id": "E0001",
            "url_path": "/" * (n % 7),
            "url_query": str(n),
            "source_ip": "192.0.2.1" if n else None,
        }
        for n in range(50)
    ]
    content = pa.BufferReader(written(tmp_path, [table(rows, EVENTS)]))
    read = pq.ParquetFile(content)
    columns = {(c := read.metadata.row_group(0).column(n)).path_in_schema: c for n in range(len(EVENTS))}
    assert "RLE_DICTIONARY" in columns["url_path"].encodings
    assert "RLE_DICTIONARY" not in columns["url_query"].encodings
    packed = {name for name, column in columns.items() if column.compression == "ZSTD"}
    assert packed & {"evidence_id", "user_name", "url_path", "source_ip"} == {"url_path", "source_ip"}
    assert read.read().select(list(rows[0])).to_pylist() == rows


def test_rows_are_taken_from_their_place_under_another_name(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, "rejects", 4)
    writer.add(table([{"evidence_id": "E0001", "log_offset": n, "reason": "torn"} for n in range(6)], REJECTS))
    writer.close()
    rows = {"events": 0, "rejects": 3, "skips": 0}
    taken = Taken(tmp_path, 4, "E0001", (1, 2), {"events": 0, "rejects": 2, "skips": 0}, rows, 5, 3, ())
    earlier = EarlierRows()
    got = earlier.of(taken, "rejects", "E0007").to_pylist()
    assert [(row["evidence_id"], row["log_offset"]) for row in got] == [("E0007", 2), ("E0007", 3), ("E0007", 4)]
    assert earlier.of(taken, "events", "E0007").num_rows == 0


def test_a_part_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, "events", 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_ROWS_A_GROUP", 1)
        writer.add(table([{"evidence_id": "E0001"}, {"evidence_id": "E0001"}], EVENTS))
    assert len(list((tmp_path / "events").iterdir())) == 1
    writer.discard()
    assert list((tmp_path / "events").iterdir()) == []
