"""The same event in two files: a live log and its export, a backup, a shadow copy. Counted once, and named, never lost.

An event is the same by computer, channel, EventRecordID and time; all four must be there. Times are compared to the millisecond,
since exports cut theirs; where an export wrote whole seconds, to the second; where its zone was assumed, to the second of the
quarter of an hour, within the 14 hours that a zone can be off. The live log stands before an export, then what was found first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.schemas import DUPLICATES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def copies(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return DUPLICATES: each event that has a better one in another file, in order of their places."""
    db.execute("""CREATE OR REPLACE TEMP VIEW known_events AS
        SELECT evidence_id, log_offset, lower(host_name) AS host, event_code, event_sequence, epoch_us(time) AS us, time_basis,
               lower(json_extract_string(unmapped, '$.channel')) AS channel, log_format NOT IN ('evtx', 'evt') AS exported,
               log_format IN ('evtx_csv', 'evtx_json') AND epoch_us(time) % 1000000 = 0 AS coarse
        FROM all_events WHERE event_sequence IS NOT NULL AND host_name IS NOT NULL AND time IS NOT NULL""")
    found = db.sql("""
        WITH known AS (SELECT * FROM known_events WHERE channel IS NOT NULL),
        ranked AS (
            SELECT *, first_value(evidence_id) OVER same AS of_evidence_id, first_value(log_offset) OVER same AS of_log_offset
            FROM known
            WINDOW same AS (PARTITION BY host, channel, event_code, event_sequence, us // 1000
                            ORDER BY exported, evidence_id, log_offset)),
        exact AS (SELECT evidence_id, log_offset, of_evidence_id, of_log_offset FROM ranked
                  WHERE evidence_id <> of_evidence_id),
        finer AS (
            SELECT host, channel, event_code, event_sequence, us // 1000000 % 900 AS turn, us // 1000000 AS second,
                   min_by((evidence_id, log_offset), (exported, evidence_id, log_offset)) AS place
            FROM known WHERE NOT coarse GROUP BY ALL),
        nearest AS (
            SELECT k.evidence_id, k.log_offset,
                   min_by(f.place, (abs(f.second - k.us // 1000000), f.second)) AS place
            FROM (SELECT *, us // 1000000 % 900 AS turn FROM known WHERE coarse) k
            JOIN finer f USING (host, channel, event_code, event_sequence, turn)
            WHERE abs(f.second - k.us // 1000000) <= if(k.time_basis = 'zone_assumed', 50400, 0)
            GROUP BY ALL)
        SELECT * FROM exact WHERE (evidence_id, log_offset) NOT IN (SELECT (evidence_id, log_offset) FROM nearest)
        UNION ALL
        SELECT evidence_id, log_offset, place[1], place[2] FROM nearest WHERE place[1] <> evidence_id
        ORDER BY 1, 2""").to_arrow_table()
    return found.cast(DUPLICATES)
