"""What each source address did, counted in the database: one row an address, however many requests.

The rows stand in the temporary table `_behaviour`: of a busy server they are too many to hold as Python objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._words import BEACONS, LOCATOR, LOOPBACK

if TYPE_CHECKING:
    import duckdb


def count_behaviour(db: duckdb.DuckDBPyConnection) -> None:
    """Make `_behaviour`, one row a source address."""
    _gaps(db)
    _manners(db)
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    # Endpoints hold the paths that ever answered; a request to any other is an attempt.
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE _behaviour AS
        WITH seen AS (
            SELECT e.source_ip, e.time, string_split(e.url_path, ';')[1] AS path, e.event_action, e.event_outcome, e.event_code, e.http_request_method AS method,
                   e.http_response_status_code AS status, e.http_response_bytes AS size, e.user_name, e.url_path IS NULL AS no_path,
                   e.evidence_id, e.log_offset, {LOCATOR} AS locator, p.kind,
                   p.kind = 'c2' AND status < 400 AS called, p.sources <= {_FEW_KNOW} AS few,
                   {_MANNER} IN (SELECT manner FROM _manners) AS usual
            FROM events e LEFT JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE e.source_ip IS NOT NULL),
        counted AS (
            SELECT source_ip, min(time) AS first_seen, max(time) AS last_seen,
                   arg_min(locator, (time, evidence_id, log_offset)) AS first_locator,
                   count(*) FILTER (WHERE event_action = 'http_request') AS requests,
                   count(*) FILTER (WHERE event_action <> 'http_request' AND event_outcome = 'failure') AS refused,
                   count(*) FILTER (WHERE event_action = 'rdp_connect') AS connects,
                   count(*) FILTER (WHERE event_action = 'rdp_authenticate' AND event_outcome = 'success'
                       AND lower(user_name) IN
                           (SELECT lower(user_name) FROM sessions JOIN people USING (session_uid) WHERE held_to_be = 'operator')) AS authenticated,
                   count(*) FILTER (WHERE event_action = 'http_request' AND status < 400) AS answered,
                   count(*) FILTER (WHERE no_path AND event_action = 'http_request') AS no_request,
                   count(*) FILTER (WHERE called) AS c2,
                   count(*) FILTER (WHERE called AND method = 'POST') AS c2_posts,
                   count(*) FILTER (WHERE called AND usual) AS c2_usual,
                   coalesce(max(same_size), 0) AS c2_same_size,
                   coalesce(median(coalesce(size, 0)) FILTER (WHERE called), 0) AS c2_bytes,
                   min(time) FILTER (WHERE kind = 'c2') AS c2_first,
                   arg_min(locator, (time, evidence_id, log_offset)) FILTER (WHERE kind = 'c2') AS c2_locator,
                   count(*) FILTER (WHERE kind = 'panel' AND status < 400) AS panel,
                   arg_min(locator, (time, evidence_id, log_offset)) FILTER (WHERE kind = 'panel' AND status < 400) AS panel_locator,
                   count(*) FILTER (WHERE kind = 'manager' AND status < 400 AND user_name IS NOT NULL) AS managed,
                   arg_min(locator, (time, evidence_id, log_offset))
                       FILTER (WHERE kind = 'manager' AND status < 400 AND user_name IS NOT NULL) AS manager_locator,
                   count(*) FILTER (WHERE kind = 'manager' AND status IN (401, 403)) AS manager_refused,
                   count(*) FILTER (WHERE kind IN ('application', 'static') AND status < 400) AS pages,
                   count(*) FILTER (WHERE kind IN ('application', 'static') AND status < 400 AND path NOT IN {_ROOTS}) AS beyond_root,
                   count(*) FILTER (WHERE kind = 'application' AND status < 400 AND path NOT IN {_ROOTS} AND few) AS hidden_pages,
                   count(*) FILTER (WHERE regexp_matches(path, '{_ASSET}', 'i')) AS assets,
                   count(*) FILTER (WHERE regexp_matches(path, '{_ASSET}', 'i') AND status >= 400) AS assets_missing,
                   source_ip IN ({loopback}) AS loopback
            FROM (SELECT *, CASE WHEN called THEN count(*) OVER (PARTITION BY source_ip, called, size) END AS same_size FROM seen)
            GROUP BY source_ip),
        stays AS (SELECT source_ip, count(DISTINCT session_uid) AS sessions, min(session_uid) AS first_session,
                         CASE WHEN count(*) = count(duration_s) THEN sum(duration_s) END AS stayed_s FROM (
            SELECT unnest(string_split(source_ips, ';')) AS source_ip, session_uid, duration_s FROM sessions) GROUP BY source_ip)
        SELECT counted.*, coalesce(stays.sessions, 0) AS sessions, stays.first_session, stays.stayed_s, gaps.median_s, gaps.spread_s
        FROM counted LEFT JOIN stays USING (source_ip) LEFT JOIN _gaps AS gaps USING (source_ip)"""
    )


_ASSET: Final = r"\.(css|js|png|gif|jpe?g|svg|ico|woff2?)$"
"""What a browser fetches with a page, be it there or not; a tool does not."""

_ROOTS: Final = ("/", "/index.jsp", "/index.html")
"""Pages that whoever knows no other path asks for."""

_FEW_KNOW: Final = 5
"""A page that so few addresses ever asked for is no public one."""

_MANNER: Final = "concat_ws(' ', e.url_path, e.http_request_method, regexp_replace(e.url_query, '=[^&]*', '=', 'g'), e.user_agent_original)"
"""How a request is made: its path, method, names of parameters and agent. Clients of one program ask in one manner."""


def _manners(db: duckdb.DuckDBPyConnection) -> None:
    """Note in which manners the clients that kept coming back to a command path asked for it: a tenth of them or more each."""
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _manners AS
        WITH calls AS (
            SELECT e.source_ip, {_MANNER} AS manner, count(*) AS n
            FROM events e JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE p.kind = 'c2' AND e.http_response_status_code < 400 AND e.source_ip IN (SELECT source_ip FROM _gaps)
            GROUP BY ALL),
        main AS (SELECT source_ip, arg_max(manner, (n, manner)) AS manner FROM calls GROUP BY source_ip HAVING sum(n) >= {BEACONS})
        SELECT manner FROM main GROUP BY manner HAVING count(*) * 10 >= (SELECT count(*) FROM main)""")


def _gaps(db: duckdb.DuckDBPyConnection) -> None:
    """Measure how regularly each address asks for a command path: median gap and median deviation from it, in seconds."""
    db.execute("""
        CREATE OR REPLACE TEMP TABLE _gaps AS
        WITH calls AS (
            SELECT e.source_ip, e.time, lag(e.time) OVER (PARTITION BY e.source_ip ORDER BY e.time, e.evidence_id, e.log_offset) AS before
            FROM events e JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE p.kind = 'c2' AND e.http_response_status_code < 400 AND e.source_ip IS NOT NULL),
        gaps AS (SELECT source_ip, epoch(time) - epoch(before) AS gap FROM calls WHERE before IS NOT NULL),
        middle AS (SELECT source_ip, median(gap) AS median_s FROM gaps GROUP BY ALL)
        SELECT source_ip, any_value(median_s) AS median_s, median(abs(gap - median_s)) AS spread_s
        FROM gaps JOIN middle USING (source_ip) GROUP BY source_ip""")
