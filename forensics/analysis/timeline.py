"""The operator timeline: one row an act, noise one row a day, a rare origin never folded into anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.analysis import _acts, _server_acts
from forensics.model import Rule
from forensics.schemas import TIMELINE, table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    rows = [*_acts.rdp(db), *_acts.web(db), *_acts.server(db), *_server_acts.server_log(db), *_acts.clients(db)]
    rows += [*_acts.reported(db), *_acts.noise(db)]
    _mark(rows, _acts.milestones(db))
    places = _acts.places(db, rows)
    rows = [_placed(row, places) for row in rows]
    rows.sort(key=lambda r: (r["time"], r.get("locator") or "", r["act"], r.get("source_ip") or ""))
    return table(rows, TIMELINE)


def _placed(row: dict[str, Any], places: dict[tuple[str, Any], dict[str, Any]]) -> dict[str, Any]:
    place = places.get((row.get("source_ip") or "", row["time"].date()), {})
    words = [*_words(place.get("anonymity")), *(f for f in (place.get("flags") or "").split(";") if f)]
    return {
        **row,
        "role": row.get("role") or place.get("role"),
        "country_iso_code": place.get("country_iso_code"),
        "as_organization_name": place.get("as_organization_name"),
        "origin_flags": ";".join(dict.fromkeys(words)) or None,
        "rare_origin": place.get("rare_origin"),
        "rare_grade": place.get("rare_grade"),
    }


def _words(anonymity: str | None) -> list[str]:
    """The reasons' words alone, of those that held on the day: `hosting: OVH, list of …` is `hosting`."""
    parts = [part for part in (anonymity or "").split("; ") if ":" in part and not part.endswith("on the day")]
    return list(dict.fromkeys(part.partition(":")[0] for part in parts))


def _mark(rows: list[dict[str, Any]], milestones: list[dict[str, Any]]) -> None:
    """Put each milestone on the row that it rests on; one whose act has no row gets a row of its own."""
    by_locator: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_locator.setdefault(row.get("locator") or "", row)
    for stone in milestones:
        first = (stone["locators"] or "").split(";")[0]
        known = by_locator.get(first)
        if known is not None and known["time"] == stone["time"]:
            row = known
        else:
            row = {
                "time": stone["time"],
                "act": "milestone",
                "message": stone["detail"],
                "source_ip": stone["source_ip"],
                "count": 1,
                "locator": first or None,
            }
            rows.append(row)
            by_locator.setdefault(first, row)
        row["milestone"] = ";".join(filter(None, [row.get("milestone"), stone["milestone"]]))


RULE = Rule(
    "timeline",
    "The operator's acts in order",
    ("events", "addresses", "sessions", "session_events", "endpoints", "sources", "milestones"),
    TIMELINE,
    _run,
)
