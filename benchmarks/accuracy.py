"""How often the analysis is right on invented servers: `python benchmarks/accuracy.py [SEEDS [FIRST]] [--only first|other] [--write]`.

Both generators are measured, or the one that `--only` names. `--write` puts the result into docs/accuracy.md. Failures go to
standard output, by cause.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "sample_logs")]

import other_servers.server  # noqa: E402
import scenarios.server  # noqa: E402
from scenarios.measure import Score, measure  # noqa: E402
from scenarios.told import failures, page  # noqa: E402

GENERATORS: Final = {"first": scenarios.server.draw, "other": other_servers.server.draw}


def one(name: str, seed: int) -> Score:
    with tempfile.TemporaryDirectory() as folder:
        return measure(GENERATORS[name](seed), Path(folder))


def main() -> None:
    numbers = [int(text) for text in sys.argv[1:] if text.isdigit()]
    count, first = [*numbers, *[50, 0][len(numbers) :]][:2]
    names = [name for name in GENERATORS if "--only" not in sys.argv or name == sys.argv[sys.argv.index("--only") + 1]]
    totals = {name: Score() for name in names}
    with ProcessPoolExecutor(2) as pool:
        for name, total in totals.items():
            for score in pool.map(partial(one, name), range(first, first + count)):
                total.add(score)
    text = page(totals, first, count)
    print(text)
    for name, total in totals.items():
        print(f"# {name}\n{failures(total)}")
    if "--write" in sys.argv:
        (ROOT / "docs" / "accuracy.md").write_text(text)


if __name__ == "__main__":
    main()
