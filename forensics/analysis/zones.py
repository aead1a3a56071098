"""Time zones that the operators' hours would fit: several candidates with their fit, and what speaks for or against each.

Offsets are tried in half-hour steps against a plain working day (method of PwC's APT10 and FireEye's APT1 reports), and beside them
clocks that changed while the acts last: summer time, and Pyongyang's of 2015 and 2018. The clock that clients told and the
countries of addresses are further witnesses; where they contradict the hours, the row says so. Hours can be kept on purpose, and
every offset has several countries: no row is a verdict on a country.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._clock_zones import NAMED, clocks, text_of
from forensics.analysis._human import slots
from forensics.analysis._moved import moved
from forensics.analysis._week import DAYS, calendars, rest_days, week
from forensics.analysis._words import because, reason
from forensics.analysis._zone_witnesses import Witnesses
from forensics.answers import ZONES
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    import duckdb
    import pyarrow as pa

    from forensics.analysis._human import Act

Row = dict[str, Any]

_OFFSETS: Final = range(-12 * 60, 14 * 60 + 1, 30)
_NIGHT, _EARLY, _EDGE, _WORK, _LUNCH, _EVENING = -1.0, 0.0, 0.7, 1.0, 0.4, 0.3
_TEMPLATE: Final = (
    *[_NIGHT] * 7, _EARLY, _EDGE, *[_WORK] * 3, _LUNCH, *[_WORK] * 5, _EDGE, *[_EVENING] * 3, _EARLY, _EARLY,
)  # fmt: skip
"""How well an act at each local hour fits a working day with a lunch break."""
_WORKING: Final = frozenset({9, 10, 11, 13, 14, 15, 16, 17})
_NEAR: Final = 0.08
"""Offsets whose fit is this near to the best are candidates too: half an hour changes few acts."""
_SEVERAL: Final = 3
"""So many offsets are candidates however well one fits: an hour more or less is a matter of habit, and one alone would be a verdict."""
_FEW_ACTS: Final = 10
_FEW_DAYS: Final = 5
_MANY_DAYS: Final = 20


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    acts = slots(db)
    if not acts:
        return table([], ZONES)
    times = [act.slot for act in acts]
    named = clocks(NAMED, times)
    witnesses = Witnesses.of(db)
    rows = [_row(acts, [minutes] * len(acts), _keeping(named, minutes), "", witnesses) for minutes in _OFFSETS]
    rows += [
        _row(acts, shifts, names, names[0], witnesses)
        for shifts, names in _moving(named).items()
        if _both_sides(times, shifts)
    ]
    enough = len(acts) >= _FEW_ACTS and len({act.slot.date() for act in acts}) >= _FEW_DAYS
    fits = sorted((row["fit"] for row in rows if not row["clock"]), reverse=True)
    least = min(max(row["fit"] for row in rows) - _NEAR, fits[_SEVERAL - 1])
    for row in rows:
        row["candidate"] = enough and row["fit"] >= least
        if not enough:
            row["confidence"] = CONFIDENCES[-1]
            row["reasons"].append(reason(_not_enough(acts), 9))
        row["because"] = because(row.pop("reasons"))
    rows.sort(key=lambda row: (-row["fit"], row["clock"] or "", row["offset_minutes"]))
    return table(rows, ZONES)


def _not_enough(acts: Sequence[Act]) -> str:
    days = len({act.slot.date() for act in acts})
    return (
        f"not enough evidence: {counted(len(acts), 'act')} on {counted(days, 'day')}; fewer than {_FEW_ACTS} acts or {_FEW_DAYS} days "
        "show no habit"
    )


def _keeping(named: dict[str, tuple[int, ...]], minutes: int) -> list[str]:
    """Return the zones that kept an offset at every act."""
    return [name for name, shifts in named.items() if set(shifts) == {minutes}]


def _moving(named: dict[str, tuple[int, ...]]) -> dict[tuple[int, ...], list[str]]:
    """Return the clocks that changed between the acts; zones whose clocks are one stand together."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name, shifts in named.items():
        if len(set(shifts)) > 1:
            found.setdefault(shifts, []).append(name)
    return found


