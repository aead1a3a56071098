"""Endpoints: what each path of the server was for, from who asked for it, how, and what came back.

Works on the stock pattern without User-Agent. A path is counted without its path parameters (`;jsessionid=…`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._command_paths import VARIED, Command, beside, commands, context_of, main_sizes
from forensics.analysis._places import locator_at
from forensics.analysis._traffic import STATIC, count_traffic
from forensics.analysis._uploads import find_uploads
from forensics.analysis._words import LOOPBACK, because, reason
from forensics.model import Rule
from forensics.schemas import ENDPOINTS, table
from forensics.text import counted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BEFORE: Final = timedelta(days=1)
_FEW: Final = 8
"""A page that no more addresses than this ever asked for is not public."""
_RETURNS: Final = 4
_STATIC: Final = re.compile(STATIC, re.IGNORECASE | re.ASCII)
_MANAGER: Final = re.compile(r"^/(host-)?manager(/|$)", re.ASCII)
_SCRIPT: Final = re.compile(r"\.(jspx?|jspf|do|action|php|aspx?)$", re.IGNORECASE | re.ASCII)


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    _requests(db)
    rows = _counted(db)
    scripts = [
        row for row in rows if row["answered"] and not _STATIC.search(row["path"]) and not _MANAGER.match(row["path"])
    ]
    c2 = commands(db, scripts)
    fresh = _fresh(rows, c2)
    pages = main_sizes(db, [row["path"] for row in scripts if _private(row, c2, fresh)])
    db.execute("DROP VIEW _requests")
    out = []
    for row in rows:
        kind, reasons = _kind(row, c2, fresh, pages)
        out.append(
            {
                "path": row["path"],
                "kind": kind,
                "first_seen": row["first_seen"],
                "first_source_ip": row["first_source_ip"],
                "sources": row["sources"],
                "requests": row["requests"],
                "because": because(reasons),
            }
        )
    return table(out, ENDPOINTS)


def _requests(db: duckdb.DuckDBPyConnection) -> None:
    """Make the view `_requests` over `_traffic`: with each, whether it came from the server's own people (`_insiders`).

    Those are the server itself, whoever had a desktop on it, and whoever brought an application onto it by the web.
    """
    count_traffic(db)
    find_uploads(db)
    loopback = ", ".join(f"('{ip}')" for ip in LOOPBACK)
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _insiders AS
        SELECT source_ip FROM (VALUES {loopback}) own(source_ip) UNION
        SELECT unnest(string_split(source_ips, ';')) FROM sessions UNION
        SELECT source_ip FROM _uploads WHERE source_ip IS NOT NULL""")
    db.execute("""
        CREATE OR REPLACE TEMP VIEW _requests AS
        SELECT *, source_ip IN (SELECT source_ip FROM _insiders) AS insider FROM _traffic WHERE NOT pathless""")


