"""The sentences of the findings: each function asks the case's tables one thing and says it, or says nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import HIDDEN, reason
from forensics.model import CONFIDENCES
from forensics.text import counted, were

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

Row = dict[str, Any]
SURE, LIKELY, POSSIBLE = CONFIDENCES
NEVER_CUT: Final = frozenset({"rare_origin", "opsec_slip"})
_SHOWN: Final = 4
_REASONS: Final = 8
_OF_ONE_KIND: Final = 3
"""Operators or owners that have a sentence each; the others share one, so that ten sentences tell of more than one thing."""


def asked(db: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    listed: list[Row] = db.sql(query).to_arrow_table().to_pylist()
    return listed


def when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def some(names: list[str], between: str = ", ") -> str:
    """Return the first names of a list, and how many more there are."""
    more = len(names) - _SHOWN
    return between.join(names[:_SHOWN]) + (
        f"{between if between != ', ' else ' '}and {more:,} more" if more > 0 else ""
    )


def finding(kind: str, sentence: str, confidence: str, reasons: list[Row], **more: object) -> Row:
    return {"kind": kind, "sentence": sentence, "confidence": confidence, "reasons": reasons, **more}


def proofs_of(row: Row) -> list[Row]:
    found: list[Row] = json.loads(row["because"])
    return found


def alone(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell an operator's address that stands alone in its country or system among all addresses of the case."""
    found = asked(
        db,
        """SELECT r.*, s.locator FROM rarities r JOIN (SELECT source_ip, arg_min(locator, since) AS locator FROM chain GROUP BY source_ip) s
        USING (source_ip) WHERE r.role = 'operator' ORDER BY r.first_seen, r.source_ip, r.kind""",
    )
    for row in found:
        told = {"alone_in_country": f"in {row['value']}", "alone_in_as": f"in {row['value']}"}
        among = f"the only one of {row['among']:,} placed addresses {told.get(row['kind'], '')}".rstrip()
        what = among if row["kind"] in told else f"in a network of few addresses, {row['value']}"
        yield finding(
            "rarity",
            f"{row['source_ip']}, an operator's address, is {what}: rare in this case, which says nothing of who sat there",
            POSSIBLE,
            [reason(what, 3, [row["locator"]])],
            time=row["first_seen"],
            source_ip=row["source_ip"],
        )


