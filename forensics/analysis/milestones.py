"""Milestones: what happened first and when, each with what proves it, and `not in evidence` where nothing does."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._proof import events, proved, query
from forensics.analysis._server_milestones import FROM_C2, c2_deployed, tomcat_installed, tomcat_started
from forensics.analysis._traffic import path_of
from forensics.analysis._words import CLOCK_STEP, locator_of
from forensics.instants import bound, moment
from forensics.model import CONFIDENCES, MILESTONES, Rule
from forensics.schemas import MILESTONE_ROWS, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb
    import pyarrow as pa

Row = dict[str, Any]
_E: Final = locator_of("e")
_INSIDERS: Final = "e.source_ip IN (SELECT source_ip FROM sources WHERE role IN ('operator', 'local'))"


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    rows: list[Row] = []
    for name in MILESTONES:
        found = list(_FINDERS[name](db))
        rows += [{"milestone": name, **row} for row in found] or [{"milestone": name, "detail": "not in evidence"}]
    return table(rows, MILESTONE_ROWS)


def _first_logon(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """The operator's first; where nobody was an operator in any log, the first of whoever had a desktop, and that is said."""
    chosen = """SELECT s.*, p.held_to_be FROM sessions s JOIN people p USING (session_uid)
        WHERE p.held_to_be = 'operator' OR NOT EXISTS (SELECT 1 FROM people WHERE held_to_be = 'operator')
              AND NOT EXISTS (SELECT 1 FROM sources WHERE role = 'operator') AND NOT EXISTS (SELECT 1 FROM endpoints WHERE kind = 'c2')
        ORDER BY s.start, s.session_uid LIMIT 1"""
    for session in query(db, chosen):
        proofs = [
            loc for r in json.loads(session["because"]) if r["sentence"].startswith("logon") for loc in r["locators"]
        ]
        yield {
            "time": session["start"],
            "source_ip": session["source_ips"].split(";")[0] or None,
            "detail": f"session {session['session_uid']} of {session['user_name']} begins"
            + ("" if session["held_to_be"] == "operator" else "; it is held to be the rightful owner's"),
            "confidence": session["confidence"] if session["held_to_be"] == "operator" else CONFIDENCES[-1],
            "locators": ";".join(proofs),
        }


def _c2(db: duckdb.DuckDBPyConnection, where: str) -> list[Row]:
    return query(
        db, f"SELECT e.*, {_E} AS locator {FROM_C2} AND {where} ORDER BY e.time, e.evidence_id, e.log_offset LIMIT 1"
    )


