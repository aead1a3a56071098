"""Milestones of the server itself: Tomcat installed, started, and the command path deployed on it.

Windows, the service wrapper, Tomcat's own log and its access log tell of one act each in its own words and precision. The
most precise record stands for the milestone, the others are further proof.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._proof import events, proved, query
from forensics.analysis._server_log import application, finished, is_stock, records, starts
from forensics.analysis._traffic import path_of
from forensics.analysis._words import LOCATOR, SAME_MOMENT, TOMCAT_INSTALLED, locator_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import duckdb

    from forensics.analysis._server_log import Start

Row = dict[str, Any]
_E: Final = locator_of("e")

FROM_C2: Final = (
    f"FROM events e JOIN endpoints p ON p.path = {path_of('e.url_path')} "
    "WHERE p.kind = 'c2' AND e.event_action = 'http_request'"
)
"""Requests for a command path; `e` is the event."""

_ORDER: Final = "ORDER BY e.time, e.evidence_id, e.log_offset"
_AROUND: Final = timedelta(minutes=5)
"""The service manager says that Tomcat runs when its process does; Tomcat says so when it is done."""


def tomcat_installed(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """The first service that is Tomcat's; Windows tells it to the microsecond, procrun to the second."""
    found = events(db, f"{TOMCAT_INSTALLED} AND event_outcome <> 'failure'", 10)
    for first in found[:1]:
        same = [row for row in found if row["time"] - first["time"] <= SAME_MOMENT]
        best = next((row for row in same if row["log_format"] == "evtx"), first)
        rest = json.loads(best["unmapped"])
        path = rest.get("ImagePath", rest.get("ServiceFileName", ""))
        said = f": {path}" if path else ", says procrun"
        commands = query(
            db,
            f"SELECT *, {LOCATOR} AS locator FROM events WHERE {TOMCAT_INSTALLED} AND time IS NULL ORDER BY evidence_id, log_offset LIMIT 1",
        )
        yield proved(
            best, f"service {rest.get('ServiceName', '')} installed{said}", "almost certain", [*same, *commands]
        )


