"""Contacts out of pattern: rare origins, and an operator's address that for once came by no proxy.

This is how North Korean addresses came to light: one short connection from the country itself between weeks of proxies (Kaspersky 2017),
or at the start of a working day, after which the operator came back by the intended way (WithSecure 2023). A pattern needs something
to stand out from: fewer than three other addresses of an operator show none, and where many addresses stand out none does.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from forensics.analysis._sentences import LIKELY, POSSIBLE, Row, asked, finding, proofs_of, when
from forensics.analysis._words import HIDDEN, reason
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

_SHORT: Final = timedelta(minutes=5)
_NEAR: Final = timedelta(days=1)
_OTHERS: Final = 3
"""Other addresses of an operator, below which there is no pattern."""
_MOSTLY: Final = 0.75
"""Share of the other addresses that lists call hosting, VPN, proxy or Tor, from which on an address that none calls so stands out."""
_BRIEF: Final = 10
"""Requests of an address that came for what only insiders know, and for nothing else."""
_SINGLE: Final = 10
"""Rare origins without a tie to the operator that have a sentence each; more of them share one."""


def rare_origins(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each rare origin: what it did, for how long, and whether it belongs to the operator; those that do stand first."""
    found = asked(
        db,
        """SELECT s.*, c.session_uid, c.since, c.until, c.others, m.locators, m.time FROM sources s
        JOIN milestones m ON m.milestone = 'rare_origin' AND m.source_ip = s.source_ip
        LEFT JOIN (SELECT *, (SELECT count(DISTINCT o.source_ip) FROM chain o WHERE o.operator_id = chain.operator_id) - 1 AS others FROM chain
                   QUALIFY row_number() OVER (PARTITION BY source_ip ORDER BY since, session_uid, locator) = 1) c ON c.source_ip = s.source_ip
        WHERE s.rare_grade IN ('A', 'B') OR s.role = 'operator'
        ORDER BY s.role <> 'operator', c.session_uid IS NULL, s.rare_grade, s.first_seen, s.source_ip""",
    )
    loose = 0
    for row in found:
        loose += row["role"] != "operator"
        if row["role"] == "operator" or loose <= _SINGLE:
            yield _rare(row)
    if loose > _SINGLE:
        said = f"{counted(loose - _SINGLE, 'more address')} of rare origins reached the server without a tie to the operator; see sources.csv"
        yield finding("rare_origin", said, POSSIBLE, [])


def _rare(row: Row) -> Row:
    where = f"{row['source_ip']} ({row['rare_origin']}, grade {row['rare_grade']})"
    proofs = [reason("the first trace of that address", 8, (row["locators"] or "").split(";")), *proofs_of(row)]
    did = " and ".join(
        counted(row[name], thing)
        for name, thing in (
            ("rdp_sessions", "RDP session"),
            ("http_requests", "web request"),
            ("rdp_failures", "refused logon"),
        )
        if row[name]
    )
    time = row["since"] or row["time"]
    if row["session_uid"]:
        length = (
            f"a contact of {_lasted(row['until'] - row['since'])}"
            if row["until"]
            else "a contact whose end is not in evidence"
        )
        among = (
            ", between others that came through other networks"
            if row["others"]
            else ", and the operator's only address"
        )
        said = f"On {when(time)} the operator's session {row['session_uid']} was used from {where}: {length}{among} ({did})"
    else:
        tie = (
            "held to be an operator's"
            if row["role"] == "operator"
            else f"no tie to the operator was found (role {row['role']})"
        )
        said = f"On {when(time)} {where} reached the server: {did or 'bare connections'}; {tie}"
    return finding("rare_origin", said, row["role_confidence"], proofs, time=time, source_ip=row["source_ip"])


