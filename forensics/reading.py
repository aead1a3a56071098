"""Reading: every file hashed, cut into spans, parsed wherever the engine runs, and accounted for to the last byte."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.engines import local
from forensics.errors import EvidenceChangedError
from forensics.evidence.ledger import REJECT, SKIP, Tally, check_file
from forensics.evidence.open import drain, open_raw, open_stored
from forensics.limits import PART_BYTES, SOLID_PART_BYTES
from forensics.model import Span
from forensics.parse import Job, JobDone, run, write_damages
from forensics.schemas import EVIDENCE, LEDGER, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from forensics.identify import Identified
    from forensics.model import Evidence


@dataclass(slots=True)
class ReadFile:
    """What is learnt of one file while it is read."""

    sha256: str = ""
    size: int = 0
    damage: tuple[str, str] | None = None
    stat: tuple[int, int, int] = (0, 0, 0)
    spans: list[tuple[int, int]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    recount: int = 0

    @property
    def stream_size(self) -> int:
        """Bytes of the inflated stream."""
        return max((stop for _, stop in self.spans), default=0)


def read(
    plan: Sequence[Identified],
    parts: Path,
    *,
    workers: int,
    audit: Callable[..., None],
    progress: Callable[[str, int], None],
) -> dict[str, ReadFile]:
    """Hash, cut, parse and account for everything in the plan; return what was learnt of each file by its id.

    Parts of the events, rejects and skips tables appear in `parts`. LedgerError if one byte is not accounted for.
    """
    files = {item.evidence.id: ReadFile() for item in plan}
    jobs = _jobs(_spans(plan, files, audit), parts)
    number = -1
    for done in local.run(run, jobs, workers=workers):
        number = done.number
        _account(done, files)
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
    return files


def _spans(plan: Sequence[Identified], files: dict[str, ReadFile], audit: Callable[..., None]) -> Iterator[Span]:
    """Yield the spans of every file while its stored bytes are being hashed."""
    for item in plan:
        evidence = item.evidence
        file = files[evidence.id]
        file.stat = _stat(evidence)
        hasher = hashlib.sha256()
        stream = open_stored(evidence, hasher.update)
        try:
            if item.parser is not None:
                plain = evidence.divisible
                whole = Span(evidence, item.parser.name, 0, evidence.size if plain else None, 1, item.settings)
                yield from item.parser.split(stream, whole) if plain else (whole,)
            drain(stream)
        finally:
            stream.close()
        file.sha256, file.size = hasher.hexdigest(), stream.position
        file.damage = stream.damage or evidence.damage
        audit("evidence_read", evidence_id=evidence.id, path=str(evidence.path), sha256=file.sha256)


def _jobs(spans: Iterator[Span], folder: Path) -> Iterator[Job]:
    """Group spans into parts of about PART_BYTES, and more of a solid archive; the grouping depends on the evidence alone."""
    number, held, size = 0, list[Span](), 0
    for span in spans:
        held.append(span)
        inflated = span.evidence.size * (1 if span.evidence.wrapping == "none" else 8)
        size += (inflated if span.stop is None else span.stop) - span.start
        if size >= (SOLID_PART_BYTES if span.evidence.solid else PART_BYTES):
            yield Job(number, tuple(held), folder)
            number, held, size = number + 1, [], 0
    if held:
        yield Job(number, tuple(held), folder)


def _account(done: JobDone, files: dict[str, ReadFile]) -> None:
    for span in done.spans:
        file = files[span.evidence_id]
        file.spans.append((span.start, span.stop))
        file.tally.merge(span.tally)
        file.recount += span.recount


def _stat(evidence: Evidence) -> tuple[int, int, int]:
    """Return size, modification time and inode: what shows that a file was touched while it was read."""
    handle = open_raw(evidence.path)
    try:
        seen = os.fstat(handle.fileno())
    finally:
        handle.close()
    return seen.st_size, seen.st_mtime_ns, seen.st_ino


def check_unchanged(plan: Sequence[Identified], files: dict[str, ReadFile]) -> None:
    """Raise EvidenceChangedError if a file's size, time or inode is no longer what it was before it was read."""
    for item in plan:
        if _stat(item.evidence) != files[item.evidence.id].stat:
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
