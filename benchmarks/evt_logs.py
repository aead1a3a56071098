"""Legacy event logs (.evt): our columns against libevt's values, on one generated Security log.

Usage: evt_logs.py [MEGABYTES] [ROUNDS]. One process each; half of the records are wanted.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyevt

from forensics.engines import local
from forensics.evidence.find import find
from forensics.identify import identify
from forensics.reading import read

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sample_logs"))

from evt_writer import LegacyEvent, write_evt
from legacy import COMPUTER, legacy_events


def generated(megabytes: int) -> bytes:
    story = [event for event in legacy_events() if event.source == "Security"]
    other = [LegacyEvent(event.time, "Security", 592, event.strings) for event in story]
    one = len(write_evt([*story, *other], COMPUTER))
    times = megabytes * 1_000_000 // one
    return write_evt(
        [
            LegacyEvent(event.time + timedelta(seconds=turn), event.source, event.number, event.strings, event.failed)
            for turn in range(times)
            for event in (*story, *other)
        ],
        COMPUTER,
    )


def ours(path: Path) -> None:
    plan = identify(find([path]).evidence)
    with tempfile.TemporaryDirectory() as folder:
        read(
            plan,
            Path(folder),
            engine=partial(local.run, workers=1),
            audit=lambda *_, **__: None,
            progress=lambda *_: None,
        )


def theirs(path: Path) -> None:
    log = pyevt.file()
    log.open(str(path))
    for one in log.records:
        _ = (one.source_name, one.event_identifier, one.written_time, one.computer_name, tuple(one.strings))
    log.close()


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "SecEvent.Evt"
        path.write_bytes(generated(megabytes))
        ratios = []
        for _ in range(rounds):
            took = []
            for run in (ours, theirs):
                start = time.perf_counter()
                run(path)
                took.append(time.perf_counter() - start)
            ratios.append(took[1] / took[0])
            print(
                f"ours {path.stat().st_size / took[0] / 1e6:.0f} MB/s, libevt {path.stat().st_size / took[1] / 1e6:.0f} MB/s"
            )
        print(f"ours is {statistics.median(ratios):.2f} times libevt")


if __name__ == "__main__":
    main()
