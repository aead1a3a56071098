"""Sentences about the logs themselves: what was cleared or set, the crash, holes, and what these logs cannot show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from forensics.analysis._sentences import SURE, Row, asked, finding, locators_of, milestone, some, when
from forensics.analysis._words import reason
from forensics.text import counted, were

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_HOLES: Final = (
    "records_missing",
    "times_back",
    "zone_changed",
    "silence",
    "days_missing",
    "lines_lost",
    "begins_late",
    "ends_early",
)
"""Kinds of gaps that make a finding of their own, the weightiest first; cleared logs and set clocks are told as traces."""
_KEPT: Final = (
    "log_cleared",
    "records_missing",
    "clock_changed",
    "times_back",
    "silence",
    "days_missing",
    "lines_lost",
    "begins_late",
)
"""Kinds of gaps that keep something from everybody, each told once among the limits."""
_REASONS: Final = 6
_NAMED: Final = ("silence", "log_cleared", "begins_late", "ends_early")
"""Kinds whose detail names its log."""
_YEAR_DAYS: Final = 365


def traces(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell cleared logs, and changed clocks: those by most first."""
    cleared = asked(db, "SELECT * FROM gaps WHERE kind = 'log_cleared' ORDER BY until, locators")
    clocks = asked(
        db,
        "SELECT * FROM gaps WHERE kind = 'clock_changed' ORDER BY abs(epoch(until) - epoch(since)) DESC NULLS LAST, until, locators",
    )
    parts = [_times(cleared, "logs were cleared"), _times(clocks, "the server's clock was set")]
    said = "; ".join(part for part in parts if part)
    if said:
        found = [*cleared, *clocks]
        reasons = [one for row in found[:_REASONS] for one in json.loads(row["because"])]
        first = min(row["until"] for row in found)
        yield finding("traces", f"{said[0].upper()}{said[1:]}", SURE, reasons, time=first)


def _times(rows: list[Row], what: str) -> str:
    """Return one act by itself, several as their count with the first few."""
    told = [f"{_clause(row).partition('; ')[0]} ({when(row['until'])})" for row in rows]
    if len(rows) < 2:  # one stands for itself
        return "".join(told)
    return f"{what} {counted(len(rows), 'time')}: {some(told)}"


