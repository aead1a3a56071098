"""Write docs/drift.md: how many random routed addresses lie in another country in another year. Run: `python geo/drift.py`.

The same databases give the same page: the draw has a fixed seed, and nothing is read but the tables of this folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "drift.md"
DRAWN = 20_000
SEED = 2017
TODAY = {"geo-whois-asn": "geo-whois-asn", "ipfire": "IPFire", "dbip-lite": "DB-IP Lite"}

HEAD = f"""# How far countries drift

A database of today does not say where an address was on the day of an event. Here are {DRAWN:,} random addresses of the space that was
routed in June 2026, looked up in the embedded databases of several years (`python geo/drift.py` makes this page again, byte for byte).
An address counts where both databases know a country; it has moved where they name different ones.

"""
TAIL = """
How to read it. The rows and columns 2014 to 2019 are the last GeoLite2 build of each year: one vendor, so what differs has moved, or
was corrected. The columns of 2026 are other vendors (later GeoLite2 may not be shipped), and vendors differ on one day too: the small
tables say by how much, and only what goes beyond that is drift. By addresses, large home networks count most, and they stay; by networks,
one address of each network drawn alike, the small and rented ranges count, from which servers are run.
"""


def answers(path: Path, values: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return the countries of the addresses by (series, date) of a range table; '' is unknown."""
    with np.load(path, allow_pickle=False) as table:
        rows = np.searchsorted(table["start"], values, "right") - 1
        codes = table["codes"][table["table"][table["hist"][rows]]]
        keys = zip(table["series"].tolist(), table["date"].tolist(), strict=True)
        return {(series, str(day)): codes[:, place] for place, (series, day) in enumerate(keys)}


def drawn(chance: np.random.Generator, *, by_network: bool) -> np.ndarray:
    """Return random routed addresses, each address as likely as another, or each network."""
    with np.load(HERE / "asn-v4-2026-06.npz", allow_pickle=False) as table:
        start, routed = table["start"].astype(np.int64), table["asn"] != 0
    size = np.diff(start, append=1 << 32)
    start, size = start[routed], size[routed]
    if by_network:
        picked = chance.integers(0, len(start), DRAWN)
        return (start[picked] + chance.integers(0, size[picked])).astype(np.uint32)
    ends = np.cumsum(size)
    place = chance.integers(0, int(ends[-1]), DRAWN)
    row = np.searchsorted(ends, place, "right")
    return (start[row] + place - (ends[row] - size[row])).astype(np.uint32)


def columns(values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the countries by name of column: the last build of each year, then the opinions of 2026."""
    history = answers(HERE / "country-v4-geolite2-2014-2019.npz", values)
    years = {day[:4]: day for series, day in sorted(history) if series == "geolite2"}
    out = {f"GeoLite2 {day}": history["geolite2", day] for day in years.values()}
    now = answers(HERE / "country-v4-2026-06.npz", values) | answers(HERE / "country-v4-ipfire-2026-06.npz", values)
    return out | {f"{TODAY[series]} {day}": codes for (series, day), codes in sorted(now.items()) if series in TODAY}


def moved(one: np.ndarray, other: np.ndarray) -> str:
    """Return how many of the addresses that both know lie in different countries, and which share that is."""
    both = (one != "") & (other != "")
    count = int((both & (one != other)).sum())
    return f"{count:,} ({100 * count / int(both.sum()):.1f} %)"


def matrix(found: dict[str, np.ndarray], rows: list[str], names: list[str]) -> str:
    """Return a Markdown table of every row against every column that comes behind it."""
    order = list(found)
    lines = [f"| from \\ to | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for row in rows:
        cells = [moved(found[row], found[n]) if order.index(n) > order.index(row) else "" for n in names]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page."""
    chance: Any = np.random.Generator(np.random.PCG64(SEED))
    parts = []
    for title, by_network in (("addresses", False), ("networks", True)):
        found = columns(drawn(chance, by_network=by_network))
        then = [name for name in found if name.startswith("GeoLite2")]
        now = [name for name in found if name not in then]
        parts.append(f"## By {title}\n\n{matrix(found, then, [*then[1:], *now])}")
        parts.append(f"Vendors on one day, by {title}:\n\n{matrix(found, now[:-1], now[1:])}")
    return HEAD + "\n".join(parts) + TAIL


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
