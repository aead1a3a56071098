"""What each source address did, counted in the database: one row an address, however many requests.

The rows stand in the temporary table `_behaviour`: of a busy server they are too many to hold as Python objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._places import LINE_MARK, MARK, PLACE, locator_at
from forensics.analysis._traffic import FOR_CRAWLERS, ICON, count_traffic, path_of, shares
from forensics.analysis._words import BEACONS, LOOPBACK
from forensics.instants import hour_of

if TYPE_CHECKING:
    import duckdb


def count_behaviour(db: duckdb.DuckDBPyConnection) -> None:
    """Make `_behaviour`, one row a source address."""
    count_traffic(db)
    _calls(db)
    _manners(db)
    loopback = ", ".join(f"'{ip}'" for ip in LOOPBACK)
    # Endpoints hold the paths that ever answered; a request to any other is an attempt.
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE _behaviour AS
        WITH web AS (
            SELECT t.*, p.kind, p.path NOT IN {_ROOTS} AS beyond, p.sources <= {_FEW_KNOW} AS few,
                   kind IN ('application', 'static') OR (kind = 'c2' AND NOT beyond) AS page,
                   kind = 'c2' AND (beyond OR ok_posts > 0) AS wanted
            FROM _traffic t LEFT JOIN endpoints p ON p.path = t.path WHERE t.source_ip IS NOT NULL),
        asked AS (
            SELECT source_ip, sum(n) AS requests, sum(ok) AS answered, sum(n) FILTER (WHERE pathless) AS no_request,
                   min(first) AS first, max(last) AS last, min(place) AS place, arg_min(mark, place) AS mark,
                   sum(ok_posts) FILTER (WHERE wanted) AS c2_posts,
                   min(first) FILTER (WHERE wanted) AS c2_first,
                   min(place) FILTER (WHERE wanted) AS c2_place, arg_min(mark, place) FILTER (WHERE wanted) AS c2_mark,
                   sum(ok) FILTER (WHERE kind = 'panel') AS panel,
                   sum(CASE WHEN kind = 'c2' THEN ok - ok_posts ELSE ok END) FILTER (WHERE page) AS pages,
                   sum(ok) FILTER (WHERE page AND beyond) AS beyond_root,
                   sum(n) FILTER (WHERE regexp_matches(path, '{FOR_CRAWLERS}')) AS crawls,
                   min(place) FILTER (WHERE regexp_matches(path, '{FOR_CRAWLERS}')) AS crawl_place,
                   arg_min(mark, place) FILTER (WHERE regexp_matches(path, '{FOR_CRAWLERS}')) AS crawl_mark,
                   sum(n) FILTER (WHERE path = '{ICON}') AS icons, min(first) FILTER (WHERE path = '{ICON}') AS icon_first,
                   min(first) FILTER (WHERE NOT beyond) AS root_first,
                   sum(ok) FILTER (WHERE kind = 'application' AND beyond AND few) AS hidden_pages,
                   sum(n) FILTER (WHERE asset) AS assets, sum(bad) FILTER (WHERE asset) AS assets_missing
            FROM web GROUP BY source_ip),
        did AS (
            SELECT source_ip, min(time) AS first, max(time) AS last, min({PLACE}) AS place, arg_min({MARK}, {PLACE}) AS mark,
                   count(*) FILTER (WHERE event_outcome = 'failure') AS refused,
                   count(*) FILTER (WHERE event_action = 'rdp_connect') AS connects,
                   count(*) FILTER (WHERE event_action = 'rdp_authenticate' AND event_outcome = 'success'
                       AND lower(user_name) IN
                           (SELECT lower(user_name) FROM sessions JOIN people USING (session_uid) WHERE held_to_be = 'operator')) AS authenticated
            FROM events e JOIN _evidence_numbers USING (evidence_id)
            WHERE source_ip IS NOT NULL AND event_action <> 'http_request' GROUP BY source_ip),
        inside AS (
            SELECT source_ip, min(place) FILTER (WHERE panel) AS panel_place, arg_min(mark, place) FILTER (WHERE panel) AS panel_mark,
                   count(*) FILTER (WHERE managed) AS managed, count(*) FILTER (WHERE refused) AS manager_refused,
                   min(place) FILTER (WHERE managed) AS manager_place, arg_min(mark, place) FILTER (WHERE managed) AS manager_mark
            FROM (SELECT e.source_ip, {PLACE} AS place, {LINE_MARK} AS mark, p.kind = 'panel' AND e.http_response_status_code < 400 AS panel,
                         p.kind = 'manager' AND e.http_response_status_code < 400 AND e.user_name IS NOT NULL AS managed,
                         p.kind = 'manager' AND e.http_response_status_code IN (401, 403) AS refused
                  FROM events e JOIN _evidence_numbers USING (evidence_id) JOIN endpoints p ON p.path = {path_of("e.url_path")}
                  WHERE e.event_action = 'http_request' AND e.source_ip IS NOT NULL AND p.kind IN ('panel', 'manager'))
            WHERE panel OR managed OR refused GROUP BY source_ip),
        stays AS (SELECT source_ip, count(DISTINCT session_uid) AS sessions, min(session_uid) AS first_session,
                         CASE WHEN count(*) = count(duration_s) THEN sum(duration_s) END AS stayed_s FROM (
            SELECT unnest(string_split(source_ips, ';')) AS source_ip, session_uid, duration_s FROM sessions) GROUP BY source_ip)
        SELECT source_ip, least(asked.first, did.first) AS first_seen, greatest(asked.last, did.last) AS last_seen,
               CASE WHEN did.place IS NULL OR asked.place < did.place THEN {locator_at("asked.place", "asked.mark")}
                    ELSE {locator_at("did.place", "did.mark", line=False)} END AS first_locator,
               {_counts("requests", "refused", "connects", "authenticated", "answered", "no_request", "calls.c2", "c2_posts", "usual.c2_usual", "calls.c2_same_size")},
               coalesce(calls.c2_bytes, 0) AS c2_bytes, c2_first, {locator_at("c2_place", "c2_mark")} AS c2_locator,
               {_counts("panel")}, {locator_at("panel_place", "panel_mark")} AS panel_locator,
               {_counts("managed")}, {locator_at("manager_place", "manager_mark")} AS manager_locator,
               {_counts("manager_refused", "pages", "beyond_root", "hidden_pages", "assets", "assets_missing", "icons", "crawls")},
               {locator_at("crawl_place", "crawl_mark")} AS crawl_locator,
               coalesce(abs(epoch(icon_first) - epoch(root_first)) <= {_WITH_PAGE_S}, false) AS icon_with_page,
               {_counts("calls.c2_hours", "calls.c2_sizes", "calls.c2_common")}, calls.c2_last,
               source_ip IN ({loopback}) AS loopback,
               coalesce(stays.sessions, 0) AS sessions, stays.first_session, stays.stayed_s, calls.median_s, calls.spread_s
        FROM asked FULL JOIN did USING (source_ip) LEFT JOIN inside USING (source_ip) LEFT JOIN stays USING (source_ip)
        LEFT JOIN _calls calls USING (source_ip) LEFT JOIN _usual usual USING (source_ip)"""
    )