def _both_sides(times: Sequence[datetime], shifts: Sequence[int]) -> bool:
    """Say whether acts on days enough stand before a change and after it."""
    sides = [{time.date() for time, shift in zip(times, shifts, strict=True) if shift == one} for one in set(shifts)]
    return sum(len(side) >= _FEW_DAYS for side in sides) > 1


def _row(acts: Sequence[Act], shifts: Sequence[int], zones: list[str], clock: str, witnesses: Witnesses) -> Row:
    local = [act.slot + timedelta(minutes=shift) for act, shift in zip(acts, shifts, strict=True)]
    count = len(local)
    days = sorted({act.date() for act in local})
    work = sum(act.hour in _WORKING for act in local) / count
    night = sum(act.hour < 7 for act in local) / count
    fit = round(sum(_TEMPLATE[act.hour] for act in local) / count, 3)
    offsets = list(dict.fromkeys(shifts))
    first, last = acts[0].locator, acts[-1].locator
    reasons = [
        reason(
            f"{work:.0%} of {counted(count, 'act')} fall between 9 and 18 o'clock without lunch, {night:.0%} before 7",
            6,
            [first, last],
        ),
        reason(f"{counted(len(days), 'active day')}, the first {days[0]}, the last {days[-1]}", 4, [first, last]),
        *week(days),
        *_lunch(local, days),
        *witnesses.clients(offsets),
        *witnesses.addresses(offsets),
        *witnesses.several(),
        *calendars([(name, NAMED[name]) for name in zones], days),
    ]
    if clock:
        reasons += moved([act.slot for act in acts], shifts, clock)
    else:
        reasons += _kept_one_clock(acts, shifts[0])
    return {
        "offset": "/".join(text_of(one) for one in offsets),
        "offset_minutes": offsets[0],
        "clock": clock or None,
        "fit": fit,
        "work_share": round(work, 3),
        "night_share": round(night, 3),
        "lunch_dip": _lunch_dip(local) if len(days) >= _FEW_DAYS else None,
        "rest_days": ";".join(DAYS[n] for n in rest_days(days)) or None,
        "active_days": len(days),
        "acts": count,
        "zones": ";".join(zones) or None,
        "client_sessions": witnesses.sessions_at(offsets),
        "addresses": ";".join(witnesses.addresses_at(offsets)) or None,
        "confidence": CONFIDENCES[1] if len(days) >= _MANY_DAYS and fit > 0.5 else CONFIDENCES[2],
        "reasons": reasons,
    }


def _kept_one_clock(acts: Sequence[Act], minutes: int) -> list[Row]:
    """Say whether the hours moved with the clocks of Europe, the most usual ones that change."""
    times = [act.slot for act in acts]
    shifts = clocks(["Europe/Paris"], times)["Europe/Paris"]
    return list(moved(times, shifts, "Europe/Paris", minutes)) if _both_sides(times, shifts) else []


def _lunch_dip(local: Sequence[datetime]) -> float | None:
    """Return by how much fewer acts the hour from 12 has than its neighbours on average: 1 none at all, 0 as many."""
    around = sum(act.hour in (11, 13) for act in local) / 2
    noon = sum(act.hour == 12 for act in local)
    return round(1 - noon / around, 3) if around else None


def _lunch(local: Sequence[datetime], days: Sequence[date]) -> list[Row]:
    dip = _lunch_dip(local) if len(days) >= _FEW_DAYS else None
    if dip is None or abs(dip) < 0.25:
        return []
    if dip > 0:
        return [
            reason(
                f"the hour from 12 has {dip:.0%} fewer acts than those beside it: a lunch break would stand there", 3
            )
        ]
    return [reason(f"the hour from 12 has {-dip:.0%} more acts than those beside it: no lunch break stands there", 3)]


RULE = Rule(
    "zones",
    "Which time zones the working hours would fit",
    ("events", "sessions", "session_events", "endpoints", "sources", "addresses", "chain"),
    ZONES,
    _run,
)
