"""Who brought an application onto the server by the web, and when: looked for once in all events, asked by several rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._words import LOCATOR

if TYPE_CHECKING:
    import duckdb

_UPLOADED: Final = (
    "((event_action = 'http_request' AND http_response_status_code < 400 AND ((http_request_method = 'POST' AND "
    "regexp_matches(url_path, '^/manager/html/(upload|deploy)')) OR (http_request_method = 'PUT' AND "
    "regexp_matches(url_path, '^/manager/(text/)?deploy|\\.jspx?(/|%20|::\\$DATA)?$')) OR (http_request_method = 'GET' AND "
    "regexp_matches(url_path, '^/manager/(text/)?(deploy|install)$')))) OR "
    "(event_action = 'manager_act' AND regexp_matches(unmapped, '\"command\": ?\"(upload|deploy|install)\"')))"
)
"""SQL for the act (Tomcat's manager; PUT of CVE-2017-12615)."""


def find_uploads(db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `_uploads`, one row an act, once a connection: `time` and `source_ip` (both may be null), `web`, `locator`.

    `web` says that the access log tells it; what the manager's own log tells has no address.
    """
    db.execute(f"""
        CREATE TEMP TABLE IF NOT EXISTS _uploads AS
        SELECT time, source_ip, event_action = 'http_request' AS web, {LOCATOR} AS locator FROM events WHERE {_UPLOADED}""")
