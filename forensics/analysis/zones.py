"""Time zones that the operators' hours would fit: several candidates with their fit, and what speaks for or against each.

Offsets are tried in half-hour steps against a plain working day (method of PwC's APT10 and FireEye's APT1 reports). Hours can
be kept on purpose, and every offset has several countries: no row is a verdict on a country.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._clock_zones import NAMED, holidays_of, offset_minutes, zones_at
from forensics.analysis._human import slots
from forensics.analysis._words import because, reason
from forensics.answers import ZONES
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

_OFFSETS: Final = range(-12 * 60, 14 * 60 + 1, 30)
_NIGHT, _EARLY, _EDGE, _WORK, _LUNCH, _EVENING = -1.0, 0.0, 0.7, 1.0, 0.4, 0.3
_TEMPLATE: Final = (
    *[_NIGHT] * 7, _EARLY, _EDGE, *[_WORK] * 3, _LUNCH, *[_WORK] * 5, _EDGE, *[_EVENING] * 3, _EARLY, _EARLY,
)  # fmt: skip
"""How well an act at each local hour fits a working day with a lunch break."""
_WORKING: Final = frozenset({9, 10, 11, 13, 14, 15, 16, 17})
_NEAR: Final = 0.08
"""Offsets whose fit is this near to the best are candidates too: half an hour changes few acts."""
_FEW_DAYS: Final = 5
_MANY_DAYS: Final = 20
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    acts = slots(db)
    if not acts:
        return table([], ZONES)
    said = _said_by_clients(db)
    proof = _proof(db)
    rows = [_offset(acts, minutes, said, proof) for minutes in _OFFSETS]
    best = max(row["fit"] for row in rows)
    clocks = _clock_changes(acts)
    for row in rows:
        row["candidate"] = row["fit"] >= best - _NEAR
        reasons = row.pop("reasons")
        if row["candidate"] and clocks:
            reasons.append(reason(clocks, 3, []))
        row["because"] = because(reasons)
    rows.sort(key=lambda row: (-row["fit"], row["offset_minutes"]))
    return table(rows, ZONES)


def _said_by_clients(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = db.sql(
        "SELECT client_zone, count(*) AS sessions FROM sessions WHERE client_zone IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )
    return {row["client_zone"]: row["sessions"] for row in found.to_arrow_table().to_pylist()}


def _proof(db: duckdb.DuckDBPyConnection) -> list[str]:
    found = db.sql("""SELECT x.evidence_id || ':' || x.log_offset || '+' || e.log_length AS locator FROM session_events x
        JOIN events e ON e.evidence_id = x.evidence_id AND e.log_offset = x.log_offset
        WHERE x.relation = 'rdp' AND e.event_action = 'rdp_client_info' AND e.client_zone IS NOT NULL ORDER BY 1 LIMIT 5""")
    listed: list[str] = found.to_arrow_table().column("locator").to_pylist()
    return listed


def _offset(acts: list[datetime], minutes: int, said: dict[str, int], proof: list[str]) -> dict[str, Any]:
    local = [act + timedelta(minutes=minutes) for act in acts]
    count = len(local)
    days = sorted({act.date() for act in local})
    work = sum(act.hour in _WORKING for act in local) / count
    night = sum(act.hour < 7 for act in local) / count
    fit = round(sum(_TEMPLATE[act.hour] for act in local) / count, 3)
    text = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    rest = _rest_days(days)
    reasons = [
        reason(f"{work:.0%} of {count} acts fall between 9 and 18 o'clock without lunch, {night:.0%} before 7", 6),
        reason(f"{len(days)} active days between {days[0]} and {days[-1]}", 4),
    ]
    if len(days) < _FEW_DAYS:
        reasons.append(reason(f"{len(days)} active days are too few for a habit", 5))
    if rest:
        reasons.append(reason(f"no act on any {', '.join(rest)}", 4))
    if text in said:
        reasons.append(
            reason(f"the client's clock stood at this offset in {said[text]} sessions, by its own word", 5, proof)
        )
    elif said:
        others = ", ".join(sorted(said))
        reasons.append(reason(f"the clients' clocks stood at {others}, not here", 3, proof))
    zones = zones_at(minutes, acts[count // 2])
    reasons += _calendars(zones, days)
    return {
        "offset": text,
        "offset_minutes": minutes,
        "fit": fit,
        "work_share": round(work, 3),
        "night_share": round(night, 3),
        "lunch_dip": _lunch_dip(local) if len(days) >= _FEW_DAYS else None,
        "rest_days": ";".join(rest) or None,
        "active_days": len(days),
        "acts": count,
        "zones": ";".join(zones) or None,
        "client_sessions": said.get(text, 0),
        "confidence": CONFIDENCES[1] if len(days) >= _MANY_DAYS and fit > 0.5 else CONFIDENCES[2],
        "reasons": reasons,
    }


def _rest_days(days: list[date]) -> list[str]:
    """Return the weekdays without any act, of which the time looked at holds two at least."""
    span = (days[-1] - days[0]).days + 1
    if span < 14:
        return []
    active = {day.weekday() for day in days}
    return [name for number, name in enumerate(_WEEKDAYS) if number not in active]


def _lunch_dip(local: list[datetime]) -> float | None:
    """Return by how much fewer acts the hour from 12 has than its neighbours on average: 1 none at all, 0 as many."""
    around = sum(act.hour in (11, 13) for act in local) / 2
    noon = sum(act.hour == 12 for act in local)
    return round(1 - noon / around, 3) if around else None


def _calendars(zones: list[str], days: list[date]) -> Iterator[dict[str, Any]]:
    """Compare the active days with holidays and Sundays, as a check and no more."""
    sundays = sum(day.weekday() == 6 for day in days)
    for name in zones:
        country = NAMED[name]
        listed = holidays_of(country, days[0], days[-1]) if country else set()
        if listed:
            busy = len(listed & set(days))
            also = f", and on {sundays} Sundays (its week has six working days)" if country == "KP" else ""
            yield reason(f"{name}: at work on {busy} of {len(listed)} public holidays of {country}{also}", 2)


def _clock_changes(acts: list[datetime]) -> str | None:
    """Say whether the hours moved with the clocks of Europe, where the acts span a change with days enough on both sides."""
    paris = [offset_minutes("Europe/Paris", act) for act in acts]
    summer = [act for act, shift in zip(acts, paris, strict=True) if shift == 120]
    winter = [act for act, shift in zip(acts, paris, strict=True) if shift == 60]
    if min(len({a.date() for a in summer}), len({a.date() for a in winter})) < _FEW_DAYS:
        return None
    mean = [sum(a.hour * 60 + a.minute for a in side) / len(side) for side in (summer, winter)]
    moved = mean[1] - mean[0]
    follows = (
        "as they would in a place that changes its clocks" if 30 <= moved <= 90 else "not as where clocks are changed"
    )
    return f"the acts of winter lie {moved:.0f} minutes (UTC) after those of summer on average: {follows}"


RULE = Rule(
    "zones",
    "Which time zones the working hours would fit",
    ("events", "sessions", "session_events", "endpoints", "sources"),
    ZONES,
    _run,
)
