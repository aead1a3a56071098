"""People: which RDP sessions are held to be the operator's, and which the rightful owner's of a server that was broken into.

A server of an owner has two sorts of people on it. Who touched the command path, brought it there, or came in by guessing is an
operator. Who was there before and never came near it, by another account, machine or zone than they, is held to be the owner.
Where nothing tells them apart, a session stays an operator's, and says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._ties import Tie, ties
from forensics.analysis._traffic import count_traffic
from forensics.analysis._words import because, reason
from forensics.answers import PEOPLE
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table
from forensics.text import counted

if TYPE_CHECKING:
    from datetime import date, datetime

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]
_SURE, _LIKELY, _POSSIBLE = CONFIDENCES
_EARLIER: Final = timedelta(days=1)
"""An operator looks round, then sets to work; an owner was there before."""
_PROOF: Final = 7
_USED: Final = 3
"""An application that the server was there for has users; one that nobody asks for may be the operator's."""
_DAYS: Final = 2
OPERATOR, OWNER = "operator", "rightful_owner"


@dataclass(slots=True)
class _Person:
    """Sessions that one address or one client machine unites; an account alone unites nobody: owner and intruder share it."""

    sessions: list[Row] = field(default_factory=list)
    ties: list[Tie] = field(default_factory=list)

    def values(self, name: str) -> set[str]:
        return {row[name].lower() for row in self.sessions if row[name]}

    @property
    def addresses(self) -> set[str]:
        return {one for row in self.sessions for one in row["source_ips"].split(";")}

    @property
    def first(self) -> datetime:
        moment: datetime = min(row["start"] for row in self.sessions)
        return moment

    @property
    def locator(self) -> list[str]:
        row = min(self.sessions, key=lambda one: (one["start"], one["session_uid"]))
        return [loc for one in json.loads(row["because"]) for loc in one["locators"]][:1]


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    listed = db.sql("SELECT * FROM sessions ORDER BY start, session_uid").to_arrow_table().to_pylist()
    persons = _persons(listed)
    by_session = {row["session_uid"]: one for one in persons for row in one.sessions}
    for uid, tie in ties(db, listed, {uid: id(one) for uid, one in by_session.items()}):
        by_session[uid].ties.append(tie)
    known = [one for one in persons if one.ties]
    habits = _habits(db)
    rows: list[Row] = []
    for number, one in enumerate(persons, 1):
        held, confidence, reasons = _judged(one, known, habits)
        rows += [
            {
                "session_uid": row["session_uid"],
                "person": f"P{number}",
                "held_to_be": held,
                "confidence": confidence,
                "because": because(reasons),
            }
            for row in one.sessions
        ]
    rows.sort(key=lambda row: row["session_uid"])
    return table(rows, PEOPLE)


def _persons(sessions: list[Row]) -> list[_Person]:
    """Unite sessions that share an address or a client's machine name, in order of their first."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for row in sessions:
        mine = f"session {row['session_uid']}"
        marks = [f"ip {one}" for one in row["source_ips"].split(";") if _is_origin(one)]
        marks += [f"name {row['client_name'].lower()}"] if row["client_name"] else []
        for mark in marks:
            parent[root(mark)] = root(mine)
    out: dict[str, _Person] = {}
    for row in sessions:
        out.setdefault(root(f"session {row['session_uid']}"), _Person()).sessions.append(row)
    return list(out.values())


def _is_origin(address: str) -> bool:
    """Say whether an address can tell people apart: the end of a tunnel cannot."""
    return address not in ("127.0.0.1", "::1", "LOCAL") and "16777216" not in address


def _habits(db: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    """Return, by address of a session: whether every witness of anonymity knows it, and what it used of the server's own application."""
    count_traffic(db)
    found = db.sql(f"""
        WITH mine AS (SELECT DISTINCT unnest(string_split(source_ips, ';')) AS source_ip FROM sessions),
        born AS (SELECT min(first_seen) AS born FROM endpoints WHERE kind = 'c2'),
        own AS (SELECT path FROM endpoints, born WHERE kind = 'application' AND path <> '/' AND sources >= {_USED}
                AND (born IS NULL OR first_seen < born)),
        used AS (SELECT source_ip, sum(ok)::BIGINT AS used FROM _traffic SEMI JOIN own USING (path) WHERE ok > 0 GROUP BY ALL),
        hidden AS (SELECT source_ip, bool_or(anonymity IS NOT NULL) AS hidden FROM addresses GROUP BY ALL)
        SELECT mine.source_ip, coalesce(used.used, 0) AS used, coalesce(hidden.hidden, false) AS hidden
        FROM mine LEFT JOIN used USING (source_ip) LEFT JOIN hidden USING (source_ip)""")
    return {row["source_ip"]: row for row in found.to_arrow_table().to_pylist()}


