"""People: which RDP sessions are held to be the operator's, and which the rightful owner's of a server that was broken into.

A server of an owner has two sorts of people on it. Who touched the command path, brought it there, or came in by guessing is an
operator. Who was there before and never came near it, by another account, machine or zone than they, is held to be the owner.
Of a server that the public uses, and on which no command path and no break-in is in evidence, so is whoever does not hide. Where
nothing tells them apart, a session stays an operator's, and says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._places import locator_at
from forensics.analysis._ties import Tie, ties
from forensics.analysis._traffic import count_traffic
from forensics.analysis._united import United
from forensics.analysis._uploads import find_uploads
from forensics.analysis._words import TOMCAT_INSTALLED, because, reason
from forensics.answers import PEOPLE
from forensics.instants import day_of
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
_STOCK: Final = (
    r"^/$|^/(docs|examples|manager|host-manager)(/|$)|^/(robots\.txt|sitemap|\.well-known/|favicon|tomcat|bg-|asf-logo)"
)
"""What every Tomcat has, and what programs ask every server for."""
_OWN_PATHS: Final = f"""SELECT path FROM endpoints, born WHERE kind = 'application' AND NOT regexp_matches(path, '{_STOCK}') AND sources >= {_USED}
                AND (born IS NULL OR first_seen < born)"""
"""SQL for the pages of what the server was there for, older than its command path (`born`)."""
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
    _neighbours(db, persons)
    known = [one for one in persons if one.ties]
    habits, server = _habits(db), _server(db)
    verdicts = [_judged(one, known, habits, server) for one in persons]
    _like_owners(persons, verdicts, known, habits)
    rows: list[Row] = []
    for number, (one, (held, confidence, reasons)) in enumerate(zip(persons, verdicts, strict=True), 1):
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
    tied = United()
    for row in sessions:
        mine = f"session {row['session_uid']}"
        marks = [f"ip {one}" for one in row["source_ips"].split(";") if _is_origin(one)]
        marks += [f"name {row['client_name'].lower()}"] if row["client_name"] else []
        for mark in marks:
            tied.tie(mark, mine)
    out: dict[str, _Person] = {}
    for row in sessions:
        out.setdefault(tied.group(f"session {row['session_uid']}"), _Person()).sessions.append(row)
    return list(out.values())


def _is_origin(address: str) -> bool:
    """Say whether an address can tell people apart: the end of a tunnel cannot."""
    return address not in ("127.0.0.1", "::1", "LOCAL") and "16777216" not in address


@dataclass(frozen=True, slots=True)
class _Server:
    """What the server was there for: since when it has a command path, and whether the public used it for something else."""

    born: datetime | None
    public: int
    """Addresses that used its own application before there was a command path."""
    locator: str | None
    since: datetime | None
    until: datetime | None
    """The first and the last web request in evidence."""
    installed: tuple[datetime, ...] = ()
    """When a service of Tomcat was installed, or an application uploaded."""

    def watched(self, one: _Person) -> bool:
        """Say whether the web log speaks of the time of most of somebody's sessions."""
        if self.since is None or self.until is None:
            return False
        within = sum(self.since <= row["start"] <= self.until for row in one.sessions)
        return bool(2 * within >= len(one.sessions))


def _server(db: duckdb.DuckDBPyConnection) -> _Server:
    """An application has users on more than one day; a page that strangers look at once is none."""
    count_traffic(db)
    found = db.sql(f"""
        WITH born AS (SELECT min(first_ok) AS born FROM _paths SEMI JOIN (SELECT path FROM endpoints WHERE kind = 'c2') USING (path)),
        own AS ({_OWN_PATHS}),
        used AS (SELECT source_ip, min(first) AS first, min(place) AS place, arg_min(mark, place) AS mark
                 FROM _traffic SEMI JOIN own USING (path), born WHERE ok > 0 AND (born IS NULL OR first < born)
                 GROUP BY source_ip HAVING sum(ok) > 1),
        users AS (SELECT count(source_ip) AS users, count(DISTINCT {day_of("first")}) AS days, min(place) AS place,
                         arg_min(mark, place) AS mark FROM used)
        SELECT born, users, days, {locator_at("place", "mark")} AS locator,
               (SELECT min(first) FROM _traffic) AS since, (SELECT max(last) FROM _traffic) AS until FROM born, users""")
    row = found.to_arrow_table().to_pylist()[0]
    find_uploads(db)
    set_up = f"""SELECT time FROM _uploads WHERE time IS NOT NULL UNION ALL
        SELECT time FROM events WHERE {TOMCAT_INSTALLED} AND time IS NOT NULL ORDER BY time"""
    installed = tuple(time for (time,) in db.execute(set_up).fetchall())
    public = row["users"] if row["days"] >= _DAYS else 0
    return _Server(row["born"], public, row["locator"], row["since"], row["until"], installed)


