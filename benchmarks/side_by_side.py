"""Commands run in turn, A B C … A B C …, so that what else the machine does falls on all alike; medians and ratios.

A ratio is taken inside one round, between neighbours in time; absolute figures are good to about a third.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One timed run: seconds of wall and processor, peak resident bytes of the whole process tree (sampled)."""

    wall: float
    cpu: float
    peak: int


_TICK = os.sysconf("SC_CLK_TCK")


def tree_memory(pid: int, ticks: dict[int, int] | None = None) -> int:
    """Return the resident bytes of a process and all below it, from /proc; shared pages count once a process.

    `ticks` is told the processor time of each process so far: those of a pool are nobody's children in the end.
    """
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            if ticks is not None:
                fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
                ticks[one] = int(fields[11]) + int(fields[12])
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return total


def once(command: list[str]) -> Run:
    """Run a command to its end and measure it; a command that fails stops the benchmark."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0
    ticks: dict[int, int] = {}
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, tree_memory(process.pid, ticks))
        time.sleep(0.05)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit {process.returncode}\n{process.stderr.read().decode()[-2000:]}")
    # What was waited for is known to the end; of the others the last look, at most 50 ms old.
    cpu = max(usage.ru_utime + usage.ru_stime, sum(ticks.values()) / _TICK)
    return Run(wall, cpu, max(peak, usage.ru_maxrss * 1024))


def compare(commands: dict[str, list[str]], *, rounds: int, size: int) -> None:
    """Print a Markdown table of the commands over `rounds` rounds; `size` is the bytes each of them reads."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            runs[name].append(once(command))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    first = next(iter(commands))
    print("| what | wall s (min-max) | cpu s | MB/s | peak MiB | wall, as a multiple of the first |")
    print("|---|---|---|---|---|---|")
    for name, seen in runs.items():
        walls = [run.wall for run in seen]
        middle = statistics.median(walls)
        ratio = statistics.median(a.wall / b.wall for a, b in zip(seen, runs[first], strict=True))
        cpu = statistics.median(run.cpu for run in seen)
        peak = max(run.peak for run in seen) >> 20
        print(
            f"| {name} | {middle:.2f} ({min(walls):.2f}-{max(walls):.2f}) | {cpu:.1f} | {size / middle / 1e6:.0f} | {peak} | {ratio:.2f} |"
        )
