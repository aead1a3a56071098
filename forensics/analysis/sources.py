"""Source addresses: what each was to the server, where it lay when it was first seen, and why we say so."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from forensics.analysis._behaviour import behaviour
from forensics.analysis._roles import Context, role_of
from forensics.analysis._words import MANY_FAILURES, because
from forensics.model import Rule
from forensics.schemas import SOURCES, table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    seen = list(behaviour(db))
    places = _places(db)
    context = _context(seen)
    return table([_row(row, places.get(row["source_ip"], {}), context) for row in seen], SOURCES)


def _context(seen: list[dict[str, Any]]) -> Context:
    clients = [
        r
        for r in seen
        if r["c2_posts"] and not r["sessions"] and not r["loopback"] and not r["panel"] and not r["managed"]
    ]
    regular = [r for r in clients if r["c2_posts"] > 3]
    first = min((r["c2_first"] for r in regular), default=None)
    return Context(first, statistics.median([r["c2_bytes"] / r["c2"] for r in clients]) if clients else 0.0)


def _places(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Any]]:
    """Where each address lay on the first day it was seen; a rare origin on any day is kept."""
    rows = db.sql("""
        SELECT source_ip, arg_min(country_iso_code, day) AS country_iso_code, arg_min(country_as_of, day) AS country_as_of,
               arg_min(country_says, day) AS country_says, arg_min(as_number, day) AS as_number,
               arg_min(as_organization_name, day) AS as_organization_name, arg_min(anonymity, day) AS anonymity,
               min(rare_origin) AS rare_origin, min(rare_grade) AS rare_grade, arg_min(flags, day) AS flags,
               count(DISTINCT country_iso_code) AS countries
        FROM addresses GROUP BY source_ip ORDER BY source_ip""").to_arrow_table()
    return {row["source_ip"]: row for row in rows.to_pylist()}


def _rarity(place: dict[str, Any]) -> dict[str, Any]:
    return {name: place.get(name) for name in ("rare_origin", "rare_grade")}


def _row(row: dict[str, Any], place: dict[str, Any], context: Context) -> dict[str, Any]:
    role, confidence, reasons = role_of({**row, **_rarity(place)}, context)
    flags = set((place.get("flags") or "").split(";")) - {""}
    if place.get("countries", 0) > 1:
        flags.add("country_changed")
    if row["sessions"] and row["refused"] >= MANY_FAILURES:
        flags.add("success_after_guessing")
    return {
        **{name: place.get(name) for name in SOURCES.names},
        "source_ip": row["source_ip"],
        "role": role,
        "role_confidence": confidence,
        "because": because(reasons),
        "first_seen": row["first_seen"],
        "last_seen": row["last_seen"],
        "rdp_sessions": row["sessions"],
        "rdp_failures": row["refused"],
        "http_requests": row["requests"],
        "flags": ";".join(sorted(flags)) or None,
    }


RULE = Rule("sources", "Who came, from where, as what", ("events", "addresses", "sessions", "endpoints"), SOURCES, _run)
