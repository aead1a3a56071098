"""Hours of the week as a table of counts, with the hours of the candidate zones beside those of UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.reports._html.listing import cut, rows_of
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_STEPS: Final = 5
_ZONES: Final = 3


@dataclass(frozen=True, slots=True)
class Heat:
    """Acts by weekday and hour. `days` are (name, [(acts, step 0 to 5)]); `zones` are (offset, said of it, local hours)."""

    days: Sequence[tuple[str, Sequence[tuple[int, int]]]]
    zones: Sequence[tuple[str, str, Sequence[str]]]
    acts: int


def heat(db: duckdb.DuckDBPyConnection) -> Heat | None:
    """Return the week of the operators; None if no act is known."""
    counts = {(row["weekday"], row["hour"]): int(row["acts"]) for row in rows_of(db, "SELECT * FROM hours", 168)}
    most = max(counts.values(), default=0)
    if not most:
        return None
    days = [
        (name, [(n, -(-n * _STEPS // most)) for n in (counts.get((number, hour), 0) for hour in range(24))])
        for number, name in enumerate(DAYS, 1)
    ]
    query = (
        'SELECT "offset", offset_minutes, fit, client_sessions FROM zones WHERE clock IS NULL AND (candidate OR client_sessions > 0) '
        "ORDER BY client_sessions = 0, fit DESC, offset_minutes"
    )
    zones = []
    for row in rows_of(db, query, _ZONES):
        said = f"fit {row['fit']:.2f}"
        if row["client_sessions"]:
            said += f", clock of the client in {counted(row['client_sessions'], 'session')}"
        zones.append(
            (cut(f"UTC{row['offset']}", 20), said, [_local(hour, row["offset_minutes"]) for hour in range(24)])
        )
    return Heat(days, zones, sum(counts.values()))


def _local(hour: int, offset: int) -> str:
    """Return which local hour begins with an hour of UTC; with its minutes where the zone is not of whole hours."""
    hours, minutes = divmod((hour * 60 + offset) % 1440, 60)
    return f"{hours:02d}" if not minutes else f"{hours:02d}:{minutes:02d}"
