"""Endpoints: what each path of the server was for, from who asked for it, how, and what came back.

Works on the stock pattern without User-Agent. A path is counted without its path parameters (`;jsessionid=…`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._command_paths import Command, commands
from forensics.analysis._places import locator_at
from forensics.analysis._traffic import STATIC, count_traffic
from forensics.analysis._words import LOOPBACK, because, reason
from forensics.model import Rule
from forensics.schemas import ENDPOINTS, table
from forensics.text import counted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_BEFORE: Final = timedelta(days=1)
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
    db.execute("DROP VIEW _requests")
    out = []
    for row in rows:
        kind, reasons = _kind(row, c2)
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
    """Make the view `_requests` over `_traffic`: with each, whether it came from the server's own people."""
    count_traffic(db)
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    db.execute(f"""
        CREATE OR REPLACE TEMP VIEW _requests AS
        SELECT *, source_ip IN ({loopback}) OR source_ip IN
                   (SELECT unnest(string_split(source_ips, ';')) FROM sessions) AS insider
        FROM _traffic WHERE NOT pathless""")


def _counted(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Count each path that ever answered, and the paths asked for most among those that never did."""
    found = db.sql(
        f"""
        SELECT * EXCLUDE (place, mark, insider_place, insider_mark), {locator_at("place", "mark")} AS first_locator,
               {locator_at("insider_place", "insider_mark")} AS insider_locator
        FROM (
            SELECT path, sum(n)::BIGINT AS requests, count(DISTINCT source_ip) AS sources,
                   min(first) AS first_seen,
                   arg_min(source_ip, place) AS first_source_ip,
                   min(place) AS place, arg_min(mark, place) AS mark,
                   sum(ok)::BIGINT AS answered,
                   any_value(first_ok) AS first_answered,
                   sum(ok_posts)::BIGINT AS posts,
                   any_value(gets) AS gets,
                   count(DISTINCT source_ip) FILTER (WHERE ok > 0 AND NOT insider) AS strangers,
                   count(DISTINCT source_ip) FILTER (WHERE ok_posts > 0 AND NOT insider) AS posting_strangers,
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


def _kind(row: dict[str, Any], c2: dict[str, Command]) -> tuple[str, list[dict[str, Any]]]:
    path, first = row["path"], [row["first_locator"]]
    if _MANAGER.match(path):
        return "manager", [reason("the path is the Tomcat manager's", 9, first)]
    if not row["answered"]:
        return "probe", [reason(f"none of {counted(row['requests'], 'request')} was answered", 8, first)]
    if path in c2:
        return "c2", c2[path].reasons
    if _STATIC.search(path):
        return "static", [reason("the ending is that of a static file", 6, first)]
    insiders = row["insider_requests"] and row["stranger_requests"] <= row["insider_requests"] // 10
    if _SCRIPT.search(path) and insiders and _beside(row, c2):
        who = f"{row['insider_requests']:,} of {counted(row['answered'], 'answered request')} come from the server itself or from addresses of RDP sessions"
        return "panel", [
            reason(who, 7, first),
            reason("it lies beside a command path and is no older than that", 6, first),
        ]
    return "application", [
        reason(f"it answered {row['answered']:,} of {counted(row['requests'], 'request')}", 4, first)
    ]


def _beside(row: dict[str, Any], c2: dict[str, Command]) -> bool:
    """Say whether a path lies in the folder of a command path and came no earlier: pages of the server's owner do not."""
    folder = row["path"].rpartition("/")[0]
    return any(
        folder.startswith(one.path.rpartition("/")[0]) and row["first_answered"] >= one.born - _BEFORE
        for one in c2.values()
    )


RULE = Rule("endpoints", "What each path was for", ("events", "sessions"), ENDPOINTS, _run)
