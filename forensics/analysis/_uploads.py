"""Who brought an application onto the server by the web, and when: looked for once in all events, asked by several rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._words import LOCATOR

if TYPE_CHECKING:
    import duckdb

_BY_WEB: Final = """http_response_status_code < 400 AND (http_request_method = 'PUT' OR starts_with(url_path, '/manager/')) AND (
    (http_request_method = 'POST' AND regexp_matches(url_path, '^/manager/html/(upload|deploy)')) OR
    (http_request_method = 'PUT' AND regexp_matches(url_path, '^/manager/(text/)?deploy|\\.jspx?(/|%20|::\\$DATA)?$')) OR
    (http_request_method = 'GET' AND regexp_matches(url_path, '^/manager/(text/)?(deploy|install)$')))"""
"""SQL for the act in an access log (Tomcat's manager; PUT of CVE-2017-12615); what most requests are not is asked first."""

_BY_MANAGER: Final = """regexp_matches(unmapped, '"command": ?"(upload|deploy|install)"')"""


def find_uploads(db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `_uploads`, one row an act, once a connection: `time` and `source_ip` (both may be null), `web`, `locator`.

    `web` says that the access log tells it; what the manager's own log tells has no address.
    """
    db.execute(f"""
        CREATE TEMP TABLE IF NOT EXISTS _uploads AS
        SELECT time, source_ip, true AS web, {LOCATOR} AS locator FROM events WHERE event_action = 'http_request' AND {_BY_WEB} UNION ALL
        SELECT time, source_ip, false, {LOCATOR} FROM events WHERE event_action = 'manager_act' AND {_BY_MANAGER}""")
