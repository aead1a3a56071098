"""The same logs in a folder, a zip and a tar.gz: what an archive costs, and that memory does not grow with it.

Usage: archives.py [MEGABYTES] [ROUNDS] [FOLDER]. One generated day of 100 MB stands in every archive as often as it takes.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from side_by_side import compare

HERE = Path(__file__).resolve().parent
DAY = 100


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp())
    day = folder / "day.log"
    if not day.exists():
        subprocess.run([sys.executable, HERE / "access_log_generator.py", day, "--mb", str(DAY)], check=True)
    days = max(1, megabytes // DAY)
    names = [f"logs/localhost_access_log.{number:04d}.txt" for number in range(days)]
    zipped, tarred, plain = folder / f"{days}.zip", folder / f"{days}.tar.gz", folder / f"{days}.log"
    if not zipped.exists():
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name in names:
                archive.write(day, name)
    if not tarred.exists():
        with tarfile.open(tarred, "w:gz", compresslevel=1) as archive:
            for name in names:
                archive.add(day, name)
    if not plain.exists():
        with plain.open("wb") as out:
            for _ in names:
                out.write(day.read_bytes())
    parse = [sys.executable, str(HERE / "parse_to_parquet.py")]
    commands = {f"{path.suffix[1:]} of {days} days": [*parse, str(path)] for path in (plain, zipped, tarred)}
    compare(commands, rounds=rounds, size=plain.stat().st_size)


if __name__ == "__main__":
    main()
