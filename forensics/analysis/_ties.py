"""What ties an RDP session to the command path, or to a break-in: each an observation with its weight and its records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._places import MARK, PLACE, locator_at, number_evidence
from forensics.analysis._traffic import path_of
from forensics.analysis._uploads import find_uploads
from forensics.analysis._words import LOCATOR, LOOPBACK, MANY_FAILURES, TOMCAT_INSTALLED, locator_of, reason
from forensics.instants import bound, moment
from forensics.text import counted, were

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

Row = dict[str, Any]
_E: Final = locator_of("e")
_BROUGHT: Final = timedelta(days=1)
_PREPARED: Final = timedelta(days=7)
_FURTHER: Final = "e.evidence_id, e.log_offset"


@dataclass(frozen=True, slots=True)
class Tie:
    """One observation."""

    reason: Row


def ties(db: duckdb.DuckDBPyConnection, sessions: list[Row], person_of: dict[str, int]) -> Iterator[tuple[str, Tie]]:
    """Yield (session, tie). `person_of` numbers the person of each session: what several people share ties none of them."""
    stays = [
        (row["session_uid"], moment(bound(one["start"])), moment(bound(one["end"])) if one["end"] else row["end"])
        for row in sessions
        for one in json.loads(row["stays"])
    ]

    def alone(when: datetime) -> str | None:
        """Return the session of the only person who was connected at a moment."""
        there = [uid for uid, since, until in stays if since <= when and (until is None or when <= until)]
        return there[0] if len({person_of[uid] for uid in there}) == 1 else None

    yield from _of_address(db)
    yield from _of_loopback(db)
    for when, what, weight, locator in _moments(db):
        uid = alone(when)
        if uid is not None:
            yield uid, Tie(reason(f"{what} while it alone was connected", weight, [locator]))
    yield from _broken_in(db)
    yield from _rare(db)


def _rows(db: duckdb.DuckDBPyConnection, select: str) -> list[Row]:
    listed: list[Row] = db.sql(select).to_arrow_table().to_pylist()
    return listed


def _of_address(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Tie]]:
    """An address of the session asked for the command path or its panel, at any time."""
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    for row in _rows(
        db,
        f"""WITH mine AS (SELECT session_uid, unnest(string_split(source_ips, ';')) AS source_ip FROM sessions)
        SELECT m.session_uid, e.source_ip, p.kind, count(*) AS requests, arg_min({_E}, (e.time, {_FURTHER})) AS locator
        FROM events e JOIN endpoints p ON p.path = {path_of("e.url_path")} JOIN mine m ON m.source_ip = e.source_ip
        WHERE p.kind IN ('c2', 'panel') AND e.http_response_status_code < 400 AND e.source_ip NOT IN ({loopback})
        GROUP BY ALL ORDER BY ALL""",
    ):
        what = "command path" if row["kind"] == "c2" else "panel beside it"
        said = f"its address {row['source_ip']} asked {counted(row['requests'], 'time')} for the {what}"
        yield row["session_uid"], Tie(reason(said, 8, [row["locator"]]))


def _of_loopback(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Tie]]:
    """The server's own browser asked for it while this session alone was connected."""
    for row in _rows(
        db,
        f"""WITH asked AS (
            SELECT x.session_uid, e.time, {_E} AS locator, {_FURTHER},
                   count(DISTINCT x.session_uid) OVER (PARTITION BY {_FURTHER}) AS there
            FROM session_events x JOIN events e ON e.evidence_id = x.evidence_id AND e.log_offset = x.log_offset
            JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE x.relation = 'http_loopback' AND p.kind IN ('c2', 'panel') AND e.http_response_status_code < 400)
        SELECT session_uid, count(*) AS requests, arg_min(locator, (time, evidence_id, log_offset)) AS locator
        FROM asked WHERE there = 1 GROUP BY ALL ORDER BY ALL""",
    ):
        said = f"the server's own browser asked {counted(row['requests'], 'time')} for the command path or its panel while it was open"
        yield row["session_uid"], Tie(reason(said, 7, [row["locator"]]))