def _counts(*columns: str) -> str:
    """Return SQL for counts of which an address without any has none."""
    return ", ".join(f"coalesce({one}, 0)::BIGINT AS {one.rpartition('.')[2]}" for one in columns)


_ROOTS: Final = ("/", "/index.jsp", "/index.html")
"""Pages that whoever knows no other path asks for: to get one proves no knowledge, even where a command script answers there to POST."""

_WITH_PAGE_S: Final = 5
"""A browser asks for the icon with the first page it opens."""

_FEW_KNOW: Final = 5
"""A page that so few addresses ever asked for is no public one."""

_MANNER: Final = "concat_ws(' ', e.url_path, e.http_request_method, regexp_replace(e.url_query, '=[^&]*', '=', 'g'), e.user_agent_original)"
"""How a request is made: its path, method, names of parameters and agent. Clients of one program ask in one manner."""

_CALLS: Final = f"""events e SEMI JOIN (SELECT path FROM endpoints WHERE kind = 'c2') p ON p.path = {path_of("e.url_path")}
            WHERE e.http_response_status_code < 400 AND e.source_ip IS NOT NULL
                  AND (e.url_path NOT IN {_ROOTS} OR e.http_request_method = 'POST')"""
"""Answered requests for a command path; to the start page by POST alone, since everybody gets that."""


