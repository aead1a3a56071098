"""What the questions of a case cost as it grows: `python benchmarks/profile_sources.py [MILLIONS …]` (requests; an address a hundred).

Events are written as Parquet parts as the parser would, then the rules that look at every event are asked, each in turn, in a process
of its own for each size. Printed: seconds of wall and processor, peak memory, the most that lay spilt on disk. Four addresses in ten beacon, the others visit or scan.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forensics.analysis import rules
from forensics.case import Draft, bind, roomy
from forensics.pipeline import answer
from forensics.schemas import EVENTS, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 1_000_000
EACH = 100
BEGIN = 1_500_000_000_000_000
ASKED = ("sessions", "session_events", "endpoints", "people", "source_windows", "sources", "beacons", "victims")


def part(number: int) -> pa.Table:
    """Return a million requests of ten thousand addresses: hourly beacons, pages, probes."""
    chance = np.random.default_rng(number)
    address = np.repeat(np.arange(ROWS // EACH), EACH)
    turn = np.tile(np.arange(EACH), ROWS // EACH)
    kind = address % 10
    beacon, page = kind < 4, (kind >= 4) & (kind < 6)
    seconds = turn * 3600 + chance.integers(0, 300, ROWS)
    paths = np.where(beacon, 0, np.where(page, 1 + turn % 4, 5 + chance.integers(0, 2000, ROWS)))
    names = [
        "/x/c.jsp",
        "/shop/",
        "/shop/style.css",
        "/shop/cart.jsp",
        "/shop/login.do",
        *(f"/probe{n}.php" for n in range(2000)),
    ]
    octets = (number // 250 + 11, number % 250)
    ips = [f"{octets[0]}.{octets[1]}.{n // 250}.{n % 250 + 1}" for n in range(ROWS // EACH)]

    def words(codes: np.ndarray, values: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))

    columns = {
        "time": pa.array(BEGIN + seconds * 1_000_000, pa.timestamp("us", "UTC")),
        "event_action": words(np.zeros(ROWS), ["http_request"]),
        "source_ip": words(address, ips),
        "http_request_method": words(np.where(beacon, 0, 1), ["POST", "GET"]),
        "url_path": words(paths, names),
        "http_response_status_code": np.where(beacon | page, 200, 404),
        "http_response_bytes": np.where(beacon, 36, chance.integers(200, 90_000, ROWS)),
        "evidence_id": words(np.zeros(ROWS), ["E0001"]),
        "log_offset": (np.arange(ROWS) + number * ROWS) * 90,
        "log_length": np.full(ROWS, 90),
        "log_ordinal": np.arange(ROWS) + number * ROWS + 1,
        "log_format": words(np.zeros(ROWS), ["tomcat_access"]),
    }
    made = {
        f.name: pa.array(columns[f.name]).cast(f.type) if f.name in columns else pa.nulls(ROWS, f.type) for f in EVENTS
    }
    return pa.table(made, schema=EVENTS)


def profile(millions: int) -> list[str]:
    lines = []
    with tempfile.TemporaryDirectory() as name:
        building = Draft(Path(name))
        (building.parts / "events").mkdir()
        for number in range(millions):
            file = building.parts / "events" / f"part-{number:06d}.parquet"
            pq.write_table(part(number), file, compression="zstd", compression_level=1)
        with building.database() as db, watched(Path(name)) as spilt:
            begun, used = time.perf_counter(), time.process_time()
            for asked in ASKED:
                rule, start, cpu = rules()[asked], time.perf_counter(), time.process_time()
                roomy(db, partial(answer, rule, db, building))
                bind(db, building.folder, asked, TABLES[asked])
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                lines.append(
                    f"{millions:4d} M {asked:16s} {time.perf_counter() - start:8.1f} s, processor {time.process_time() - cpu:8.1f} s, "
                    f"{db.table(asked).count('*').fetchall()[0][0]:9,} rows, so far: peak {peak:6,.0f} MiB, "
                    f"spilt {max(spilt) / (1 << 20):7,.0f} MiB"
                )
            lines.append(
                f"{millions:4d} M all              {time.perf_counter() - begun:8.1f} s, processor {time.process_time() - used:8.1f} s"
            )
    return lines


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """Note every half second how many bytes the database has spilt in a folder."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            with suppress(OSError):
                seen.append(sum(file.stat().st_blocks * 512 for file in (folder / ".spill").glob("*")))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def main() -> None:
    for millions in [int(text) for text in sys.argv[1:]] or [1, 10]:
        with ProcessPoolExecutor(1) as alone:
            print("\n".join(alone.submit(profile, millions).result()), flush=True)


if __name__ == "__main__":
    main()
