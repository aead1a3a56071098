"""One part: spans in, Parquet parts and a checked tally out. This is the function that engines run somewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING

import pyarrow as pa

from forensics.evidence.ledger import REJECT, Tally, Watch
from forensics.evidence.open import drain, open_span
from forensics.parsers import parsers
from forensics.parts import KINDS, EarlierRows, PartWriter, path_of
from forensics.schemas import REJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.evidence.open import Held
    from forensics.model import Batch, Span
    from forensics.parts import Taken

    Writers = Mapping[str, PartWriter]


@dataclass(frozen=True, slots=True)
class Job:
    """Spans that make one part, and the folder and number of the part; no folder where whoever does the job does not see it.

    `held` has the bytes of spans that bring them, `taken` says of which spans an earlier case has the rows.
    """

    number: int
    spans: tuple[Span, ...]
    folder: Path | None
    held: tuple[Held | None, ...] = ()
    taken: tuple[Taken | None, ...] = ()


@dataclass(slots=True)
class SpanDone:
    """What became of one span: where its stream ended, its tally, its second count, and how many rows of each kind it gave."""

    evidence_id: str
    start: int
    stop: int
    recount: int
    tally: Tally
    rows: dict[str, int]


@dataclass(slots=True)
class JobDone:
    """What became of a job, in the order of its spans.

    `parts` are the files it made, named below the job's folder, and their sizes; `contents` their bytes if it had no folder.
    """

    number: int
    spans: list[SpanDone] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)


def run(job: Job) -> JobDone:
    """Read the job's spans, write the part, return what the ledger needs; LedgerError if a byte is not accounted for."""
    done = JobDone(job.number)
    writers = {kind: PartWriter(job.folder, kind, job.number) for kind in KINDS}
    try:
        if (source := _whole_part(job)) is not None:
            done.spans = [_counted(span, taken) for span, taken in zip(job.spans, job.taken, strict=True) if taken]
            sizes = {kind: writer.copy(path_of(source.tables, kind, source.number)) for kind, writer in writers.items()}
        else:
            earlier = EarlierRows()
            done.spans = [
                _read(span, writers, held) if taken is None else _take(span, writers, taken, earlier)
                for span, held, taken in zip_longest(job.spans, job.held, job.taken)
            ]
            sizes = {kind: writer.close() for kind, writer in writers.items()}
    except BaseException:
        for writer in writers.values():
            writer.discard()
        raise
    done.parts = {writers[kind].name: size for kind, size in sizes.items() if size}
    done.contents = {writer.name: writer.content for writer in writers.values() if writer.content}
    return done


def _whole_part(job: Job) -> Taken | None:
    """Return the first of the taken spans if they are one whole part of an earlier case, under the same names."""
    if not job.taken or job.taken[0] is None:
        return None
    first = job.taken[0]
    for at, (span, taken) in enumerate(zip(job.spans, job.taken, strict=True)):
        if (
            taken is None
            or (taken.tables, taken.number, taken.evidence_id) != (first.tables, first.number, span.evidence.id)
            or taken.place != (at, len(job.spans))
        ):
            return None
    return first


def _take(span: Span, writers: Writers, taken: Taken, earlier: EarlierRows) -> SpanDone:
    for kind, writer in writers.items():
        writer.add(earlier.of(taken, kind, span.evidence.id))
    return _counted(span, taken)


def _counted(span: Span, taken: Taken) -> SpanDone:
    tally = Tally()
    for row in taken.tally:
        tally.add(*row)
    return SpanDone(span.evidence.id, span.start, taken.stop, taken.recount, tally, dict(taken.rows))


def _read(span: Span, writers: Writers, held: Held | None) -> SpanDone:
    before = {kind: writer.rows for kind, writer in writers.items()}
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
    rows = {kind: writer.rows - before[kind] for kind, writer in writers.items()}
    return SpanDone(span.evidence.id, span.start, end, recount.total(), watch.tally, rows)


def _add(writers: Writers, batch: Batch) -> None:
    writers["events"].add(batch.events)
    writers["rejects"].add(batch.rejects)
    writers["skips"].add(batch.skips)


def _add_damage(span: Span, end: int, damage: tuple[str, str], writer: PartWriter, tally: Tally) -> None:
    """A stream that broke off is a reject of no bytes at the place where it did."""
    writer.add(_damage_row(span.evidence.id, end, damage))
    tally.add(REJECT, damage[0], 0, 0)


def _damage_row(evidence_id: str, end: int, damage: tuple[str, str]) -> pa.RecordBatch:
    values = [evidence_id, end, 0, None, *damage, 0]
    columns = [pa.array([value], kind.type) for value, kind in zip(values, REJECTS, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTS)


def write_damages(number: int, folder: Path, damages: Sequence[tuple[str, int, tuple[str, str]]]) -> None:
    """Write the part of what no parser read and is damaged: evidence, where its stream ended, reason and detail."""
    writer = PartWriter(folder, "rejects", number)
    for damage in damages:
        writer.add(_damage_row(*damage))
    writer.close()
