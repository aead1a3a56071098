"""Hops: who came through this server's Remote Desktop Gateway to where, and where the server itself went by RDP.

A gateway writes 302 when a client reaches a resource and 303 with bytes and duration when it leaves; 201, 301 and 304 when it
refuses one. The client of an outbound connection writes 1024 with the name that was typed, 1102 with the address, 1029 with a hash of the user name (SHA-1 on Windows 7
and 2008 R2, SHA-256 from 10 on, of the UTF-16LE name, Base64), 1026 at the end; all of one connection share an ActivityID.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._proof import query
from forensics.analysis._words import LOCATOR, because, reason
from forensics.answers import HOPS
from forensics.model import Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]

_CLIENT: Final = "Microsoft-Windows-TerminalServices-ClientActiveXCore"
_REACHED: Final = "302"
_LEFT: Final = frozenset({"202", "203", "303", "307"})
_REFUSED: Final[Mapping[str, str]] = {
    "201": "the gateway refused the connection: its user or computer does not meet the connection policy",
    "301": "the gateway refused the resource: its user does not meet the resource policy",
    "304": "the gateway could not reach the resource, though both policies were met",
}
"""What the gateway's refusals say (Microsoft's pages on the events of Remote Desktop Gateway)."""
_UNNAMED_REACH: Final = timedelta(minutes=5)
"""How long after the last event of a connection without ActivityID another may still be of it."""
_NAMED: Final = 8
"""Weight of a name that the hash proves: guessing a name of the case with that hash by chance is out of the question."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    events = _events(db)
    rows = [*_through_gateway(e for e in events if e["event_action"].startswith("gateway_"))]
    hashes = _hashes(db) if any(e["event_action"] == "outbound_rdp" for e in events) else {}
    rows += _outbound([e for e in events if e["event_action"] == "outbound_rdp"], hashes)
    sessions = query(db, 'SELECT session_uid, host_name, start, "end" FROM sessions ORDER BY start, session_uid')
    for row in rows:
        row["session_uid"] = _session(row, sessions)
    return table(sorted(rows, key=lambda row: (row["start"], row["kind"], row["locators"])), HOPS)


def _events(db: duckdb.DuckDBPyConnection) -> list[Row]:
    rows = query(
        db,
        f"SELECT time, event_action, event_outcome, event_provider, event_code, host_name, source_ip, user_name, user_domain, "
        f"activity_id, unmapped, {LOCATOR} AS locator FROM events WHERE time IS NOT NULL AND (event_action IN "
        f"('gateway_connect', 'gateway_disconnect') OR (event_action = 'outbound_rdp' AND event_provider = '{_CLIENT}')) "
        "ORDER BY time, evidence_id, log_offset",
    )
    for row in rows:
        row["rest"] = json.loads(row["unmapped"] or "{}")
    return rows


def _through_gateway(events: Iterable[Row]) -> Iterator[Row]:
    """Pair what a client reached with how it left: the same user, address and resource, in order."""
    open_: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for event in events:
        key = (event["host_name"], event["user_name"], event["source_ip"], event["rest"].get("Resource"))
        if event["event_code"] in _REFUSED:
            yield _refused(event)
        elif event["event_code"] == _REACHED:
            row = _hop("gateway", event, event["rest"].get("Resource"), "reached through the gateway")
            open_[key].append(row)
            yield row
        elif event["event_code"] in _LEFT:
            if open_[key]:
                row = open_[key].pop(0)
            else:
                row = _hop(
                    "gateway", event, event["rest"].get("Resource"), "left the gateway; its start is not in evidence"
                )
                row["confidence"] = "likely"
                yield row
            _end(row, event)


def _refused(event: Row) -> Row:
    """Return the hop that was asked for and did not happen; the error code is the gateway's own number."""
    row = _hop("gateway_refused", event, event["rest"].get("Resource"), "")
    code = event["rest"].get("ErrorCode")
    said = _REFUSED[event["event_code"]] + (f" (error {code})" if code else "")
    return row | {
        "end": event["time"],
        "confidence": "almost certain",
        "because": because([reason(said, 7, [event["locator"]])]),
    }


def _end(row: Row, event: Row) -> None:
    row["end"] = event["time"]
    row["duration_s"] = _number(event["rest"].get("SessionDuration"))
    row["bytes_in"] = _number(event["rest"].get("BytesReceived"))
    row["bytes_out"] = _number(event["rest"].get("BytesTransfered"))
    if event["locator"] not in row["locators"]:
        row["locators"] += f";{event['locator']}"


