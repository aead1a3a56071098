"""One part: spans in, Parquet parts and a checked tally out. This is the function that engines run somewhere."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from forensics.evidence.ledger import REJECT, Tally, Watch
from forensics.evidence.open import drain, open_span
from forensics.parsers import parsers
from forensics.schemas import EVENTS, REJECTS, SKIPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.evidence.open import Held
    from forensics.model import Batch, Span

_ROWS_A_GROUP: Final = 1 << 20
_DICTIONARY: Final = [f.name for f in EVENTS if pa.types.is_dictionary(f.type)]
# Offsets and line numbers grow steadily: their differences take a byte or two where the values take eight.
_ENCODING: Final = {"log_offset": "DELTA_BINARY_PACKED", "log_ordinal": "DELTA_BINARY_PACKED"}
_STATISTICS: Final = ["time", "evidence_id"]


@dataclass(frozen=True, slots=True)
class Job:
    """Spans that make one part, and the folder and number of the part; `held` has the bytes of spans that bring them."""

    number: int
    spans: tuple[Span, ...]
    folder: Path
    held: tuple[Held | None, ...] = ()


@dataclass(slots=True)
class SpanDone:
    """What became of one span: where its stream ended, its tally and its second count."""

    evidence_id: str
    start: int
    stop: int
    recount: int
    tally: Tally


@dataclass(slots=True)
class JobDone:
    """What became of a job, in the order of its spans; `parts` are the files it wrote, below the job's folder, and their sizes."""

    number: int
    spans: list[SpanDone] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)


def run(job: Job) -> JobDone:
    """Read the job's spans, write the part, return what the ledger needs; LedgerError if a byte is not accounted for."""
    done = JobDone(job.number)
    writers = {
        "events": _Writer(job, "events", EVENTS),
        "rejects": _Writer(job, "rejects", REJECTS),
        "skips": _Writer(job, "skips", SKIPS),
    }
    try:
        done.spans = [_read(span, writers, held) for span, held in zip_longest(job.spans, job.held)]
    except BaseException:
        for writer in writers.values():
            writer.discard()
        raise
    done.parts = {writer.name: size for writer in writers.values() if (size := writer.close())}
    return done


def _read(span: Span, writers: Mapping[str, _Writer], held: Held | None) -> SpanDone:
    parser = parsers()[span.parser]
    recount = parser.recount(span)
    watch = Watch(span)
    stream = open_span(span, recount.feed, held)
    try:
        for batch in parser.read(span, stream):
            watch.check(batch)
            _add(writers, batch)
        drain(stream)
        end = stream.position
        damage = stream.damage
    finally:
        stream.close()
    watch.close(end, recount.total())
    if damage is not None:
        _add_damage(span, end, damage, writers["rejects"], watch.tally)
    return SpanDone(span.evidence.id, span.start, end, recount.total(), watch.tally)


def _add(writers: Mapping[str, _Writer], batch: Batch) -> None:
    writers["events"].add(batch.events)
    writers["rejects"].add(batch.rejects)
    writers["skips"].add(batch.skips)


def _add_damage(span: Span, end: int, damage: tuple[str, str], writer: _Writer, tally: Tally) -> None:
    """A stream that broke off is a reject of no bytes at the place where it did."""
    writer.add(_damage_row(span.evidence.id, end, damage))
    tally.add(REJECT, damage[0], 0, 0)


def _damage_row(evidence_id: str, end: int, damage: tuple[str, str]) -> pa.RecordBatch:
    values = [evidence_id, end, 0, None, *damage, 0]
    columns = [pa.array([value], kind.type) for value, kind in zip(values, REJECTS, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTS)


def write_damages(number: int, folder: Path, damages: Sequence[tuple[str, int, tuple[str, str]]]) -> None:
    """Write the part of what no parser read and is damaged: evidence, where its stream ended, reason and detail."""
    writer = _Writer(Job(number, (), folder), "rejects", REJECTS)
    for damage in damages:
        writer.add(_damage_row(*damage))
    writer.close()


class _Writer:
    """Collects batches of one table and writes row groups; a table without rows leaves no file.

    The part appears whole, by one rename: where a job is done twice (a lost worker, one that was slow), the same bytes take
    the same place, and what a killed worker left half-written has a name that nobody reads.
    """

    def __init__(self, job: Job, name: str, schema: pa.Schema) -> None:
        self.name = f"{name}/part-{job.number:06d}.parquet"
        self._path = job.folder / self.name
        self._partial = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.partial")
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._file: pq.ParquetWriter | None = None

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        if batch.num_rows:
            self._held += batch.to_batches() if isinstance(batch, pa.Table) else [batch]
            self._rows += batch.num_rows
            if self._rows >= _ROWS_A_GROUP:
                self._flush()

    def close(self) -> int:
        """Publish the part and return its size; 0 if there is none."""
        self._flush()
        if self._file is None:
            return 0
        self._file.close()
        size = self._partial.stat().st_size
        self._partial.replace(self._path)
        return size

    def discard(self) -> None:
        """Leave nothing."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.Table.from_batches(self._held, schema=self._schema).unify_dictionaries()
        self._held, self._rows = [], 0
        if self._file is None:
            self._file = self._open()
        self._file.write_table(table, row_group_size=_ROWS_A_GROUP)

    def _open(self) -> pq.ParquetWriter:
        self._path.parent.mkdir(exist_ok=True)
        if self._schema is not EVENTS:
            return pq.ParquetWriter(self._partial, self._schema, compression="zstd", compression_level=1)
        return pq.ParquetWriter(
            self._partial,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=_DICTIONARY,
            column_encoding=_ENCODING,
            write_statistics=_STATISTICS,
        )
