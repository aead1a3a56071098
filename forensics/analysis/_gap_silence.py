"""Gaps in which nothing was written: days without a file, silence of RDP and HTTP together, the server off, lines lost in a crash."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._spoken import HTTP, RDP, rows, timed
from forensics.analysis._words import LOCATOR
from forensics.text import counted, lasted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

Row = dict[str, Any]

_DAY_IN_NAME: Final = re.compile(r"(?<![0-9])([0-9]{4})-([0-9]{2})-([0-9]{2})(?![0-9])", re.ASCII)
_BUFFER_S: Final = 10
"""Tomcat writes its buffer of lines about every ten seconds; what is in it goes with a crash."""
_SILENCE: Final = timedelta(hours=3)
_TIMES_USUAL: Final = 3
"""A silence is told when it is this many times as long as all but one in twenty of the pauses between hours that speak."""
_ENOUGH: Final = 20
"""Hours that speak, below which a case says nothing of what is usual."""
_MOST: Final = 20
_OFF: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)
_WEB: Final = "Tomcat access log"
_CRASHES: Final = 100


def days_missing(rows_by_evidence: dict[str, Row]) -> Iterator[Row]:
    """Tell days without a file among logs that carry the day in their name."""
    series: dict[str, dict[date, str]] = defaultdict(dict)
    for evidence_id, row in rows_by_evidence.items():
        match = _DAY_IN_NAME.search(row["label"])
        try:
            day = date(*map(int, match.groups())) if match else None
        except ValueError:
            day = None
        if match and day:
            series[row["label"][: match.start()]][day] = evidence_id
    for days in series.values():
        for before, after in pairwise(sorted(days)):
            lost = (after - before).days - 1
            if lost:
                first, last = before + timedelta(days=1), after - timedelta(days=1)
                which = f"{first}" if lost == 1 else f"{first} to {last}"
                earlier, later = rows_by_evidence[days[before]], rows_by_evidence[days[after]]
                yield {
                    "evidence_id": days[after],
                    "since": earlier["last_seen"],
                    "until": later["first_seen"],
                    "days": which,
                    "count": lost,
                    "cannot_know": None
                    if (later["log"] or "").startswith("tomcat_")
                    else "what this log would have told of these days",
                    "detail": f"no file of {which} ({counted(lost, 'day')}): it was removed or not collected, or nothing was written on "
                    f"{'that day' if lost == 1 else 'those days'}",
                }


def silences(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell stretches in which neither RDP nor HTTP wrote anything though both were writing before and after."""
    hours = timed(
        db,
        "family, hour, min(first) AS first, max(last) AS last",
        "AND family IS NOT NULL GROUP BY ALL ORDER BY hour, family",
    )
    sides = {side: [row for row in hours if row["family"] == side] for side in (RDP, HTTP)}
    if not all(sides.values()):
        return
    since = max(min(row["first"] for row in side) for side in sides.values())
    until = min(max(row["last"] for row in side) for side in sides.values())
    spoke = sorted((row["first"], row["last"]) for row in hours if row["last"] >= since and row["first"] <= until)
    pauses: list[tuple[datetime, datetime]] = []
    reach: datetime | None = None
    for first, last in spoke:
        if reach is not None and first > reach:
            pauses.append((reach, first))
        reach = last if reach is None else max(reach, last)
    if len(spoke) < _ENOUGH or not pauses:
        return
    lengths = sorted(end - start for start, end in pauses)
    usual = lengths[max(0, len(lengths) * 19 // 20 - 1)]
    long = [one for one in pauses if one[1] - one[0] >= max(_SILENCE, usual * _TIMES_USUAL)]
    off = list(server_off(db))
    for start, end in sorted(sorted(long, key=lambda one: (one[0] - one[1], one[0]))[:_MOST]):
        down = [one for one in off if one["since"] < end and one["until"] > start]
        why = "the System log says that the server was off in it" if down else "nothing in evidence says why"
        yield {
            "log": "RDP and HTTP together",
            "since": start,
            "until": end,
            "detail": f"neither RDP nor HTTP wrote anything for {lasted(end - start)}; usually no more than {lasted(usual)} pass: {why}",
            "confidence": "almost certain" if down else "possible",
            "proofs": [
                *_at(db, start, "DESC"),
                *_at(db, end, "ASC"),
                *(proof for one in down for proof in one["proofs"]),
            ],
        }


def _at(db: duckdb.DuckDBPyConnection, when: datetime, order: str, evidence_id: str = "") -> list[str]:
    """Return the locator of the first or last event of a moment, in one file if that is named."""
    there = f"AND evidence_id = '{evidence_id}'" if evidence_id else ""
    found = rows(
        db,
        f"SELECT {LOCATOR} AS locator FROM events WHERE time = TIMESTAMPTZ '{when.isoformat()}' {there} "
        f"ORDER BY evidence_id {order}, log_offset {order} LIMIT 1",
    )
    return [row["locator"] for row in found]


def server_off(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell from when to when the server was off, as its System log has it."""
    found = rows(
        db,
        f"SELECT time, event_action, host_name, evidence_id, {LOCATOR} AS locator FROM events "
        "WHERE event_action IN ('system_start', 'system_stop', 'system_crash') AND event_provider NOT LIKE '%LocalSessionManager' "
        "AND time IS NOT NULL ORDER BY host_name, time, evidence_id, log_offset",
    )
    for before, after in pairwise(found):
        length = after["time"] - before["time"]
        same = before["host_name"] == after["host_name"]
        if same and before["event_action"] == "system_stop" != after["event_action"] and length >= _OFF:
            yield {
                "log": "System",
                "host_name": after["host_name"],
                "evidence_id": after["evidence_id"],
                "since": before["time"],
                "until": after["time"],
                "detail": f"the server was off for {lasted(length)}",
                "confidence": "almost certain",
                "proofs": [before["locator"], after["locator"]],
            }


def ends(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell an access log that begins long after Tomcat ran, and logs that end long before the last event of the case."""
    hours = timed(
        db,
        "CASE WHEN family = 'http' THEN 'Tomcat access log' ELSE log END AS log, host_name, hour, arg_min(evidence_id, first) AS first_file, "
        "arg_max(evidence_id, last) AS last_file, min(first) AS first, max(last) AS last",
        "AND family IS NOT NULL GROUP BY ALL ORDER BY log, host_name, hour",
    )
    logs: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in hours:
        logs[row["log"], row["host_name"] or ""].append(row)
    for (log, host), listed in sorted(logs.items()):
        place = {"log": log, "host_name": host or None}
        if log == _WEB:
            yield from ({**place, **row} for row in _begins_late(db, listed[0]))
        pauses = sorted(after["first"] - before["last"] for before, after in pairwise(listed))
        usual = max(_DAY, _TIMES_USUAL * pauses[max(0, len(pauses) * 19 // 20 - 1)]) if pauses else _DAY
        last = listed[-1]["last"]
        # Logs of another host say nothing of this one; an access log names none.
        end = max(row["last"] for row in hours if not host or row["host_name"] in (None, host))
        if end - last > usual:
            yield {
                **place,
                "kind": "ends_early",
                "evidence_id": listed[-1]["last_file"],
                "since": last,
                "until": end,
                "detail": f"the {_named(log)} ends {lasted(end - last)} before the last event of the case: it was stopped, or later files are not here",
                "confidence": "almost certain",
                "proofs": [*_at(db, last, "DESC", listed[-1]["last_file"]), *_at(db, end, "DESC")],
            }


def _named(log: str) -> str:
    return log if log.endswith("log") else f"{log} log"


def _begins_late(db: duckdb.DuckDBPyConnection, first: Row) -> Iterator[Row]:
    ran = rows(
        db,
        f"SELECT time, {LOCATOR} AS locator FROM events WHERE time IS NOT NULL AND (event_action IN ('tomcat_start', 'deploy') "
        "OR (event_action IN ('service_state', 'service_install') AND unmapped ILIKE '%tomcat%')) ORDER BY time, evidence_id, log_offset LIMIT 1",
    )
    for row in ran:
        if first["first"] - row["time"] > _DAY:
            yield {
                "kind": "begins_late",
                "evidence_id": first["first_file"],
                "since": row["time"],
                "until": first["first"],
                "detail": f"the {_WEB} begins {lasted(first['first'] - row['time'])} after the first trace of Tomcat: nothing was asked, "
                "or earlier files were removed or not collected",
                "confidence": "likely",
                "proofs": [row["locator"], *_at(db, first["first"], "ASC", first["first_file"])],
            }


def lines_lost(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the tail of each access log that a crash took out of Tomcat's buffer."""
    crashes = rows(
        db,
        f"SELECT time, {LOCATOR} AS locator FROM events WHERE event_action = 'system_crash' AND time IS NOT NULL "
        f"ORDER BY time DESC, evidence_id, log_offset LIMIT {_CRASHES}",
    )
    done: set[tuple[str, datetime]] = set()
    for crash in reversed(crashes):
        when = f"TIMESTAMPTZ '{crash['time'].isoformat()}'"
        (last,) = rows(
            db,
            f"SELECT max(time) AS time, arg_max(evidence_id, (time, evidence_id, log_offset)) AS evidence_id, "
            f"arg_max({LOCATOR}, (time, evidence_id, log_offset)) AS locator FROM events WHERE event_action = 'http_request' "
            f"AND time > {when} - INTERVAL 1 DAY AND time <= {when}",
        )
        if last["time"] is None or (last["evidence_id"], last["time"]) in done:
            continue
        stopped = rows(
            db,
            "SELECT 1 AS one FROM events WHERE event_action IN ('system_stop', 'tomcat_stop') "
            f"AND time > TIMESTAMPTZ '{last['time'].isoformat()}' AND time <= {when} LIMIT 1",
        )
        if stopped:
            continue
        done.add((last["evidence_id"], last["time"]))
        yield {
            "evidence_id": last["evidence_id"],
            "since": last["time"],
            "until": crash["time"],
            "detail": f"the lines of about {_BUFFER_S} s before the crash were never written: Tomcat keeps them in memory until then",
            "confidence": "likely",
            "proofs": [last["locator"], crash["locator"]],
        }
