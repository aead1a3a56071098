"""Arrow schemas of what the rules answer beyond sessions and sources: beacons, victims, links, hours, coverage, findings."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from forensics.columns import TEXT, TIME

BEACONS: Final = pa.schema(
    [
        ("source_ip", TEXT),
        ("path", TEXT),
        ("kind", TEXT),
        ("requests", pa.int64()),
        ("posts", pa.int64()),
        ("bytes", pa.int64()),
        ("first_seen", TIME),
        ("last_seen", TIME),
        ("days", pa.int64()),
        ("period_s", pa.float64()),
        ("jitter_s", pa.float64()),
        ("score", pa.float64()),
        ("score_of", TEXT),
        ("category", TEXT),
        ("times_score", pa.float64()),
        ("size_score", pa.float64()),
        ("duration_score", pa.float64()),
        ("histogram_score", pa.float64()),
        ("best_day", pa.date32()),
        ("best_day_score", pa.float64()),
        ("clients_estimate", pa.int64()),
        ("because", TEXT),
    ]
)
"""One row an address and answered path with at least four requests at different seconds. `bytes` are the server's answers.
`score` is the higher of the life's and the best day's (`score_of`); the four parts are the life's. `period_s` is the median
gap, `jitter_s` the median deviation from it; `clients_estimate` over 1: several clients behind one address."""

VICTIMS: Final = pa.schema(
    [
        ("source_ip", TEXT),
        ("country_iso_code", TEXT),
        ("country_as_of", pa.date32()),
        ("as_number", pa.int64()),
        ("as_organization_name", TEXT),
        ("first_seen", TIME),
        ("last_seen", TIME),
        ("requests", pa.int64()),
        ("bytes", pa.int64()),
        ("paths", TEXT),
        ("period_s", pa.float64()),
        ("jitter_s", pa.float64()),
        ("score", pa.float64()),
        ("clients_estimate", pa.int64()),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row an address behind which an implant ran: what it did on command paths. `bytes` are what it received."""

