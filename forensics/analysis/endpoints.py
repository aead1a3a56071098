"""Endpoints: what each path of the server was for, from who asked for it, how, and what came back.

Works on the stock pattern without User-Agent. A path is counted without its path parameters (`;jsessionid=…`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._command_paths import Command, commands
from forensics.analysis._words import LOCATOR, LOOPBACK, because, reason
from forensics.model import Rule
from forensics.schemas import ENDPOINTS, table
from forensics.text import counted

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_PROBES_KEPT: Final = 200
"""Paths that never answered are as many as scanners can think of; the most asked for are kept."""

_BEFORE: Final = timedelta(days=1)
_STATIC: Final = re.compile(r"\.(css|js|png|gif|jpe?g|svg|ico|woff2?|ttf|map|html?|txt)$", re.IGNORECASE | re.ASCII)
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
    """Make the view `_requests`: each with its path, whether it was answered, and whether it came from the server's own people."""
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    db.execute(f"""
        CREATE OR REPLACE TEMP VIEW _requests AS
        SELECT string_split(url_path, ';')[1] AS path, source_ip, time, http_request_method, http_response_bytes, evidence_id, log_offset,
               {LOCATOR} AS locator, http_response_status_code < 400 AS ok,
               regexp_matches(string_split(url_path, ';')[1], '{_STATIC.pattern}', 'i') AS static,
               source_ip IN ({loopback}) OR source_ip IN
                   (SELECT unnest(string_split(source_ips, ';')) FROM sessions) AS insider
        FROM events WHERE event_action = 'http_request' AND url_path IS NOT NULL""")


def _counted(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Count each path that ever answered, and the paths asked for most among those that never did."""
    place = "(time, evidence_id, log_offset)"
    found = db.sql(
        f"""
        WITH counted AS (
            SELECT path, count(*) AS requests, count(DISTINCT source_ip) AS sources,
                   min(time) AS first_seen,
                   arg_min(source_ip, {place}) AS first_source_ip,
                   arg_min(locator, {place}) AS first_locator,
                   count(*) FILTER (WHERE ok) AS answered,
                   min(time) FILTER (WHERE ok) AS first_answered,
                   count(*) FILTER (WHERE ok AND http_request_method = 'POST') AS posts,
                   count(*) FILTER (WHERE ok AND http_request_method = 'GET') AS gets,
                   count(DISTINCT source_ip) FILTER (WHERE ok AND NOT insider) AS strangers,
                   count(DISTINCT source_ip) FILTER (WHERE ok AND http_request_method = 'POST' AND NOT insider) AS posting_strangers,
                   count(*) FILTER (WHERE ok AND insider) AS insider_requests,
                   count(*) FILTER (WHERE ok AND insider AND http_request_method = 'POST') AS insider_posts,
                   count(*) FILTER (WHERE ok AND NOT insider) AS stranger_requests,
                   min(time) FILTER (WHERE insider) AS first_insider,
                   arg_min(locator, {place}) FILTER (WHERE insider) AS insider_locator,
                   min(time) FILTER (WHERE ok AND NOT insider) AS first_stranger
            FROM _requests GROUP BY path
            QUALIFY answered > 0 OR row_number() OVER (PARTITION BY answered > 0 ORDER BY requests DESC, path) <= {_PROBES_KEPT}),
        sizes AS (
            SELECT path, max(n) / sum(n) AS main_size_share FROM (
                SELECT path, coalesce(http_response_bytes, 0) AS size, count(*) AS n FROM _requests WHERE ok AND NOT insider GROUP BY ALL)
            GROUP BY path)
        SELECT counted.*, coalesce(sizes.main_size_share, 0) AS main_size_share FROM counted LEFT JOIN sizes USING (path)
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
