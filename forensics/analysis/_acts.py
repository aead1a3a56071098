"""Rows of the timeline, by what they tell of: sessions, web requests, the server itself, clients, noise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from forensics.analysis._places import MARK, PLACE, locator_at, number_evidence
from forensics.analysis._traffic import path_of
from forensics.analysis._words import FOLD, LOCATOR, SAME_MOMENT, locator_of
from forensics.instants import day_of
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

Row = dict[str, Any]
_E: Final = locator_of("e")

NO_REQUEST: Final = "AND e.event_action <> 'http_request'"
"""The database looks at a lone condition before it reads the other columns of a million requests, at a list of values it does not."""

_SINGLE: Final = "('A', 'B')"
"""Grades of rare origins whose every act has a row of its own."""

_RDP: Final = {
    "logon": "RDP logon of {user} from {source}",
    "reconnect": "RDP session of {user} taken up again from {source}",
    "disconnect": "RDP session of {user} left at {source}",
    "logoff": "RDP session of {user} ended by logoff",
}
_SERVER: Final = {
    "service_install": "service {ServiceName} installed: {ImagePath}",
    "log_cleared": "event log {cleared_channel} cleared by {user}",
    "system_crash": "Windows started after an unexpected shutdown",
    "system_start": "Windows started",
    "system_stop": "Windows stopped",
    "software_install": "software installed: {Data1}",
    "outbound_rdp": "this server connected to another by RDP: {Value}",
    "gateway_connect": "{user} connected through the gateway",
    "gateway_disconnect": "{user} left the gateway",
}


def places(db: duckdb.DuckDBPyConnection, told: Iterable[Row]) -> dict[tuple[str, Any], Row]:
    """Return, for each address and day of these rows, where it lay and what it was, if it is one that the timeline names."""
    days = sorted({(row["source_ip"], row["time"].date()) for row in told if row.get("source_ip")})
    asked = {
        "source_ip": pa.array([ip for ip, _ in days], pa.string()),
        "day": pa.array([day for _, day in days], pa.date32()),
    }
    db.register("_told", pa.table(asked))
    rows = db.sql("""
        SELECT a.source_ip, a.day, a.country_iso_code, a.as_organization_name, a.anonymity, a.flags, a.rare_origin, a.rare_grade, s.role
        FROM addresses a SEMI JOIN _told USING (source_ip, day) JOIN sources s USING (source_ip)
        WHERE s.role IN ('operator', 'implant', 'relay', 'researcher', 'local') OR s.flags LIKE '%rightful_owner%' OR a.rare_origin IS NOT NULL""").to_arrow_table()
    return {(row["source_ip"], row["day"]): row for row in rows.to_pylist()}


def milestones(db: duckdb.DuckDBPyConnection) -> list[Row]:
    """Return the milestones that are in evidence."""
    rows: list[Row] = (
        db.sql("SELECT * FROM milestones WHERE time IS NOT NULL ORDER BY time, milestone").to_arrow_table().to_pylist()
    )
    return rows


def rdp(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each session's logon, stays and end; LocalSessionManager's words where it saw the session, else Security's."""
    found = db.sql(f"""
        SELECT x.session_uid, e.*, {_E} AS locator, s.client_name AS named, s.client_zone AS zone,
               s.user_name AS account, s.user_domain AS account_domain
        FROM session_events x JOIN events e USING (evidence_id, log_offset) JOIN sessions s USING (session_uid)
        WHERE x.relation = 'rdp' AND e.event_action IN ('logon', 'reconnect', 'disconnect', 'logoff') AND e.event_outcome <> 'failure'
          {NO_REQUEST}
          AND (e.event_provider LIKE '%LocalSessionManager') = (s.missing IS NULL OR s.missing NOT LIKE '%LSM%')
          AND coalesce(e.logon_type, 10) NOT IN (3, 7)
        ORDER BY x.session_uid, e.time, e.evidence_id, e.log_offset""").to_arrow_table()
    told: dict[tuple[str, str], Any] = {}
    last_source: dict[str, str | None] = {}
    for event in found.to_pylist():
        uid, action = event["session_uid"], event["event_action"]
        before = told.get((uid, action))
        if before is not None and event["time"] - before <= SAME_MOMENT:
            continue
        # A logoff takes the connection with it; the disconnect that follows within seconds is the same act.
        gone = told.get((uid, "logoff"))
        if action == "disconnect" and gone is not None and event["time"] - gone <= 3 * SAME_MOMENT:
            continue
        told[uid, action] = event["time"]
        source = event["source_ip"] or (last_source.get(uid) if action in ("disconnect", "logoff") else None)
        last_source[uid] = source
        event["user_name"], event["user_domain"] = event["account"], event["account_domain"]
        yield _event_row(event, _rdp_message(event, source), session_uid=uid, source_ip=source)
    yield from _untold(db, {uid for uid, _ in told})
    yield from _refused(db)
    yield from _rare(db)


