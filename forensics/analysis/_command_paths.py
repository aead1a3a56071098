"""Which paths are command and control: judged by who asked for them, how they came back, and what went before.

A path is named only where a client that is no browser came back to it, and where it was deployed or tried here first; or,
where the logs begin too late for that, where several such clients kept a timer. An application with forms and logins has
clients that fetch pages and pictures too: those are people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from forensics.analysis._traffic import path_of
from forensics.analysis._words import reason
from forensics.text import counted

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb

Row = dict[str, Any]

_RETURNS: Final = 4
"""RITA's least number of connections; who asked less often may have come by chance."""
_SEVERAL: Final = 3
_MACHINE_PATHS: Final = 3
"""An implant knows a path or two, or three with one for files; whoever opens a page in a browser soon has more."""
_SAMPLE: Final = 500
"""Clients of a path whose gaps are measured: whether a path is kept by timers shows in these as in all."""
_STEADY: Final = 0.5
_AFTER_UPLOAD: Final = timedelta(days=1)
_NEW: Final = timedelta(minutes=10)
"""A path that answers from the first minutes of a log on may be older than the log."""
_CANDIDATES: Final = 300
VARIED: Final = 0.2
"""Pages for a person, and what commands put out, differ from answer to answer; most answers to implants are one."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command path: since when it answered, and what says that it is one."""

    path: str
    born: datetime
    reasons: list[Row]


