"""Running one parser over a file in tests: settled from its own head, the ledger on, by the fast path or without it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import drain, head, open_span, open_stream
from forensics.model import Evidence, Hint, Options, Span
from forensics.parsers import _json_fast, _w3c_fast, parsers

Rows = list[dict[str, Any]]
NOTHING_TYPED = Options()


def read(
    name: str,
    path: Path,
    *,
    slow: bool = False,
    options: Options = NOTHING_TYPED,
    hints: Sequence[Hint] = (),
    settings: dict[str, str] | None = None,
) -> tuple[Rows, Rows, Tally]:
    """Return events and rejects in order of their places, and the ledger's tally."""
    wrapping = "gzip" if path.suffix == ".gz" else "none"
    evidence = Evidence("E0001", path.name, path, path.stat().st_size, wrapping)
    parser = parsers()[name]
    settled = dict(parser.settle(head(evidence), hints, options)) if settings is None else settings
    stop = evidence.size if wrapping == "none" else None
    whole = Span(evidence, name, 0, stop, 1, tuple(sorted(settled.items())))
    events: Rows = []
    rejects: Rows = []
    tally = Tally()
    with pytest.MonkeyPatch.context() as patch:
        if slow:
            patch.setattr(_w3c_fast, "shape_of", lambda *_: None)
            patch.setattr(_json_fast, "shape_of", lambda *_: None)
        for span in _spans(parser, evidence, whole):
            recount, watch = parser.recount(span), Watch(span)
            stream = open_span(span, recount.feed)
            for batch in parser.read(span, stream):
                watch.check(batch)
                table = batch.events if isinstance(batch.events, pa.Table) else pa.Table.from_batches([batch.events])
                events += table.to_pylist()
                rejects += batch.rejects.to_pylist()
            watch.close(stream.position, recount.total())
            stream.close()
            tally.merge(watch.tally)
    return sorted(events, key=lambda row: row["log_offset"]), rejects, tally


def _spans(parser: Any, evidence: Evidence, whole: Span) -> list[Span]:
    if evidence.wrapping == "gzip":
        return [whole]
    stream = open_stream(evidence)
    spans = list(parser.split(stream, whole))
    drain(stream)
    stream.close()
    return spans
