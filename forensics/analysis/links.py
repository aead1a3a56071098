"""Links: what ties addresses, accounts, machines, zones, screens, agents and paths to one operator, and how firmly.

A link is an observation between two things; `operator_id` groups addresses that hand one session over to each other or whose
client names itself alike. An account alone unites nobody: owner and intruder share it.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._stays import Stay, operators, stays
from forensics.analysis._traffic import path_of
from forensics.analysis._words import because, locator_of, reason
from forensics.answers import LINKS
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]
_SURE, _LIKELY, _POSSIBLE = CONFIDENCES
_E: Final = locator_of("e")
_TOLD: Final = ("c2", "panel", "manager")
_V4_NETWORK, _V6_NETWORK = 24, 48


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    known = stays(db)
    operator_of = operators(known)
    rows = [*_hand_overs(known), *_said_by_client(db, known), *_web(db), *_networks(db, known), *_agents(db)]
    whose = operator_of | {stay.session_uid: operator_of[stay.source_ip] for stay in known}
    for row in rows:
        row["operator_id"] = whose.get(row["a"])
    rows.sort(
        key=lambda r: (r["operator_id"] or "~", CONFIDENCES.index(r["confidence"]), r["relation"], r["a"], r["b"])
    )
    return table(rows, LINKS)


def _link(relation: str, a: tuple[str, str], b: tuple[str, str], confidence: str, reasons: Iterable[Row]) -> Row:
    return {
        "relation": relation,
        "a_kind": a[0],
        "a": a[1],
        "b_kind": b[0],
        "b": b[1],
        "confidence": confidence,
        "because": because(reasons),
    }


def _hand_overs(known: list[Stay]) -> Iterator[Row]:
    """One session taken up from another address: whoever does that knows the account and came for that session."""
    by_session: dict[str, list[Stay]] = defaultdict(list)
    for stay in known:
        by_session[stay.session_uid].append(stay)
    for uid, listed in sorted(by_session.items()):
        for before, after in pairwise(listed):
            if before.source_ip == after.source_ip:
                continue
            left = f"left at {before.source_ip}" if before.end else f"open at {before.source_ip}"
            said = f"session {uid} was {left} and taken up from {after.source_ip}"
            yield {
                **_link(
                    "hand_over",
                    ("address", before.source_ip),
                    ("address", after.source_ip),
                    _LIKELY,
                    [reason(said, 8, [before.locator, after.locator])],
                ),
                "since": before.end or after.start,
                "until": after.start,
            }


def _said_by_client(db: duckdb.DuckDBPyConnection, known: list[Stay]) -> Iterator[Row]:
    """What the client said of itself in each session, by address: its own words, easily made up."""
    sessions = {row["session_uid"]: row for row in db.sql("SELECT * FROM sessions").to_arrow_table().to_pylist()}
    seen: dict[tuple[str, str, str, str], list[Stay]] = defaultdict(list)
    for stay in known:
        session = sessions[stay.session_uid]
        for relation, kind, value, confidence in (
            ("client_name", "machine", session["client_name"], _LIKELY),
            ("client_zone", "zone", session["client_zone"], _POSSIBLE),
            ("client_info", "client", session["client_info"], _POSSIBLE),
            ("account", "account", session["user_name"], _POSSIBLE),
        ):
            if value:
                seen[relation, kind, value, confidence + "|" + stay.source_ip].append(stay)
    words = {
        "client_name": "the client called itself {}",
        "client_zone": "the client's clock stood at {}",
        "client_info": "the client had {}",
        "account": "the account {} was used",
    }
    for (relation, kind, value, tail), listed in sorted(seen.items()):
        confidence, _, address = tail.partition("|")
        uids = sorted({stay.session_uid for stay in listed})
        said = f"{words[relation].format(value)} in {', '.join(uids)}"
        yield {
            **_link(
                relation,
                ("address", address),
                (kind, value),
                confidence,
                [reason(said, 6 if confidence == _LIKELY else 3, [stay.locator for stay in listed])],
            ),
            "since": min(stay.start for stay in listed),
            "until": max(stay.end or stay.start for stay in listed),
        }


def _web(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Requests for what only insiders know, during an RDP stay: from its address, or by the server's own browser."""
    kinds = ", ".join(f"'{kind}'" for kind in _TOLD)
    found = db.sql(f"""
        SELECT x.relation, x.session_uid, e.source_ip, p.path, p.kind, count(*) AS requests, min(e.time) AS since, max(e.time) AS until,
               arg_min({_E}, (e.time, e.evidence_id, e.log_offset)) AS locator
        FROM session_events x JOIN events e ON e.evidence_id = x.evidence_id AND e.log_offset = x.log_offset
        JOIN endpoints p ON p.path = {path_of("e.url_path")}
        WHERE x.relation <> 'rdp' AND p.kind IN ({kinds}) GROUP BY ALL ORDER BY ALL""").to_arrow_table()
    for row in found.to_pylist():
        here = row["relation"] == "http_loopback"
        who = ("session", row["session_uid"]) if here else ("address", row["source_ip"])
        where = (
            "the server's own browser"
            if here
            else f"{row['source_ip']}, the address of its session {row['session_uid']},"
        )
        said = f"{where} asked {counted(row['requests'], 'time')} for the {row['kind']} path {row['path']} while the session was open"
        yield {
            **_link(
                "loopback" if here else "rdp_http",
                who,
                ("path", row["path"]),
                _LIKELY if here else _SURE,
                [reason(said, 7 if here else 9, [row["locator"]])],
            ),
            "since": row["since"],
            "until": row["until"],
        }


