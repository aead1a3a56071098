"""The first screen: whose server, the contact that must not drown, ten sentences, the numbers, the ledger line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from forensics.reports._html.listing import Cell, Column, Known, cell, cut, rows_of
from forensics.text import counted, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

_FINDINGS: Final = 40
_SENTENCE: Final = Column("sentence", "", "sentence")
_BECAUSE: Final = Column("because", "", "reasons")

GRADES: Final = {
    "A": "held by that country in the registry",
    "B": "assigned to it by documents that name the dates",
    "C": "use reported by others; not taken for a country",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of the opening with its confidence and proof."""

    kind: str
    sentence: Cell
    confidence: str
    because: Cell


@dataclass(frozen=True, slots=True)
class Rare:
    """A rare origin as the first screen names it."""

    address: str
    country: str
    holder: str
    grade: str
    meaning: str
    first_seen: Cell
    last_seen: Cell
    acts: str
    role: str
    says: str
    """Which databases place it where, of which dates: where they disagree, all stand."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the case, with its name and what it is part of."""

    value: str
    name: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Opening:
    """All that the first screen says."""

    hosts: str
    first: Cell
    last: Cell
    rare: Sequence[Rare]
    rare_beyond: int
    findings: Sequence[Finding]
    limits: Sequence[Finding]
    figures: Sequence[Figure]
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of every byte."""

    files: str
    size: str
    events: str
    events_share: str
    rejects: str
    rejects_share: str
    skips: str
    skips_share: str


def one(db: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    """Return the single row of a query."""
    found: dict[str, Any] = db.sql(query).to_arrow_table().to_pylist()[0]
    return found


def opening(db: duckdb.DuckDBPyConnection, known: Known) -> Opening:
    """Return what the first screen says of a case."""
    findings = [
        Finding(
            row["kind"],
            cell(_SENTENCE, row["sentence"], known),
            cut(row["confidence"] or ""),
            cell(_BECAUSE, row["because"], known),
        )
        for row in rows_of(db, "SELECT * FROM findings ORDER BY rank", _FINDINGS)
    ]
    period = one(db, "SELECT min(first_seen) AS a, max(last_seen) AS b FROM coverage")
    rare = _rare(db, known)
    return Opening(
        _hosts(db),
        cell(_SENTENCE, period["a"], known),
        cell(_SENTENCE, period["b"], known),
        rare[:5],
        max(0, len(known.rare) - 5),
        [f for f in findings if f.kind != "limit"],
        [f for f in findings if f.kind == "limit"],
        _figures(db),
        _ledger(db),
    )


def _hosts(db: duckdb.DuckDBPyConnection) -> str:
    query = "SELECT DISTINCT host_name FROM coverage WHERE host_name <> '' ORDER BY host_name"
    names = [row["host_name"] for row in rows_of(db, query, 4)]
    return cut(", ".join(names[:3]) + (" and others" if len(names) > 3 else ""), 200)


def _rare(db: duckdb.DuckDBPyConnection, known: Known) -> list[Rare]:
    """Return the rare origins, those that did something first."""
    query = (
        "SELECT * FROM sources WHERE rare_grade <> '' "
        "ORDER BY rdp_sessions = 0, rare_grade, http_requests = 0, first_seen, source_ip"
    )
    out = []
    for row in rows_of(db, query, 5):
        sessions, requests, failures = row["rdp_sessions"] or 0, row["http_requests"] or 0, row["rdp_failures"] or 0
        acts = [
            counted(number, name)
            for number, name in ((sessions, "RDP session"), (requests, "web request"), (failures, "refused RDP logon"))
            if number
        ]
        code, grade = row["country_iso_code"] or "", row["rare_grade"]
        # A grade C is reported use: the page names the report, never a country.
        country = "" if grade == "C" else cut(known.countries.get(code, code))
        out.append(
            Rare(
                cut(row["source_ip"]),
                country,
                cut(row["rare_origin"] or ""),
                grade,
                GRADES.get(grade, ""),
                cell(_SENTENCE, row["first_seen"], known),
                cell(_SENTENCE, row["last_seen"], known),
                ", ".join(acts) or "bare connections",
                cut(row["role"] or ""),
                cut(row["country_says"] or ""),
            )
        )
    return out


def _figures(db: duckdb.DuckDBPyConnection) -> list[Figure]:
    row = one(
        db,
        "SELECT (SELECT count(*) FROM sessions) AS sessions, "
        "(SELECT sum(duration_s) FROM sessions) AS seconds, "
        "count(*) FILTER (role = 'operator') AS operators, "
        "count(DISTINCT country_iso_code) FILTER (role = 'operator') AS operator_countries, "
        "(SELECT count(*) FROM victims) AS victims, "
        "(SELECT count(DISTINCT country_iso_code) FROM victims) AS victim_countries, "
        "count(*) AS sources, count(*) FILTER (rare_grade <> '') AS rare FROM sources",
    )
    hours = int(row["seconds"] or 0) / 3600
    return [
        _figure(row["rare"], "rare origin", "graded A to C"),
        _figure(row["sessions"], "RDP session", f"{hours:,.1f} hours in all" if row["seconds"] else ""),
        _figure(row["operators"], "operator address", _countries(row["operator_countries"])),
        _figure(row["victims"], "victim address", _countries(row["victim_countries"])),
        _figure(row["sources"], "source address", "in all"),
    ]


def _figure(number: int, name: str, more: str) -> Figure:
    return Figure(f"{number:,}", plural(number, name), more if number else "")


def _countries(number: int) -> str:
    return f"in {counted(number, 'country')}"


def _ledger(db: duckdb.DuckDBPyConnection) -> Ledger:
    files = one(db, "SELECT count(*) AS n FROM evidence")["n"]
    found = {
        row["outcome"]: (int(row["records"] or 0), int(row["bytes"] or 0))
        for row in rows_of(
            db,
            "SELECT outcome, sum(records)::BIGINT AS records, sum(bytes)::BIGINT AS bytes FROM ledger GROUP BY outcome",
            10,
        )
    }
    size = sum(n for _, n in found.values())
    said = []
    for outcome in ("event", "reject", "skip"):
        records, part = found.get(outcome, (0, 0))
        share = f"{100 * part / size:.1f} %" if size else "0 %"
        said += [
            counted(records, outcome),
            "under 0.1 %" if part and share == "0.0 %" else share,
        ]
    return Ledger(f"{files:,}", f"{size:,}", *said)
