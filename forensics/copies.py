"""The same event in two files: a live log and its export, a backup, a shadow copy. Counted once, and named, never lost.

An event is the same by computer, channel, EventRecordID and time; a time is compared to the millisecond, since exports cut
theirs. All four must be there. The live log stands before an export, then the file that was found first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.schemas import DUPLICATES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def copies(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return DUPLICATES: each event that has a better one in another file, in order of their places."""
    found = db.sql("""
        WITH known AS (
            SELECT evidence_id, log_offset, host_name, event_code, event_sequence, date_trunc('milliseconds', time) AS moment,
                   json_extract_string(unmapped, '$.channel') AS channel, log_format NOT IN ('evtx', 'evt') AS exported
            FROM all_events WHERE event_sequence IS NOT NULL AND host_name IS NOT NULL AND time IS NOT NULL),
        ranked AS (
            SELECT *, first_value(evidence_id) OVER same AS of_evidence_id, first_value(log_offset) OVER same AS of_log_offset
            FROM known WHERE channel IS NOT NULL
            WINDOW same AS (PARTITION BY lower(host_name), channel, event_code, event_sequence, moment
                            ORDER BY exported, evidence_id, log_offset))
        SELECT evidence_id, log_offset, of_evidence_id, of_log_offset FROM ranked
        WHERE evidence_id <> of_evidence_id ORDER BY evidence_id, log_offset""").to_arrow_table()
    return found.cast(DUPLICATES)
