"""Reading: every file hashed, cut into spans, parsed wherever the engine runs, and accounted for to the last byte."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from forensics.errors import EvidenceChangedError, OutputError
from forensics.evidence.ledger import REJECT, SKIP, Tally, check_file
from forensics.evidence.open import Held, Passing, State, drain, forget, open_both, open_stored, state
from forensics.limits import MIB, PART_BYTES, SOLID_PART_BYTES
from forensics.model import Span
from forensics.parse import Job, JobDone, run, write_damages
from forensics.parts import Taken, put
from forensics.schemas import EVIDENCE, LEDGER, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from forensics.identify import Identified
    from forensics.model import Evidence
    from forensics.stream import Stream


@dataclass(slots=True)
class ReadFile:
    """What is learnt of one file while it is read."""

    sha256: str = ""
    size: int = 0
    damage: tuple[str, str] | None = None
    stat: State = (0, 0, 0)
    spans: list[tuple[int, int]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    recount: int = 0

    @property
    def stream_size(self) -> int:
        """Bytes of the inflated stream."""
        return max((stop for _, stop in self.spans), default=0)


@dataclass(frozen=True, slots=True)
class TakenSpan:
    """A span that an earlier case was read in, and where its rows lie there. `stop` is as the parser cut it."""

    start: int
    stop: int | None
    first_ordinal: int
    settings: tuple[tuple[str, str], ...]
    taken: Taken


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Evidence that an earlier case read under the same circumstances: its hash, its stored size, its spans in order."""

    sha256: str
    size: int
    spans: tuple[TakenSpan, ...]


def read(
    plan: Sequence[Identified],
    parts: Path,
    *,
    engine: Engine,
    away: bool = False,
    audit: Callable[..., None],
    progress: Callable[[str, int], None],
    unchanged: Mapping[str, Unchanged] = MappingProxyType({}),
) -> dict[str, ReadFile]:
    """Hash, cut, parse and account for everything in the plan; return what was learnt of each file by its id.

    `engine` maps the work over the jobs, somewhere, and yields what it returns in their order; `away` where that is on machines
    that do not see `parts` and hand theirs back. Evidence that is `unchanged`
    (by its id) is not read again: its rows are taken from where they lie.
    Parts of the events, rejects and skips tables appear in `parts`. LedgerError if one byte is not accounted for.
    """
    files = {item.evidence.id: ReadFile() for item in plan}
    jobs = _jobs(_spans(plan, files, audit, unchanged), parts)
    number = -1
    written: dict[str, int] = {}
    for job, done in _done(jobs, engine, away=away):
        number = done.number
        for name, content in done.contents.items():
            put(parts, name, content)
        _account(done, files)
        written.update(done.parts)
        audit("part", number=number, parts=done.parts, spans=_told(job, done))
        progress("reading", sum(span.stop - span.start for span in done.spans))
    damages = []
    for item in plan:
        file = files[item.evidence.id]
        if item.parser is None:
            file.tally.add(SKIP, "container" if item.evidence.container else "unclaimed", 0, file.size)
            file.spans.append((0, file.size))
            if file.damage is not None:
                file.tally.add(REJECT, file.damage[0], 0, 0)
                damages.append((item.evidence.id, file.size, file.damage))
        check_file(item.evidence.label, file.spans, file.stream_size, file.tally)
    write_damages(number + 1, parts, damages)
    _check_parts(written, parts)
    for path in parts.glob("*/.*.partial"):
        path.unlink()
    return files


def worth_workers(evidence: Sequence[Evidence]) -> bool:
    """Say whether evidence is likely to be more than one part, so that several processes have something to do."""
    return sum(_inflated(one) for one in evidence if not one.container) > PART_BYTES


