"""How fast exports of Windows events are read, a core: the sample logs, exported to each form and repeated, ledger included.

Usage: PYTHONPATH=tests:sample_logs python benchmarks/event_exports.py [MEGABYTES]. Nearly all events of the sample logs are wanted: the slowest case.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from pathlib import Path

from export_writers import WINEVENT, dump, evtxecmd_csv, evtxecmd_json, jsonl, powershell_csv, told, winlogbeat
from test_evtx_xml import exported

from forensics.evidence.ledger import Watch
from forensics.model import Evidence, Head, Options, Parser, Span
from forensics.packaged import sample_evidence
from forensics.parsers import parsers
from forensics.stream import Stream


def forms(events: list, xml: list[str]) -> dict[str, tuple[str, bytes, bytes]]:
    rows = [
        {
            "Id": one.event_id,
            "RecordId": one.record,
            "ProviderName": one.provider,
            "LogName": one.channel,
            "MachineName": one.computer,
            "Message": "An account was logged on.\r\n\r\nSubject:\r\n" + "\tAccount Name:\t\tx\r\n" * 30,
            "TimeCreated": f"18.01.2017 {one.time[11:19]}",
        }
        for one in events
    ]
    table, shell = evtxecmd_csv(events), powershell_csv(WINEVENT, rows)
    objects = jsonl([dump(one) for one in events]).encode()
    return {
        "EvtxECmd CSV": ("evtx_csv", *split(table)),
        "Get-WinEvent CSV": ("evtx_csv", *split(shell)),
        "Event Viewer CSV": ("evtx_csv", *split(viewer(rows))),
        "evtx_dump JSON lines": ("evtx_json", b"", objects),
        "evtx_dump, one line": ("evtx_json", b"[", objects.replace(b"\n", b",")),
        "EvtxECmd JSON": ("evtx_json", b"", jsonl([evtxecmd_json(one) for one in events]).encode()),
        "Winlogbeat JSON": ("evtx_json", b"", jsonl([winlogbeat(one) for one in events]).encode()),
        "wevtutil XML": ("evtx_xml", b"", "\r\n".join(xml).encode()),
    }


def viewer(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["Level", "Date and Time", "Source", "Event ID", "Task Category"])
    writer.writerows(
        ["Information", row["TimeCreated"], row["ProviderName"], row["Id"], "None", row["Message"]] for row in rows
    )
    return out.getvalue()


def split(text: str) -> tuple[bytes, bytes]:
    head, _, rest = text.partition("\r\n")
    return head.encode() + b"\r\n", rest.encode()


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    paths = sorted(path for folder in sample_evidence() for path in Path(folder).rglob("*.evtx"))
    events = [one for path in paths for one in told(path)]
    xml = [one for path in paths for one in exported(path)]
    made = forms(events, xml)
    for parser, head, body in made.values():
        # What is loaded once is not what is measured.
        read(parsers()[parser], head + body)
    for name, (parser, head, body) in made.items():
        raw = head + body * (megabytes * 1_000_000 // len(body) + 1)
        taken, count = read(parsers()[parser], raw)
        print(f"{name:22} {len(raw) / taken / 1e6:6.1f} MB/s  {count / taken:9.0f} events/s")


def read(parser: Parser, raw: bytes) -> tuple[float, int]:
    """Read bytes with the ledger on; return processor seconds and events."""
    evidence = Evidence("E0001", "export", Path("export"), len(raw))
    settled = parser.settle(Head("export", raw[:65536], complete=False), (), Options())
    span = Span(evidence, parser.name, 0, len(raw), 1, tuple(sorted(settled.items())))
    started, count = time.process_time(), 0
    recount, watch = parser.recount(span), Watch(span)
    stream = Stream(io.BytesIO(raw), 0, len(raw), recount.feed)
    for batch in parser.read(span, stream):
        watch.check(batch)
        count += batch.events.num_rows
    watch.close(stream.position, recount.total())
    return time.process_time() - started, count


if __name__ == "__main__":
    main()
