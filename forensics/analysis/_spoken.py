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
            SELECT evidence_id, log_format, host_name, event_action, event_provider, {hour_of("time")} AS hour,
                   CASE WHEN event_action <> 'http_request' THEN json_extract_string(unmapped, '$.channel') END AS channel,
                   CASE WHEN time_basis = 'offset_in_log' THEN right(time_original, 5) END AS tail,
                   min(time) AS first, max(time) AS last, count(*) AS events,
                   count(user_agent_original) AS agents, count(http_request_referrer) AS referrers
            FROM events WHERE event_action NOT IN ('configuration', 'file_time') GROUP BY ALL)
        SELECT evidence_id, coalesce(channel, log_format) AS log, log_format, host_name, {_FAMILY} AS family,
               CASE WHEN left(tail, 1) IN ('+', '-') THEN tail END AS shift, hour,
               min(first) AS first, max(last) AS last, sum(events)::BIGINT AS events,
               sum(agents)::BIGINT AS agents, sum(referrers)::BIGINT AS referrers
        FROM said GROUP BY ALL""")


def rows(db: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """Return the rows of a question to small tables."""
    listed: list[Row] = db.sql(query).to_arrow_table().to_pylist()
    return listed


def timed(db: duckdb.DuckDBPyConnection, columns: str, more: str = "") -> list[Row]:
    """Return the hours of `_spoken` that have a time worth the name."""
    return rows(db, f"SELECT {columns} FROM _spoken WHERE hour >= {_SINCE} {more}")
