"""Web requests counted once for all rules: one row an address and path, however many requests.

Rules that look at every request read this table in place of the events, which may be a hundred million. A path that never
answered is known by name only if it is among those asked for most; scanners think of more of them than anything can list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._places import LINE_MARK, PLACE, number_evidence, time_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

PROBES_KEPT: Final = 200
"""Paths that never answered are as many as scanners can think of; the most asked for are kept."""

SHARE: Final = 4_000_000
"""Rows that the database sorts and takes medians of in memory; of more, those of a share of the addresses at a time."""

STATIC: Final = r"\.(css|js|png|gif|jpe?g|svg|ico|woff2?|ttf|map|html?|txt)$"
"""Ending of a static file."""

ASSET: Final = r"\.(css|js|png|gif|jpe?g|svg|ico|woff2?)$"
"""What a browser fetches with a page, be it there or not; a tool does not."""


FOR_CRAWLERS: Final = r"^/(robots\.txt|sitemap[^/]*\.xml|(\.well-known/)?security\.txt)$"
"""What only programs ask for: RFC 9309, sitemaps.org, RFC 9116. A person's browser never does."""

ICON: Final = "/favicon.ico"


def path_of(url_path: str) -> str:
    """Return SQL for a path without its path parameters (`;jsessionid=…`)."""
    return f"CASE WHEN contains({url_path}, ';') THEN string_split({url_path}, ';')[1] ELSE {url_path} END"


_PATH: Final = path_of("url_path")
_OK: Final = "http_response_status_code < 400"


def count_traffic(db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `_traffic` of all web requests, once a connection.

    One row a `source_ip` (may be null), `path` (null: none, or one not known by name), `pathless`, `asset` and `static` (what
    the path ends like): so one a source and known path. Counts: `n`, `ok` (answered), `bad` (refused or not found), `posts`,
    `ok_posts`, `timed` and `timed_posts` (those that have a time); `first` and `last`; `place` and `mark` (LINE_MARK) are the
    first request's.
    """
    if db.sql("SELECT 1 FROM duckdb_tables() WHERE table_name = '_traffic' AND temporary").fetchall():
        return
    number_evidence(db)
    _paths(db)
    # What few groups need is counted elsewhere: the database holds this row for each pair of address and path at once.
    db.execute(f"""
        CREATE TEMP TABLE _traffic AS
        SELECT source_ip, path, pathless, asset, static, count(*) AS n, count(time) AS timed, count(*) FILTER (WHERE status < 400) AS ok,
               count(*) FILTER (WHERE status >= 400) AS bad, count(*) FILTER (WHERE post) AS posts,
               count(*) FILTER (WHERE post AND status < 400) AS ok_posts,
               count(*) FILTER (WHERE post AND time IS NOT NULL) AS timed_posts, {time_at("min(place)")} AS first, max(time) AS last,
               min(place) AS place, arg_min(mark, place) AS mark
        FROM (SELECT e.source_ip, p.path, e.url_path IS NULL AS pathless, e.time,
                     e.http_response_status_code AS status, e.http_request_method = 'POST' AS post,
                     CASE WHEN p.path IS NOT NULL THEN p.asset ELSE regexp_matches({_PATH}, '{ASSET}', 'i') END AS asset,
                     CASE WHEN p.path IS NOT NULL THEN p.static ELSE regexp_matches({_PATH}, '{STATIC}', 'i') END AS static,
                     {PLACE} AS place, {LINE_MARK} AS mark
              FROM events e JOIN _evidence_numbers USING (evidence_id) LEFT JOIN _paths p ON p.path = {_PATH}
              WHERE e.event_action = 'http_request')
        GROUP BY source_ip, path, pathless, asset, static""")


def _paths(db: duckdb.DuckDBPyConnection) -> None:
    """Make `_paths`: those that ever answered, and the most asked for among those that never did. `gets` and `first_ok` are of answers.

    What browsers and crawlers ask any server for is always known by name: it tells them apart.
    """
    known = f"(regexp_matches(path, '{FOR_CRAWLERS}') OR path = '{ICON}')"
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _paths AS
        WITH every AS (
            SELECT {_PATH} AS path, count(*) AS n, count(*) FILTER (WHERE {_OK}) AS answered,
                   count(*) FILTER (WHERE {_OK} AND http_request_method = 'GET') AS gets, min(time) FILTER (WHERE {_OK}) AS first_ok
            FROM events WHERE event_action = 'http_request' AND url_path IS NOT NULL GROUP BY ALL),
        kept AS (
            SELECT path, gets, first_ok FROM every WHERE answered > 0 UNION ALL
            SELECT path, gets, first_ok FROM every WHERE answered = 0 AND {known} UNION ALL
            (SELECT path, gets, first_ok FROM every WHERE answered = 0 AND NOT {known} ORDER BY n DESC, path LIMIT {PROBES_KEPT}))
        SELECT path, gets, first_ok, regexp_matches(path, '{ASSET}', 'i') AS asset, regexp_matches(path, '{STATIC}', 'i') AS static FROM kept""")


def shares(rows: int, column: str = "e.source_ip") -> Iterator[str]:
    """Yield SQL conditions that divide addresses into as many shares as `rows` need, each row in exactly one."""
    many = max(1, -(-rows // SHARE))
    yield from (f"hash({column}) % {many} = {number}" for number in range(many)) if many > 1 else ("true",)
