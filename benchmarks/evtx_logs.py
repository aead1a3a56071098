"""EVTX side by side: c2trail's columnar reader and the `evtx` package with orjson, on the same file.

Each on one core, then each on the cores it uses by itself: c2trail a process a core, the package its own threads.

Usage: evtx_logs.py FOLDER_OF_EVTX [MEGABYTES] [ROUNDS] [FOLDER_FOR_FILES]. Two files are built from the real Security logs
of the folder: 30 % of the records wanted, and 1 %. Both engines end with Python or Arrow values of the records in memory;
c2trail also has each record's place, and accounts for those that nobody wants. Each process reads the file twice, and the
second time counts: imports and first touches of memory are no part of it, as they are none of a worker that lives for a whole
run. Engines take turns, and a ratio is taken between neighbours in time. Where libevtx is installed it reads the file
once, in the first round: the event id and the strings of each record.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import evtx
import orjson
from make_big_evtx import build

from forensics.engines import local
from forensics.evidence.open import head, open_span, open_stream
from forensics.model import Evidence, Options, Span
from forensics.parsers.evtx import PARSER

SHARES = (30, 1)


Count = tuple[int, float]
"""How many records came out, and the processor seconds of other processes."""


def spans(path: Path) -> list[Span]:
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    settings = tuple(PARSER.settle(head(evidence), (), Options()).items())
    whole = Span(evidence, PARSER.name, 0, evidence.size, 1, settings)
    return list(PARSER.split(open_stream(evidence), whole))


def events(span: Span) -> Count:
    """Read a span as c2trail does, ledger and Parquet left out."""
    before = time.process_time()
    count = sum(batch.events.num_rows for batch in PARSER.read(span, open_span(span)))
    return count, time.process_time() - before


def columnar(path: Path) -> Count:
    """Read the file in this process; return the number of events."""
    return sum(events(span)[0] for span in spans(path)), 0.0


@cache
def pool() -> ProcessPoolExecutor:
    """Return the workers, as many as there are cores, which live until the end."""
    return ProcessPoolExecutor(local.cores(), mp_context=get_context("forkserver"))


def spread(path: Path) -> Count:
    """Read the file in a process a core."""
    done = list(pool().map(events, spans(path)))
    return sum(count for count, _ in done), sum(cpu for _, cpu in done)


def rendered(path: Path, threads: int | None = 1) -> Count:
    """Render every record as JSON with the `evtx` package and decode it; return the number of records."""
    parser = (
        evtx.PyEvtxParser(str(path)) if threads is None else evtx.PyEvtxParser(str(path), number_of_threads=threads)
    )
    return sum(1 for record in parser.records_json() if orjson.loads(record["data"])), 0.0


def by_libevtx(path: Path) -> Count:
    """Ask libevtx for each record's event id and strings."""
    import pyevtx  # noqa: PLC0415  # not everywhere

    file = pyevtx.file()
    file.open(str(path))
    count = 0
    for record in file.records:
        _ = record.event_identifier, [record.get_string(number) for number in range(record.number_of_strings)]
        count += 1
    file.close()
    return count, 0.0


ENGINES = {
    "columnar": columnar,
    "rendered": rendered,
    "spread": spread,
    "threads": lambda path: rendered(path, None),
    "libevtx": by_libevtx,
}
TITLES = {
    "columnar": "c2trail, one process",
    "rendered": "evtx records_json + orjson, one thread",
    "spread": "c2trail, a process a core",
    "threads": "evtx records_json + orjson, its own threads",
    "libevtx": "libevtx, event id and strings of each record",
}
PAIRS = (("rendered", "columnar"), ("threads", "spread"), ("libevtx", "columnar"))


def measure(engine: str, path: Path) -> None:
    """Print the seconds of wall and processor that one engine takes."""
    read = ENGINES[engine]
    if engine != "libevtx":
        read(path)
    wall, cpu = time.perf_counter(), time.process_time()
    count, others = read(path)
    print(json.dumps({"count": count, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu + others}))


def compare(path: Path, rounds: int, engines: list[str]) -> None:
    """Print a Markdown table of the engines over some rounds, and their ratios."""
    seen: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for number in range(rounds):
        for engine, runs in seen.items():
            if engine == "libevtx" and number:
                continue
            command = [sys.executable, __file__, engine, str(path)]
            runs.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    print("| what | records out | wall s (min-max) | processor s (min-max) |\n|---|---|---|---|")
    for engine, runs in seen.items():
        walls, cpus = ([run[kind] for run in runs] for kind in ("wall", "cpu"))
        print(
            f"| {TITLES[engine]} | {runs[0]['count']:,} | {statistics.median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f}) "
            f"| {statistics.median(cpus):.2f} ({min(cpus):.2f}-{max(cpus):.2f}) |"
        )
    print("\n| ratio, median of the rounds | wall | processor |\n|---|---|---|")
    for other, ours in PAIRS:
        if other not in seen:
            continue
        ratios = [
            statistics.median(a[kind] / b[kind] for a, b in zip(seen[other], seen[ours], strict=False))
            for kind in ("wall", "cpu")
        ]
        print(f"| {TITLES[other]} / {TITLES[ours]} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def main() -> None:
    if sys.argv[1] in ENGINES:
        measure(sys.argv[1], Path(sys.argv[2]))
        return
    sources = sorted(p for p in Path(sys.argv[1]).rglob("*.evtx") if "security" in p.name.lower())
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    folder = Path(sys.argv[4]) if len(sys.argv) > 4 else Path(tempfile.mkdtemp())
    engines = [engine for engine in ENGINES if engine != "libevtx" or find_spec("pyevtx")]
    for share in SHARES:
        path = folder / f"security_{megabytes}_{share}.evtx"
        if not path.exists():
            records, wanted = build(path, megabytes, share / 100, sources)
            print(f"{records:,} records, {wanted:,} wanted", file=sys.stderr)
        print(f"\n{megabytes} MB, {share} % of the records wanted\n")
        compare(path, rounds, engines)


if __name__ == "__main__":
    main()