def _untold(db: duckdb.DuckDBPyConnection, told: set[str]) -> Iterator[Row]:
    """Tell a session that only its connection proves."""
    for session in db.sql("SELECT * FROM sessions ORDER BY session_uid").to_arrow_table().to_pylist():
        if session["session_uid"] in told:
            continue
        locators = [one for reason in json.loads(session["because"]) for one in reason["locators"]]
        source = session["source_ips"].split(";")[0]
        yield {
            "time": session["start"],
            "time_end": session["end"],
            "act": "rdp_connect",
            "message": f"RDP connection from {source} was given a session; no log of its logon is in evidence",
            "session_uid": session["session_uid"],
            "source_ip": source or None,
            "user_name": session["user_name"],
            "host_name": session["host_name"],
            "outcome": "unknown",
            "count": 1,
            "locator": locators[0] if locators else None,
        }


def _rdp_message(event: Row, source: str | None) -> str:
    message = _RDP[event["event_action"]].format(user=_account(event), source=source or event["source_address"] or "?")
    if event["event_action"] in ("logon", "reconnect") and event["named"]:
        message += f" (client {event['named']}{', zone ' + event['zone'] if event['zone'] else ''})"
    return message


def _refused(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the logons that were refused to an operator's own addresses; several in a row are one row with their count."""
    found = db.sql(f"""
        SELECT e.*, {_E} AS locator FROM events e JOIN sources s USING (source_ip)
        WHERE s.role = 'operator' AND coalesce(s.rare_grade, '') NOT IN {_SINGLE} AND e.event_outcome = 'failure'
              AND e.event_action IN ('logon', 'rdp_authenticate') AND e.time IS NOT NULL {NO_REQUEST}
        ORDER BY e.time, e.evidence_id, e.log_offset""").to_arrow_table()
    held: dict[tuple[str, str], Row] = {}
    for event in found.to_pylist():
        key = event["source_ip"], _account(event)
        row = held.get(key)
        if row is not None and event["time"] - (row["time_end"] or row["time"]) <= FOLD:
            row["time_end"] = event["time"]
            row["count"] += 1
            continue
        if row is not None:
            yield row
        held[key] = _event_row(event, f"{event['source_ip']} was refused a logon as {_account(event)}")
    yield from held.values()


def _rare(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Every connection of a rare origin is told, even one that came to nothing."""
    found = db.sql(f"""
        SELECT e.*, {_E} AS locator, x.session_uid FROM events e JOIN sources s USING (source_ip)
        LEFT JOIN session_events x ON x.evidence_id = e.evidence_id AND x.log_offset = e.log_offset
        WHERE s.rare_grade IN {_SINGLE} AND (e.event_action IN ('rdp_connect', 'rdp_authenticate')
              OR (e.event_outcome = 'failure' AND e.event_action <> 'http_request'))
        ORDER BY e.time, e.evidence_id, e.log_offset""").to_arrow_table()
    for event in found.to_pylist():
        if event["event_outcome"] == "failure":
            what = f"was refused a logon as {_account(event)}"
        elif event["event_action"] == "rdp_authenticate":
            what = f"authenticated as {_account(event)}"
        else:
            what = "connected to the RDP port"
        yield _event_row(event, f"{event['source_ip']} {what}", session_uid=event["session_uid"])


def reported(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell addresses of reported use (grade C) once a day: whole providers lie in such ranges, and their scanners with them."""
    found = db.sql(f"""
        SELECT e.source_ip, s.rare_origin, min(e.time) AS time, max(e.time) AS time_end, count(*) AS count,
               count(*) FILTER (WHERE e.event_action = 'http_request') AS requests,
               count(*) FILTER (WHERE e.event_action <> 'http_request' AND e.event_outcome = 'failure') AS refused,
               arg_min({_E}, (e.time, e.evidence_id, e.log_offset)) AS locator
        FROM events e JOIN sources s USING (source_ip)
        WHERE s.rare_origin IS NOT NULL AND s.rare_grade NOT IN {_SINGLE} AND s.role <> 'operator' AND e.time IS NOT NULL
        GROUP BY e.source_ip, s.rare_origin, {day_of("e.time")} ORDER BY time, e.source_ip""").to_arrow_table()
    for row in found.to_pylist():
        parts = [counted(row.pop("requests"), "web request"), counted(row.pop("refused"), "refused logon")]
        message = f"{row['source_ip']}, {row.pop('rare_origin')}: {counted(row['count'], 'event')} ({', '.join(parts)})"
        yield {**row, "act": "reported_origin", "message": message, "outcome": "unknown"}


def web(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the requests of operators and of the server's own browser; like ones in a row are one row with their count."""
    found = db.sql(f"""
        SELECT e.*, {_E} AS locator, min(x.session_uid) AS session_uid, s.rare_grade IN {_SINGLE} AS single, p.kind
        FROM events e JOIN sources s USING (source_ip)
        LEFT JOIN endpoints p ON p.path = {path_of("e.url_path")}
        LEFT JOIN session_events x ON x.evidence_id = e.evidence_id AND x.log_offset = e.log_offset
        WHERE e.event_action = 'http_request' AND (s.role IN ('operator', 'local') OR s.rare_grade IN {_SINGLE})
        GROUP BY ALL ORDER BY e.time, e.evidence_id, e.log_offset""")
    held: dict[tuple[Any, ...], Row] = {}
    for batch in found.to_arrow_reader(10_000):
        for event in batch.to_pylist():
            key = _likeness(event)
            row = held.get(key)
            if row is not None and not event["single"] and event["time"] - (row["time_end"] or row["time"]) <= FOLD:
                row["time_end"] = event["time"]
                row["count"] += 1
                continue
            if row is not None:
                yield row
            held[key] = _event_row(event, _request(event), session_uid=event["session_uid"])
            if event["single"]:
                yield held.pop(key)
    yield from held.values()


def _likeness(event: Row) -> tuple[Any, ...]:
    """Requests of one likeness are folded: the same path and answer, or the pictures and styles of pages."""
    who = (event["source_ip"], event["session_uid"])
    if event["kind"] == "static" and (event["http_response_status_code"] or 400) < 400:
        return (*who, "static")
    return (*who, event["http_request_method"], event["url_path"], event["http_response_status_code"])


def _request(event: Row) -> str:
    target = event["url_path"] if event["url_path"] is not None else "(no request line)"
    query = "?…" if event["url_query"] else ""
    status = event["http_response_status_code"]
    user = f" as {event['user_name']}" if event["user_name"] else ""
    user += ", page asset" if event["kind"] == "static" else ""
    return f"{event['http_request_method'] or '-'} {target}{query} → {status if status is not None else '-'}{user}"


def server(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell what Windows says happened to the server itself: installations, starts, crashes, cleared logs."""
    listed = ", ".join(f"'{action}'" for action in _SERVER)
    found = db.sql(f"""
        SELECT *, {LOCATOR} AS locator FROM events e
        WHERE event_action IN ({listed}) AND log_format = 'evtx' AND time IS NOT NULL ORDER BY time, evidence_id, log_offset""").to_arrow_table()
    last: dict[str, Any] = {}
    for event in found.to_pylist():
        action = event["event_action"]
        # Windows tells a start several times within a minute.
        if (
            action in ("system_start", "system_stop")
            and action in last
            and event["time"] - last[action] <= 6 * SAME_MOMENT
        ):
            continue
        last[action] = event["time"]
        rest = {k: str(v) for k, v in json.loads(event["unmapped"] or "{}").items()}
        rest.setdefault("ImagePath", rest.get("ServiceFileName", ""))
        rest.setdefault("cleared_channel", rest.get("channel", ""))
        message = _SERVER[action].format_map(_Blank({**rest, "user": _account(event)}))
        yield _event_row(event, message)


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""


def clients(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each client of a command path once: first and last request, and how many."""
    found = db.sql(f"""
        SELECT e.source_ip, s.role, min(e.time) AS time, max(e.time) AS time_end, count(*) AS count,
               arg_min({_E}, (e.time, e.evidence_id, e.log_offset)) AS locator,
               arg_min(e.http_request_method || ' ' || e.url_path, (e.time, e.evidence_id, e.log_offset)) AS request
        FROM events e JOIN sources s USING (source_ip) JOIN endpoints p ON p.path = {path_of("e.url_path")}
        WHERE p.kind = 'c2' AND s.role IN ('implant', 'relay', 'researcher') AND s.rare_origin IS NULL
        GROUP BY ALL ORDER BY time, e.source_ip""").to_arrow_table()
    for row in found.to_pylist():
        yield {
            **row,
            "act": f"{row['role']}_contact",
            "message": f"{row['role']} {row['source_ip']}: {row.pop('request')}, {counted(row['count'], 'request')}",
            "outcome": "success",
        }


def noise(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell a day's noise in one row each for RDP and HTTP; operators and rare origins are not noise."""
    number_evidence(db)
    found = db.sql(f"""
        WITH each AS (
            SELECT {day_of("e.time")} AS day, e.event_action = 'http_request' AS web, e.event_action = 'rdp_connect' AS bare,
                   e.source_ip, min(e.time) AS time, max(e.time) AS time_end, count(*) AS n,
                   min({PLACE}) AS place, arg_min({MARK}, {PLACE}) AS mark
            FROM events e JOIN _evidence_numbers USING (evidence_id)
            WHERE e.time IS NOT NULL AND (e.event_action = 'http_request' OR
                  (e.event_action IN ('logon', 'rdp_authenticate') AND e.event_outcome = 'failure') OR
                  (e.event_action = 'rdp_connect' AND e.source_ip IS NOT NULL))
            GROUP BY ALL)
        SELECT * EXCLUDE (place, mark), {locator_at("place", "mark", line=False)} AS locator FROM (
        SELECT day, web, min(time) AS time, max(time_end) AS time_end, sum(n)::BIGINT AS count, count(DISTINCT source_ip) AS addresses,
               coalesce(sum(n) FILTER (WHERE bare), 0)::BIGINT AS bare, min(place) AS place, arg_min(mark, place) AS mark
        FROM each LEFT JOIN sources s USING (source_ip)
        WHERE s.rare_origin IS NULL AND coalesce(s.role, 'unknown') <> 'operator' AND
              (NOT web OR coalesce(s.role, 'unknown') IN ('scanner', 'visitor', 'unknown')) AND (NOT bare OR s.rdp_sessions = 0)
        GROUP BY ALL) ORDER BY time, web""").to_arrow_table()
    for row in found.to_pylist():
        web_side, bare, addresses = row.pop("web"), row.pop("bare"), row.pop("addresses")
        del row["day"]
        if web_side:
            what = f"{counted(row['count'], 'request')} by scanners, visitors and strangers"
        else:
            parts = [counted(row["count"] - bare, "refused logon")] * (row["count"] > bare)
            what = " and ".join([*parts, *[counted(bare, "bare connection")] * (bare > 0)])
        yield {
            **row,
            "act": "noise_http" if web_side else "noise_rdp",
            "message": f"{what} from {counted(addresses, 'address')}",
            "outcome": "failure" if not web_side else "unknown",
        }


def _account(event: Row) -> str:
    name = event.get("user_name") or "an unnamed account"
    return f"{event['user_domain']}\\{name}" if event.get("user_domain") else name


def _event_row(event: Row, message: str, session_uid: str | None = None, source_ip: str | None = None) -> Row:
    return {
        "time": event["time"],
        "time_end": None,
        "act": event["event_action"],
        "message": message,
        "session_uid": session_uid,
        "source_ip": source_ip or event["source_ip"],
        "user_name": event["user_name"],
        "host_name": event["host_name"],
        "outcome": event["event_outcome"],
        "count": 1,
        "time_basis": event["time_basis"],
        "flags": event["flags"],
        "locator": event["locator"],
    }
