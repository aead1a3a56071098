"""Parts: the Parquet files of events, rejects and skips, in one form for the same rows, whatever batches they came in.

Row groups have a fixed number of rows, a dictionary holds its values in the order of their first row and no other. So rows
that are taken out of an earlier case and written again are the bytes that a parser's rows would be.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forensics.schemas import EVENTS, REJECTS, SKIPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

KINDS: Final[Mapping[str, pa.Schema]] = {"events": EVENTS, "rejects": REJECTS, "skips": SKIPS}
_ROWS_A_GROUP: Final = 1 << 20
_DICTIONARY: Final = [f.name for f in EVENTS if pa.types.is_dictionary(f.type)]
# Offsets and line numbers grow steadily: their differences take a byte or two where the values take eight. Of sizes the
# upper bytes are mostly zeros: laid apart byte by byte they take a third of the time to compress, and less room.
_ENCODING: Final = {
    "log_offset": "DELTA_BINARY_PACKED",
    "log_ordinal": "DELTA_BINARY_PACKED",
    "log_length": "BYTE_STREAM_SPLIT",
    "http_response_bytes": "BYTE_STREAM_SPLIT",
}
_ROWS_AT_ONCE: Final = 1 << 13
"""What is levelled and encoded in one go: eight times what Arrow takes, which shows where a column is quick otherwise."""
_SAMPLE: Final = 1 << 14
_REPEATED: Final = 4
"""How often a text must stand among the first rows, on average, to be worth a dictionary."""
_MAYBE: Final = ("url_path", "url_query", "http_response_status_code")
_SOME: Final = 4096
# The database passes over row groups by these: most questions about RDP and the server concern none of a web log's.
_STATISTICS: Final = ["time", "evidence_id", "event_action", "event_provider", "log_format"]


def path_of(folder: Path, kind: str, number: int) -> Path:
    """Return where the rows of one kind of a part lie."""
    return folder / kind / f"part-{number:06d}.parquet"


def put(folder: Path, name: str, content: bytes) -> None:
    """Write a file that was made elsewhere; it appears whole, by one rename."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    partial = _beside(path)
    partial.write_bytes(content)
    partial.replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")