def _calls(db: duckdb.DuckDBPyConnection) -> None:
    """Measure, a share of the addresses at a time, how each asks for command paths.

    `_calls`: `median_s`, the median gap, and `spread_s`, the median deviation from it, in seconds; the median of the answers'
    bytes, and how many answers have the size that most have; how many calls, in how many hours, the last of them; how many sizes
    the answers have, and how many have the size that most callers of the path mostly get (`c2_common`).
    """
    (found,) = db.sql(
        "SELECT coalesce(sum(ok), 0) FROM _traffic t SEMI JOIN (SELECT path FROM endpoints WHERE kind = 'c2') USING (path)"
    ).fetchall()
    db.execute("""CREATE OR REPLACE TEMP TABLE _calls (
        source_ip VARCHAR, median_s DOUBLE, spread_s DOUBLE, c2_bytes DOUBLE, c2_same_size BIGINT, c2 BIGINT, c2_hours BIGINT,
        c2_last TIMESTAMPTZ, c2_sizes BIGINT, c2_common BIGINT)""")
    _common(db, next(shares(int(found[0]))))
    for share in shares(int(found[0])):
        db.execute(f"""
            INSERT INTO _calls
            WITH mine AS MATERIALIZED (
                SELECT e.source_ip, e.time, e.evidence_id, e.log_offset, coalesce(e.http_response_bytes, 0) AS size,
                       {path_of("e.url_path")} AS path FROM {_CALLS} AND {share}),
            calls AS (SELECT *, lag(time) OVER (PARTITION BY source_ip ORDER BY time, evidence_id, log_offset) AS before FROM mine),
            gaps AS (SELECT source_ip, epoch(time) - epoch(before) AS gap FROM calls WHERE before IS NOT NULL),
            middle AS (SELECT source_ip, median(gap) AS median_s FROM gaps GROUP BY ALL),
            timers AS (SELECT source_ip, any_value(median_s) AS median_s, median(abs(gap - median_s)) AS spread_s
                       FROM gaps JOIN middle USING (source_ip) GROUP BY source_ip),
            sizes AS (SELECT source_ip, max(n) AS same FROM (SELECT source_ip, size, count(*) AS n FROM mine GROUP BY ALL) GROUP BY ALL),
            amounts AS (SELECT source_ip, median(mine.size) AS bytes, count(*) AS n, count(DISTINCT {hour_of("time")}) AS hours,
                               max(time) AS last, count(DISTINCT mine.size) AS sizes, count(*) FILTER (WHERE mine.size = o.size) AS common
                        FROM mine LEFT JOIN _common o USING (path) GROUP BY ALL)
            SELECT source_ip, median_s, spread_s, bytes, same, n, hours, last, sizes, common
            FROM sizes JOIN amounts USING (source_ip) LEFT JOIN timers USING (source_ip)""")


def _common(db: duckdb.DuckDBPyConnection, share: str) -> None:
    """Make `_common`: of each command path the size of answer that most of a share of its callers mostly get: that there is no task."""
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _common AS
        WITH counted AS (SELECT {path_of("e.url_path")} AS path, e.source_ip, coalesce(e.http_response_bytes, 0) AS size, count(*) AS n
                         FROM {_CALLS} AND {share} GROUP BY ALL),
        main AS (SELECT path, source_ip, arg_max(size, (n, size)) AS size FROM counted GROUP BY ALL HAVING sum(n) >= {BEACONS}),
        votes AS (SELECT path, size, count(*) AS callers FROM main GROUP BY ALL)
        SELECT path, arg_max(size, (callers, size)) AS size FROM votes GROUP BY path""")


def _manners(db: duckdb.DuckDBPyConnection) -> None:
    """Count (`_usual`) the calls of each address that are made as those that kept coming back make them.

    A manner is usual if it is the main one of a tenth or more of the clients that called several times.
    """
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _usual AS
        WITH manners AS MATERIALIZED (SELECT e.source_ip, {_MANNER} AS manner, count(*) AS n FROM {_CALLS} GROUP BY ALL),
        main AS (
            SELECT source_ip, arg_max(manner, (n, manner)) AS manner FROM manners
            WHERE source_ip IN (SELECT source_ip FROM _calls WHERE median_s IS NOT NULL)
            GROUP BY source_ip HAVING sum(n) >= {BEACONS}),
        usual AS (SELECT manner FROM main GROUP BY manner HAVING count(*) * 10 >= (SELECT count(*) FROM main))
        SELECT source_ip, sum(n) AS c2_usual FROM manners SEMI JOIN usual USING (manner) GROUP BY source_ip""")