def commands(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> dict[str, Command]:
    """Return the command paths among `rows`: answered paths that are neither static nor the manager's.

    Needs what the endpoints made: the view `_requests`, and the tables `_insiders` and `_uploads`.
    """
    asked = [row for row in rows if row["strangers"] and row["first_answered"] is not None]
    asked = sorted(asked, key=lambda row: (-row["posts"], -row["stranger_requests"], row["path"]))[:_CANDIDATES]
    if not asked:
        return {}
    clients = _clients(db, [row["path"] for row in asked])
    uploads = _times(db, "SELECT time FROM _uploads WHERE time IS NOT NULL ORDER BY time")
    (begin,) = _times(db, "SELECT min(time) AS time FROM events WHERE event_action = 'http_request'")
    known: dict[str, Command] = {}
    late: dict[str, Command] = {}
    in_use = _in_use(rows)
    tell = _tell(
        db, [row for row in asked if clients.get(row["path"], {}).get("steady") and row["posts"] < row["gets"]]
    )
    kept = [row for row in asked if row["path"] in clients and _by_machines(row, clients[row["path"]], tell)]
    sizes, first = main_sizes(db, [row["path"] for row in kept]), _first_strangers(db, kept)
    for row in kept:
        row["first_stranger"] = first.get(row["path"])
        seen = {**clients[row["path"]], "main_size_share": sizes[row["path"]]}
        origin = _origin(row, uploads, begin, in_use.get(context_of(row["path"])))
        born = max((time for time in uploads if time <= row["first_answered"]), default=row["first_answered"])
        born = born if row["first_answered"] - born <= _AFTER_UPLOAD else row["first_answered"]
        made = Command(row["path"], born, [*_manner(row, seen), *origin])
        if origin and (
            seen["returning"] >= _SEVERAL or seen["steady"] or any("deployed" in r["sentence"] for r in origin)
        ):
            known[row["path"]] = made
        elif _kept_by_timers(row, seen):
            late[row["path"]] = made
    return _without_panels(known or late, sizes)


def _without_panels(found: dict[str, Command], share: dict[str, float]) -> dict[str, Command]:
    """Leave out pages whose answers all differ, beside a path that mostly gives one answer: people use those, implants that."""
    steady = [path for path in found if share[path] >= _STEADY]
    return {
        path: one
        for path, one in found.items()
        if share[path] >= VARIED or not any(beside(path, other) for other in steady)
    }


def context_of(path: str) -> str:
    """Return the application of a path by its first folder; empty for what lies in the root."""
    parts = path.split("/")
    return f"/{parts[1]}" if len(parts) > 2 else ""


def beside(path: str, other: str) -> bool:
    """Say whether two paths lie in one folder, or in one application that is not the root."""
    name = context_of(path)
    return path.rpartition("/")[0] == other.rpartition("/")[0] or (name != "" and name == context_of(other))


def _by_machines(row: Row, seen: Row, tell: set[str]) -> bool:
    """Say whether most of what strangers got from it went to clients that are no browsers, and some came back.

    A monitor asks for a page by a timer too, but always for the same: a path that is mostly asked for by GET needs several clients,
    or insiders who posted to it, or one client that tells something new each time (`tell`).
    """
    heavy = row["posts"] >= row["gets"]
    enough = seen["returning"] >= (1 if heavy or row["insider_posts"] or row["path"] in tell else _SEVERAL)
    enough = enough or (heavy and seen["machines"] >= _SEVERAL)
    spoken = heavy or seen["steady"] or row["insider_posts"]
    return bool(enough and spoken and 2 * seen["machine_requests"] >= row["stranger_requests"])


def _tell(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> set[str]:
    """Return the paths of which every fourth request of strangers or more has a query of its own."""
    told = _of_strangers(
        db, [row["path"] for row in rows], "path, approx_count_distinct(url_query) * 4 / count(*) AS value"
    )
    return {path for path, value in _pairs(db, told).items() if value >= 1} if rows else set()


def _kept_by_timers(row: Row, seen: Row) -> bool:
    several = seen["returning"] >= _SEVERAL and seen["steady"] >= 2 and 2 * seen["steady"] >= seen["measured"]
    return bool(several and row["posts"] >= row["gets"] and seen["main_size_share"] >= _STEADY)


def _in_use(rows: list[Row]) -> dict[str, datetime]:
    """Return since when each application that is not the root, and that several strangers use, gives answers."""
    out: dict[str, datetime] = {}
    for row in rows:
        name, since = context_of(row["path"]), row["first_answered"]
        if name and since is not None and row["strangers"] >= _SEVERAL:
            out[name] = min(out.get(name, since), since)
    return out


def _origin(row: Row, uploads: list[datetime], begin: datetime, in_use: datetime | None) -> list[Row]:
    """Return what says that it came onto the server in the time of the logs, by somebody who was on it.

    Of an application that people used before the upload, that was a new version: what answers first after it may be the owner's.
    """
    out = []
    first: datetime = row["first_answered"]
    if any(timedelta() <= first - time <= _AFTER_UPLOAD and (in_use is None or in_use >= time) for time in uploads):
        out.append(reason("it answered for the first time after something was deployed", 7, [row["first_locator"]]))
    tried, stranger = row["first_insider"], row["first_stranger"]
    if tried is not None and stranger is not None and tried < stranger and row["first_seen"] - begin >= _NEW:
        said = "the server itself or an address of an RDP session asked for it before any other client did"
        out.append(reason(said, 7, [row["insider_locator"]]))
    return out


def _manner(row: Row, seen: Row) -> list[Row]:
    first = [row["first_locator"]]
    out = [
        reason(
            f"{row['posts']:,} of {counted(row['answered'], 'answered request')} are POST, from {counted(row['posting_strangers'], 'address')} that never "
            f"logged on",
            6,
            first,
        ),
        reason(
            f"{seen['machines']:,} of {counted(row['strangers'], 'such client')} fetched no page, picture or style with it: no browsers; "
            f"{seen['returning']:,} came back at least {_RETURNS} times",
            6,
            first,
        ),
    ]
    if seen["steady"]:
        out.append(
            reason(f"{seen['steady']:,} of {counted(seen['measured'], 'client')} measured kept a timer", 6, first)
        )
    if seen["main_size_share"] >= _STEADY:
        out.append(reason(f"{seen['main_size_share']:.0%} of the answers have one size", 4, first))
    return out


def _clients(db: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, Row]:
    """Return, by path, how many of its strangers are no browsers, how many came back, how many of these kept a timer."""
    db.register("_asked", pa.table({"path": pa.array(paths, pa.string())}))
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _clients AS
        WITH mine AS (
            SELECT r.path, r.source_ip, ok AS requests FROM _requests r SEMI JOIN _asked USING (path)
            WHERE ok > 0 AND NOT insider AND source_ip IS NOT NULL),
        whole AS (
            SELECT r.source_ip, sum(n) AS requests, sum(ok) AS answered, bool_or(static) AS static,
                   count(path) FILTER (WHERE ok > 0) AS paths
            FROM _requests r SEMI JOIN mine ON mine.source_ip = r.source_ip GROUP BY ALL)
        SELECT mine.path, mine.source_ip, mine.requests,
               NOT whole.static AND whole.paths <= {_MACHINE_PATHS} AND whole.answered * 10 >= whole.requests * 9 AS machine
        FROM mine JOIN whole USING (source_ip)""")
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _measured AS
        WITH chosen AS (
            SELECT path, source_ip FROM _clients WHERE machine AND requests >= {_RETURNS}
            QUALIFY row_number() OVER (PARTITION BY path ORDER BY hash(source_ip), source_ip) <= {_SAMPLE}),
        gaps AS (
            SELECT c.path, c.source_ip, epoch(e.time) - epoch(lag(e.time) OVER (PARTITION BY c.path, c.source_ip ORDER BY e.time)) AS gap
            FROM events e JOIN chosen c ON c.source_ip = e.source_ip AND c.path = {path_of("e.url_path")}
            WHERE e.event_action = 'http_request' AND e.http_response_status_code < 400),
        middle AS (SELECT path, source_ip, median(gap) AS middle FROM gaps WHERE gap IS NOT NULL GROUP BY ALL)
        SELECT path, source_ip, any_value(middle) AS middle, median(abs(gap - middle)) AS away
        FROM gaps JOIN middle USING (path, source_ip) WHERE gap IS NOT NULL GROUP BY ALL""")
    found = db.sql(f"""
        SELECT c.path, count(*) FILTER (WHERE machine) AS machines, count(*) FILTER (WHERE machine AND requests >= {_RETURNS}) AS returning,
               coalesce(sum(requests) FILTER (WHERE machine), 0)::BIGINT AS machine_requests, count(m.source_ip) AS measured,
               count(*) FILTER (WHERE m.middle > 1 AND m.away <= {_STEADY} * m.middle) AS steady
        FROM _clients c LEFT JOIN _measured m ON m.path = c.path AND m.source_ip = c.source_ip GROUP BY ALL""")
    rows = {row["path"]: row for row in found.to_arrow_table().to_pylist()}
    db.execute("DROP TABLE _clients")
    db.execute("DROP TABLE _measured")
    return rows


def main_sizes(db: duckdb.DuckDBPyConnection, paths: list[str]) -> dict[str, float]:
    """Return, by path, the share of the answers to strangers that have the size that most have."""
    found = _of_strangers(db, paths, "path, coalesce(http_response_bytes, 0) AS size, count(*) AS n")
    return _pairs(db, f"SELECT path, max(n) / sum(n) AS value FROM ({found}) GROUP BY path")


def _first_strangers(db: duckdb.DuckDBPyConnection, rows: list[Row]) -> dict[str, datetime]:
    """Return, by path, when it first answered a stranger, of those that insiders asked for too."""
    paths = [row["path"] for row in rows if row["first_insider"] is not None]
    return _pairs(db, _of_strangers(db, paths, "path, min(time) AS value")) if paths else {}


def _of_strangers(db: duckdb.DuckDBPyConnection, paths: list[str], columns: str) -> str:
    """Return SQL that counts the answers to strangers on some paths."""
    db.register("_asked", pa.table({"path": pa.array(paths, pa.string())}))
    return f"""
        SELECT {columns} FROM events e JOIN _asked a ON a.path = {path_of("e.url_path")}
        WHERE e.event_action = 'http_request' AND e.http_response_status_code < 400
              AND e.source_ip IS NOT NULL AND e.source_ip NOT IN (SELECT source_ip FROM _insiders) GROUP BY ALL"""


def _pairs(db: duckdb.DuckDBPyConnection, select: str) -> dict[str, Any]:
    found = db.sql(select).to_arrow_table()
    return dict(zip(found.column("path").to_pylist(), found.column("value").to_pylist(), strict=True))


def _times(db: duckdb.DuckDBPyConnection, select: str) -> list[datetime]:
    listed: list[datetime] = db.sql(select).to_arrow_table().column("time").to_pylist()
    return listed
