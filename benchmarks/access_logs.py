"""Access logs side by side with GoAccess, awk and SHA-256 on one generated combined log.

Usage: access_logs.py [MEGABYTES] [ROUNDS] [FOLDER]. Needs the Debian packages goaccess and gawk or mawk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import compare

HERE = Path(__file__).resolve().parent


def main() -> None:
    megabytes = sys.argv[1] if len(sys.argv) > 1 else "1000"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp())
    log = folder / f"combined_{megabytes}.log"
    if not log.exists():
        generator = [
            sys.executable,
            HERE / "access_log_generator.py",
            log,
            "--mb",
            megabytes,
            "--seed",
            "3",
            "--format",
            "combined",
        ]
        subprocess.run(generator, check=True)
    commands = {
        "c2trail: hash, parse, ledger, Parquet": [sys.executable, str(HERE / "parse_to_parquet.py"), str(log)],
        "awk, count per address": ["awk", "{c[$1]++} END {print length(c)}", str(log)],
        "SHA-256": [sys.executable, "-c", f"import hashlib; hashlib.file_digest(open({str(log)!r}, 'rb'), 'sha256')"],
    }
    if shutil.which("goaccess"):
        json_out = str(folder / "goaccess.json")
        commands["GoAccess, JSON report"] = [
            "goaccess", str(log), "--log-format=COMBINED", "--no-global-config", "--no-progress", "-o", json_out,
        ]  # fmt: skip
    compare(commands, rounds=rounds, size=log.stat().st_size)


if __name__ == "__main__":
    main()