def _done(jobs: Iterator[Job], engine: Engine, *, away: bool) -> Iterator[tuple[Job, JobDone]]:
    """Yield each job with what became of it, in order; of the job without the bytes that it brought."""
    under_way: deque[tuple[Job, JobDone | None]] = deque()

    def passing() -> Iterator[Job]:
        for job in jobs:
            # An earlier case lies here, and so is what is taken of it.
            done = run(job) if away and any(job.taken) else None
            under_way.append((replace(job, held=()), done))
            if done is None:
                yield replace(job, folder=None) if away else job

    def done_here() -> Iterator[tuple[Job, JobDone]]:
        while under_way and (done := under_way[0][1]) is not None:
            yield under_way.popleft()[0], done

    for done in engine(run, passing()):
        yield from done_here()
        yield under_way.popleft()[0], done
    yield from done_here()


def _told(job: Job, done: JobDone) -> list[dict[str, Any]]:
    """Return what a later analysis needs to take a part over."""
    return [
        {
            "evidence_id": one.evidence_id,
            "start": one.start,
            "stop": one.stop,
            "asked": span.stop,
            "first_ordinal": span.first_ordinal,
            "settings": [list(pair) for pair in span.settings],
            "recount": one.recount,
            "rows": one.rows,
            "tally": [list(row) for row in one.tally.rows()],
        }
        for span, one in zip(job.spans, done.spans, strict=True)
    ]


def _check_parts(written: Mapping[str, int], parts: Path) -> None:
    """Raise OutputError if a part is no more as it was written."""
    for name, size in written.items():
        try:
            here = (parts / name).stat().st_size
        except OSError:
            here = -1
        if here != size:
            raise OutputError(
                f"{parts / name}: {size} bytes were written, now it has {'none' if here < 0 else here}; "
                "something else writes to the folder of the case: choose another place with -o"
            )


Engine = Callable[[Callable[[Job], JobDone], Iterator[Job]], Iterator[JobDone]]
_Piece = tuple[Span, Held | None, Taken | None]


def _spans(
    plan: Sequence[Identified],
    files: dict[str, ReadFile],
    audit: Callable[..., None],
    unchanged: Mapping[str, Unchanged],
) -> Iterator[_Piece]:
    """Yield the spans of every file while its stored bytes are being hashed; compressed ones bring their bytes along."""
    for item in plan:
        evidence = item.evidence
        file = files[evidence.id]
        file.stat = state(evidence.path)
        if item.parser is not None and (known := unchanged.get(evidence.id)):
            file.sha256, file.size = known.sha256, known.size
            yield from _again(evidence, item.parser.name, known)
            audit("evidence_read", **_as_found(evidence, file), unchanged=True)
            continue
        hasher = hashlib.sha256()
        passing = Passing()
        if item.parser is None or evidence.divisible:
            stored = open_stored(evidence, hasher.update)
            stream = stored
        else:
            stream, stored = open_both(evidence, hasher.update, passing.feed)
        try:
            if item.parser is not None:
                size = evidence.size if evidence.divisible else None
                whole = Span(evidence, item.parser.name, 0, size, 1, item.settings)
                for span in item.parser.split(stream, whole):
                    given = None if size is not None or span.stop is None else _taken(passing, span, stream)
                    yield span, given, None
            drain(stored)
        finally:
            stream.close()
        file.sha256, file.size = hasher.hexdigest(), stored.position
        file.damage = stored.damage or evidence.damage
        audit("evidence_read", **_as_found(evidence, file))


def _taken(passing: Passing, span: Span, stream: Stream) -> Held:
    """Take the bytes of a span; the damage of the stream belongs to the last."""
    return passing.take((span.stop or 0) - span.start, stream.damage if span.stop == stream.position else None)


def _as_found(evidence: Evidence, file: ReadFile) -> dict[str, object]:
    return {
        "evidence_id": evidence.id,
        "path": str(evidence.path),
        "state": file.stat,
        "modified": evidence.modified,
        "sha256": file.sha256,
    }


def _again(evidence: Evidence, parser: str, known: Unchanged) -> Iterator[_Piece]:
    """Yield the spans of evidence that is not read again, as if those that brought their bytes did."""
    for told in known.spans:
        span = Span(evidence, parser, told.start, told.stop, told.first_ordinal, told.settings)
        yield span, None if evidence.divisible or told.stop is None else Held(b""), told.taken


