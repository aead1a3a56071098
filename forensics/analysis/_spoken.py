"""When each log spoke: one row a log, file, host and hour, counted in one pass over all events.

What the logs cover and where they fall silent is asked of this small table, never of a hundred million requests again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.instants import hour_of

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

RDP: Final = "rdp"
HTTP: Final = "http"

_FAMILY: Final = (
    "CASE WHEN event_action = 'http_request' THEN 'http' "
    "WHEN event_provider LIKE '%LocalSessionManager' OR event_provider LIKE '%RemoteConnectionManager' OR event_provider LIKE '%RdpCoreTS' "
    "OR event_provider IN ('Microsoft-Windows-Security-Auditing', 'Security') THEN 'rdp' END"
)
"""The logs that an internet-facing server fills day and night; the others speak when something happens."""

_SINCE: Final = "TIMESTAMPTZ '1995-01-01 00:00:00+00'"
"""Times before this are no times: 1601 and 1970 are zeros of Windows' and Unix' clocks."""


def spoken(db: duckdb.DuckDBPyConnection) -> None:
    """Make the table `_spoken`: evidence_id, log, log_format, host_name, family, shift, hour, first, last, events, agents, referrers.

    `shift` is the offset from UTC that the lines of an access log carry. Times of files and of configuration are no speech.
    """
    db.execute(f"""
        CREATE TEMP TABLE IF NOT EXISTS _spoken AS
        WITH said AS (
            SELECT evidence_id, log_format, host_name, time, {_FAMILY} AS family, user_agent_original, http_request_referrer,
                   CASE WHEN event_action = 'http_request' THEN log_format
                        ELSE coalesce(json_extract_string(unmapped, '$.channel'), log_format) END AS log,
                   CASE WHEN time_basis = 'offset_in_log' AND left(right(time_original, 5), 1) IN ('+', '-')
                        THEN right(time_original, 5) END AS shift
            FROM events WHERE event_action NOT IN ('configuration', 'file_time'))
        SELECT evidence_id, log, log_format, host_name, family, shift, {hour_of("time")} AS hour,
               min(time) AS first, max(time) AS last, count(*) AS events,
               count(user_agent_original) AS agents, count(http_request_referrer) AS referrers
        FROM said GROUP BY ALL""")


def rows(db: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Return the rows of a question to small tables."""
    listed: list[Row] = db.sql(query).to_arrow_table().to_pylist()
    return listed


def timed(db: duckdb.DuckDBPyConnection, columns: str, more: str = "") -> list[Row]:
    """Return the hours of `_spoken` that have a time worth the name."""
    return rows(db, f"SELECT {columns} FROM _spoken WHERE hour >= {_SINCE} {more}")