def _first_browser_test(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in _c2(db, f"e.http_request_method = 'GET' AND {_INSIDERS}"):
        yield proved(
            event, f"GET {event['url_path']} by the operator, answered {event['http_response_status_code']}", "likely"
        )


def _first_backdoor_test(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in _c2(db, f"e.http_request_method = 'POST' AND {_INSIDERS}"):
        yield proved(
            event, f"POST {event['url_path']} by the operator, answered {event['http_response_status_code']}", "likely"
        )


def _first_implant(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in _c2(db, "e.source_ip IN (SELECT source_ip FROM sources WHERE role = 'implant')"):
        yield proved(
            event,
            f"{event['http_request_method']} {event['url_path']} by the first client that comes back by a timer",
            "likely",
        )


def _rare_origin(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """One row a rare address, at its first trace of any kind."""
    found = query(
        db,
        f"""SELECT e.*, {_E} AS locator, s.rare_origin, s.rare_grade
        FROM events e JOIN sources s USING (source_ip) WHERE s.rare_origin IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY e.source_ip ORDER BY e.time, e.evidence_id, e.log_offset) = 1
        ORDER BY s.rare_grade, e.time, e.evidence_id, e.log_offset""",
    )
    for event in found:
        sure = {"A": "almost certain", "B": "likely"}.get(event["rare_grade"], "possible")
        yield proved(event, f"{event['rare_origin']}, grade {event['rare_grade']}", sure)


def _log_cleared(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in events(db, "event_action = 'log_cleared'", 1000):
        rest = json.loads(event["unmapped"] or "{}")
        yield proved(
            event,
            f"the {rest.get('cleared_channel', rest.get('channel', ''))} log was cleared by {event['user_name'] or 'an unnamed account'}",
            "almost certain",
        )


def _clock_changed(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in events(db, "event_action = 'clock_changed'", 100_000):
        rest = json.loads(event["unmapped"] or "{}")
        old, new = (_moment(rest.get(name)) for name in ("OldTime", "NewTime"))
        old = old or _moment(rest.get("PreviousTime"))
        if old is not None and new is not None and abs(new - old) <= CLOCK_STEP:
            continue
        yield proved(
            event,
            f"the clock was set from {rest.get('OldTime', rest.get('PreviousTime', '?'))} to {rest.get('NewTime', '?')}",
            "almost certain",
        )


def _moment(text: object) -> datetime | None:
    try:
        # Python reads six digits of a second; Windows writes seven.
        return datetime.fromisoformat(str(text)[:26].rstrip("Z") + "Z")
    except ValueError:
        return None


def _crash(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    for event in events(db, "event_action = 'system_crash'", 1000):
        yield proved(event, "the shutdown before this start was unexpected", "almost certain")


def _last_operator_act(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """The last request, logon or departure. To log off, or to close the window, is an act of whoever sat there."""
    found = query(
        db,
        f"""SELECT e.*, {_E} AS locator FROM events e
        LEFT JOIN (SELECT DISTINCT evidence_id, log_offset FROM session_events JOIN people USING (session_uid)
                   WHERE held_to_be = 'operator') x USING (evidence_id, log_offset)
        LEFT JOIN endpoints p ON p.path = {path_of("e.url_path")}
        JOIN sources s USING (source_ip)
        WHERE s.role IN ('operator', 'local') AND ((s.role = 'operator' AND e.event_action IN ('logon', 'reconnect', 'shell_start') AND e.event_outcome <> 'failure')
           OR (e.event_action = 'http_request' AND e.http_response_status_code < 400 AND (s.role = 'operator'
               OR (s.role = 'local' AND (x.log_offset IS NOT NULL OR p.kind IN ('c2', 'panel')
               OR (p.kind = 'manager' AND NOT EXISTS (SELECT 1 FROM people WHERE held_to_be = 'rightful_owner')))))))
        ORDER BY e.time DESC, e.evidence_id DESC, e.log_offset DESC LIMIT 1""",
    )
    for left in _departures(db, found[0]["time"] if found else None):
        yield proved(left, f"session {left['session_uid']} of {left['user_name']} was left: {left['why']}", "likely")
        return
    for event in found:
        what = (
            f"{event['http_request_method']} {event['url_path']}"
            if event["event_action"] == "http_request"
            else event["event_action"]
        )
        yield proved(event, f"the last act of an operator's address: {what}", "likely")


def _departures(db: duckdb.DuckDBPyConnection, after: datetime | None) -> Iterable[Row]:
    """Yield the ends of operators' stays later than `after`, the last first, that a log tells and that were their own doing."""
    ends = []
    for session in query(
        db, "SELECT s.* FROM sessions s JOIN people p USING (session_uid) WHERE p.held_to_be = 'operator'"
    ):
        stays = json.loads(session["stays"])
        for place, stay in enumerate(stays):
            last, why = place == len(stays) - 1, str(stay["ended"] or "")
            if stay["end"] is None or why.startswith(_NOT_HIS) or (not last and why.startswith(_REPLACED)):
                continue
            time = moment(bound(stay["end"]))
            by_server = last and session["end_basis"] in _NOT_LEFT and time == session["end"]
            if not by_server:
                ends.append((time, session["session_uid"], stay, session["user_name"]))
    for time, uid, stay, user in sorted(ends, key=lambda one: one[:2], reverse=True):
        if after is not None and time <= after:
            return
        proofs = query(
            db,
            f"""SELECT {_E} AS locator FROM session_events x JOIN events e USING (evidence_id, log_offset)
            WHERE x.session_uid = '{uid}' AND x.relation = 'rdp' AND e.event_action IN ('logoff', 'disconnect', 'rdp_end')
              AND abs(epoch(e.time) - epoch(TIMESTAMPTZ '{time.isoformat()}')) < 1 ORDER BY e.time, e.evidence_id, e.log_offset LIMIT 1""",
        )
        why = stay["ended"] or "its end is in the log"
        for proof in proofs:
            yield {
                "time": time,
                "source_ip": stay["source_ip"],
                "session_uid": uid,
                "user_name": user,
                "why": why,
                **proof,
            }


_NOT_LEFT: Final = ("server_stopped", "crash", "replaced", "log_cleared", "open_at_end_of_evidence")
_NOT_HIS: Final = ("reason 1:", "reason 2:", "reason 3:", "reason 4:", "reason 6:", "reason 7:")
"""Of event 40: ended by an administrative tool, a limit, the server."""
_REPLACED: Final = "reason 5:"
"""Another connection took its place, and that one's start is the later act."""


_FINDERS: Final[dict[str, Callable[[duckdb.DuckDBPyConnection], Iterable[Row]]]] = {
    "first_logon": _first_logon,
    "tomcat_installed": tomcat_installed,
    "tomcat_started": tomcat_started,
    "c2_deployed": c2_deployed,
    "first_browser_test": _first_browser_test,
    "first_backdoor_test": _first_backdoor_test,
    "first_implant": _first_implant,
    "rare_origin": _rare_origin,
    "log_cleared": _log_cleared,
    "clock_changed": _clock_changed,
    "crash": _crash,
    "last_operator_act": _last_operator_act,
}

RULE = Rule(
    "milestones",
    "What happened first and when",
    ("events", "sessions", "session_events", "endpoints", "people", "sources"),
    MILESTONE_ROWS,
    _run,
)