def tomcat_started(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """Tomcat's own word that it is done, unless the service manager knows of an earlier start."""
    running = "event_action = 'service_state' AND unmapped ILIKE '%tomcat%' AND unmapped ILIKE '%running%'"
    states = events(db, running, 1000)
    found, _ = starts(db)
    begun = [start for start in found if start.told["event_outcome"] != "failure"]
    if begun and not (states and states[0]["time"] < begun[0].told["time"] - _AROUND):
        yield _own_word(begun[0], states)
        return
    for event in states[:1]:
        yield proved(event, "the service manager says that Tomcat runs", "likely")
        return
    for event in events(db, "event_action = 'http_request'"):
        yield proved(event, "Tomcat answered its first request; its start is not in evidence", "possible")


def _own_word(start: Start, states: list[Row]) -> Row:
    near = [row for row in states if abs(row["time"] - start.told["time"]) <= _AROUND]
    telling = [row for row in start.records if row["rest"]["step"] not in ("banner", "service", "initialised")]
    by_wrapper = all(row["log_format"] == "procrun" for row in start.records)
    if by_wrapper and near:
        return proved(near[0], "the service manager says that Tomcat runs, and its wrapper too", "likely", telling)
    version = f" ({start.version})" if start.version else ""
    if by_wrapper:
        return proved(start.told, "the service wrapper says that it started Tomcat", "likely", [*near[:1], *telling])
    if start.end is None:
        return proved(
            start.told, f"Tomcat's own log says that it began to start{version}", "likely", [*near[:1], *telling]
        )
    said = f"Tomcat's own log says that it started{version}"
    return proved(start.end, said, "almost certain", [*near[:1], *telling])


def c2_deployed(db: duckdb.DuckDBPyConnection) -> Iterable[Row]:
    """The upload that was answered, with what Tomcat says it did; else the deployment alone; else the first answer.

    A script copied into a running application leaves no line. Its first answer, were it only that it does not compile (500), is when
    it was there at the latest; at the earliest it came after the last 404 of its path, or with the desktop that was open then.
    """
    answered = query(
        db,
        f"SELECT e.*, {_E} AS locator {FROM_C2} AND e.http_response_status_code < 400 "
        f"AND (p.path <> '/' OR e.http_request_method = 'POST') {_ORDER} LIMIT 1",
    )
    for first in answered:
        path = first["url_path"].partition(";")[0]
        begun = next(iter(_deployments(db, path, first)), None)
        done = begun[1] if begun else None
        for upload in _uploads(db, first):
            said, sure = f"{upload['http_request_method']} {upload['url_path']} was answered", "likely"
            near = begun is not None and abs(begun[0]["time"] - upload["time"]) <= _AROUND
            if near and done is not None:
                said, sure = f"{said}; Tomcat's own log: {_deployed(done)}", "almost certain"
            further = [*begun, *_manager(db, upload)] if near and begun else []
            yield proved(upload, f"{said}; the command path works after it", sure, further)
            return
        if begun is not None and done is not None:
            yield proved(done, f"Tomcat's own log: {_deployed(done)}; the command path works after it", "likely", begun)
            return
        there = _there(db, path, first)
        files, (since, why, absent) = _files(db, path, there), _absent(db, path, there)
        said = "the command path answers for the first time; how it came there is not in evidence"
        if files:
            said = f"the command path answers for the first time; its file is of {files[0]['time']:%Y-%m-%dT%H:%M:%SZ} by its own time"
        if since is not None:
            said = f"{said}; it came between {since:%Y-%m-%dT%H:%M:%SZ}, {why}, and this answer"
        yield proved(there, said, "possible", [*files, *absent]) | {"not_before": since}


_EXISTS: Final = "(http_response_status_code < 400 OR http_response_status_code = 405 OR http_response_status_code BETWEEN 500 AND 502)"
"""A script that does not compile or fails answers 500, one that does not take the method 405: both are there."""


def _there(db: duckdb.DuckDBPyConnection, path: str, first: Row) -> Row:
    """Return the first answer that proves the script there; the start page answered before it was one."""
    if path == "/":
        return first
    found = db.sql(
        f"""SELECT *, {LOCATOR} AS locator FROM events WHERE event_action = 'http_request' AND time <= ?
        AND {path_of("url_path")} = ? AND {_EXISTS} ORDER BY time, evidence_id, log_offset LIMIT 1""",
        params=[first["time"], path],
    )
    rows: list[Row] = found.to_arrow_table().to_pylist()
    return rows[0] if rows else first


def _absent(db: duckdb.DuckDBPyConnection, path: str, there: Row) -> tuple[datetime | None, str, list[Row]]:
    """Return since when it can have come, in words why, and what proves it: the last 404 of the path, or the desktop open at the time."""
    found = db.sql(
        f"""SELECT *, {LOCATOR} AS locator FROM events WHERE event_action = 'http_request' AND time <= ?
        AND {path_of("url_path")} = ? AND http_response_status_code = 404 ORDER BY time DESC, evidence_id DESC, log_offset DESC LIMIT 1""",
        params=[there["time"], path],
    )
    rows: list[Row] = found.to_arrow_table().to_pylist()
    missing = [(row["time"], "when the path was not found", [row]) for row in rows]
    open_then = query(
        db,
        f"""SELECT s.session_uid, s.start FROM sessions s JOIN people p USING (session_uid) WHERE p.held_to_be = 'operator'
        AND s.start <= TIMESTAMPTZ '{there["time"].isoformat()}' AND coalesce(s."end", s.start + INTERVAL 1 DAY) >=
            TIMESTAMPTZ '{there["time"].isoformat()}' ORDER BY s.start, s.session_uid LIMIT 1""",
    )
    begun: list[tuple[datetime, str, list[Row]]] = [
        (row["start"], f"when session {row['session_uid']} began", []) for row in open_then
    ]
    return max([*missing, *begun], key=lambda one: one[0], default=(None, "", []))


def _files(db: duckdb.DuckDBPyConnection, path: str, first: Row) -> list[Row]:
    """Return the script's own file, if its time lies before the first answer; a file's time is a weak word."""
    # The moment is the database's own; the path is bound by equality in Python, since it comes from evidence.
    found = events(db, "event_action = 'file_time' AND event_code IN ('jsp', 'war')", limit=1000)
    return [row for row in found if row["time"] <= first["time"] and row["url_path"] and _holds(row["url_path"], path)][
        -1:
    ]


def _holds(file: str, path: str) -> bool:
    return path == file or (not file.lower().endswith((".jsp", ".jspx")) and path.startswith(f"{file.rstrip('/')}/"))


def _uploads(db: duckdb.DuckDBPyConnection, first: Row) -> list[Row]:
    """Return the last upload before the command path first answered; the manager answers 200 to a failed one too."""
    upload = (
        "((http_request_method = 'POST' AND regexp_matches(url_path, '^/manager/html/upload')) OR "
        "(http_request_method = 'PUT' AND "
        "(regexp_matches(url_path, '^/manager/(text/)?deploy') OR regexp_matches(url_path, '\\.jspx?'))))"
    )
    return query(
        db,
        f"SELECT *, {LOCATOR} AS locator FROM events WHERE event_action = 'http_request' AND {upload} "
        f"AND http_response_status_code < 400 AND time <= TIMESTAMPTZ '{first['time'].isoformat()}' "
        "ORDER BY time DESC, evidence_id DESC, log_offset DESC LIMIT 1",
    )


def _deployments(db: duckdb.DuckDBPyConnection, path: str, first: Row) -> Iterator[tuple[Row, Row]]:
    """Yield the deployments of the application that holds `path`, before it first answered; Tomcat's own are not meant."""
    for begun, done in finished(records(db, ("deploy",))):
        name = application(done)
        ours = name is not None and not is_stock(name) and path.startswith(f"{name}/")
        if ours and done["event_outcome"] != "failure" and done["time"] <= first["time"] + SAME_MOMENT:
            yield begun, done


def _manager(db: duckdb.DuckDBPyConnection, upload: Row) -> list[Row]:
    near = (row for row in records(db, ("manager_act",)) if abs(row["time"] - upload["time"]) <= SAME_MOMENT)
    return [row for row in near if row["rest"].get("command") in ("upload", "deploy", "install")]


def _deployed(done: Row) -> str:
    took = f" in {done['duration_us'] // 1000:,} ms" if done["duration_us"] is not None else ""
    return f"{done['rest'].get('archive') or application(done)} deployed{took}"