def _neighbours(db: duckdb.DuckDBPyConnection, persons: list[_Person]) -> None:
    """Tie whoever came from the /24 of an operator's address: exits of one provider lie side by side."""
    count_traffic(db)
    find_uploads(db)
    found = db.sql("""
        SELECT source_ip FROM _traffic JOIN endpoints USING (path) WHERE ok > 0 AND kind = 'panel' AND source_ip IS NOT NULL UNION
        SELECT source_ip FROM _uploads WHERE web AND source_ip IS NOT NULL EXCEPT
        SELECT unnest(string_split(source_ips, ';')) FROM sessions ORDER BY source_ip""")
    theirs = {row["source_ip"] for row in found.to_arrow_table().to_pylist()}
    theirs = {one for one in theirs | set().union(*(one.addresses for one in persons if one.ties)) if _is_origin(one)}
    networks = {one.rpartition(".")[0]: one for one in sorted(theirs) if "." in one}
    for one in persons:
        near = sorted(networks[net] for ip in one.addresses if (net := ip.rpartition(".")[0]) in networks)
        if near and not one.ties and all(_is_origin(ip) for ip in one.addresses):
            said = f"one of its addresses lies in the /24 of an operator's, {near[0]}"
            one.ties.append(Tie(reason(said, 4, one.locator)))


def _like_owners(
    persons: list[_Person], verdicts: list[tuple[str, str, list[Row]]], known: list[_Person], habits: dict[str, Row]
) -> None:
    """Give to the owner who comes by the owner's own account, or by the owner's provider under the same account.

    A home's address changes within its provider; an account that no operator used is the owner's wherever it comes from.
    """
    owners = [one for one, (held, _, _) in zip(persons, verdicts, strict=True) if held == OWNER]
    accounts = set().union(*(one.values("user_name") for one in owners))
    taken = set().union(*(one.values("user_name") for one in known))
    systems = {habits[ip]["system"] for one in owners for ip in one.addresses if ip in habits} - {None}
    theirs = {habits[ip]["system"] for one in known for ip in one.addresses if ip in habits}
    for place, one in enumerate(persons):
        held, _, reasons = verdicts[place]
        mine = one.values("user_name")
        if held != OPERATOR or one.ties or not mine or not mine <= accounts:
            continue
        at = {habits[ip]["system"] for ip in one.addresses if ip in habits}
        if not mine & taken:
            said = f"its account {', '.join(sorted(mine))} is the owner's, and no operator's"
        elif at and at <= systems - theirs:
            said = "it came by a provider of the owner's, and none of the operator's, under the owner's account"
        else:
            continue
        verdicts[place] = OWNER, _POSSIBLE, [*reasons[:1], reason(said, 5, one.locator)]