def _judged(one: _Person, known: list[_Person], habits: dict[str, Row]) -> tuple[str, str, list[Row]]:
    if one.ties:
        # Each session of a person says the same of a shared address: once is enough.
        reasons = list({tie.reason["sentence"]: tie.reason for tie in one.ties}.values())
        sure = any(tie.reason["weight"] >= _PROOF for tie in one.ties)
        return OPERATOR, _SURE if sure else _LIKELY, reasons[:12]
    if not known and _at_own_application(one, habits):
        said = (
            "no command path and no break-in is in evidence, and its addresses came to what the server runs for its users, "
            f"on {counted(len(_days(one)), 'day')}"
        )
        return OWNER, _POSSIBLE, [reason(said, 5, one.locator)]
    if not known:
        said = (
            "nothing in evidence tells an operator from an owner: whoever had a desktop here is held to be an operator"
        )
        return OPERATOR, _POSSIBLE, [reason(said, 4, one.locator)]
    return _apart(one, known, habits)


def _apart(one: _Person, known: list[_Person], habits: dict[str, Row]) -> tuple[str, str, list[Row]]:
    """Judge somebody whom nothing ties to the command path, on a server that others are tied to."""
    differs = []
    for name, word in (("user_name", "account"), ("client_name", "client machine"), ("client_zone", "client zone")):
        mine, theirs = one.values(name), set().union(*(other.values(name) for other in known))
        if mine and theirs and not mine & theirs:
            said = f"its {word} {', '.join(sorted(mine))} is none of the operator's"
            differs.append(reason(said, 6, one.locator))
    start = min(other.first for other in known)
    earlier = one.first <= start - _EARLIER
    used = sum(habits[ip]["used"] for ip in one.addresses if ip in habits)
    hidden = all(habits[ip]["hidden"] for ip in one.addresses if ip in habits)
    reasons = [
        reason("nothing ties it to the command path, to what brought it, or to guessing", 5, one.locator),
        *differs,
    ]
    if earlier:
        days = (start - one.first).days
        reasons.append(
            reason(f"it was here {counted(days, 'day')} before the operator's first session", 6, one.locator)
        )
    if used:
        reasons.append(
            reason(
                f"its addresses asked {counted(used, 'time')} for what the server ran before the command path",
                5,
                one.locator,
            )
        )
    if hidden:
        reasons.append(reason("all its addresses are hosting, VPN, proxy or Tor", 4, one.locator))
    signs = len(differs) + bool(used) - hidden
    if differs and (earlier or used) and signs >= 1:
        return OWNER, _LIKELY if signs >= 2 and earlier else _POSSIBLE, reasons
    before = {day for day in _days(one) if day < start.date()}
    if used and len(before) >= _DAYS and not hidden and not _shares_client(one, known):
        reasons.append(
            reason(
                f"it was here on {counted(len(before), 'day')} before the operator, at the server's own application",
                5,
                one.locator,
            )
        )
        return OWNER, _POSSIBLE, reasons
    shared = reason(
        "it cannot be told from the operator: account, machine or zone are theirs, or not in evidence", 4, one.locator
    )
    return OPERATOR, _POSSIBLE, [*reasons, shared]


def _at_own_application(one: _Person, habits: dict[str, Row]) -> bool:
    known = [habits[ip] for ip in one.addresses if ip in habits]
    return any(row["used"] for row in known) and not all(row["hidden"] for row in known) and len(_days(one)) >= _DAYS


def _days(one: _Person) -> set[date]:
    return {row["start"].date() for row in one.sessions}


def _shares_client(one: _Person, known: list[_Person]) -> bool:
    return any(one.values(name) & other.values(name) for other in known for name in ("client_name", "client_zone"))


RULE = Rule(
    "people",
    "Whose sessions: an operator's, or the server's owner's",
    ("events", "addresses", "sessions", "session_events", "endpoints"),
    PEOPLE,
    _run,
)