def _outbound(events: Sequence[Row], hashes: dict[str, str]) -> Iterator[Row]:
    """Make one hop of the events of one ActivityID.

    One without joins its own server's last such connection alone, which a 1024 begins, and a 1026 or five minutes of silence
    end: a name must pass neither to another connection nor to another server. The 1026 itself may come hours later.
    """
    groups: list[list[Row]] = []
    known: dict[tuple[str | None, str], list[Row]] = {}
    for event in events:
        key = (event["host_name"], event["activity_id"] or "")
        if not key[1] and _is_another(known.get(key), event):
            known.pop(key, None)
        group = known.setdefault(key, [])
        if not group:
            groups.append(group)
        group.append(event)
        if not key[1] and event["event_code"] == "1026":
            del known[key]
    for group in groups:
        yield _one_outbound(group, hashes)


def _is_another(group: Sequence[Row] | None, event: Row) -> bool:
    """Return whether an event without ActivityID cannot be of the connection that `group` holds."""
    if not group or event["event_code"] == "1026":
        return False
    return bool(event["event_code"] == "1024" or event["time"] - group[-1]["time"] > _UNNAMED_REACH)


def _one_outbound(group: Sequence[Row], hashes: dict[str, str]) -> Row:
    said = {code: [e for e in group if e["event_code"] == code] for code in ("1024", "1026", "1027", "1029", "1102")}
    target = next((e["rest"].get("Value") for e in said["1024"]), None)
    row = _hop("outbound", group[0], target, "this server's RDP client connected to it")
    row["target_ip"] = next((ip for e in said["1102"] if (ip := _address(e["rest"].get("Value")))), _address(target))
    row["end"] = said["1026"][-1]["time"] if said["1026"] else None
    row["duration_s"] = int((row["end"] - row["start"]).total_seconds()) if row["end"] else None
    row["locators"] = ";".join(dict.fromkeys(e["locator"] for e in group))
    reasons = [reason(f"RDP to {target or row['target_ip'] or 'an unnamed host'}", 7, [group[0]["locator"]])]
    for event in said["1029"]:
        digest = str(event["rest"].get("TraceMessage", "")).rstrip("-")
        name = hashes.get(digest)
        if name is not None:
            row["user_name"], row["user_basis"] = name, "hash of 1029"
            reasons.append(
                reason(f"the hash {digest} is that of the name {name}, known in this case", _NAMED, [event["locator"]])
            )
        else:
            reasons.append(
                reason(f"the user name has the hash {digest}; no name of this case has it", 3, [event["locator"]])
            )
    row["because"] = because(reasons)
    return row


def _hop(kind: str, event: Row, target: str | None, why: str) -> Row:
    return {
        "kind": kind,
        "start": event["time"],
        "host_name": event["host_name"],
        "source_ip": event["source_ip"],
        "target": target,
        "target_ip": _address(target),
        "user_name": event["user_name"],
        "user_basis": "logged" if event["user_name"] else None,
        "confidence": "almost certain" if event["event_outcome"] != "failure" else "likely",
        "because": because(
            [reason(f"{target or 'a host'} was {why}" if kind == "gateway" else why, 7, [event["locator"]])]
        ),
        "locators": event["locator"],
    }


def _hashes(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the names of the case by their hashes; the hash is of the name as typed, so spellings differ."""
    found = query(
        db, "SELECT DISTINCT user_name AS name, user_domain AS domain FROM events WHERE user_name IS NOT NULL"
    )
    names = {row["name"] for row in found} | {f"{row['domain']}\\{row['name']}" for row in found if row["domain"]}
    out: dict[str, str] = {}
    for name in sorted(names, reverse=True):
        for spelling in (name, name.lower(), name.capitalize(), name.upper()):
            raw = spelling.encode("utf-16-le", "replace")
            for digest in (hashlib.sha256(raw), hashlib.sha1(raw, usedforsecurity=False)):
                out[base64.b64encode(digest.digest()).decode()] = spelling
    return out


def _session(row: Row, sessions: Sequence[Row]) -> str | None:
    """Return the session that an outbound connection began in: the one in use on that server, if it is one alone."""
    if row["kind"] != "outbound":
        return None
    inside = [s["session_uid"] for s in sessions if s["host_name"] == row["host_name"] and _during(row["start"], s)]
    return str(inside[0]) if len(inside) == 1 else None


def _during(moment: datetime, session: Row) -> bool:
    return bool(session["start"] <= moment and (session["end"] is None or moment <= session["end"]))


def _number(text: object) -> int | None:
    return int(str(text)) if str(text).isascii() and str(text).isdigit() and len(str(text)) < 19 else None


def _address(text: str | None) -> str | None:
    try:
        return str(ip_address(text or ""))
    except ValueError:
        return None


RULE = Rule("hops", "Through the gateway, and onwards by RDP", ("events", "sessions"), HOPS, _run)
