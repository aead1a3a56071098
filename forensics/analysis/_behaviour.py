"""What each source address did, counted in the database: one row an address, however many requests.

The rows stand in the temporary table `_behaviour`: of a busy server they are too many to hold as Python objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.analysis._words import LOCATOR, LOOPBACK

if TYPE_CHECKING:
    import duckdb


def count_behaviour(db: duckdb.DuckDBPyConnection) -> None:
    """Make `_behaviour`, one row a source address."""
    _gaps(db)
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    # Endpoints hold the paths that ever answered; a request to any other is an attempt.
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE _behaviour AS
        WITH seen AS (
            SELECT e.source_ip, e.time, e.event_action, e.event_outcome, e.event_code, e.http_request_method AS method,
                   e.http_response_status_code AS status, e.http_response_bytes AS size, e.user_name, e.url_path IS NULL AS no_path,
                   e.evidence_id, e.log_offset, {LOCATOR} AS locator, p.kind
            FROM events e LEFT JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE e.source_ip IS NOT NULL),
        counted AS (
            SELECT source_ip, min(time) AS first_seen, max(time) AS last_seen,
                   arg_min(locator, (time, evidence_id, log_offset)) AS first_locator,
                   count(*) FILTER (WHERE event_action = 'http_request') AS requests,
                   count(*) FILTER (WHERE event_action <> 'http_request' AND event_outcome = 'failure') AS refused,
                   count(*) FILTER (WHERE event_action = 'rdp_connect') AS connects,
                   count(*) FILTER (WHERE event_action = 'rdp_authenticate' AND event_outcome = 'success'
                       AND lower(user_name) IN (SELECT lower(user_name) FROM sessions)) AS authenticated,
                   count(*) FILTER (WHERE event_action = 'http_request' AND status < 400) AS answered,
                   count(*) FILTER (WHERE no_path AND event_action = 'http_request') AS no_request,
                   count(*) FILTER (WHERE kind = 'c2' AND status < 400) AS c2,
                   count(*) FILTER (WHERE kind = 'c2' AND method = 'POST' AND status < 400) AS c2_posts,
                   count(DISTINCT size) FILTER (WHERE kind = 'c2' AND method = 'POST' AND status < 400) AS c2_sizes,
                   coalesce(sum(size) FILTER (WHERE kind = 'c2' AND status < 400), 0) AS c2_bytes,
                   min(time) FILTER (WHERE kind = 'c2') AS c2_first,
                   arg_min(locator, (time, evidence_id, log_offset)) FILTER (WHERE kind = 'c2') AS c2_locator,
                   count(*) FILTER (WHERE kind = 'panel' AND status < 400) AS panel,
                   arg_min(locator, (time, evidence_id, log_offset)) FILTER (WHERE kind = 'panel' AND status < 400) AS panel_locator,
                   count(*) FILTER (WHERE kind = 'manager' AND status < 400 AND user_name IS NOT NULL) AS managed,
                   arg_min(locator, (time, evidence_id, log_offset))
                       FILTER (WHERE kind = 'manager' AND status < 400 AND user_name IS NOT NULL) AS manager_locator,
                   count(*) FILTER (WHERE kind = 'manager' AND status IN (401, 403)) AS manager_refused,
                   count(*) FILTER (WHERE kind IN ('application', 'static') AND status < 400) AS pages,
                   source_ip IN ({loopback}) AS loopback
            FROM seen GROUP BY source_ip),
        stays AS (SELECT source_ip, count(DISTINCT session_uid) AS sessions, min(session_uid) AS first_session FROM (
            SELECT unnest(string_split(source_ips, ';')) AS source_ip, session_uid FROM sessions) GROUP BY ALL)
        SELECT counted.*, coalesce(stays.sessions, 0) AS sessions, stays.first_session, gaps.median_s, gaps.spread_s
        FROM counted LEFT JOIN stays USING (source_ip) LEFT JOIN _gaps AS gaps USING (source_ip)"""
    )


def _gaps(db: duckdb.DuckDBPyConnection) -> None:
    """Measure how regularly each address posts to a command path: median gap and median deviation from it, in seconds."""
    db.execute("""
        CREATE OR REPLACE TEMP TABLE _gaps AS
        WITH posts AS (
            SELECT e.source_ip, e.time, lag(e.time) OVER (PARTITION BY e.source_ip ORDER BY e.time, e.evidence_id, e.log_offset) AS before
            FROM events e JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE p.kind = 'c2' AND e.http_request_method = 'POST' AND e.http_response_status_code < 400 AND e.source_ip IS NOT NULL),
        gaps AS (SELECT source_ip, epoch(time) - epoch(before) AS gap FROM posts WHERE before IS NOT NULL),
        middle AS (SELECT source_ip, median(gap) AS median_s FROM gaps GROUP BY ALL)
        SELECT source_ip, any_value(median_s) AS median_s, median(abs(gap - median_s)) AS spread_s
        FROM gaps JOIN middle USING (source_ip) GROUP BY source_ip""")
