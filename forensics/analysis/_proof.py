"""Rows of milestones and the records that prove them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import LOCATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

Row = dict[str, Any]

_KEPT: Final = 6
"""Proofs that a row names; more of the same add nothing."""


def query(db: duckdb.DuckDBPyConnection, select: str) -> list[Row]:
    """Return the rows of a query."""
    rows: list[Row] = db.sql(select).to_arrow_table().to_pylist()
    return rows


def events(db: duckdb.DuckDBPyConnection, where: str, limit: int = 1) -> list[Row]:
    """Return the first events that `where` chooses, each with its `locator`."""
    order = "ORDER BY time, evidence_id, log_offset"
    return query(
        db, f"SELECT *, {LOCATOR} AS locator FROM events WHERE {where} AND time IS NOT NULL {order} LIMIT {limit}"
    )


def proved(event: Row, detail: str, confidence: str, further: Iterable[Row] = ()) -> Row:
    """Return a milestone that rests on `event`, and on further records that say the same."""
    locators = dict.fromkeys(one["locator"] for one in (event, *further))
    return {
        "time": event["time"],
        "source_ip": event.get("source_ip"),
        "detail": detail,
        "confidence": confidence,
        "locators": ";".join(list(locators)[:_KEPT]),
    }
