"""The sentences of the findings: each function asks the case's tables one thing and says it, or says nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import reason
from forensics.model import CONFIDENCES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import duckdb

Row = dict[str, Any]
_SURE, _LIKELY, _POSSIBLE = CONFIDENCES
NEVER_CUT: Final = frozenset({"rare_origin", "opsec_slip"})
_SHORT_S: Final = 300
_NEAR_S: Final = 86_400
_SHOWN: Final = 4

_HIDDEN: Final = (
    "len([x for x in string_split(coalesce(anonymity, ''), '; ') if x <> '' AND NOT ends_with(x, 'on the day')]) > 0"
)
"""SQL: some list had the address on the day; reasons of other days are told, and counted nowhere."""


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    listed: list[Row] = db.sql(query).to_arrow_table().to_pylist()
    return listed


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _finding(kind: str, sentence: str, confidence: str, reasons: list[Row], **more: object) -> Row:
    return {"kind": kind, "sentence": sentence, "confidence": confidence, "reasons": reasons, **more}


def _proofs(row: Row) -> list[Row]:
    found: list[Row] = json.loads(row["because"])
    return found


def rare_origins(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each rare origin: what it did, for how long, and whether it belongs to the operator."""
    found = _rows(
        db,
        """SELECT s.*, c.operator_id, c.session_uid, c.since, c.until, m.locators, m.time FROM sources s
        JOIN milestones m ON m.milestone = 'rare_origin' AND m.source_ip = s.source_ip
        LEFT JOIN (SELECT * FROM chain QUALIFY row_number() OVER (PARTITION BY source_ip ORDER BY since) = 1) c
             ON c.source_ip = s.source_ip
        WHERE s.rare_grade IN ('A', 'B') OR s.role = 'operator' ORDER BY s.rare_grade, s.first_seen, s.source_ip""",
    )
    for row in found:
        where = f"{row['source_ip']} ({row['rare_origin']}, grade {row['rare_grade']})"
        proofs = [reason("the first trace of that address", 8, (row["locators"] or "").split(";")), *_proofs(row)]
        did = f"{_count(row['rdp_sessions'], 'RDP session')}, {_count(row['http_requests'], 'web request')}"
        if row["session_uid"]:
            stay = f", {int((row['until'] - row['since']).total_seconds())} seconds long," if row["until"] else ""
            said = (
                f"On {_when(row['since'])} the operator's session {row['session_uid']} was used from {where}: a contact{stay} "
                f"between others that came through other networks ({did})"
            )
            yield _finding(
                "rare_origin", said, row["role_confidence"], proofs, time=row["since"], source_ip=row["source_ip"]
            )
        else:
            tie = (
                "as an operator"
                if row["role"] == "operator"
                else f"no tie to the operator was found (role {row['role']})"
            )
            said = f"On {_when(row['time'])} {where} reached the server: {did}; {tie}"
            yield _finding(
                "rare_origin", said, row["role_confidence"], proofs, time=row["time"], source_ip=row["source_ip"]
            )


