"""Gaps that somebody made or the clock did: logs cleared, clocks set, the server's zone changed."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._clock_zones import offset_minutes, places
from forensics.analysis._spoken import rows
from forensics.analysis._words import CLOCK_STEP, LOCATOR, SAME_MOMENT
from forensics.text import counted, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

Row = dict[str, Any]
_SHOWN: Final = 3
_CHANGES: Final = 20
_SEASON_MINUTES: Final = 60
_BIAS: Final = re.compile(r"\s*(-?[0-9]{1,4})(\s.*)?$", re.ASCII | re.DOTALL)


def told(db: duckdb.DuckDBPyConnection, action: str) -> list[Row]:
    """Return the events of an action in order, `rest` being what has no column."""
    # The action is one of this module's own.
    found = rows(
        db,
        f"SELECT time, event_provider, event_code, host_name, user_name, unmapped, time_original, evidence_id, {LOCATOR} AS locator FROM events "
        f"WHERE event_action = '{action}' AND time IS NOT NULL ORDER BY time, evidence_id, log_offset",
    )
    return [{**row, "rest": json.loads(row["unmapped"] or "{}")} for row in found]


def log_cleared(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each clearing of a log, and whether anything of before stands in another file."""
    for row in told(db, "log_cleared"):
        log = row["rest"].get("cleared_channel") or row["rest"].get("channel") or "Security"
        before = _of_before(db, log, row)
        kept = (
            f"; {', '.join(one['evidence_id'] for one in before[:_SHOWN])} still {'has' if len(before) == 1 else 'have'} events from before"
            if before
            else ""
        )
        yield {
            "log": log,
            "host_name": row["host_name"],
            "evidence_id": _file_of(db, log, row["host_name"]),
            "since": max((one["last"] for one in before), default=None),
            "until": row["time"],
            "detail": f"the {log} log was cleared by {row['user_name'] or 'an unnamed account'}{kept}",
            "confidence": "almost certain",
            "proofs": [row["locator"]],
        }


def _of_before(db: duckdb.DuckDBPyConnection, log: str, cleared: Row) -> list[Row]:
    found = rows(
        db,
        "SELECT evidence_id, log, host_name, min(first) AS first, max(last) FILTER (WHERE hour < "
        f"TIMESTAMPTZ '{cleared['time'].isoformat()}') AS last FROM _spoken GROUP BY ALL ORDER BY evidence_id",
    )
    return [
        row
        for row in found
        if row["log"] == log
        and row["host_name"] == cleared["host_name"]
        and row["first"] is not None
        and row["first"] < cleared["time"]
    ]


def _file_of(db: duckdb.DuckDBPyConnection, log: str, host: str | None) -> str | None:
    """Return the file of a log that ends last: the one that was cleared."""
    found = rows(
        db,
        "SELECT evidence_id, log, host_name, max(last) AS last FROM _spoken GROUP BY ALL ORDER BY last NULLS FIRST, evidence_id",
    )
    mine = [row["evidence_id"] for row in found if (row["log"], row["host_name"]) == (log, host)]
    return mine[-1] if mine else None