def _habits(db: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    """Return, by address of a session: whether every witness of anonymity knows it, and what it used of the server's own application."""
    count_traffic(db)
    found = db.sql(f"""
        WITH mine AS (SELECT DISTINCT unnest(string_split(source_ips, ';')) AS source_ip FROM sessions),
        born AS (SELECT min(first_seen) AS born FROM endpoints WHERE kind = 'c2'),
        own AS ({_OWN_PATHS}),
        used AS (SELECT source_ip, sum(ok)::BIGINT AS used FROM _traffic SEMI JOIN own USING (path) WHERE ok > 0 GROUP BY ALL),
        hidden AS (SELECT source_ip, bool_or(anonymity IS NOT NULL) AS hidden, arg_min(as_number, day) AS system,
                   arg_min(country_iso_code, day) AS country FROM addresses GROUP BY ALL)
        SELECT mine.source_ip, coalesce(used.used, 0) AS used, coalesce(hidden.hidden, false) AS hidden, hidden.system, hidden.country
        FROM mine LEFT JOIN used USING (source_ip) LEFT JOIN hidden USING (source_ip)""")
    return {row["source_ip"]: row for row in found.to_arrow_table().to_pylist()}


def _judged(one: _Person, known: list[_Person], habits: dict[str, Row], server: _Server) -> tuple[str, str, list[Row]]:
    if one.ties:
        # Each session of a person says the same of a shared address: once is enough.
        reasons = list({tie.reason["sentence"]: tie.reason for tie in one.ties}.values())
        sure = any(tie.reason["weight"] >= _PROOF for tie in one.ties)
        return OPERATOR, _SURE if sure else _LIKELY, reasons[:12]
    if known:
        return _apart(one, known, habits, server)
    hidden = _hidden(one, habits)
    if server.born is None and not hidden and _at_own_application(one, habits):
        said = (
            "no command path and no break-in is in evidence, and its addresses came to what the server runs for its users, "
            f"on {counted(len(_days(one)), 'day')}"
        )
        return OWNER, _POSSIBLE, [reason(said, 5, one.locator)]
    if server.born is None and not hidden and server.public >= _USED:
        said = f"no command path and no break-in is in evidence, on a server whose application {counted(server.public, 'address')} used"
        return OWNER, _POSSIBLE, [reason(said, 4, [*one.locator, server.locator or ""])]
    countries = {habits[ip]["country"] for ip in one.addresses if ip in habits} - {None}
    if server.born is None and not hidden and server.watched(one) and len(countries) <= 1 and not _set_up(one, server):
        said = (
            "the web log speaks of the time of its sessions and shows no command path, nor is there a break-in; its addresses hide "
            "behind nothing and lie in one country"
        )
        return OWNER, _POSSIBLE, [reason(said, 3, one.locator)]
    if server.born is not None and server.public >= _USED and one.first <= server.born - _EARLIER and not hidden:
        said = (
            f"it was here {counted((server.born - one.first).days, 'day')} before the command path was, on a server whose application "
            f"{counted(server.public, 'address')} used; nothing ties it to that path or to guessing"
        )
        return OWNER, _POSSIBLE, [reason(said, 5, [*one.locator, server.locator or ""])]
    said = "nothing in evidence tells an operator from an owner: whoever had a desktop here is held to be an operator"
    return OPERATOR, _POSSIBLE, [reason(said, 4, one.locator)]


def _set_up(one: _Person, server: _Server) -> bool:
    """Say whether the web server came into being under its hands: a server of its own is no owner's that was broken into."""
    return any(since <= at <= until for at in server.installed for since, until in _spans(one))


def _spans(one: _Person) -> list[tuple[datetime, datetime]]:
    return [(row["start"], row["end"] or row["start"] + _EARLIER) for row in one.sessions]


def _hidden(one: _Person, habits: dict[str, Row]) -> bool:
    return all(habits[ip]["hidden"] for ip in one.addresses if ip in habits)


def _apart(one: _Person, known: list[_Person], habits: dict[str, Row], server: _Server) -> tuple[str, str, list[Row]]:
    """Judge somebody whom nothing ties to the command path, on a server that others are tied to."""
    differs = []
    for name, word in (("user_name", "account"), ("client_name", "client machine"), ("client_zone", "client zone")):
        mine, theirs = one.values(name), set().union(*(other.values(name) for other in known))
        if mine and theirs and not mine & theirs:
            said = f"its {word} {', '.join(sorted(mine))} is none of the operator's"
            differs.append(reason(said, 6, one.locator))
    start = min([other.first for other in known] + ([server.born] if server.born else []))
    earlier = one.first <= start - _EARLIER
    used = sum(habits[ip]["used"] for ip in one.addresses if ip in habits)
    hidden = _hidden(one, habits)
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
    at_work = used or server.public >= _USED
    if at_work and len(before) >= _DAYS and not hidden and not _shares_client(one, known):
        said = f"it was here on {counted(len(before), 'day')} before the operator, on a server that others used for its application"
        reasons.append(reason(said, 5, one.locator))
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
