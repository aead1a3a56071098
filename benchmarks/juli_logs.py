"""How fast Tomcat's own logs are read, a core: generated catalina logs of each formatter, counted, parsed and accounted for.

Usage: juli_logs.py [MEGABYTES]. The logs are synthetic: one record in fifty is wanted, one in ten has a stack trace.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.evidence.ledger import Watch
from forensics.evidence.open import drain, open_span, open_stream
from forensics.model import Evidence, Span
from forensics.parsers import parsers

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE = "\tat org.example.store.Connector.open(Connector.java:118)\r\n" * 12
DEPLOY = (
    "org.apache.catalina.startup.HostConfig.deployWAR",
    r"Deploying web application archive [C:\Tomcat\webapps\a.war]",
)
OTHER = "org.example.store.Pool.borrow", "No connection was free for the request of worker 17, a new one was opened"


def one_line(number: int, source: str, message: str) -> str:
    clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}"
    return f"18-Jan-2017 {clock} INFO [http-nio-8080-exec-{number % 10}] {source} {message}\r\n"


def simple(number: int, source: str, message: str) -> str:
    owner, _, method = source.rpartition(".")
    clock = f"{number // 3600 % 12 or 12}:{number // 60 % 60:02}:{number % 60:02} AM"
    return f"Jan 18, 2017 {clock} {owner} {method}\r\nINFO: {message}\r\n"


def french(number: int, source: str, message: str) -> str:
    return simple(number, source, message).replace("Jan ", "févr. ").replace("INFO", "INFOS")


def log(form: Callable[[int, str, str], str], size: int) -> bytes:
    records = []
    for number in range(5000):
        record = form(number, *(DEPLOY if number % 50 == 0 else OTHER))
        records.append(record + TRACE if number % 10 == 3 else record)
    block = "".join(records).encode()
    return block * (size // len(block) + 1)


def read(path: Path) -> tuple[float, int]:
    parser = parsers()["juli"]
    evidence = Evidence("E0001", path.name, path, path.stat().st_size)
    begin, events = time.process_time(), 0
    stream = open_stream(evidence)
    spans = list(parser.split(stream, Span(evidence, parser.name, 0, evidence.size, 1)))
    stream.close()
    for span in spans:
        recount, watch = parser.recount(span), Watch(span)
        stream = open_span(span, recount.feed)
        for batch in parser.read(span, stream):
            watch.check(batch)
            events += batch.events.num_rows
        drain(stream)
        watch.close(stream.position, recount.total())
        stream.close()
    return time.process_time() - begin, events


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else "100") * 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for form in (one_line, simple, french):
            path = Path(folder) / f"catalina.{form.__name__}.log"
            path.write_bytes(log(form, size))
            seconds, events = read(path)
            print(f"{form.__name__:10} {path.stat().st_size / 1e6 / seconds:7.0f} MB/s  {events:,} events")


if __name__ == "__main__":
    main()
