"""Arrow schemas of every table of a case. Columns are named as in ECS with dots as underscores (OCSF where ECS has none)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from forensics.answers import (
    BEACONS,
    CHAIN,
    COVERAGE,
    FINDINGS,
    GAPS,
    HOPS,
    HOURS,
    LINKS,
    PEOPLE,
    RARITIES,
    REGISTRATIONS,
    SOURCE_WINDOWS,
    VICTIMS,
    ZONES,
)
from forensics.columns import TEXT, TIME, WORD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVENTS: Final = pa.schema(
    [
        ("time", TIME),
        ("time_original", WORD),
        ("time_basis", WORD),
        ("event_action", WORD),
        ("event_outcome", WORD),
        ("event_provider", WORD),
        ("event_code", WORD),
        ("event_sequence", pa.int64()),
        ("host_name", WORD),
        ("source_ip", WORD),
        ("source_address", WORD),
        ("source_port", pa.int32()),
        ("user_name", WORD),
        ("user_domain", WORD),
        ("session_id", pa.int64()),
        ("logon_id", WORD),
        ("logon_type", pa.int32()),
        ("activity_id", WORD),
        ("client_name", WORD),
        ("client_zone", WORD),
        ("http_request_method", WORD),
        ("url_path", TEXT),
        ("url_query", TEXT),
        ("http_version", WORD),
        ("http_response_status_code", pa.int16()),
        ("http_response_bytes", pa.int64()),
        ("http_request_referrer", WORD),
        ("user_agent_original", WORD),
        ("duration_us", pa.int64()),
        ("log_format", WORD),
        ("evidence_id", WORD),
        ("log_offset", pa.int64()),
        ("log_length", pa.int64()),
        ("log_ordinal", pa.int64()),
        ("unmapped", TEXT),
        ("flags", WORD),
    ]
)
"""One row an event. `time` is UTC; `time_original` is as the log has it. `source_ip` is normalised (IPv4-mapped folded,
zone id kept out), `source_address` as written. `http_response_bytes` is what Tomcat counted, null for `-`. `log_offset`
and `log_length` are bytes of the inflated stream, the line end included. `unmapped` is JSON text of what has no column."""

REJECTS: Final = pa.schema(
    [
        ("evidence_id", TEXT),
        ("log_offset", pa.int64()),
        ("log_length", pa.int64()),
        ("log_ordinal", pa.int64()),
        ("reason", TEXT),
        ("detail", TEXT),
        ("records", pa.int64()),
    ]
)
"""One row a run of bytes that could not be read. `records` is how many records of the second count it stands for."""

SKIPS: Final = pa.schema(
    [
        ("evidence_id", TEXT),
        ("log_offset", pa.int64()),
        ("log_length", pa.int64()),
        ("log_ordinal", pa.int64()),
        ("reason", TEXT),
        ("records", pa.int64()),
    ]
)
"""One row a run of bytes that was read and holds no event asked for: headers, slack, blank lines, unwanted records.
`log_ordinal` is the number of its first record where the log numbers them: those of a run follow each other."""

DUPLICATES: Final = pa.schema(
    [("evidence_id", TEXT), ("log_offset", pa.int64()), ("of_evidence_id", TEXT), ("of_log_offset", pa.int64())]
)
"""One row an event that stands in another file too: a live log and its export, a backup, a shadow copy. The view `events`
leaves these copies out; `all_events` has them."""

RUN: Final = pa.schema([("kind", TEXT), ("name", TEXT), ("value", TEXT)])
"""One row a thing that decided the result beside evidence and witnesses: `tool`, `package`, `option`; `passed_over` names what was
found or named and not read (`value` says why), `failed` what could not be."""

WITNESSES: Final = pa.schema(
    [
        ("kind", TEXT),
        ("name", TEXT),
        ("first_date", TEXT),
        ("last_date", TEXT),
        ("dates", pa.int64()),
        ("licence", TEXT),
        ("attribution", TEXT),
        ("file", TEXT),
        ("sha256", TEXT),
    ]
)
"""One row a database or list that was asked: of which dates, under which licence."""

EVIDENCE: Final = pa.schema(
    [
        ("evidence_id", TEXT),
        ("label", TEXT),
        ("size", pa.int64()),
        ("sha256", TEXT),
        ("wrapping", TEXT),
        ("parser", TEXT),
        ("claim", pa.int32()),
        ("why", TEXT),
        ("settings", TEXT),
        ("stream_size", pa.int64()),
        ("recount", pa.int64()),
    ]
)
"""One row a file found. `size` and `sha256` are of the file as stored; `stream_size` is after inflating; `recount` is the
independent second count of records, null where nobody claimed the file."""

LEDGER: Final = pa.schema(
    [
        ("evidence_id", TEXT),
        ("label", TEXT),
        ("outcome", TEXT),
        ("reason", TEXT),
        ("records", pa.int64()),
        ("bytes", pa.int64()),
    ]
)
"""For each file, what its bytes became: `outcome` event, reject or skip, by reason. Sums equal `stream_size`."""

ADDRESSES: Final = pa.schema(
    [
        ("source_ip", TEXT),
        ("day", pa.date32()),
        ("address_kind", TEXT),
        ("country_iso_code", TEXT),
        ("country_as_of", pa.date32()),
        ("country_distance_days", pa.int32()),
        ("country_basis", TEXT),
        ("country_witness", TEXT),
        ("country_says", TEXT),
        ("country_disputed", pa.bool_()),
        ("as_number", pa.int64()),
        ("as_organization_name", TEXT),
        ("as_as_of", pa.date32()),
        ("as_addresses", pa.int64()),
        ("network", TEXT),
        ("anonymity", TEXT),
        ("rare_origin", TEXT),
        ("rare_grade", TEXT),
        ("rare_basis", TEXT),
        ("flags", TEXT),
    ]
)
"""What the witnesses say of each distinct address on each day it was seen. `as_addresses`: how many IPv4 addresses the system announces."""

SESSIONS: Final = pa.schema(
    [
        ("session_uid", TEXT),
        ("host_name", TEXT),
        ("user_name", TEXT),
        ("user_domain", TEXT),
        ("source_ips", TEXT),
        ("start", TIME),
        ("start_basis", TEXT),
        ("end", TIME),
        ("end_basis", TEXT),
        ("duration_s", pa.int64()),
        ("client_name", TEXT),
        ("client_zone", TEXT),
        ("client_info", TEXT),
        ("session_id", pa.int64()),
        ("logon_ids", TEXT),
        ("connections", pa.int64()),
        ("stays", TEXT),
        ("http_requests", pa.int64()),
        ("events", pa.int64()),
        ("missing", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
        ("flags", TEXT),
    ]
)
"""One row an RDP session from logon to its end. `source_ips` are joined by `;` in order of appearance. `stays` is JSON: a list
of {source_ip, start, end, began, ended, locator}, one a connection; `end` is null where it is not in evidence, `ended` says why
it ended where an event 40 or 103 does. `because` is JSON: a list
of {sentence, weight, locators}."""

SESSION_EVENTS: Final = pa.schema(
    [("session_uid", TEXT), ("evidence_id", TEXT), ("log_offset", pa.int64()), ("relation", TEXT)]
)
"""Which event belongs to which session, and how: `rdp` (part of it), `http_same_source`, `http_loopback` (during it)."""

SOURCES: Final = pa.schema(
    [
        ("source_ip", TEXT),
        ("role", TEXT),
        ("role_confidence", TEXT),
        ("because", TEXT),
        ("first_seen", TIME),
        ("last_seen", TIME),
        ("rdp_sessions", pa.int64()),
        ("rdp_failures", pa.int64()),
        ("http_requests", pa.int64()),
        ("country_iso_code", TEXT),
        ("country_as_of", pa.date32()),
        ("country_says", TEXT),
        ("as_number", pa.int64()),
        ("as_organization_name", TEXT),
        ("anonymity", TEXT),
        ("rare_origin", TEXT),
        ("rare_grade", TEXT),
        ("flags", TEXT),
    ]
)
"""One row a source address over the whole case."""

ENDPOINTS: Final = pa.schema(
    [
        ("path", TEXT),
        ("kind", TEXT),
        ("first_seen", TIME),
        ("first_source_ip", TEXT),
        ("sources", pa.int64()),
        ("requests", pa.int64()),
        ("because", TEXT),
    ]
)

MILESTONE_ROWS: Final = pa.schema(
    [
        ("milestone", TEXT),
        ("time", TIME),
        ("source_ip", TEXT),
        ("detail", TEXT),
        ("confidence", TEXT),
        ("locators", TEXT),
        ("not_before", TIME),
    ]
)
"""What happened first and when. `not_before` is the earliest it can have been where `time` is only when it shows; null where the
record is of the act itself."""

TIMELINE: Final = pa.schema(
    [
        ("time", TIME),
        ("time_end", TIME),
        ("act", TEXT),
        ("message", TEXT),
        ("session_uid", TEXT),
        ("source_ip", TEXT),
        ("role", TEXT),
        ("country_iso_code", TEXT),
        ("as_organization_name", TEXT),
        ("origin_flags", TEXT),
        ("rare_origin", TEXT),
        ("rare_grade", TEXT),
        ("user_name", TEXT),
        ("host_name", TEXT),
        ("outcome", TEXT),
        ("milestone", TEXT),
        ("count", pa.int64()),
        ("time_basis", TEXT),
        ("flags", TEXT),
        ("locator", TEXT),
    ]
)
"""The operator timeline, one row an act; `count` over 1 is a run of like acts between `time` and `time_end`, whose first
record `locator` names. Noise is a row a day, never a row a line; a rare origin is never folded into another row."""

TABLES: Final[Mapping[str, pa.Schema]] = {
    "events": EVENTS,
    "rejects": REJECTS,
    "skips": SKIPS,
    "duplicates": DUPLICATES,
    "run": RUN,
    "witnesses": WITNESSES,
    "evidence": EVIDENCE,
    "ledger": LEDGER,
    "addresses": ADDRESSES,
    "sessions": SESSIONS,
    "session_events": SESSION_EVENTS,
    "people": PEOPLE,
    "source_windows": SOURCE_WINDOWS,
    "sources": SOURCES,
    "endpoints": ENDPOINTS,
    "beacons": BEACONS,
    "victims": VICTIMS,
    "rarities": RARITIES,
    "links": LINKS,
    "chain": CHAIN,
    "hops": HOPS,
    "hours": HOURS,
    "zones": ZONES,
    "gaps": GAPS,
    "coverage": COVERAGE,
    "findings": FINDINGS,
    "registrations": REGISTRATIONS,
    "milestones": MILESTONE_ROWS,
    "timeline": TIMELINE,
}


def table(rows: Sequence[Mapping[str, object]], schema: pa.Schema) -> pa.Table:
    """Return a small table from rows that name their columns; a column a row does not name is null."""
    named = set().union(*rows)
    return pa.table(
        {
            f.name: pa.array([row.get(f.name) for row in rows], f.type)
            if f.name in named
            else pa.nulls(len(rows), f.type)
            for f in schema
        },
        schema=schema,
    )


@cache
def empty(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of no rows."""
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)
