"""Every event with what the case knows of it: its file, its session, and its address as of the day of the event."""

from __future__ import annotations

from typing import Final

from forensics.instants import day_of

NEEDS: Final = ("events", "evidence", "addresses", "session_events", "sources")

EVENTS: Final = f"""
    WITH attached AS (
        SELECT evidence_id, log_offset, min(session_uid) AS session_uid, min(relation) AS session_relation
        FROM session_events GROUP BY ALL)
    SELECT
        e.*,
        e.evidence_id || ':' || e.log_offset || '+' || e.log_length
            || CASE WHEN e.log_ordinal IS NULL THEN '' ELSE '#' || e.log_ordinal END AS locator,
        f.label AS log_file, s.session_uid, s.session_relation, r.role,
        a.address_kind, a.country_iso_code, a.country_as_of, a.country_witness, a.country_says, a.as_number,
        a.as_organization_name, a.anonymity, a.rare_origin, a.rare_grade
    FROM events e
    LEFT JOIN evidence f ON f.evidence_id = e.evidence_id
    LEFT JOIN attached s ON s.evidence_id = e.evidence_id AND s.log_offset = e.log_offset
    LEFT JOIN addresses a ON a.source_ip = e.source_ip AND a.day = {day_of("e.time")}
    LEFT JOIN sources r ON r.source_ip = e.source_ip
    ORDER BY e.time, e.evidence_id, e.log_offset"""
