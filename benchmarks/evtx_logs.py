"""EVTX side by side: c2trail's columnar reader and the `evtx` package with orjson, one process each, on the same file.

Usage: evtx_logs.py FOLDER_OF_EVTX [MEGABYTES] [ROUNDS] [FOLDER_FOR_FILES]. Two files are built from the real Security logs
of the folder: 30 % of the records wanted, and 1 %. Both engines end with Python or Arrow values of the records in memory;
c2trail also has each record's place, and accounts for those that nobody wants. Each process reads the file twice, and the
second time counts: imports and first touches of memory are no part of it, as they are none of a worker that lives for a whole
run. Engines take turns, and a ratio is taken between neighbours in time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import evtx
import orjson
from make_big_evtx import build

from forensics.evidence.open import head, open_span, open_stream
from forensics.model import Evidence, Options, Span
from forensics.parsers.evtx import PARSER

SHARES = (30, 1)


def columnar(path: Path) -> int:
    """Read the file as c2trail does, ledger and Parquet left out; return the number of events."""
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = tuple(PARSER.settle(head(evidence), (), Options()).items())
    whole = Span(evidence, PARSER.name, 0, evidence.size, 1, settings)
    spans = PARSER.split(open_stream(evidence), whole)
    return sum(batch.events.num_rows for span in spans for batch in PARSER.read(span, open_span(span)))


def rendered(path: Path) -> int:
    """Render every record as JSON with the `evtx` package and decode it; return the number of records."""
    records = evtx.PyEvtxParser(str(path), number_of_threads=1).records_json()
    return sum(1 for record in records if orjson.loads(record["data"]))


ENGINES = {"columnar": columnar, "rendered": rendered}
TITLES = {"columnar": "c2trail, columnar", "rendered": "evtx records_json + orjson"}


def measure(engine: str, path: Path) -> None:
    """Print the seconds of wall and processor that one engine takes."""
    read = ENGINES[engine]
    read(path)
    wall, cpu = time.perf_counter(), time.process_time()
    count = read(path)
    print(json.dumps({"count": count, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


def compare(path: Path, rounds: int) -> None:
    """Print a Markdown table of both engines over some rounds."""
    seen: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for number in range(rounds):
        for engine, runs in seen.items():
            command = [sys.executable, __file__, engine, str(path)]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    print("| what | records out | wall s (min-max) | cpu s | wall, as a multiple | cpu, as a multiple |")
    print("|---|---|---|---|---|---|")
    for engine, runs in seen.items():
        walls = [run["wall"] for run in runs]
        ratios = [
            statistics.median(a[kind] / b[kind] for a, b in zip(runs, seen["columnar"], strict=True))
            for kind in ("wall", "cpu")
        ]
        cpu = statistics.median(run["cpu"] for run in runs)
        print(
            f"| {TITLES[engine]} | {runs[0]['count']:,} | {statistics.median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f}) "
            f"| {cpu:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"
        )


def main() -> None:
    if sys.argv[1] in ENGINES:
        measure(sys.argv[1], Path(sys.argv[2]))
        return
    sources = sorted(p for p in Path(sys.argv[1]).rglob("*.evtx") if "security" in p.name.lower())
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    folder = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(tempfile.mkdtemp())
    for share in SHARES:
        path = folder / f"security_{megabytes}_{share}.evtx"
        if not path.exists():
            records, wanted = build(path, megabytes, share / 100, sources)
            print(f"{records:,} records, {wanted:,} wanted", file=sys.stderr)
        print(f"\n{megabytes} MB, {share} % of the records wanted\n")
        compare(path, rounds)


if __name__ == "__main__":
    main()
