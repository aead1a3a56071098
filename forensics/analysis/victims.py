"""Victims: the addresses behind which implants ran, for those who have to warn them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.answers import VICTIMS
from forensics.model import Rule

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    found = db.sql("""
        SELECT s.source_ip, s.country_iso_code, s.country_as_of, s.as_number, s.as_organization_name,
               min(b.first_seen) AS first_seen, max(b.last_seen) AS last_seen, sum(b.requests)::BIGINT AS requests,
               sum(b.bytes)::BIGINT AS bytes, string_agg(b.path, ';' ORDER BY b.path) AS paths,
               arg_max(b.period_s, b.score) AS period_s, arg_max(b.jitter_s, b.score) AS jitter_s, max(b.score) AS score,
               max(b.clients_estimate) AS clients_estimate, s.role_confidence AS confidence, s.because
        FROM sources s JOIN beacons b ON b.source_ip = s.source_ip AND b.kind = 'c2'
        WHERE s.role = 'implant' GROUP BY ALL ORDER BY first_seen, s.source_ip""")
    return found.to_arrow_table().cast(VICTIMS)


RULE = Rule("victims", "Addresses behind which implants ran", ("sources", "beacons"), VICTIMS, _run)