def alone(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell an operator's address that stands alone in its country or system among all addresses of the case."""
    found = _rows(
        db,
        """SELECT r.*, s.locator FROM rarities r JOIN (SELECT source_ip, arg_min(locator, since) AS locator FROM chain GROUP BY source_ip) s
        USING (source_ip) WHERE r.role = 'operator' ORDER BY r.first_seen, r.source_ip, r.kind""",
    )
    for row in found:
        told = {"alone_in_country": f"in {row['value']}", "alone_in_as": f"in {row['value']}"}
        among = f"the only one of {row['among']:,} placed addresses {told.get(row['kind'], '')}".rstrip()
        what = among if row["kind"] in told else f"in a network of few addresses, {row['value']}"
        yield _finding(
            "rarity",
            f"{row['source_ip']}, an operator's address, is {what}: rare in this case, which says nothing of who sat there",
            _POSSIBLE,
            [reason(what, 3, [row["locator"]])],
            time=row["first_seen"],
            source_ip=row["source_ip"],
        )


def slips(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell short stays from a place of their own, near others of the same operator that came through other networks."""
    found = _rows(
        db,
        f"""WITH seen AS (SELECT *, count(*) OVER (PARTITION BY operator_id) AS stays,
               count(*) OVER (PARTITION BY operator_id, source_ip) AS times,
               count(*) OVER (PARTITION BY operator_id, country_iso_code) AS of_country,
               least(epoch(since) - epoch(lag(coalesce(until, since)) OVER w), epoch(lead(since) OVER w) - epoch(until)) AS near
            FROM chain WINDOW w AS (PARTITION BY operator_id ORDER BY since, session_uid, source_ip))
        SELECT * FROM seen WHERE rare_grade IS NULL AND anonymity IS NULL AND stays >= 4 AND times = 1 AND of_country = 1
            AND until IS NOT NULL AND epoch(until) - epoch(since) <= {_SHORT_S} AND near BETWEEN 0 AND {_NEAR_S} ORDER BY since""",
    )
    for row in found:
        length = int((row["until"] - row["since"]).total_seconds())
        place = row["country_iso_code"] or "a country no witness names"
        said = (
            f"On {_when(row['since'])} {row['source_ip']} ({place}) used session {row['session_uid']} for {length} seconds, once, from "
            "no known proxy, near stays from other networks: it may be the operator's own"
        )
        yield _finding(
            "opsec_slip",
            said,
            _POSSIBLE,
            [reason("its only stay, the only one from that country, and short", 5, [row["locator"]])],
            time=row["since"],
            source_ip=row["source_ip"],
        )


def operators(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell who came how often, from where."""
    found = _rows(
        db,
        f"""SELECT operator_id, count(DISTINCT source_ip) AS addresses, count(DISTINCT session_uid) AS sessions, min(since) AS first,
               max(coalesce(until, since)) AS last, list(DISTINCT country_iso_code ORDER BY country_iso_code) AS countries,
               count(DISTINCT source_ip) FILTER (WHERE {_HIDDEN}) AS anonymous, arg_min(locator, since) AS locator
        FROM chain GROUP BY operator_id ORDER BY sessions DESC, operator_id""",
    )
    for row in found:
        countries = [one for one in row["countries"] if one]
        through = f", {row['anonymous']} of them hosting, VPN, proxy or Tor" if row["anonymous"] else ""
        where = f" ({_some(countries)})" if countries else ""
        addresses = f"{row['addresses']} address{'' if row['addresses'] == 1 else 'es'}"
        said = (
            f"Operator {row['operator_id']} was on the server in {_count(row['sessions'], 'RDP session')} from {addresses}"
            f"{through}{where}, between {_when(row['first'])} and {_when(row['last'])}"
        )
        yield _finding(
            "operator", said, _SURE, [reason("sessions and their stays", 8, [row["locator"]])], time=row["first"]
        )


def owners(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell whose sessions are held to be the rightful owner's, and why."""
    found = _rows(
        db,
        """SELECT p.person, count(*) AS sessions, min(s.start) AS first, max(coalesce(s."end", s.start)) AS last,
               any_value(p.confidence) AS confidence, any_value(p.because) AS because,
               list(DISTINCT s.user_name ORDER BY s.user_name) AS accounts
        FROM people p JOIN sessions s USING (session_uid) WHERE p.held_to_be = 'rightful_owner' GROUP BY p.person ORDER BY first, person""",
    )
    for row in found:
        said = (
            f"{_count(row['sessions'], 'RDP session')} as {_some([one or 'an unnamed account' for one in row['accounts']])} between "
            f"{_when(row['first'])} and {_when(row['last'])} are held to be the rightful owner's, not an operator's"
        )
        yield _finding("owner", said, row["confidence"], _proofs(row), time=row["first"])


def _stone(db: duckdb.DuckDBPyConnection, name: str) -> Row | None:
    # The name is one of the milestones.
    found = _rows(db, f"SELECT * FROM milestones WHERE milestone = '{name}' AND time IS NOT NULL ORDER BY time LIMIT 1")
    return found[0] if found else None


def _locators(row: Row) -> list[str]:
    return [one for one in (row["locators"] or "").split(";") if one]


def installation(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell when Tomcat came onto the server."""
    stone = _stone(db, "tomcat_installed") or _stone(db, "tomcat_started")
    if stone:
        verb = "was installed" if stone["milestone"] == "tomcat_installed" else "first ran, as far as the logs go back,"
        said = f"Tomcat {verb} on {_when(stone['time'])}: {stone['detail']}"
        yield _finding(
            "installation",
            said,
            stone["confidence"],
            [reason(stone["detail"], 8, _locators(stone))],
            time=stone["time"],
        )


def command(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell which paths the backdoor spoke to, and when they came."""
    paths = _rows(db, "SELECT * FROM endpoints WHERE kind = 'c2' ORDER BY first_seen, path")
    if not paths:
        return
    stone = _stone(db, "c2_deployed")
    since = f"; it was deployed on {_when(stone['time'])} ({stone['detail']})" if stone else ""
    said = f"{_some([row['path'] for row in paths])} served as command and control: {sum(r['requests'] for r in paths):,} requests from {max(r['sources'] for r in paths):,} source addresses{since}"
    reasons = [one for row in paths[:_SHOWN] for one in _proofs(row)]
    if stone:
        reasons.append(reason(stone["detail"], 7, _locators(stone)))
    yield _finding("command", said, stone["confidence"] if stone else _LIKELY, reasons, time=paths[0]["first_seen"])


def victims(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell how many implants came back, from where."""
    (row,) = _rows(
        db,
        """SELECT count(*) AS implants, count(DISTINCT country_iso_code) AS countries, min(first_seen) AS first, max(last_seen) AS last,
               count(*) FILTER (WHERE role_confidence = 'almost certain') AS sure FROM sources WHERE role = 'implant'""",
    )
    if not row["implants"]:
        return
    stone = _stone(db, "first_implant")
    said = (
        f"{row['implants']} addresses in {row['countries']} countries came back to the command path by a timer, {row['sure']} of them almost certainly "
        f"implants, from {_when(row['first'])} to {_when(row['last'])}"
    )
    proofs = _locators(stone) if stone else []
    yield _finding("victims", said, _LIKELY, [reason("the first of them", 6, proofs)], time=row["first"])


def tests(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell that the operator tried the command path, first by browser or first by backdoor."""
    stones = [one for name in ("first_browser_test", "first_backdoor_test") if (one := _stone(db, name))]
    if stones:
        stones.sort(key=lambda one: one["time"])
        kinds = {"first_browser_test": "with a browser", "first_backdoor_test": "as the backdoor would"}
        steps = ", then ".join(
            f"{kinds[one['milestone']]} on {_when(one['time'])} from {one['source_ip']}" for one in stones
        )
        reasons = [reason(one["detail"], 6, _locators(one)) for one in stones]
        yield _finding("tests", f"The operator tested it {steps}", _LIKELY, reasons, time=stones[0]["time"])


def machine(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell one client machine behind several addresses."""
    found = _rows(
        db,
        """SELECT operator_id, b, list(a ORDER BY since) AS addresses, min(since) AS since, list(because) AS because FROM links
        WHERE relation = 'client_name' GROUP BY ALL HAVING count(*) > 1 ORDER BY count(*) DESC, b""",
    )
    for row in found:
        said = f"One client machine, {row['b']} by its own word, was behind {len(row['addresses'])} of the addresses: {_some(row['addresses'])}"
        reasons = [one for text in row["because"][:_SHOWN] for one in json.loads(text)]
        yield _finding("machine", said, _LIKELY, reasons, time=row["since"])


def hours(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the offsets that the hours would fit."""
    found = _rows(db, "SELECT * FROM zones WHERE candidate ORDER BY fit DESC, offset_minutes")
    if not found:
        return
    offsets = _some([f"UTC{row['offset']}" for row in found])
    said_by = [
        f"UTC{row['offset']}"
        for row in _rows(db, "SELECT * FROM zones WHERE client_sessions > 0 ORDER BY client_sessions DESC")
    ]
    client = f"; the clients' own clocks stood at {_some(said_by)}" if said_by else ""
    said = f"The operator's hours on {found[0]['active_days']} days would fit a working day at {offsets}{client}"
    yield _finding("hours", said, found[0]["confidence"], _proofs(found[0]))


def traces(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell cleared logs and changed clocks."""
    found = _rows(
        db,
        "SELECT * FROM milestones WHERE milestone IN ('log_cleared', 'clock_changed') AND time IS NOT NULL ORDER BY time",
    )
    if found:
        said = f"Traces were touched {_count(len(found), 'time')}: {_some([row['detail'] for row in found])}"
        reasons = [reason(row["detail"], 7, _locators(row)) for row in found[:_SHOWN]]
        yield _finding("traces", said, _SURE, reasons, time=found[0]["time"])


def crash(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell a crash, and what the operator last did."""
    stone, last = _stone(db, "crash"), _stone(db, "last_operator_act")
    if stone:
        said = f"The server went down unexpectedly before {_when(stone['time'])}"
        reasons = [reason(stone["detail"], 7, _locators(stone))]
        if last:
            said += f"; the operator's last act in evidence is of {_when(last['time'])}: {last['detail']}"
            reasons.append(reason(last["detail"], 6, _locators(last)))
        yield _finding("crash", said, stone["confidence"], reasons, time=stone["time"])


def gaps(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell holes in the logs."""
    found = _rows(
        db,
        "SELECT * FROM coverage WHERE numbers_missing > 0 OR times_back > 0 OR missing_days IS NOT NULL ORDER BY numbers_missing DESC NULLS LAST, label",
    )
    if found:
        listed = []
        for row in found:
            holes = [f"{row['numbers_missing']:,} records" if row["numbers_missing"] else "", row["missing_days"] or ""]
            holes.append("times that go back" if row["times_back"] else "")
            listed.append(f"{row['label']} ({', '.join(one for one in holes if one)})")
        yield _finding("gaps", f"The logs have holes: {_some(listed)}", _SURE, [reason("see coverage", 5, [])])


def limits(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Say what these logs cannot show."""
    for row in _rows(db, "SELECT * FROM coverage WHERE cannot_know IS NOT NULL ORDER BY log"):
        said = f"{row['log']} is not in evidence; without it these logs do not show {row['cannot_know']}"
        yield _finding("limit", said, _SURE, [])
    (web,) = _rows(
        db,
        """SELECT (SELECT count(*) FROM (SELECT 1 FROM events WHERE event_action = 'http_request' LIMIT 1)) AS requests,
               (SELECT count(*) FROM endpoints WHERE kind = 'c2') AS paths""",
    )
    if web["requests"] and not web["paths"]:
        said = (
            "No command path in evidence: no path has clients that are no browsers and come back to it, and was deployed or tried "
            "here first; that does not show that there was none"
        )
        yield _finding("limit", said, _SURE, [])
    (kept,) = _rows(db, "SELECT coalesce(sum(records), 0)::BIGINT AS records FROM ledger WHERE outcome = 'reject'")
    if kept["records"]:
        said = (
            f"{_count(kept['records'], 'record')} could not be read; each is in rejects.csv with its place and reason"
        )
        yield _finding("limit", said, _SURE, [])
    said = (
        "An address is where a connection came from, not who sat there: behind each may stand a proxy; client names, zones and screens are "
        "the client's own words"
    )
    yield _finding("limit", said, _SURE, [])


def nothing() -> Row:
    """Say that there is not enough."""
    return _finding("none", "Not enough evidence: no operator, no command path and no rare origin was found", _SURE, [])