def _lasted(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return counted(seconds, "second") if seconds < 600 else counted(seconds // 60, "minute")  # ten minutes


def slips(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell an operator's address that stands out from the others: by no proxy among proxies, or one short stay from a place of its own."""
    by_operator: dict[str, list[Row]] = defaultdict(list)
    for stay in asked(
        db,
        f"""SELECT *, {HIDDEN} AS hidden FROM chain ORDER BY operator_id, since, session_uid, source_ip, locator""",
    ):
        by_operator[stay["operator_id"]].append(stay)
    for operator_id, stays in sorted(by_operator.items()):
        found = [one for one in _addresses(stays) if _stands_out(one)]
        # What many addresses do is a habit.
        if len(found) * 3 <= len({stay["source_ip"] for stay in stays}):
            for one in found:
                yield _slip(operator_id, one)
    yield from _by_knowledge(db, sum(len({stay["source_ip"] for stay in stays}) for stays in by_operator.values()))


def _addresses(stays: Sequence[Row]) -> Iterator[Row]:
    """Describe each address of an operator that is no rare origin beside the others."""
    hidden = {stay["source_ip"]: stay["hidden"] for stay in stays}
    for number, stay in enumerate(stays):
        ip = stay["source_ip"]
        mine = [one for one in stays if one["source_ip"] == ip]
        if mine[0] is not stay or stay["rare_grade"]:
            continue
        others = [one for one in stays if one["source_ip"] != ip]
        beside = [
            one
            for one in (*stays[max(0, number - 1) : number], *stays[number + 1 : number + 2])
            if one["source_ip"] != ip
        ]
        near = [one for one in others if abs(one["since"] - stay["since"]) <= _NEAR]
        length = stay["until"] - stay["since"] if stay["until"] else None
        yield {
            "stay": stay,
            "length": length,
            "direct": not stay["hidden"],
            "once": len(mine) == 1,
            "short": length is not None and length <= _SHORT,
            "others": len(hidden) - 1,
            "hidden_others": sum(hidden[one] for one in hidden if one != ip),
            "between": len(beside) == 2 and all(one["hidden"] for one in beside) and len(near) > 1,  # before and after
            "near": near,
            "alone_in_country": stay["country_iso_code"] is not None
            and all(one["country_iso_code"] != stay["country_iso_code"] for one in others),
        }


def _stands_out(one: Row) -> bool:
    if one["others"] < _OTHERS or not one["direct"]:
        return False
    proxies = one["hidden_others"] >= _OTHERS and one["hidden_others"] >= _MOSTLY * one["others"]
    return bool(
        (proxies and (one["once"] or one["between"]))
        or (one["once"] and one["between"] and one["alone_in_country"])
        or (one["once"] and one["short"] and one["alone_in_country"] and one["near"])
    )


def _slip(operator_id: str, one: Row) -> Row:
    stay = one["stay"]
    place = stay["country_iso_code"] or "a country that no database names"
    network = f", {stay['as_organization_name']}" if stay["as_organization_name"] else ""
    reasons = [reason("no list calls it hosting, VPN, proxy or Tor", 5, [stay["locator"]])]
    if one["hidden_others"]:
        said = f"{one['hidden_others']:,} of the operator's {counted(one['others'], 'other address')} are hosting, VPN, proxy or Tor"
        reasons.append(reason(said, 4, [other["locator"] for other in one["near"]]))
    if one["between"]:
        reasons.append(
            reason(
                "the stays right before and after it came by such networks",
                6,
                [other["locator"] for other in one["near"]],
            )
        )
    if one["once"]:
        reasons.append(reason("it was used once", 3, [stay["locator"]]))
    if one["alone_in_country"]:
        reasons.append(reason(f"no other address of the operator lies in {place}", 3, [stay["locator"]]))
    if one["short"]:
        reasons.append(reason(f"it was used for {_lasted(one['length'])} only", 3, [stay["locator"]]))
    length = f" for {_lasted(one['length'])}" if one["length"] is not None else ""
    beside = ", between stays through such networks" if one["between"] else ""
    said = (
        f"On {when(stay['since'])} {stay['source_ip']} ({place}{network}), which no list calls a proxy, was used for operator {operator_id}'s "
        f"session {stay['session_uid']}{length}{beside}: out of pattern, and perhaps the operator's own network"
    )
    sure = LIKELY if one["between"] and one["once"] and one["alone_in_country"] else POSSIBLE
    return finding("opsec_slip", said, sure, reasons, time=stay["since"], source_ip=stay["source_ip"])


def _by_knowledge(db: duckdb.DuckDBPyConnection, known: int) -> Iterator[Row]:
    """Tell a direct address that came for what only insiders know, a few times, and has no session of its own."""
    found = asked(
        db,
        f"""SELECT s.*, (SELECT min(abs(epoch(c.since) - epoch(s.first_seen))) FROM chain c) AS near FROM sources s
        WHERE s.role = 'operator' AND s.rdp_sessions = 0 AND s.rare_grade IS NULL AND s.http_requests <= {_BRIEF} AND NOT ({HIDDEN})
        ORDER BY s.first_seen, s.source_ip""",
    )
    if known < _OTHERS or len(found) * 3 > known + len(found):
        return
    for row in found:
        place = row["country_iso_code"] or "a country that no database names"
        proofs = proofs_of(row)
        did = proofs[0]["sentence"] if proofs else "it knew what only insiders know"
        close = row["near"] is not None and row["near"] <= _NEAR.total_seconds()
        beside = ", within a day of the operator's sessions" if close else ""
        said = (
            f"On {when(row['first_seen'])} {row['source_ip']} ({place}), which no list calls a proxy, came without a session of its own{beside}: "
            f"{did}; out of pattern, and perhaps the operator's own network"
        )
        yield finding("opsec_slip", said, POSSIBLE, proofs, time=row["first_seen"], source_ip=row["source_ip"])