def _networks(db: duckdb.DuckDBPyConnection, known: list[Stay]) -> Iterator[Row]:
    """Operator addresses of one small network or one provider: a habit, no proof."""
    places = {
        row["source_ip"]: row
        for row in db.sql("SELECT * FROM sources WHERE role = 'operator' ORDER BY source_ip")
        .to_arrow_table()
        .to_pylist()
    }
    proof = {stay.source_ip: stay.locator for stay in reversed(known)}
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for address, row in places.items():
        network = _network(address)
        if network:
            groups["same_network", "network", network].append(address)
        if row["as_number"]:
            groups["same_provider", "as", f"AS{row['as_number']} {row['as_organization_name'] or ''}".strip()].append(
                address
            )
    for (relation, kind, value), members in sorted(groups.items()):
        if len(members) < 2:
            continue
        for address in members:
            others = ", ".join(one for one in members if one != address)
            yield {
                **_link(
                    relation,
                    ("address", address),
                    (kind, value),
                    _POSSIBLE,
                    [
                        reason(
                            f"{address} lies in {value}, as {others}", 3, [proof[address]] if address in proof else []
                        )
                    ],
                ),
                "since": places[address]["first_seen"],
                "until": places[address]["last_seen"],
            }


def _network(address: str) -> str | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    width = _V4_NETWORK if parsed.version == 4 else _V6_NETWORK
    return str(ipaddress.ip_network((parsed, width), strict=False))


def _agents(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """User agents that two operator addresses sent and nobody else did."""
    found = db.sql(f"""
        WITH seen AS (
            SELECT e.user_agent_original AS agent, e.source_ip, s.role, count(*) AS requests, min(e.time) AS since, max(e.time) AS until,
                   arg_min({_E}, (e.time, e.evidence_id, e.log_offset)) AS locator
            FROM events e JOIN sources s USING (source_ip) WHERE e.user_agent_original IS NOT NULL GROUP BY ALL)
        SELECT *, count(*) FILTER (WHERE role = 'operator') OVER (PARTITION BY agent) AS operators,
               count(*) FILTER (WHERE role NOT IN ('operator', 'local')) OVER (PARTITION BY agent) AS others
        FROM seen QUALIFY role = 'operator' AND operators > 1 AND others = 0 ORDER BY agent, source_ip""").to_arrow_table()
    for row in found.to_pylist():
        said = f"{counted(row['requests'], 'request')} with an agent that {counted(row['operators'], 'operator address')} sent and nobody else"
        yield {
            **_link(
                "user_agent",
                ("address", row["source_ip"]),
                ("agent", row["agent"]),
                _POSSIBLE,
                [reason(said, 4, [row["locator"]])],
            ),
            "since": row["since"],
            "until": row["until"],
        }


RULE = Rule(
    "links",
    "What ties addresses, machines and accounts to one operator",
    ("events", "sessions", "session_events", "endpoints", "sources"),
    LINKS,
    _run,
)
