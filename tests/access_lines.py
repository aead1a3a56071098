"""Reading access-log lines in tests: through the strict path, the fast path, or the whole parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from forensics.evidence.ledger import Tally, Watch
from forensics.evidence.open import open_span
from forensics.model import Evidence, Span
from forensics.parsers import _valve_fast, parsers, tomcat_access


def read(
    path: Path, pattern: str, *, slow: bool = False, zone: str = ""
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Tally]:
    """Return events and rejects of a file in order of their places, and the ledger's tally."""
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = (("pattern", pattern), *([("zone", zone)] if zone else []))
    span = Span(evidence, "tomcat_access", 0, evidence.size, 1, settings)
    parser = parsers()["tomcat_access"]
    recount, watch = parser.recount(span), Watch(span)
    stream = open_span(span, recount.feed)
    events: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        if slow:
            patch.setattr(tomcat_access._valve_fast, "shape_of", lambda *_: None)
        for batch in parser.read(span, stream):
            watch.check(batch)
            table = batch.events if isinstance(batch.events, pa.Table) else pa.Table.from_batches([batch.events])
            events += table.to_pylist()
            rejects += batch.rejects.to_pylist()
    watch.close(stream.position, recount.total())
    stream.close()
    assert _valve_fast.shape_of is tomcat_access._valve_fast.shape_of
    return sorted(events, key=lambda row: row["log_offset"]), rejects, watch.tally
