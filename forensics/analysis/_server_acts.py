"""Rows of the timeline that Tomcat's own logs tell: a start with its applications in one row, likes folded, all counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._server_log import application, finished, is_stock, records, shown_name, starts
from forensics.analysis._words import FOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

    from forensics.analysis._server_log import Start

Row = dict[str, Any]

_NAMED: Final = 8
"""Applications of a start that its sentence names; the events have all."""

_SECOND_US: Final = 1_000_000
_STOP_TAKES: Final = timedelta(minutes=1)


def server_log(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell starts, stops, deployments, the manager, locked accounts and unreadable requests."""
    found, alone = starts(db)
    for start in found:
        yield _row(start.told, _start_sentence(start), first=start.records[0])
        # What is not Tomcat's own is never hidden in the row of a start.
        yield from _deployed([row for row in start.deployments if not is_stock(application(row))])
    yield from _deployed(alone)
    # One stop, told by the wrapper, the service and the port, is no run of stops.
    stops = _folded(records(db, ("tomcat_stop",)), _stop_sentence, _STOP_TAKES)
    yield from ({**row, "time_end": None, "count": 1} for row in stops)
    yield from _folded(records(db, ("undeploy",)), lambda row: f"Tomcat removed {shown_name(application(row))}")
    yield from _folded(records(db, ("manager_act",)), _manager_sentence)
    yield from _folded(records(db, ("realm_lockout",)), _lockout_sentence)
    yield from _folded(records(db, ("request_parse_error",)), _parse_sentence)
    yield from _folded(records(db, ("service_install",)), lambda row: f"procrun: {row['rest'].get('message', '')}")


def _deployed(deployments: list[Row]) -> Iterator[Row]:
    for begun, done in finished(deployments):
        name = shown_name(application(done))
        step = done["rest"]["step"]
        took = f" in {done['duration_us'] / _SECOND_US:g} s" if done["duration_us"] is not None else ""
        verb = {"failed": "failed to deploy", "reload": "loaded again"}.get(step, "deployed")
        yield _row(done, f"Tomcat {verb} {name}{took}", first=begun)


def _start_sentence(start: Start) -> str:
    who = (start.version or "Tomcat").removeprefix("Apache ").replace("/", " ")
    if start.told["rest"]["step"] == "failed":
        sentence = f"{who} failed to start"
    elif start.end is not None and start.end["duration_us"] is not None:
        sentence = f"{who} started in {start.end['duration_us'] / _SECOND_US:g} s"
    elif all(row["log_format"] == "procrun" for row in start.records):
        sentence = "the service wrapper started Tomcat"
    else:
        sentence = f"{who} began to start; that it was done is not in its log"
    names = list(dict.fromkeys(shown_name(application(row)) for row in start.deployments))
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        sentence += f", with {', '.join(names[:_NAMED])}{more}"
    return sentence


def _stop_sentence(row: Row) -> str:
    return {
        "commanded": "Tomcat stopped: the shutdown port was given its word",
        "command refused": "the shutdown port was given a wrong word",
    }.get(row["rest"]["step"], "Tomcat stopped")


def _manager_sentence(row: Row) -> str:
    return f"the Tomcat manager was used: {row['rest'].get('message', '')}"


def _lockout_sentence(row: Row) -> str:
    name = row["user_name"] or "an unnamed account"
    if row["event_outcome"] == "failure":
        return f"log-in to Tomcat as {name} refused: locked after failed ones"
    return f"{name} left Tomcat's list of failed log-ins, which was full"


def _parse_sentence(row: Row) -> str:
    rest = row["rest"]
    once = "; later ones are not logged" if rest.get("once") else ""
    return f"Tomcat could not read a request: {rest.get('cause') or rest.get('message', '')}{once}"


def _folded(rows: list[Row], sentence: Callable[[Row], str], within: timedelta = FOLD) -> Iterator[Row]:
    """Tell rows; those of one sentence that follow within `within` are one, with their count."""
    held: dict[str, Row] = {}
    for event in rows:
        message = sentence(event)
        row = held.get(message)
        if row is not None and event["time"] - (row["time_end"] or row["time"]) <= within:
            row["time_end"] = event["time"]
            row["count"] += 1
            continue
        if row is not None:
            yield row
        held[message] = _row(event, message)
    yield from held.values()


def _row(event: Row, message: str, first: Row | None = None) -> Row:
    """Return the row of an act; its flags are those of the record that begins it too."""
    flags = {flag for row in (event, first or event) for flag in (row["flags"] or "").split(";") if flag}
    return {
        "time": event["time"],
        "time_end": None,
        "act": event["event_action"],
        "message": message,
        "session_uid": None,
        "source_ip": None,
        "user_name": event["user_name"],
        "host_name": event["host_name"],
        "outcome": event["event_outcome"],
        "count": 1,
        "time_basis": event["time_basis"],
        "flags": ";".join(sorted(flags)) or None,
        "locator": event["locator"],
    }