class PartWriter:
    """Collects batches of one kind and writes row groups; a part without rows of it leaves no file.

    The file appears whole, by one rename: what a killed process left half-written has a name that nobody reads. Without a
    folder it is made in memory, for a machine that does not see the case, and is `content`.
    """

    def __init__(self, folder: Path | None, kind: str, number: int) -> None:
        self.rows = 0
        self.name = path_of(Path(), kind, number).as_posix()
        self.content = b""
        self._path = None if folder is None else folder / self.name
        self._partial: Any = pa.BufferOutputStream() if self._path is None else _beside(self._path)
        self._schema = KINDS[kind]
        self._held: list[pa.RecordBatch] = []
        self._rows_held = 0
        self._file: pq.ParquetWriter | None = None

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Take rows; they are written when a row group is full, or at the end."""
        if batch.num_rows:
            self._held += batch.to_batches() if isinstance(batch, pa.Table) else [batch]
            self._rows_held += batch.num_rows
            self.rows += batch.num_rows
            if self._rows_held >= _ROWS_A_GROUP:
                self._flush(_ROWS_A_GROUP)

    def copy(self, source: Path) -> int:
        """Publish a copy of an earlier file and return its size; 0 if there is none."""
        if not source.is_file():
            return 0
        self._make_room()
        shutil.copyfile(source, self._partial)
        return self._publish()

    def close(self) -> int:
        """Publish the file and return its size; 0 if there is none."""
        self._flush(1)
        if self._file is None:
            return 0
        self._file.close()
        return self._publish()

    def discard(self) -> None:
        """Leave nothing."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        if self._path is not None:
            self._partial.unlink(missing_ok=True)

    def _make_room(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(exist_ok=True)

    def _publish(self) -> int:
        if self._path is None:
            self.content = self._partial.getvalue().to_pybytes()
            return len(self.content)
        size: int = self._partial.stat().st_size
        self._partial.replace(self._path)
        return size

    def _flush(self, at_least: int) -> None:
        table = pa.Table.from_batches(self._held, schema=self._schema)
        at = 0
        while table.num_rows - at >= at_least:
            rows = canonical(table.slice(at, _ROWS_A_GROUP))
            if self._file is None:
                self._file = self._open(rows)
            self._file.write_table(rows, row_group_size=_ROWS_A_GROUP)
            at += _ROWS_A_GROUP
        left = table.slice(min(at, table.num_rows))
        self._held, self._rows_held = left.to_batches(), left.num_rows

    def _open(self, first: pa.Table) -> pq.ParquetWriter:
        self._make_room()
        if self._schema is not EVENTS:
            return pq.ParquetWriter(self._partial, self._schema, compression="zstd", compression_level=1)
        several = [name for name in first.column_names if not _is_one(first.column(name))]
        return pq.ParquetWriter(
            self._partial,
            self._schema,
            compression=dict.fromkeys(several, "zstd"),
            compression_level=dict.fromkeys(several, 1),
            use_dictionary=[*_DICTIONARY, *(name for name in _MAYBE if _repeats(first.column(name)))],
            column_encoding=_ENCODING,
            write_statistics=_STATISTICS,
            write_batch_size=_ROWS_AT_ONCE,
        )


def _is_one(column: pa.ChunkedArray) -> bool:
    """Say whether a column is one value, or none, in all rows: that is a few bytes in any case."""
    if column.null_count:
        return bool(column.null_count == len(column))
    return pa.types.is_dictionary(column.type) and len(column.chunk(0).dictionary) == 1


def _repeats(column: pa.ChunkedArray) -> bool:
    """Say whether values repeat so much among the first rows that a dictionary is smaller, and faster to write and read."""
    some = column.slice(0, _SAMPLE).drop_null()
    return _REPEATED * int(pc.count_distinct(some).as_py()) <= len(some)


def canonical(table: pa.Table) -> pa.Table:
    """Return the same rows with one chunk a column, and dictionaries that hold what is used, in the order of their first row."""
    if not table.num_rows:
        return table.combine_chunks()
    twins = _twins(table)
    rest = table.drop_columns([*twins])
    large = {name: _united(rest.column(name)) for name in rest.column_names if _has_many_words(rest.column(name))}
    small = rest.drop_columns([*large]).unify_dictionaries().combine_chunks()
    made = large | {name: small.column(name).chunk(0) for name in small.column_names}
    made = {name: _ordered(held) if pa.types.is_dictionary(held.type) else held for name, held in made.items()}
    made |= {name: made[other] for name, other in twins.items()}
    return pa.Table.from_arrays([made[name] for name in table.column_names], schema=table.schema)


def _has_many_words(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_dictionary(column.type) or len(column.chunk(0).dictionary) < _SOME:
        return False
    return not any(chunk.dictionary.null_count for chunk in column.chunks)


def _united(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """Return one chunk. A dictionary that several chunks have is looked at once, which Arrow does each time."""
    indices = pa.chunked_array([chunk.indices for chunk in column.chunks]).combine_chunks()
    dictionaries: list[pa.Array] = []
    starts: dict[tuple[int, ...], int] = {}
    at = []
    for chunk in column.chunks:
        words = chunk.dictionary
        same = (words.offset, len(words), *(buffer.address for buffer in words.buffers() if buffer is not None))
        if same not in starts:
            starts[same] = sum(map(len, dictionaries))
            dictionaries.append(words)
        at.append(starts[same])
    if len(dictionaries) == 1:
        return pa.DictionaryArray.from_arrays(indices, dictionaries[0], safe=False)
    coded = pa.concat_arrays(dictionaries).dictionary_encode()
    shift = np.repeat(np.array(at), [len(chunk) for chunk in column.chunks])
    codes = coded.indices.to_numpy()[indices.fill_null(0).to_numpy() + shift]
    valid = indices.buffers()[0] if indices.null_count else None
    numbers = pa.Array.from_buffers(pa.int32(), len(codes), [valid, pa.py_buffer(codes)])
    return pa.DictionaryArray.from_arrays(numbers, coded.dictionary, safe=False)


def _twins(table: pa.Table) -> dict[str, str]:
    """Return the columns that are equal to another: an address is mostly written as it is normalised."""
    names = {"source_ip", "source_address"}
    if names <= set(table.column_names) and table.column("source_ip").equals(table.column("source_address")):
        return {"source_address": "source_ip"}
    return {}


def _ordered(held: pa.DictionaryArray) -> pa.DictionaryArray:
    size = len(held.dictionary)
    if not size or (size == 1 and held.null_count < len(held)):
        return held
    indices = held.indices
    codes = (indices.fill_null(size) if indices.null_count else indices).to_numpy()
    first = _first_rows(codes[:_SOME], size)
    late = first == _SOME
    # The few values of most columns all stand among the first rows, or nowhere.
    if late.any() and np.bincount(codes, minlength=size)[:size][late].any():
        first = _first_rows(codes, size)
    elif late.any():
        first[late] = len(codes)
    used = int(np.count_nonzero(first < len(codes)))
    if used == size and bool(np.all(first[1:] > first[:-1])):
        return held
    order = np.argsort(first, kind="stable")
    rank = np.zeros(size + 1, np.int32)
    rank[order] = np.arange(size, dtype=np.int32)
    ranks = pa.Array.from_buffers(
        pa.int32(),
        len(codes),
        [pa.array(codes < size).buffers()[1] if indices.null_count else None, pa.py_buffer(rank[codes])],
    )
    return pa.DictionaryArray.from_arrays(ranks, held.dictionary.take(pa.array(order[:used])), safe=False)


def _first_rows(codes: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """Return the first place of each code below `size`, for those that have none the number of codes."""
    first = np.full(size + 1, len(codes))
    # Of several values for one place numpy keeps the last: going backwards, the first row.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first[:size]


@dataclass(frozen=True, slots=True)
class Taken:
    """Where the rows of a span lie in an earlier case, and what was counted of it there."""

    tables: Path
    number: int
    evidence_id: str
    place: tuple[int, int]
    """Which span of its part it was, and of how many."""
    begin: Mapping[str, int]
    rows: Mapping[str, int]
    """The first row of each kind, and how many."""
    stop: int
    recount: int
    tally: tuple[tuple[str, str, int, int], ...]


class EarlierRows:
    """Reads rows out of the parts of earlier cases; the part that was read last is kept."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Path, pa.Table]] = {}

    def of(self, taken: Taken, kind: str, evidence_id: str) -> pa.Table:
        """Return the rows of one kind of a span, as those of `evidence_id`."""
        count = taken.rows[kind]
        if not count:
            return KINDS[kind].empty_table()
        path = path_of(taken.tables, kind, taken.number)
        if self._read.get(kind, (None,))[0] != path:
            self._read[kind] = path, pq.ParquetFile(path).read()
        rows = self._read[kind][1].slice(taken.begin[kind], count)
        if evidence_id == taken.evidence_id:
            return rows
        at = rows.schema.get_field_index("evidence_id")
        renamed = pa.repeat(pa.scalar(evidence_id), count).cast(KINDS[kind].field(at).type)
        return rows.set_column(at, KINDS[kind].field(at), renamed)
