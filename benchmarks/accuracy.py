"""How often the analysis is right on invented servers: `python benchmarks/accuracy.py [SEEDS [FIRST]] [--write]`.

`--write` puts the result into docs/accuracy.md. Failures go to standard output, by cause.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "sample_logs")]

from scenarios.measure import Score, measure  # noqa: E402
from scenarios.server import draw  # noqa: E402
from scenarios.told import failures, page  # noqa: E402


def one(seed: int) -> Score:
    with tempfile.TemporaryDirectory() as folder:
        return measure(draw(seed), Path(folder))


def main() -> None:
    numbers = [int(text) for text in sys.argv[1:] if text.isdigit()]
    count, first = [*numbers, *[50, 0][len(numbers) :]][:2]
    total = Score()
    with ProcessPoolExecutor(2) as pool:
        for score in pool.map(one, range(first, first + count)):
            total.add(score)
    text = page(total, first, count)
    print(text)
    print(failures(total))
    if "--write" in sys.argv:
        (ROOT / "docs" / "accuracy.md").write_text(text)


if __name__ == "__main__":
    main()