def _counted(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Count each path that ever answered, and the paths asked for most among those that never did."""
    found = db.sql(
        f"""
        SELECT * EXCLUDE (place, mark, insider_place, insider_mark), {locator_at("place", "mark")} AS first_locator,
               {locator_at("insider_place", "insider_mark")} AS insider_locator
        FROM (
            SELECT path, sum(n)::BIGINT AS requests, count(source_ip) AS sources,
                   min(first) AS first_seen,
                   arg_min(source_ip, place) AS first_source_ip,
                   min(place) AS place, arg_min(mark, place) AS mark,
                   sum(ok)::BIGINT AS answered,
                   any_value(first_ok) AS first_answered,
                   sum(ok_posts)::BIGINT AS posts,
                   any_value(gets) AS gets,
                   count(source_ip) FILTER (WHERE ok > 0 AND NOT insider) AS strangers,
                   count(source_ip) FILTER (WHERE ok_posts > 0 AND NOT insider) AS posting_strangers,
                   coalesce(sum(ok) FILTER (WHERE insider), 0)::BIGINT AS insider_requests,
                   coalesce(sum(ok_posts) FILTER (WHERE insider), 0)::BIGINT AS insider_posts,
                   coalesce(sum(ok) FILTER (WHERE NOT insider), 0)::BIGINT AS stranger_requests,
                   min(first) FILTER (WHERE insider) AS first_insider,
                   min(place) FILTER (WHERE insider) AS insider_place, arg_min(mark, place) FILTER (WHERE insider) AS insider_mark
            FROM _requests JOIN _paths USING (path) GROUP BY path)
        ORDER BY first_seen, path"""
    )
    rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    return rows


def _kind(
    row: dict[str, Any], c2: dict[str, Command], fresh: set[str], pages: dict[str, float]
) -> tuple[str, list[dict[str, Any]]]:
    path, first = row["path"], [row["first_locator"]]
    if _MANAGER.match(path):
        return "manager", [reason("the path is the Tomcat manager's", 9, first)]
    if not row["answered"]:
        return "probe", [reason(f"none of {counted(row['requests'], 'request')} was answered", 8, first)]
    if path in c2:
        return "c2", c2[path].reasons
    if _STATIC.search(path):
        return "static", [reason("the ending is that of a static file", 6, first)]
    if _beside(row, c2, fresh):
        near = reason("it lies beside a command path and is no older than that", 6, first)
        if row["insider_requests"] and row["stranger_requests"] <= row["insider_requests"] // 10:
            who = (
                f"{row['insider_requests']:,} of {counted(row['answered'], 'answered request')} come from the server itself, "
                f"from addresses of RDP sessions, or from who brought an application"
            )
            return "panel", [reason(who, 7, first), near]
        if pages.get(path, 1.0) < VARIED:
            who = f"only {counted(row['sources'], 'address')} ever asked for it, and its answers differ as pages do"
            return "panel", [reason(who, 5, first), near]
    return "application", [
        reason(f"it answered {row['answered']:,} of {counted(row['requests'], 'request')}", 4, first)
    ]


def _private(row: dict[str, Any], c2: dict[str, Command], fresh: set[str]) -> bool:
    """Say whether a page lies in the very folder or the very application of a command path, and hardly anybody ever asked for it."""
    few = row["sources"] <= _FEW and row["answered"] >= _RETURNS and row["path"] not in c2
    return few and any(_together(row["path"], path, fresh) for path in c2)


def _beside(row: dict[str, Any], c2: dict[str, Command], fresh: set[str]) -> bool:
    """Say whether a page lies beside a command path and came no earlier: pages of the server's owner do not.

    Beside is the same folder; or anywhere in the same application, if all of that came with the command path.
    """
    folder, script = row["path"].rpartition("/")[0], _SCRIPT.search(row["path"])
    return any(
        row["first_answered"] >= one.born - _BEFORE
        and ((script and folder.startswith(one.path.rpartition("/")[0])) or _together(row["path"], one.path, fresh))
        for one in c2.values()
    )


def _together(path: str, command: str, fresh: set[str]) -> bool:
    """Say whether a path lies in the very folder of a command path, or in an application that came with it."""
    if context_of(command) in fresh and beside(path, command):
        return True
    return path.rpartition("/")[0] == command.rpartition("/")[0] and _SCRIPT.search(path) is not None


def _fresh(rows: list[dict[str, Any]], c2: dict[str, Command]) -> set[str]:
    """Return the applications that hold a command path and of which nothing answered before it came."""
    born: dict[str, Any] = {}
    for one in c2.values():
        name = context_of(one.path)
        born[name] = min(born.get(name, one.born), one.born)
    old = {
        name
        for row in rows
        if row["first_answered"] is not None
        and (name := context_of(row["path"])) in born
        and row["first_answered"] < born[name] - _BEFORE
    }
    return set(born) - old - {""}


RULE = Rule("endpoints", "What each path was for", ("events", "sessions"), ENDPOINTS, _run)
