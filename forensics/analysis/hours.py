"""Working hours: at which hour of which weekday, in UTC, operators did something themselves."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from forensics.analysis._human import slots
from forensics.answers import HOURS
from forensics.model import Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from datetime import date

    import duckdb
    import pyarrow as pa


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    acts: dict[tuple[int, int], int] = defaultdict(int)
    days: dict[tuple[int, int], set[date]] = defaultdict(set)
    for slot, _ in slots(db):
        key = slot.isoweekday(), slot.hour
        acts[key] += 1
        days[key].add(slot.date())
    if not acts:
        return table([], HOURS)
    rows = [
        {"weekday": weekday, "hour": hour, "acts": acts[weekday, hour], "days": len(days[weekday, hour])}
        for weekday in range(1, 8)
        for hour in range(24)
    ]
    return table(rows, HOURS)


RULE = Rule(
    "hours",
    "When operators were at work, by weekday and hour (UTC)",
    ("events", "sessions", "session_events", "endpoints", "sources"),
    HOURS,
    _run,
)
