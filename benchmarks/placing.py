"""Placing a million distinct addresses by every embedded witness, and joining the places to ten million events, against parsing.

Usage: placing.py [ADDRESSES] [EVENTS] [MEGABYTES]. All three in one run; ratios are of the time an event takes. Memory is the peak of
the process that places: addresses go through in blocks, so that it grows with the answer and not with the work.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from forensics import enrichment

HERE = Path(__file__).resolve().parent
KNOWN = 200_000
EVENTS = """
    CREATE TABLE events AS SELECT source_ip, day
    FROM (SELECT (i * 7919) % (SELECT count(*) FROM places) AS n FROM range(?) r(i))
    JOIN (SELECT *, row_number() OVER () - 1 AS n FROM places) USING (n)"""
JOINED = "SELECT count(country_iso_code), count(anonymity), min(rare_grade) FROM events LEFT JOIN places USING (source_ip, day)"


def asked(count: int) -> pa.Table:
    """Return distinct addresses, each on one of 30 days."""
    chance = np.random.Generator(np.random.PCG64(1))
    numbers = chance.choice(np.arange(1 << 24, 224 << 24, 97, np.int64), count, replace=False).tolist()
    days = [date(2017, 1, 1) + timedelta(n % 30) for n in range(count)]
    return pa.table({"source_ip": [str(IPv4Address(n)) for n in numbers], "day": pa.array(days, pa.date32())})


def resident() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def parse(megabytes: int) -> float:
    """Return the seconds that an event of an access log takes to be parsed."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "access.log"
        subprocess.run([sys.executable, HERE / "access_log_generator.py", log, "--mb", str(megabytes)], check=True)
        with log.open("rb") as file:
            lines = sum(1 for _ in file)
        start = time.perf_counter()
        command = [sys.executable, HERE / "parse_to_parquet.py", log]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - start) / lines


def main() -> None:
    """Print a Markdown table."""
    addresses, events, megabytes = ([int(a) for a in sys.argv[1:]] + [1_000_000, 10_000_000, 200][len(sys.argv) - 1 :])[
        :3
    ]
    parsing = parse(megabytes)
    pairs = asked(addresses)
    witnesses = enrichment.load()
    before = resident()
    start = time.perf_counter()
    places = witnesses.enrich(pairs)
    placing = time.perf_counter() - start
    peak, answer = resident() - before, places.nbytes / (1 << 20)
    with duckdb.connect() as db:
        db.register("placed", places.slice(0, min(KNOWN, addresses)))
        db.execute("CREATE TABLE places AS SELECT * FROM placed")
        db.execute(EVENTS, [events])
        start = time.perf_counter()
        db.execute(JOINED).fetchall()
        joining = time.perf_counter() - start
    print("| what | seconds | a row, microseconds | of parsing an event |\n|---|---|---|---|")
    for name, seconds, rows in (
        (f"place {addresses:,} distinct addresses", placing, addresses),
        (f"join {events:,} events with {min(KNOWN, addresses):,} addresses", joining, events),
    ):
        print(f"| {name} | {seconds:.1f} | {1e6 * seconds / rows:.2f} | {seconds / rows / parsing:.2f} |")
    print(
        f"\nParsing took {1e6 * parsing:.2f} microseconds an event; placing took {peak:,.0f} MiB, the answer of which is {answer:,.0f}."
    )


if __name__ == "__main__":
    main()