RARITIES: Final = pa.schema(
    [
        ("kind", TEXT),
        ("value", TEXT),
        ("source_ip", TEXT),
        ("role", TEXT),
        ("first_seen", TIME),
        ("last_seen", TIME),
        ("among", pa.int64()),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row what is rare in this case by its own numbers: `alone_in_country`, `alone_in_as`, `small_as`. `among` counts the addresses
that the case placed. A reason to look, by itself never an origin."""

LINKS: Final = pa.schema(
    [
        ("operator_id", TEXT),
        ("relation", TEXT),
        ("a_kind", TEXT),
        ("a", TEXT),
        ("b_kind", TEXT),
        ("b", TEXT),
        ("since", TIME),
        ("until", TIME),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row an observation that ties two things (`address`, `account`, `machine`, `zone`, `client`, `agent`, `path`, `session`,
`network`, `as`) to one operator, and how firmly."""

CHAIN: Final = pa.schema(
    [
        ("operator_id", TEXT),
        ("session_uid", TEXT),
        ("source_ip", TEXT),
        ("country_iso_code", TEXT),
        ("as_organization_name", TEXT),
        ("anonymity", TEXT),
        ("rare_grade", TEXT),
        ("since", TIME),
        ("until", TIME),
        ("next_source_ip", TEXT),
        ("gap_s", pa.int64()),
        ("flags", TEXT),
        ("locator", TEXT),
    ]
)
"""One row a stay of an operator at an address, in order: until when, which address came next, and after how many seconds.
`faster_than_travel` is a sign of proxies, no alarm."""

REGISTRATIONS: Final = pa.schema(
    [
        ("network", TEXT),
        ("name", TEXT),
        ("holder", TEXT),
        ("country_iso_code", TEXT),
        ("abuse_contact", TEXT),
        ("handle", TEXT),
        ("type", TEXT),
        ("status", TEXT),
        ("registered", TEXT),
        ("last_changed", TEXT),
        ("changed_since", pa.bool_()),
        ("source_ips", TEXT),
        ("registry", TEXT),
        ("asked_for", TEXT),
        ("asked_on", TEXT),
        ("url", TEXT),
        ("sha256", TEXT),
        ("refused", TEXT),
    ]
)
"""One row an answer of a registry (RDAP), which speaks of the day `asked_on` alone. `changed_since`: the registration was
last changed after the first event of an address in it, so the holder of then may have been another. Empty without --online."""

HOPS: Final = pa.schema(
    [
        ("kind", TEXT),
        ("start", TIME),
        ("end", TIME),
        ("host_name", TEXT),
        ("source_ip", TEXT),
        ("target", TEXT),
        ("target_ip", TEXT),
        ("user_name", TEXT),
        ("user_basis", TEXT),
        ("duration_s", pa.int64()),
        ("bytes_in", pa.int64()),
        ("bytes_out", pa.int64()),
        ("session_uid", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
        ("locators", TEXT),
    ]
)
"""One row a hop: `gateway` is a connection that came through this server's Remote Desktop Gateway from `source_ip` to the
resource `target`; `gateway_refused` is one that the gateway refused or could not pass on; `outbound` is RDP from this server to `target`. `user_basis` says where the name comes from: `logged`, or
`hash of 1029` when Windows wrote only a hash, and the name of this case that has that hash. `bytes_in` came from the client.
`session_uid` is the RDP session that was in use on the server at the time, if one alone was."""

PEOPLE: Final = pa.schema(
    [
        ("session_uid", TEXT),
        ("person", TEXT),
        ("held_to_be", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row an RDP session: which person it is laid to (sessions that share an address or a client machine are one person's),
and whether that person is held to be an `operator` or the `rightful_owner` of a server that was broken into."""

SOURCE_WINDOWS: Final = pa.schema(
    [
        ("source_ip", TEXT),
        ("since", TIME),
        ("until", TIME),
        ("hours", pa.int64()),
        ("role", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row a run of hours in which an address played one role, for addresses that played several: an exit that a scanner used on
Monday and an operator on Tuesday. `since` and `until` are its first and last event, `hours` those in which something told."""

HOURS: Final = pa.schema([("weekday", pa.int32()), ("hour", pa.int32()), ("acts", pa.int64()), ("days", pa.int64())])
"""One row an hour of a weekday (1 Monday to 7 Sunday, UTC): slots of ten minutes in which an operator did something."""

ZONES: Final = pa.schema(
    [
        ("offset", TEXT),
        ("offset_minutes", pa.int32()),
        ("clock", TEXT),
        ("fit", pa.float64()),
        ("candidate", pa.bool_()),
        ("work_share", pa.float64()),
        ("night_share", pa.float64()),
        ("lunch_dip", pa.float64()),
        ("rest_days", TEXT),
        ("active_days", pa.int64()),
        ("acts", pa.int64()),
        ("zones", TEXT),
        ("client_sessions", pa.int64()),
        ("addresses", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
    ]
)
"""One row an offset from UTC, best fit first (-1 all at night to 1 all at work). `zones` are some that kept it at the time.
A `clock` that changed while the acts last (summer time) has a row of its own, with its offsets. `client_sessions` counts sessions whose client's
clock stood there, `addresses` are those of operators that no list calls a proxy and whose country kept that offset. Several candidates, never
one country; none where there are too few acts."""

COVERAGE: Final = pa.schema(
    [
        ("log", TEXT),
        ("evidence_id", TEXT),
        ("label", TEXT),
        ("host_name", TEXT),
        ("first_seen", TIME),
        ("last_seen", TIME),
        ("events", pa.int64()),
        ("first_number", pa.int64()),
        ("last_number", pa.int64()),
        ("numbers_missing", pa.int64()),
        ("largest_gap", TEXT),
        ("times_back", pa.int64()),
        ("silent_hours", pa.int64()),
        ("silent_from", TIME),
        ("missing_days", TEXT),
        ("notes", TEXT),
        ("cannot_know", TEXT),
    ]
)
"""One row a log in evidence, and one for each kind of log that is not: what it covers, where it has holes, what therefore
cannot be known. Numbers are EventRecordIDs, those of unwanted records included; `times_back` counts records whose time is
before that of the record before them; `silent_hours` is the longest run of hours without an event, from `silent_from` on."""

GAPS: Final = pa.schema(
    [
        ("kind", TEXT),
        ("log", TEXT),
        ("evidence_id", TEXT),
        ("label", TEXT),
        ("host_name", TEXT),
        ("since", TIME),
        ("until", TIME),
        ("count", pa.int64()),
        ("detail", TEXT),
        ("cannot_know", TEXT),
        ("confidence", TEXT),
        ("because", TEXT),
        ("locators", TEXT),
    ]
)
"""One row a hole in the logs: `records_missing`, `times_back`, `torn`, `log_cleared`, `clock_changed`, `zone_changed`, `silence` (RDP
and HTTP together), `server_off`, `days_missing`, `lines_lost` (a crash took them), `begins_late`, `ends_early`. It lies between
`since` and `until`, as far as either is known; `count` is how many records or days it holds, or how often times go back."""

FINDINGS: Final = pa.schema(
    [
        ("rank", pa.int64()),
        ("kind", TEXT),
        ("sentence", TEXT),
        ("confidence", TEXT),
        ("time", TIME),
        ("source_ip", TEXT),
        ("because", TEXT),
        ("locators", TEXT),
    ]
)
"""One row a sentence of the report's opening, the weightiest first; rows of kind `limit` say what the logs cannot show."""
