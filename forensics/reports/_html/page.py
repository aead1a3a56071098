"""The page as a whole: the case's facts into the templates, scripts and styles by their hashes, the same bytes for the same case.

Jinja with autoescape fills the templates: markup stays in files that a reviewer can read as HTML, and `_spelt` stands
between every value and the page, so that no place in a template can forget to make evidence visible and to escape it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from forensics.packaged import report_data
from forensics.reports._html.acts import MAX_PAGE_BYTES, Acts, static_rows
from forensics.reports._html.drawing import drawing, window
from forensics.reports._html.geography import countries, geography
from forensics.reports._html.heat import heat
from forensics.reports._html.listing import Column, Known, Listing, cut, fill, rows_of
from forensics.reports._html.opening import GRADES, opening
from forensics.reports._html.sections import LISTINGS
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_HERE: Final = Path(__file__).resolve().parent
_RARE: Final = 10_000
"""Rare origins that are marked wherever they stand; a case has a handful."""

_FRAME: Final = 3_000_000
"""Scripts, styles, outlines, the opening, the still drawing with its sessions: at most this."""

LIBRARIES: Final = (
    "d3-array",
    "d3-color",
    "d3-format",
    "d3-interpolate",
    "d3-time",
    "d3-time-format",
    "d3-scale",
    "d3-dispatch",
    "d3-selection",
    "d3-drag",
    "d3-ease",
    "d3-timer",
    "d3-transition",
    "d3-zoom",
)
"""In the order in which they must be loaded."""

OWN: Final = ("page", "acts", "lanes", "timeline", "table")

_TIMELINE: Final = Listing(
    "acts",
    "The operator's acts, the milestones and every act of a rare origin",
    static_rows(),
    (
        Column("time", "Time", "time"),
        Column("session_uid", "Session", "code"),
        Column("source_ip", "Address", "address"),
        Column("country_iso_code", "Country", "country"),
        Column("role", "Role", "word"),
        Column("message", "Act", "sentence"),
        Column("milestone", "Milestone", "words"),
        Column("count", "Times", "number"),
        Column("flags", "Marks", "words"),
        Column("locator", "Row", "locators"),
    ),
    "timeline.csv",
    "No act of an operator is in these logs.",
)


def write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    """Yield the bytes of report.html."""
    for piece in _template().generate(_facts(db)):
        yield piece.encode("utf-8")


def _template() -> Any:  # noqa: ANN401  # jinja2.Template
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        finalize=_spelt,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("report.html")


def _spelt(value: object) -> object:
    """Return a value as the page may show it: every text made visible; what is markup already is the templates' own."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _facts(db: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    rare = rows_of(db, "SELECT source_ip, rare_grade FROM sources WHERE rare_grade <> '' ORDER BY source_ip", _RARE)
    known = Known(countries(), {row["source_ip"]: row["rare_grade"] for row in rare})
    first = window(db)
    listed = {listing.name: fill(db, listing, known) for listing in (*LISTINGS, _TIMELINE)}
    run = {
        (row["kind"], row["name"]): row["value"]
        for row in rows_of(db, "SELECT * FROM run WHERE kind <> 'failed'", 1_000)
    }
    acts = Acts(db, MAX_PAGE_BYTES - _FRAME - sum(filled.size for filled in listed.values()))
    scripts, style = _scripts(), _read(_HERE / "assets" / "report.css")
    return {
        "policy": _policy([text for _, text in scripts], style),
        "style": Markup(style),  # noqa: S704  # files of this package, never evidence
        "scripts": [(name, Markup(text)) for name, text in scripts],  # noqa: S704
        "version": cut(run.get(("tool", "c2trail"), "")),
        "opening": opening(db, known),
        "grades": GRADES,
        "listed": listed,
        "drawing": drawing(db, known, first) if first else None,
        "acts": acts,
        "act_json": (Markup(piece) for piece in acts.json(db, known, first)),  # noqa: S704  # ASCII without <, > and &
        "map": geography(db, known),
        "heat": heat(db),
        "credits": [
            cut(row["attribution"] or "")
            for row in rows_of(db, "SELECT DISTINCT attribution FROM witnesses ORDER BY 1", 100)
        ],
        "licences": _read(report_data() / "vendor" / "LICENSES.txt").splitlines(),
    }


def _scripts() -> list[tuple[str, str]]:
    """Return every script of the page with its name, in the order in which they run."""
    vendor, own = report_data() / "vendor", _HERE / "assets"
    return [
        *((name, _read(vendor / f"{name}.min.js")) for name in LIBRARIES),
        *((f"c2trail {name}", _read(own / f"{name}.js")) for name in OWN),
    ]


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _policy(scripts: list[str], style: str) -> str:
    """Return the Content-Security-Policy: these scripts, this style, and nothing from anywhere."""
    hashes = " ".join(_hash(text) for text in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'; trusted-types; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
