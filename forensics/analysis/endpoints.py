"""Endpoints: what each path of the server was for, from who asked for it, how, and what came back.

Works on the stock pattern without User-Agent. A path is counted without its path parameters (`;jsessionid=…`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import LOCATOR, LOOPBACK, because, reason
from forensics.model import Rule
from forensics.schemas import ENDPOINTS, table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_PROBES_KEPT: Final = 200
"""Paths that never answered are as many as scanners can think of; the most asked for are kept."""

_CLIENTS_OF_A_C2: Final = 3
_STATIC: Final = re.compile(r"\.(css|js|png|gif|jpe?g|svg|ico|woff2?|ttf|map|html?|txt)$", re.IGNORECASE | re.ASCII)
_MANAGER: Final = re.compile(r"^/(host-)?manager(/|$)", re.ASCII)
_SCRIPT: Final = re.compile(r"\.(jspx?|jspf|do|action|php|aspx?)$", re.IGNORECASE | re.ASCII)


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    rows = _counted(db)
    scripts = [
        row for row in rows if row["answered"] and not _STATIC.search(row["path"]) and not _MANAGER.match(row["path"])
    ]
    anybody = db.sql("SELECT 1 FROM sessions LIMIT 1").to_arrow_table().num_rows > 0
    c2 = _commands(scripts, sessions=anybody)
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


def _counted(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Count each path that ever answered, and the paths asked for most among those that never did."""
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    found = db.sql(
        f"""
        WITH requests AS (
            SELECT string_split(url_path, ';')[1] AS path, *, {LOCATOR} AS locator,
                   http_response_status_code < 400 AS ok,
                   source_ip IN ({loopback}) OR source_ip IN
                       (SELECT unnest(string_split(source_ips, ';')) FROM sessions) AS insider
            FROM events WHERE event_action = 'http_request' AND url_path IS NOT NULL),
        counted AS (
            SELECT path, count(*) AS requests, count(DISTINCT source_ip) AS sources,
                   min(time) AS first_seen,
                   arg_min(source_ip, (time, evidence_id, log_offset)) AS first_source_ip,
                   arg_min(locator, (time, evidence_id, log_offset)) AS first_locator,
                   count(*) FILTER (WHERE ok) AS answered,
                   count(*) FILTER (WHERE ok AND http_request_method = 'POST') AS posts,
                   count(*) FILTER (WHERE ok AND http_request_method = 'GET') AS gets,
                   count(DISTINCT source_ip) FILTER (WHERE ok AND NOT insider) AS strangers,
                   count(DISTINCT source_ip) FILTER (WHERE ok AND http_request_method = 'POST' AND NOT insider) AS posting_strangers,
                   count(*) FILTER (WHERE ok AND insider) AS insider_requests,
                   count(*) FILTER (WHERE ok AND NOT insider) AS stranger_requests
            FROM requests GROUP BY path)
        SELECT * FROM counted
        QUALIFY answered > 0 OR row_number() OVER (PARTITION BY answered > 0 ORDER BY requests DESC, path) <= {_PROBES_KEPT}
        ORDER BY first_seen, path"""
    )
    rows: list[dict[str, Any]] = found.to_arrow_table().to_pylist()
    return rows


def _commands(scripts: list[dict[str, Any]], *, sessions: bool) -> set[str]:
    """Name the command paths: most requests are POST, from strangers who were never at the server itself.

    Where no stranger ever posted, the path that insiders posted to most is one, if posting is what it was for. Without an
    RDP session in evidence nobody is known as an insider: a server that posts to itself then runs an application.
    """
    posted = [r for r in scripts if r["posts"] >= r["gets"] and r["posts"] > 0]
    many = {
        r["path"]
        for r in posted
        if r["posting_strangers"] >= _CLIENTS_OF_A_C2 and r["stranger_requests"] >= 2 * r["posting_strangers"]
    }
    if many:
        return many
    few = [r for r in posted if r["posting_strangers"] or (sessions and r["insider_requests"])]
    few = [r for r in few if _SCRIPT.search(r["path"])]
    return {max(few, key=lambda r: (r["posting_strangers"], r["posts"], r["path"]))["path"]} if few else set()


def _kind(row: dict[str, Any], c2: set[str]) -> tuple[str, list[dict[str, Any]]]:
    path, first = row["path"], [row["first_locator"]]
    if _MANAGER.match(path):
        return "manager", [reason("the path is the Tomcat manager's", 9, first)]
    if not row["answered"]:
        return "probe", [reason(f"none of {row['requests']} requests was answered", 8, first)]
    if path in c2:
        who = f"{row['posts']} of {row['answered']} answered requests are POST, from {row['posting_strangers']} addresses that never logged on"
        return "c2", [reason(who, 8, first)]
    if _STATIC.search(path):
        return "static", [reason("the ending is that of a static file", 6, first)]
    insiders = row["insider_requests"] and row["stranger_requests"] <= row["insider_requests"] // 10
    if _SCRIPT.search(path) and insiders:
        who = f"{row['insider_requests']} of {row['answered']} answered requests come from the server itself or from addresses of RDP sessions"
        return "panel", [reason(who, 7, first)]
    return "application", [reason(f"it answered {row['answered']} of {row['requests']} requests", 4, first)]


RULE = Rule("endpoints", "What each path was for", ("events", "sessions"), ENDPOINTS, _run)
