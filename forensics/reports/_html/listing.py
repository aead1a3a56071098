"""Tables of the case as tables of a page: bounded in rows and bytes, each value in the form its column asks for.

Text is cut here and made visible by the page, once; nothing in this module is markup.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import iso, microseconds
from forensics.limits import MAX_FIELD_SHOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import duckdb

MAX_ROWS: Final = 2_000
"""Rows of one table in the page; a browser lays out a few thousand at once. All of them stand in the CSV beside it."""

MAX_BYTES: Final = 640_000
"""What one table may take of the page, so that all tables together leave room for the timeline."""

_ROW: Final = 30
_MARKUP: Final = 60
"""Bytes of markup around a cell or one of its items, at most; a time is written twice."""

MAX_REASONS: Final = 6
MAX_LOCATORS: Final = 8
MAX_SENTENCE: Final = 2_000
"""Sentences are the tool's own and name what they found: three or four paths of a client's choosing may stand in one."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a case's table: what it is called on the page and how its values are shown.

    `kind` is text, code, number, time, day, address (or several, joined by `;`), tie (an address or something else),
    other (an address that is not the row's own), country, confidence, word (of the tool's own), sentence, reasons, locators, list (joined by `;`) or words.
    """

    name: str
    title: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of the page: which rows of the case, in which order, and the file that has all of them."""

    name: str
    caption: str
    query: str
    columns: tuple[Column, ...]
    file: str
    none: str = "None in these logs."


@dataclass(frozen=True, slots=True)
class Cell:
    """One value, ready for the page: `text` and, by kind, what else belongs to it."""

    kind: str
    text: str = ""
    exact: str = ""
    """The whole instant as ISO 8601, where `text` has it to the second."""
    items: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row; `rare` when one of its addresses is a rare origin."""

    cells: tuple[Cell, ...]
    rare: bool


@dataclass(slots=True)
class Filled:
    """A listing with its rows; `total` counts those of the case."""

    listing: Listing
    rows: list[Row] = field(default_factory=list)
    total: int = 0
    size: int = 0
    """About how many bytes of the file the rows take, rather more than less."""

    @property
    def left(self) -> int:
        """How many rows stand in the listing's file only."""
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Known:
    """What cells need beside their row: names of countries, and the rare origins of the case by grade."""

    countries: Mapping[str, str]
    rare: Mapping[str, str]


def rows_of(db: duckdb.DuckDBPyConnection, query: str, limit: int) -> Iterator[dict[str, Any]]:
    """Yield at most `limit` rows of a query of this package's own words, in its order."""
    for batch in db.sql(f"{query} LIMIT {limit}").to_arrow_reader(1_000):
        yield from batch.to_pylist()


def count(db: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return how many rows a query has."""
    return int(db.sql(f"SELECT count(*) AS n FROM ({query})").to_arrow_table()["n"][0].as_py())


def fill(db: duckdb.DuckDBPyConnection, listing: Listing, known: Known) -> Filled:
    """Return a listing with the first rows of its order, as many as the page has room for."""
    filled = Filled(listing, total=count(db, listing.query))
    for values in rows_of(db, listing.query, MAX_ROWS):
        cells = tuple(cell(column, values.get(column.name), known) for column in listing.columns)
        size = _ROW + sum(weight(one) for one in cells)
        if filled.size + size > MAX_BYTES:
            break
        filled.size += size
        filled.rows.append(Row(cells, is_rare(values, listing.columns, known.rare)))
    return filled


def is_rare(values: Mapping[str, Any], columns: Sequence[Column], rare: Collection[str]) -> bool:
    """Say whether one of a row's addresses is a rare origin."""
    named = [(column.kind, values.get(column.name) or "") for column in columns if column.kind in {"address", "tie"}]
    return any(one in rare for kind, text in named for one in (text.split(";") if kind == "address" else [text]))


def weight(one: Cell) -> int:
    """Return about how many bytes a cell takes in the file; a hostile character takes ten when it is spelt out."""
    text = one.text
    own = len(text) if text.isascii() and text.isprintable() else 10 * len(text)
    return _MARKUP + own + 5 * sum(map(text.count, "&<>\"'")) + sum(weight(item) for item in one.items)


def cell(column: Column, value: object, known: Known) -> Cell:
    """Return one value as its column shows it."""
    if value is None or value == "":
        return Cell("empty")
    if isinstance(value, str):
        return _text_cell(column.kind, value, known)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, bool):
        return Cell("word", "yes" if value else "no")
    if isinstance(value, int):
        return Cell("number", f"{value:,}")
    if isinstance(value, float):
        return Cell("number", f"{value:,.3f}".rstrip("0").rstrip("."))
    return Cell("word", value.isoformat() if isinstance(value, date) else cut(str(value)))


def _text_cell(kind: str, text: str, known: Known) -> Cell:
    match kind:
        case "reasons":
            return Cell(kind, items=tuple(reasons(text)))
        case "locators":
            return Cell(kind, items=tuple(locators(text.split(";"))))
        case "address":
            return Cell("addresses", items=tuple(address(one, known.rare) for one in parts(text, ";")))
        case "tie" | "other":
            return address(text, known.rare)
        case "country":
            return Cell(kind, cut(text), exact=known.countries.get(text, ""))
        case "list":
            return Cell("text", cut(", ".join(parts(text, ";"))))
        case "words":
            return Cell("text", cut(text.replace("_", " ").replace(";", ", ")))
        case _:
            return Cell(kind, cut(text, MAX_SENTENCE if kind == "sentence" else MAX_FIELD_SHOWN))


def cut(text: str, limit: int = MAX_FIELD_SHOWN) -> str:
    """Return `text` with at most `limit` characters; what was cut is counted."""
    return text if len(text) <= limit else f"{text[:limit]}…(+{len(text) - limit})"


def parts(text: str, mark: str) -> list[str]:
    """Return the parts of a joined value, the ones beyond a dozen counted in the last."""
    found = text.split(mark)
    return found if len(found) <= 12 else [*found[:12], f"and {len(found) - 12:,} more"]


def address(text: str, rare: Mapping[str, str]) -> Cell:
    """Return an address; a rare origin carries its grade."""
    return Cell("rare" if text in rare else "code", cut(text), exact=rare.get(text, ""))


def instant(when: datetime) -> Cell:
    """Return an instant to the second, with the whole of it beside."""
    exact = iso(microseconds(when))
    return Cell("time", f"{exact[:10]} {exact[11:19]}Z", exact=exact)


def reasons(text: str) -> Iterator[Cell]:
    """Yield the sentences of a `because` column, the weightiest first, each with its rows."""
    found = sorted(json.loads(text), key=lambda one: -float(one.get("weight") or 0))
    for one in found[:MAX_REASONS]:
        places = tuple(locators(one.get("locators") or ()))
        yield Cell("reason", cut(one["sentence"], MAX_SENTENCE), exact=str(one.get("weight") or ""), items=places)
    if len(found) > MAX_REASONS:
        yield Cell("reason", f"and {len(found) - MAX_REASONS} more")


def locators(found: Sequence[str]) -> Iterator[Cell]:
    """Yield places in evidence, those beyond the first few counted."""
    for one in found[:MAX_LOCATORS]:
        yield Cell("code", cut(one))
    if len(found) > MAX_LOCATORS:
        yield Cell("text", f"and {len(found) - MAX_LOCATORS:,} more")
