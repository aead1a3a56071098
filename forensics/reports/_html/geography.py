"""The world map: a dot a country, for operators, victims and rare origins; nothing finer is claimed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from forensics.packaged import report_data
from forensics.reports._html.listing import Column, Known, Row, cell, cut, parts, rows_of
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

_COUNTRIES: Final = 260
_LINE: Final = 46
"""Height of a label on the map, in its units."""

_QUERY: Final = """
WITH placed AS (
  SELECT source_ip, country_iso_code, country_as_of, rare_grade, first_seen,
    CASE WHEN rare_grade IN ('A', 'B') THEN 'rare origin' WHEN role IN ('operator', 'relay') THEN 'operator' END AS what FROM sources
  UNION ALL SELECT v.source_ip, v.country_iso_code, v.country_as_of, NULL, v.first_seen, 'victim' FROM victims v)
SELECT what, country_iso_code, count(*) AS addresses, min(country_as_of) AS as_of, max(country_as_of) AS as_of_last,
  string_agg(source_ip, ';' ORDER BY first_seen, source_ip) AS source_ips
FROM placed WHERE what IS NOT NULL GROUP BY what, country_iso_code
ORDER BY CASE what WHEN 'rare origin' THEN 0 WHEN 'operator' THEN 1 ELSE 2 END, addresses DESC, country_iso_code
"""

_COLUMNS: Final = (
    Column("what", "What"),
    Column("country_iso_code", "Country", "country"),
    Column("addresses", "Addresses", "number"),
    Column("as_of", "placed as of", "day"),
    Column("as_of_last", "to", "day"),
    Column("source_ips", "Which", "address"),
)


@dataclass(frozen=True, slots=True)
class Dot:
    """A country on the map: what was there, how many addresses, where the dot and its label stand."""

    what: str
    name: str
    said: str
    x: int
    y: int
    radius: int
    label: str
    label_x: int
    label_y: int
    anchor: str


@dataclass(frozen=True, slots=True)
class Geography:
    """The map with its table. `outlines` are (SVG path, class); `unplaced` counts addresses without a place on it."""

    width: int
    height: int
    outlines: Sequence[tuple[str, str]]
    dots: Sequence[Dot]
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    unplaced: int


@cache
def _world() -> dict[str, Any]:
    world: dict[str, Any] = json.loads((report_data() / "world.json").read_bytes())
    return world


def countries() -> Mapping[str, str]:
    """Return the names of countries by their ISO code."""
    return {code: entry["name"] for code, entry in _world()["countries"].items()}


def geography(db: duckdb.DuckDBPyConnection, known: Known) -> Geography:
    """Return the map of a case."""
    world = _world()
    found = list(rows_of(db, _QUERY, 3 * _COUNTRIES))
    dots: list[Dot] = []
    unplaced = 0
    taken: list[tuple[int, int, int]] = []
    for row in found:
        place = world["countries"].get(row["country_iso_code"] or "")
        if place is None or "x" not in place:
            unplaced += row["addresses"]
        else:
            dots.append(_dot(row, place, taken))
    classes = {row["country_iso_code"]: row["what"] for row in reversed(found)}
    outlines = [
        (entry["outline"], classes.get(code, "").replace(" ", "-"))
        for code, entry in sorted(world["countries"].items())
        if "outline" in entry
    ]
    cells = [
        Row(tuple(cell(column, row[column.name], known) for column in _COLUMNS), row["what"] == "rare origin")
        for row in found
    ]
    # Victims lie under, the rare origin on top.
    return Geography(world["width"], world["height"], outlines, dots[::-1], _COLUMNS, cells, unplaced)


def _dot(row: Mapping[str, Any], place: Mapping[str, Any], taken: list[tuple[int, int, int]]) -> Dot:
    """Place a dot; operators and rare origins get a label where no other label stands."""
    x, y, number, what = place["x"], place["y"], row["addresses"], row["what"]
    radius = min(34, round(9 + 3.2 * (number - 1) ** 0.5))
    dates = " to ".join(dict.fromkeys(str(day) for day in (row["as_of"], row["as_of_last"]) if day))
    addresses = counted(number, what if what == "rare origin" else f"{what} address")
    said = f"{place['name']}: {addresses}, placed as of {dates or 'no date'}"
    if what == "victim":
        return Dot(what, place["name"], said, x, y, radius, "", 0, 0, "start")
    label = place["name"] if number == 1 else f"{place['name']} ({number:,})"
    if what == "rare origin":
        label = f"{label}: {cut(parts(row['source_ips'], ';')[0], 60)}"
    length = round(len(label) * 17)
    east = x + radius + 14 + length < 2000
    start = x + radius + 14 if east else x - radius - 14 - length
    for shift in (0, _LINE, -_LINE, 2 * _LINE, -2 * _LINE, 3 * _LINE, -3 * _LINE, 4 * _LINE):
        line = y + shift
        if all(abs(line - ly) >= _LINE - 6 or start > right or start + length < left for left, right, ly in taken):
            break
    taken.append((start, start + length, line))
    return Dot(
        what,
        place["name"],
        said,
        x,
        y,
        radius,
        label,
        start if east else start + length,
        line,
        "start" if east else "end",
    )