def clock_changed(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each setting of the clock by more than time services do; System and Security tell of one act each in their words."""
    last: Row | None = None
    for row in told(db, "clock_changed"):
        old = _instant(row["rest"].get("OldTime") or row["rest"].get("PreviousTime"))
        new = _instant(row["rest"].get("NewTime"))
        if old is not None and new is not None and abs(new - old) <= CLOCK_STEP:
            continue
        step = None if old is None or new is None else new - old
        if last is not None and row["time"] - last["until"] <= SAME_MOMENT and (step is None or step == last["step"]):
            last["proofs"].append(row["locator"])
            continue
        if last is not None:
            yield last
        by = f" by {row['user_name']}" if row["user_name"] else ""
        process = row["rest"].get("ProcessName")
        said = f"set {_step(step)}" if step is not None else "set; by how much is not told"
        last = {
            "log": row["rest"].get("channel"),
            "host_name": row["host_name"],
            "evidence_id": row["evidence_id"],
            "since": old,
            "until": row["time"],
            "step": step,
            "detail": f"the server's clock was {said}{by}{f' ({process})' if process else ''}",
            "confidence": "almost certain",
            "proofs": [row["locator"]],
        }
    if last is not None:
        yield last


def _instant(text: object) -> datetime | None:
    """Return a time as Windows writes it (seven digits of a second), None where it is none."""
    try:
        return datetime.fromisoformat(str(text)[:26].rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None


def _step(step: timedelta) -> str:
    return f"{'forward' if step > timedelta(0) else 'back'} by {lasted(abs(step))}"


def zone_changed(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each change of the server's offset from UTC: in the lines of access logs, and by Windows' own word."""
    yield from _by_lines(db)
    yield from _by_windows(db)


def _by_lines(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Follow the offsets in the lines, folder by folder: logs of two servers may stand in two zones all the time."""
    found = rows(
        db,
        "SELECT regexp_replace(v.label, '[^/]*$', '') AS folder, s.evidence_id, s.log, s.shift, s.hour, min(s.first) AS first, max(s.last) AS last "
        "FROM _spoken s JOIN evidence v USING (evidence_id) WHERE regexp_matches(s.shift, '^[+-][0-9]{4}$') AND s.first IS NOT NULL "
        "GROUP BY ALL ORDER BY folder, first, last, evidence_id, shift",
    )
    changes = [
        (before, after)
        for before, after in pairwise(found)
        if before["folder"] == after["folder"] and before["shift"] != after["shift"]
    ]
    for before, after in changes[:_CHANGES]:
        yield {
            "log": after["log"],
            "evidence_id": after["evidence_id"],
            "since": before["last"],
            "until": after["first"],
            "proofs": _lines_at(
                db,
                (before["evidence_id"], before["last"], before["shift"]),
                (after["evidence_id"], after["first"], after["shift"]),
            ),
            **_judged(before["shift"], after["shift"], before["last"], after["first"]),
        }
    if more := changes[_CHANGES:]:
        yield {
            "log": more[0][1]["log"],
            "evidence_id": more[0][1]["evidence_id"],
            "since": more[0][0]["last"],
            "until": more[-1][1]["first"],
            "count": len(more),
            "detail": f"the offset in the lines changes {counted(len(more), 'more time')}: logs of several servers may stand in one folder",
            "confidence": "possible",
        }


def _lines_at(db: duckdb.DuckDBPyConnection, *places: tuple[str, datetime, str]) -> list[str]:
    out: list[str] = []
    for evidence_id, when, shift in places:
        found = rows(
            db,
            f"SELECT {LOCATOR} AS locator FROM events WHERE evidence_id = '{evidence_id}' AND time = TIMESTAMPTZ '{when.isoformat()}' "
            f"AND ends_with(time_original, '{shift}') ORDER BY log_offset LIMIT 1",
        )
        out += [row["locator"] for row in found]
    return out


def _by_windows(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Follow Kernel-General 24 (its bias is the one in force) and EventLog 6013 (its bias may leave summer time out), each by itself."""
    last: dict[tuple[str, str | None], Row] = {}
    for row in told(db, "server_zone"):
        bias, name = _bias(row)
        if bias is None:
            continue
        key = row["event_code"], row["host_name"]
        before = last.get(key)
        last[key] = {**row, "bias": bias, "name": name}
        if before is None or (before["bias"], before["name"]) == (bias, name):
            continue
        was, now = _offset(before["bias"], before["name"]), _offset(bias, name)
        judged = _judged(_shift(before["bias"]), _shift(bias), before["time"], row["time"], was, now)
        yield {
            "log": row["rest"].get("channel"),
            "host_name": row["host_name"],
            "evidence_id": row["evidence_id"],
            "since": before["time"],
            "until": row["time"],
            "proofs": [before["locator"], row["locator"]],
            **judged,
        }


def _bias(row: Row) -> tuple[int | None, str]:
    """Return the minutes west of UTC that an event tells, and the zone's name if it has one."""
    if row["event_code"] == "24":
        told = [str(row["rest"].get("CurrentBias", ""))]
    else:
        # Strings without names: the uptime, 60, and `480 Pacific Standard Time`, at other places in other versions.
        told = [text for name, text in row["rest"].items() if name.startswith("Data") and " " in str(text).strip()]
    found = [match for text in told if (match := _BIAS.match(str(text)))]
    return (int(found[-1][1]), (found[-1][2] or "").strip()) if found else (None, "")


def _shift(bias: int) -> str:
    return f"{'-' if bias > 0 else '+'}{abs(bias) // 60:02d}{abs(bias) % 60:02d}"


def _offset(bias: int, name: str) -> str:
    return f"UTC{_shift(bias)[:3]}:{_shift(bias)[3:]}" + (f" ({name})" if name else "")


def _judged(before: str, after: str, since: datetime, until: datetime, was: str = "", now: str = "") -> Row:
    """Say whether clocks of some place changed like this between two moments, or the zone was set by hand."""
    was, now = was or f"UTC{before[:3]}:{before[3:]}", now or f"UTC{after[:3]}:{after[3:]}"
    moved = f"the server's clock changed from {was} to {now}"
    places = _that_changed(_minutes(before), _minutes(after), since, until)
    if places:
        return {
            "detail": f"{moved}, as clocks did then in {', '.join(places[:_SHOWN])}: summer or winter time",
            "confidence": "likely",
            "seasonal": True,
        }
    return {
        "detail": f"{moved}, and no place changed its clocks so between these two: the zone was set anew, or the log comes from another server",
        "confidence": "likely",
        "seasonal": False,
    }


def _minutes(shift: str) -> int:
    return (-1 if shift[0] == "-" else 1) * (int(shift[1:3]) * 60 + int(shift[3:5]))


def _that_changed(before: int, after: int, since: datetime, until: datetime) -> list[str]:
    """Return places whose clocks stood at one offset at a moment and at another at a later one, an hour apart at most."""
    if abs(after - before) > _SEASON_MINUTES:
        return []
    found = [
        name
        for name in sorted(places())
        if offset_minutes(name, since) == before and offset_minutes(name, until) == after
    ]
    large = {
        "Europe/Paris": 0,
        "Europe/Berlin": 0,
        "Europe/London": 0,
        "America/New_York": 0,
        "America/Chicago": 0,
        "America/Los_Angeles": 0,
    }
    return sorted(found, key=lambda name: (large.get(name, 1), name))
