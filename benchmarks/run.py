"""All benchmarks in one run, as ratios: each peer and c2trail take turns on the same file.

Usage: run.py [--mb 200] [--rounds 3] [--only access,variants,whole,evtx,start] [--evtx FOLDER_OF_EVTX] [--folder WHERE]
              [--plaso PATH_TO_log2timeline] [--dissect PYTHON_THAT_HAS_IT]

Peers that are not installed are named and left out. goaccess, lnav, gawk: Debian packages. plaso: its `log2timeline`, from an
environment of its own. Ratios are what is to be read; those of processor time bear other work beside them,
those of wall time do not.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from side_by_side import Run, once

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
PY = sys.executable
PARSE = [PY, str(HERE / "parse_to_parquet.py")]
LONG = '%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-Agent}i" %D %F %v %p "%{JSESSIONID}c"'

FINE = '%h %l %u [%{dd/MMM/yyyy:HH:mm:ss.SSS Z}t] "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
PARTED = '%h %l %u %t "%m %U%q %H" %s %b "%{Referer}i" "%{User-Agent}i"'


def generated(folder: Path, name: str, mb: int, *options: str) -> Path:
    """Return a synthetic log of about `mb` megabytes, made once."""
    path = folder / f"{name}_{mb}.log"
    if not path.exists():
        made = [PY, str(HERE / "access_log_generator.py"), str(path), "--mb", str(mb), *options]
        subprocess.run(made, check=True)
    return path


def rewritten(source: Path, name: str, change: Callable[[bytes, int], bytes]) -> Path:
    """Return a log made of the lines of another, each as `change` makes it from the line and its number."""
    path = source.with_name(f"{name}_{source.name}")
    if not path.exists():
        with source.open("rb") as lines, path.open("wb") as out:
            for number, line in enumerate(lines):
                out.write(change(line.rstrip(b"\n"), number))
    return path


def with_more_fields(line: bytes, number: int) -> bytes:
    return line + b' %d %d www.example.org 8080 "sid%x"\n' % (number % 9973, number % 8999, number)


def with_raw_quotes(line: bytes, _number: int) -> bytes:
    return line[:-1] + b' "raw" quote"\n' if line.endswith(b'"') else b""


def to_the_millisecond(line: bytes, number: int) -> bytes:
    return line.replace(b" +0000]", b".%03d +0000]" % (number * 7919 % 1000), 1) + b"\n"


def compared(title: str, commands: dict[str, list[str] | None], rounds: int, size: int) -> None:
    """Print a table: the first command is c2trail's, the others as multiples of it; None is a peer that is not there."""
    runs: dict[str, list[Run]] = {name: [] for name, command in commands.items() if command}
    for number in range(rounds):
        for name, seen in runs.items():
            seen.append(once(commands[name] or []))
        print(f"{title}: round {number + 1} of {rounds}", file=sys.stderr)
    first = next(iter(runs))
    print(f"\n### {title} ({size / 1e6:,.0f} MB)\n")
    print("| what | processor time as a multiple of the first | wall time likewise | peak MiB |\n|---|---|---|---|")
    for name, command in commands.items():
        if command is None:
            print(f"| {name} | not installed | | |")
            continue
        wall = statistics.median(a.wall / b.wall for a, b in zip(runs[name], runs[first], strict=True))
        cpu = statistics.median(
            max(a.cpu, 0.01) / max(b.cpu, 0.01) for a, b in zip(runs[name], runs[first], strict=True)
        )
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {max(run.peak for run in runs[name]) >> 20} |", flush=True)


def have(name: str, *command: str) -> list[str] | None:
    return list(command) if shutil.which(name) else None


def access(folder: Path, given: argparse.Namespace) -> None:
    log = generated(folder, "combined", given.mb)
    sql = ";SELECT c_ip, count(*) FROM access_log GROUP BY c_ip"
    compared(
        "Access log to typed Parquet, hashed and accounted for, beside what others make of it",
        {
            "c2trail: hash, parse, ledger, Parquet": [*PARSE, str(log)],
            "the same, one process": [*PARSE, str(log), "1"],
            "`wc -l`": ["wc", "-l", str(log)],
            "`sha256sum`": ["sha256sum", str(log)],
            "awk, a count an address": ["awk", "{c[$1]++} END {print length(c)}", str(log)],
            "lnav, a count an address": have("lnav", "lnav", "-n", "-c", sql, "-c", ":write-csv-to /dev/null", str(log)),
            "GoAccess, JSON report": have(
                "goaccess", "goaccess", str(log), "--log-format=COMBINED", "--no-global-config", "--no-progress",
                "-o", str(folder / "goaccess.json"),
            ),
        },
        given.rounds,
        log.stat().st_size,
    )  # fmt: skip
    if given.plaso:
        small = generated(folder, "combined", 5)
        compared(
            "The same beside plaso",
            {"c2trail": [*PARSE, str(small)], "plaso": plaso(given.plaso, "text/apache_access", small)},
            1,
            small.stat().st_size,
        )


