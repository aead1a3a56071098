"""Hash, parse and account for a log, Parquet parts with locators out; no analysis. Usage: parse_to_parquet.py FILE [WORKERS [PATTERN]].

WORKERS 0 is one a processor.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from forensics.engines import local
from forensics.evidence.find import find
from forensics.identify import identify
from forensics.model import Options
from forensics.reading import read, worth_workers
from forensics.without_pandas import keep_out


def main() -> None:
    keep_out()
    workers = (int(sys.argv[2]) if len(sys.argv) > 2 else 0) or local.cores()
    evidence = find([Path(sys.argv[1])]).evidence
    if worth_workers(evidence):
        local.begin(workers)
    plan = identify(evidence, Options(patterns=tuple(sys.argv[3:4])))
    with tempfile.TemporaryDirectory(dir=Path(sys.argv[1]).parent) as folder:
        files = read(
            plan,
            Path(folder),
            engine=partial(local.run, workers=workers),
            audit=lambda *_, **__: None,
            progress=lambda *_: None,
        )
    for item in plan:
        for outcome, reason, records, size in files[item.evidence.id].tally.rows():
            print(f"{item.evidence.label}: {outcome} {reason}: {records:,} records, {size:,} bytes")


if __name__ == "__main__":
    main()