def crash(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the last crash, and what the operator last did before it."""
    stones = asked(
        db, "SELECT * FROM milestones WHERE milestone = 'crash' AND time IS NOT NULL ORDER BY time DESC, locators"
    )
    last = milestone(db, "last_operator_act")
    if stones:
        stone = stones[0]
        times = "" if len(stones) == 1 else f" {counted(len(stones), 'time')}, the last time"
        said = f"The server went down unexpectedly{times} before {when(stone['time'])}"
        reasons = [reason(stone["detail"], 7, locators_of(stone))]
        if last and last["time"] <= stone["time"]:
            said += f"; the operator's last act in evidence is of {when(last['time'])}: {_act(last)}"
            reasons.append(reason(last["detail"], 6, locators_of(last)))
        yield finding("crash", said, stone["confidence"], reasons, time=stone["time"])


def _act(last: Row) -> str:
    detail: str = last["detail"]
    return detail.removeprefix("the last act of an operator's address: ").replace("_", " ")


def gaps(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell holes in the logs, the weightiest first."""
    found = [
        row for kind in _HOLES for row in asked(db, f"SELECT * FROM gaps WHERE kind = '{kind}'") if not _seasonal(row)
    ]
    if found:
        listed = [f"{_clause(row)}{_where(row)}" for row in found]
        said = f"The logs have {counted(len(found), 'hole')}: {some(listed, '; ')}"
        reasons = [one for row in found[:_REASONS] for one in json.loads(row["because"])]
        yield finding("gaps", said, found[0]["confidence"], reasons)


def _seasonal(row: Row) -> bool:
    """Say whether a change of the server's offset is summer or winter time, which is no hole."""
    detail: str = row["detail"]
    return row["kind"] == "zone_changed" and detail.endswith("summer or winter time")


def _clause(row: Row) -> str:
    """Return what is seen of a gap, without its reading."""
    detail: str = row["detail"].partition(": ")[0]
    return detail


def _where(row: Row) -> str:
    name = (row["label"] or row["log"] or "").rpartition("/")[2]
    return f" ({name})" if name and row["kind"] not in _NAMED else ""


def limits(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Say what these logs cannot show."""
    for row in asked(db, "SELECT * FROM coverage WHERE notes = 'not in evidence' ORDER BY log"):
        said = f"{row['log']} is not in evidence; without it these logs do not show {row['cannot_know']}"
        yield finding("limit", said, SURE, [])
    yield from _kept_by_holes(db)
    yield from _no_command(db)
    yield from _unread(db)
    yield from _far_databases(db)
    yield from _thin_hours(db)
    said = (
        "An address is where a connection came from, not who sat there: behind each may stand a proxy; client names, zones and screens are "
        "the client's own words"
    )
    yield finding("limit", said, SURE, [])


def _thin_hours(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Say that there are acts, but not enough of them for hours of work."""
    for row in asked(
        db, "SELECT * FROM zones WHERE NOT (SELECT bool_or(candidate) FROM zones) ORDER BY offset_minutes LIMIT 1"
    ):
        said = (
            f"Not enough evidence for working hours or a time zone: {counted(row['acts'], 'act')} of the operator on "
            f"{counted(row['active_days'], 'day')}"
        )
        yield finding("limit", said, SURE, [])


def _kept_by_holes(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    for kind in _KEPT:
        found = asked(db, f"SELECT * FROM gaps WHERE kind = '{kind}'")
        if found:
            lost: str = found[0]["cannot_know"]
            seen = some([f"{_clause(row)}{_where(row)}" for row in found], "; ")
            reasons = [one for row in found[:_REASONS] for one in json.loads(row["because"])]
            yield finding("limit", f"{lost[0].upper()}{lost[1:]} cannot be known: {seen}", SURE, reasons)


def _no_command(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    (web,) = asked(
        db,
        """SELECT (SELECT count(*) FROM (SELECT 1 FROM events WHERE event_action = 'http_request' LIMIT 1)) AS requests,
               (SELECT count(*) FROM endpoints WHERE kind = 'c2') AS paths""",
    )
    if web["requests"] and not web["paths"]:
        said = (
            "No command path in evidence: no path has clients that are no browsers and come back to it, and was deployed or tried "
            "here first; that does not show that there was none"
        )
        yield finding("limit", said, SURE, [])


def _unread(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    (kept,) = asked(db, "SELECT coalesce(sum(records), 0)::BIGINT AS records FROM ledger WHERE outcome = 'reject'")
    number = kept["records"]
    if number:
        each = (
            "it is in rejects.csv with its place and reason"
            if number == 1
            else "each is in rejects.csv with its place and reason"
        )
        yield finding("limit", f"{counted(number, 'record')} could not be read; {each}", SURE, [])


def _far_databases(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Say which addresses were placed by a database of another year than the event's."""
    (far,) = asked(
        db,
        f"""SELECT count(DISTINCT source_ip) FILTER (WHERE abs(country_distance_days) > {_YEAR_DAYS}) AS far, count(DISTINCT source_ip) AS placed,
               max(abs(country_distance_days)) AS most FROM addresses WHERE country_distance_days IS NOT NULL""",
    )
    if not far["far"]:
        return
    operators = asked(
        db,
        f"""SELECT a.source_ip, arg_min(a.day, a.day) AS day, arg_min(a.country_as_of, a.day) AS as_of FROM addresses a JOIN sources s USING (source_ip)
        WHERE s.role = 'operator' AND abs(a.country_distance_days) > {_YEAR_DAYS} GROUP BY a.source_ip ORDER BY day, a.source_ip""",
    )
    named = [
        f"{row['source_ip']}, seen on {row['day']}, is placed by a database of {row['as_of']}" for row in operators
    ]
    said = (
        f"{far['far']:,} of {counted(far['placed'], 'placed address')} {were(far['far'])} placed by a database more than a year from the day of the event, "
        f"{far['most']:,} days at most: who held {'it' if far['far'] == 1 else 'them'} on that day may have been another"
    )
    more = f"; of the operator's addresses: {some(named, '; ')}" if named else ""
    yield finding("limit", said + more, SURE, [])