def variants(folder: Path, given: argparse.Namespace) -> None:
    log = generated(folder, "combined", given.mb)
    hostile = generated(folder, "hostile", given.mb, "--hostile", "0.1")
    common = generated(folder, "common", given.mb, "--format", "common")
    custom = rewritten(log, "custom", with_more_fields)
    raw = rewritten(log, "raw", with_raw_quotes)
    fine = rewritten(log, "fine", to_the_millisecond)
    parted = log.with_name(f"parted_{log.name}")
    if not parted.exists():
        parted.hardlink_to(log)
    packed = log.with_name(log.name + ".gz")
    if not packed.exists():
        with log.open("rb") as source, gzip.open(packed, "wb", 6) as out:
            shutil.copyfileobj(source, out)
    whole = log.stat().st_size
    sizes = {log: whole, hostile: hostile.stat().st_size, common: common.stat().st_size, custom: custom.stat().st_size, raw: raw.stat().st_size, fine: fine.stat().st_size, parted: whole, packed: whole}  # fmt: skip
    names = {log: "combined", hostile: "combined, a tenth of its lines hostile", common: "common", custom: f"long pattern `{LONG}`", raw: "combined, raw quotes in every agent", fine: f"times to the millisecond `{FINE}`", parted: f"the request in parts `{PARTED}`", packed: "combined, gzip -6"}  # fmt: skip
    patterns = {custom: LONG, fine: FINE, parted: PARTED}
    seen: dict[Path, list[Run]] = {path: [] for path in names}
    inflating: list[Run] = []
    for _ in range(given.rounds):
        for path in names:
            pattern = ["0", patterns[path]] if path in patterns else []
            seen[path].append(once([*PARSE, str(path), *pattern]))
        inflating.append(once(["gzip", "-dc", str(packed)]))
    print("\n| log | processor time a megabyte, as a multiple of combined |\n|---|---|")
    for path, name in names.items():
        each = [a.cpu / sizes[path] / (b.cpu / whole) for a, b in zip(seen[path], seen[log], strict=True)]
        print(f"| {name} | {statistics.median(each):.2f} |")
    cpu = statistics.median(a.cpu / b.cpu for a, b in zip(seen[packed], inflating, strict=True))
    wall = statistics.median(a.wall / b.wall for a, b in zip(seen[packed], inflating, strict=True))
    print(
        f"\nReading the gzip log takes {wall:.2f} times as long as `gzip -dc` of it, and {cpu:.2f} times its processor time."
    )


def whole(folder: Path, given: argparse.Namespace) -> None:
    log = generated(folder, "combined", given.mb)
    case = folder / "case"
    analyse = f"rm -rf {case}; {PY} -m forensics analyze {log} -o {case} >/dev/null 2>&1"
    both = f"sha256sum {log} >/dev/null; {' '.join(PARSE)} {log} >/dev/null"
    compared(
        "The whole analysis, reports included",
        {"`sha256sum`, then parse alone": ["sh", "-c", both], "c2trail analyze": ["sh", "-c", analyse]},
        given.rounds,
        log.stat().st_size,
    )
    shutil.rmtree(case, ignore_errors=True)


def evtx(folder: Path, given: argparse.Namespace) -> None:
    if not given.evtx:
        print("\nEVTX: left out; --evtx names a folder of Security logs whose chunks are replicated.")
        return
    print("\n### EVTX, columns against JSON, in processes that were warm\n", flush=True)
    command = [PY, str(HERE / "evtx_logs.py"), given.evtx, str(given.mb), str(given.rounds), str(folder)]
    subprocess.run(command, check=True)
    log = folder / f"security_{given.mb}_30.evtx"
    native = f"import evtx, orjson\nfor r in evtx.PyEvtxParser({str(log)!r}).records_json(): orjson.loads(r['data'])"
    libevtx = f"import pyevtx\nf = pyevtx.file()\nf.open({str(log)!r})\nfor r in f.records: r.xml_string"
    dissect = f"from dissect.eventlog.evtx import Evtx\nfor r in Evtx(open({str(log)!r}, 'rb')):\n    pass"
    compared(
        "A Security log, 30 % of its records wanted, to typed Parquet, hashed and accounted for",
        {
            "c2trail, one process": [*PARSE, str(log), "1"],
            "c2trail, a process a core": [*PARSE, str(log)],
            "evtx: records_json, orjson": [PY, "-c", native],
            "libevtx: every record as XML": [PY, "-c", libevtx],
            "dissect.eventlog": [given.dissect, "-c", dissect] if given.dissect else None,
        },
        1,
        log.stat().st_size,
    )
    if given.plaso:
        small = folder / "security_32_30.evtx"
        if not small.exists():
            logs = [str(p) for p in sorted(Path(given.evtx).rglob("*.evtx")) if "security" in p.name.lower()]
            subprocess.run([PY, str(HERE / "make_big_evtx.py"), str(small), "32", "30", *logs], check=True)
        compared(
            "The same beside plaso",
            {
                "c2trail, one process": [*PARSE, str(small), "1"],
                "plaso, two workers": plaso(given.plaso, "winevtx", small),
            },
            1,
            small.stat().st_size,
        )


def plaso(log2timeline: str, parser: str, log: Path) -> list[str]:
    """Return the command with which plaso reads a log into a store of its own."""
    store = log.with_name("store.plaso")
    command = (
        f"rm -f {store}; {log2timeline} --unattended --status-view none --parsers {parser} --workers 2 "
        f"--logfile /dev/null --storage-file {store} {log} >/dev/null 2>&1"
    )
    return ["sh", "-c", command]


def start(_folder: Path, given: argparse.Namespace) -> None:
    compared(
        "Start-up",
        {
            "python -c pass": [PY, "-c", "pass"],
            "c2trail --help": [PY, "-m", "forensics", "--help"],
        },
        given.rounds,
        0,
    )


PARTS = {"access": access, "variants": variants, "whole": whole, "evtx": evtx, "start": start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--evtx")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plaso")
    parser.add_argument("--dissect")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="c2trail-benchmarks-"))
    folder.mkdir(exist_ok=True)
    try:
        for name in given.only.split(","):
            PARTS[name](folder, given)
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
