"""W3C and JSON access logs: megabytes a processor second, a share of the lines hostile. Hash, parse, ledger, Parquet.

Usage: other_access_logs.py [MEGABYTES] [ROUNDS].
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from access_log_generator import AGENTS, PATHS, _address

from forensics.engines import local
from forensics.evidence.find import find
from forensics.identify import identify
from forensics.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = "date time c-ip x-H(remoteUser) cs-method cs-uri-stem cs-uri-query sc-status bytes time-taken cs(User-Agent) cs(Referer)"
HOSTILE = 0.01


def w3c(rng: random.Random, when: datetime, address: str) -> str:
    agent = rng.choice(AGENTS)
    agent = "-" if agent == "-" else f'"{agent}"'
    if rng.random() < HOSTILE:
        agent = rng.choice(('"say ""hi"""', "'old'\" age'", '"never closed', "'"))
    query = f"id={rng.getrandbits(32):x}" if rng.random() < 0.6 else "-"
    head = f"{when:%Y-%m-%d %H:%M:%S} {address} - GET {rng.choice(PATHS)} {query}"
    return f"{head} {rng.choice((200, 304, 404))} {rng.randrange(100_000)} 0.0{rng.randrange(100):02} {agent} -\n"


def as_json(rng: random.Random, when: datetime, address: str) -> str:
    target = rng.choice(PATHS) + (f"?id={rng.getrandbits(32):x}" if rng.random() < 0.6 else "")
    plain = {
        "host": address,
        "logicalUserName": "-",
        "user": "-",
        "time": f"[{when:%d/%b/%Y:%H:%M:%S} +0000]",
        "request": f"GET {target} HTTP/1.1",
        "statusCode": str(rng.choice((200, 304, 404))),
        "size": str(rng.randrange(100_000)),
        "elapsedTime": str(rng.randrange(100_000)),
    }
    headers = {"Referer": "-", "User-Agent": rng.choice(AGENTS)}
    pairs = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in plain.items())
    inside = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in headers.items())
    line = f'{{{pairs},"requestHeaders": {{{inside}}}}}\n'
    return line.replace("HTTP/1.1", 'x" HTTP/1.1') if rng.random() < HOSTILE else line


def write(path: Path, head: str, line: Callable[[random.Random, datetime, str], str], megabytes: int) -> None:
    rng = random.Random(3)
    addresses = [_address(rng) for _ in range(50_000)]
    when, written = datetime(2017, 1, 1, tzinfo=UTC), 0
    with path.open("w") as out:
        written += out.write(head)
        while written < megabytes * 1_000_000:
            when += timedelta(seconds=rng.random() < 0.3)
            written += out.write(line(rng, when, addresses[int(len(addresses) * rng.random() ** 2)]))


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    head = f"#Fields: {FIELDS}\n#Version: 2.0\n#Software: Apache Tomcat/9.0.30\n"
    with tempfile.TemporaryDirectory() as folder:
        for name, first, line in (("extended.txt", head, w3c), ("access.json", "", as_json)):
            path = Path(folder) / name
            write(path, first, line, megabytes)
            best = min(_measure(path, Path(folder)) for _ in range(rounds))
            print(
                f"{name}: {path.stat().st_size / best / 1e6:.0f} MB a processor second ({best:.2f} s, best of {rounds})"
            )


def _measure(path: Path, folder: Path) -> float:
    plan = identify(find([path]).evidence)
    with tempfile.TemporaryDirectory(dir=folder) as parts:
        start = time.process_time()
        files = read(
            plan,
            Path(parts),
            engine=partial(local.run, workers=1),
            audit=lambda *_, **__: None,
            progress=lambda *_: None,
        )
        taken = time.process_time() - start
    for outcome, reason, records, size in files[plan[0].evidence.id].tally.rows():
        print(f"  {outcome} {reason}: {records:,} records, {size:,} bytes", file=sys.stderr)
    return taken


if __name__ == "__main__":
    main()