def _jobs(pieces: Iterator[_Piece], folder: Path) -> Iterator[Job]:
    """Group spans into parts of about PART_BYTES, and more where a solid archive must be inflated once more for them.

    The grouping depends on the evidence alone.
    """
    number, size = 0, 0
    gathered: list[_Piece] = []
    for piece in pieces:
        span, held, _ = piece
        gathered.append(piece)
        size += (_inflated(span.evidence) if span.stop is None else span.stop) - span.start
        if size >= (SOLID_PART_BYTES if span.evidence.solid and held is None else PART_BYTES):
            yield _job(number, gathered, folder)
            number, size, gathered = number + 1, 0, []
    if gathered:
        yield _job(number, gathered, folder)


def _inflated(evidence: Evidence) -> int:
    """Return about how many bytes a file has once it is inflated."""
    return evidence.size * (1 if evidence.wrapping == "none" else 8)


def _job(number: int, pieces: list[_Piece], folder: Path) -> Job:
    spans, held, taken = zip(*pieces, strict=True)
    return Job(number, spans, folder, held, taken)


def _account(done: JobDone, files: dict[str, ReadFile]) -> None:
    for span in done.spans:
        file = files[span.evidence_id]
        file.spans.append((span.start, span.stop))
        file.tally.merge(span.tally)
        file.recount += span.recount


@contextmanager
def hashing_again(plan: Sequence[Identified]) -> Iterator[Callable[[], dict[str, str]]]:
    """Hash every file on disk once more beside the work of the block; what is given waits for the hashes by evidence id.

    Members of archives are covered by their archive. Leaving the block early stops the hashing.
    """
    left = threading.Event()

    def hashes() -> dict[str, str]:
        forget()
        found = {}
        for item in plan:
            if item.evidence.layers or left.is_set():
                continue
            hasher = hashlib.sha256()
            stream = open_stored(item.evidence, hasher.update)
            try:
                buffer = memoryview(bytearray(MIB))
                while not left.is_set() and stream.readinto(buffer) == len(buffer):
                    pass
            finally:
                stream.close()
            found[item.evidence.id] = hasher.hexdigest()
        return found

    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(hashes).result
        finally:
            left.set()


def check_unchanged(plan: Sequence[Identified], files: dict[str, ReadFile], after: Mapping[str, str]) -> None:
    """Raise EvidenceChangedError if a file's size, time, inode or hash is no longer what it was when it was read.

    `after` are hashes that were taken after the last byte was read.
    """
    now = {where: state(where) for where in dict.fromkeys(item.evidence.path for item in plan)}
    for item in plan:
        file = files[item.evidence.id]
        if now[item.evidence.path] != file.stat or after.get(item.evidence.id, file.sha256) != file.sha256:
            raise EvidenceChangedError(
                f"{item.evidence.label} changed while it was read; work on a copy that nothing writes to"
            )


def accounts(plan: Sequence[Identified], files: dict[str, ReadFile]) -> dict[str, pa.Table]:
    """Return the evidence and ledger tables."""
    evidence, ledger = [], []
    for item in plan:
        file = files[item.evidence.id]
        evidence.append(
            {
                "evidence_id": item.evidence.id,
                "label": item.evidence.label,
                "size": file.size,
                "sha256": file.sha256,
                "wrapping": item.evidence.wrapping,
                "parser": item.parser.name if item.parser else None,
                "claim": item.claim.score,
                "why": item.claim.why,
                "settings": json.dumps(dict(item.settings), sort_keys=True),
                "stream_size": file.stream_size,
                "recount": file.recount if item.parser else None,
            }
        )
        ledger += [
            dict(zip(LEDGER.names, (item.evidence.id, item.evidence.label, *row), strict=True))
            for row in file.tally.rows()
        ]
    return {"evidence": table(evidence, EVIDENCE), "ledger": table(ledger, LEDGER)}