def _moments(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[datetime, str, int, str]]:
    """Yield the moments at which whoever was connected did something an operator does."""
    number_evidence(db)
    births = _rows(
        db,
        f"""SELECT time, {locator_at("place", "mark", line=False)} AS locator FROM (
            SELECT min(e.time) AS time, min({PLACE}) AS place, arg_min({MARK}, {PLACE}) AS mark
            FROM events e JOIN _evidence_numbers USING (evidence_id) JOIN endpoints p ON p.path = {path_of("e.url_path")}
            WHERE p.kind = 'c2' AND e.http_response_status_code < 400 GROUP BY p.path)
        ORDER BY ALL""",
    )
    if not births:
        return
    for row in births:
        yield row["time"], "the command path answered for the first time", 5, row["locator"]
    find_uploads(db)
    uploads = _rows(db, "SELECT time, locator FROM _uploads WHERE time IS NOT NULL ORDER BY ALL")
    for birth in births:
        before = [row for row in uploads if timedelta() <= birth["time"] - row["time"] <= _BROUGHT]
        for row in before[-1:]:
            yield row["time"], "the command path was brought onto the server", 8, row["locator"]
    installed = _rows(
        db,
        f"SELECT time, {LOCATOR} AS locator FROM events WHERE {TOMCAT_INSTALLED} AND time IS NOT NULL ORDER BY ALL",
    )
    for row in installed:
        if timedelta() <= births[0]["time"] - row["time"] <= _PREPARED:
            yield row["time"], "Tomcat was installed, shortly before the command path came,", 5, row["locator"]
    for row in _rows(
        db,
        f"SELECT time, {LOCATOR} AS locator FROM events WHERE event_action = 'log_cleared' AND time IS NOT NULL ORDER BY ALL",
    ):
        yield row["time"], "an event log was cleared", 4, row["locator"]


def _broken_in(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Tie]]:
    """Many refused logons within a day, the last within an hour before the session, all from one address.

    Refusals of the day before that were followed by none are another's: exits are shared.
    """
    for row in _rows(
        db,
        f"""WITH mine AS (SELECT session_uid, start, unnest(string_split(source_ips, ';')) AS source_ip FROM sessions)
        SELECT m.session_uid, e.source_ip, count(*) AS refused, arg_min({_E}, (e.time, {_FURTHER})) AS locator
        FROM events e JOIN mine m ON m.source_ip = e.source_ip
        WHERE e.event_outcome = 'failure' AND e.event_action IN ('logon', 'rdp_authenticate', 'rdp_connect')
              AND e.time BETWEEN m.start - INTERVAL 1 DAY AND m.start
        GROUP BY ALL HAVING count(*) >= {MANY_FAILURES} AND max(e.time) >= any_value(m.start) - INTERVAL 1 HOUR ORDER BY ALL""",
    ):
        said = f"{counted(row['refused'], 'logon')} from {row['source_ip']} {were(row['refused'])} refused in the day before it began: guessing, then success"
        yield row["session_uid"], Tie(reason(said, 6, [row["locator"]]))


def _rare(db: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, Tie]]:
    """One of its addresses lies in a rare origin that is documented."""
    for row in _rows(
        db,
        """WITH mine AS (SELECT session_uid, unnest(string_split(source_ips, ';')) AS source_ip, because FROM sessions)
        SELECT DISTINCT session_uid, m.source_ip, rare_origin, rare_grade, m.because FROM mine m JOIN addresses a ON a.source_ip = m.source_ip
        WHERE rare_grade IN ('A', 'B') ORDER BY ALL""",
    ):
        proofs = [loc for one in json.loads(row["because"]) for loc in one["locators"]][:1]
        said = f"its address {row['source_ip']} lies in {row['rare_origin']}, grade {row['rare_grade']}"
        yield row["session_uid"], Tie(reason(said, 6, proofs))