def operators(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell who came how often, from where."""
    found = asked(
        db,
        f"""SELECT operator_id, count(DISTINCT source_ip) AS addresses, count(DISTINCT session_uid) AS sessions, min(since) AS first,
               max(coalesce(until, since)) AS last, list(DISTINCT country_iso_code ORDER BY country_iso_code) AS countries,
               count(DISTINCT source_ip) FILTER (WHERE {HIDDEN}) AS anonymous, arg_min(locator, since) AS locator,
               min(list_position({list(CONFIDENCES)}, p.confidence)) AS sure, arg_min(p.because, list_position({list(CONFIDENCES)}, p.confidence)) AS because
        FROM chain LEFT JOIN people p USING (session_uid) GROUP BY operator_id ORDER BY sessions DESC, operator_id""",
    )
    for row in found[:_OF_ONE_KIND]:
        countries = [one for one in row["countries"] if one]
        where = f" ({some(countries)})" if countries else ""
        said = (
            f"Operator {row['operator_id']} was on the server in {counted(row['sessions'], 'RDP session')} from "
            f"{counted(row['addresses'], 'address')}{_hidden(row)}{where}, {_between(row['first'], row['last'])}"
        )
        reasons = [reason("sessions and their stays", 8, [row["locator"]]), *(proofs_of(row) if row["because"] else ())]
        sure = CONFIDENCES[row["sure"] - 1] if row["sure"] else POSSIBLE
        yield finding("operator", said, sure, reasons[:_REASONS], time=row["first"])
    if rest := found[_OF_ONE_KIND:]:
        number = sum(row["sessions"] for row in rest)
        said = (
            f"{counted(len(rest), 'more operator')} {were(len(rest))} on the server in {counted(number, 'RDP session')}; "
            "nothing in evidence ties one to another; see links.csv"
        )
        yield finding("operator", said, LIKELY, [reason("their first stays", 5, [row["locator"] for row in rest])])


def _hidden(row: Row) -> str:
    if not row["anonymous"]:
        return ""
    what = "hosting, VPN, proxy or Tor"
    return f", {row['anonymous']:,} of them {what}" if row["addresses"] > 1 else f", which is {what}"


def _between(first: datetime, last: datetime) -> str:
    return f"on {when(first)}" if first == last else f"between {when(first)} and {when(last)}"


def owners(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell whose sessions are held to be the rightful owner's, and why."""
    found = asked(
        db,
        """SELECT p.person, count(*) AS sessions, min(s.start) AS first, max(coalesce(s."end", s.start)) AS last,
               any_value(p.confidence) AS confidence, any_value(p.because) AS because,
               list(DISTINCT s.user_name ORDER BY s.user_name) AS accounts
        FROM people p JOIN sessions s USING (session_uid) WHERE p.held_to_be = 'rightful_owner' GROUP BY p.person ORDER BY first, person""",
    )
    for row in found[:_OF_ONE_KIND]:
        said = (
            f"{counted(row['sessions'], 'RDP session')} as {some([one or 'an unnamed account' for one in row['accounts']])} between "
            f"{when(row['first'])} and {when(row['last'])} {'is' if row['sessions'] == 1 else 'are'} held to be the rightful owner's, not an operator's"
        )
        yield finding("owner", said, row["confidence"], proofs_of(row), time=row["first"])
    if rest := found[_OF_ONE_KIND:]:
        said = f"{counted(len(rest), 'more person')} {were(len(rest))} here whose sessions are held to be the rightful owner's; see people.csv"
        yield finding("owner", said, LIKELY, [one for row in rest for one in proofs_of(row)][:_OF_ONE_KIND])


def milestone(db: duckdb.DuckDBPyConnection, name: str) -> Row | None:
    # The name is one of the milestones.
    found = asked(db, f"SELECT * FROM milestones WHERE milestone = '{name}' AND time IS NOT NULL ORDER BY time LIMIT 1")
    return found[0] if found else None


def locators_of(row: Row) -> list[str]:
    return [one for one in (row["locators"] or "").split(";") if one]


def installation(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell when Tomcat came onto the server."""
    stone = milestone(db, "tomcat_installed") or milestone(db, "tomcat_started")
    if stone:
        verb = "was installed" if stone["milestone"] == "tomcat_installed" else "first ran, as far as the logs go back,"
        said = f"Tomcat {verb} on {when(stone['time'])}: {stone['detail']}"
        yield finding(
            "installation",
            said,
            stone["confidence"],
            [reason(stone["detail"], 8, locators_of(stone))],
            time=stone["time"],
        )


def command(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell which paths the backdoor spoke to, and when they came."""
    paths = asked(db, "SELECT * FROM endpoints WHERE kind = 'c2' ORDER BY first_seen, path")
    if not paths:
        return
    stone = milestone(db, "c2_deployed")
    since = ""
    if stone:
        since = f"; it was deployed on {when(stone['time'])} ({stone['detail']})"
        if stone["confidence"] == POSSIBLE:
            since = f"; on {when(stone['time'])} {stone['detail']}"
    said = f"{some([row['path'] for row in paths])} served as command and control: {counted(sum(r['requests'] for r in paths), 'request')} from {counted(max(r['sources'] for r in paths), 'source address')}{since}"
    reasons = [one for row in paths[:_SHOWN] for one in proofs_of(row)]
    if stone:
        reasons.append(reason(stone["detail"], 7, locators_of(stone)))
    yield finding("command", said, stone["confidence"] if stone else LIKELY, reasons, time=paths[0]["first_seen"])


def victims(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell how many implants came back, from where."""
    (row,) = asked(
        db,
        """SELECT count(*) AS implants, count(DISTINCT country_iso_code) AS countries, min(first_seen) AS first, max(last_seen) AS last,
               count(*) FILTER (WHERE role_confidence = 'almost certain') AS sure FROM sources WHERE role = 'implant'""",
    )
    if not row["implants"]:
        return
    stone = milestone(db, "first_implant")
    where = f" in {counted(row['countries'], 'country')}" if row["countries"] else ""
    what = "an implant" if row["sure"] == 1 else "implants"
    some_of = "" if row["sure"] == row["implants"] else f"{row['sure']:,} of them "
    sure = f"{some_of}almost certainly {what}" if row["sure"] else "none of them almost certainly an implant"
    said = (
        f"{counted(row['implants'], 'address')}{where} came back to the command path by a timer, {sure}, "
        f"from {when(row['first'])} to {when(row['last'])}"
    )
    proofs = locators_of(stone) if stone else []
    yield finding("victims", said, LIKELY, [reason("the first of them", 6, proofs)], time=row["first"])


def tests(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell that the operator tried the command path, first by browser or first by backdoor."""
    stones = [one for name in ("first_browser_test", "first_backdoor_test") if (one := milestone(db, name))]
    if stones:
        stones.sort(key=lambda one: one["time"])
        kinds = {"first_browser_test": "with a browser", "first_backdoor_test": "as the backdoor would"}
        steps = ", then ".join(
            f"{kinds[one['milestone']]} on {when(one['time'])} from {one['source_ip']}" for one in stones
        )
        reasons = [reason(one["detail"], 6, locators_of(one)) for one in stones]
        yield finding("tests", f"The operator tested the command path {steps}", LIKELY, reasons, time=stones[0]["time"])


def machine(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell one client machine behind several addresses."""
    found = asked(
        db,
        """SELECT operator_id, b, list(a ORDER BY since) AS addresses, min(since) AS since, list(because) AS because FROM links
        WHERE relation = 'client_name' GROUP BY ALL HAVING count(*) > 1 ORDER BY count(*) DESC, b""",
    )
    for row in found:
        said = f"One client machine, {row['b']} by its own word, was behind {len(row['addresses'])} of the addresses: {some(row['addresses'])}"
        reasons = [one for text in row["because"][:_SHOWN] for one in json.loads(text)]
        yield finding("machine", said, LIKELY, reasons, time=row["since"])


def hours(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the offsets that the hours would fit, each with its fit, and what the other witnesses say against or for them."""
    found = asked(db, "SELECT * FROM zones WHERE candidate ORDER BY fit DESC, clock NULLS FIRST, offset_minutes")
    if not found:
        return
    listed = some([f"UTC{row['offset']} (fit {row['fit']:.2f}{_clock(row)})" for row in found])
    said = f"The operator's hours on {counted(found[0]['active_days'], 'day')} would fit a working day at {listed}"
    said += _beside(db, "client_sessions > 0", "the clients' own clocks stood at", {row["offset"] for row in found})
    said += _beside(
        db,
        "addresses IS NOT NULL",
        "the addresses that no list calls a proxy lay where clocks stood at",
        {row["offset"] for row in found},
    )
    yield finding("hours", said, found[0]["confidence"], proofs_of(found[0]))


def _clock(row: Row) -> str:
    return f", the clock of {row['clock']}" if row["clock"] else ""


def _beside(db: duckdb.DuckDBPyConnection, where: str, said: str, candidates: set[str]) -> str:
    """Say where another witness puts the clock, and whether the hours agree."""
    offsets = [
        row["offset"]
        for row in asked(db, f"SELECT * FROM zones WHERE {where} AND clock IS NULL ORDER BY offset_minutes")
    ]
    if not offsets:
        return ""
    agree = [one for one in offsets if one in candidates]
    whole = "among these" if len(agree) == len(offsets) else "in part among these"
    verdict = whole if agree else "which contradicts that"
    return f"; {said} {some([f'UTC{one}' for one in offsets])}, {verdict}"


def nothing() -> Row:
    """Say that there is not enough."""
    return finding("none", "Not enough evidence: no operator, no command path and no rare origin was found", SURE, [])
