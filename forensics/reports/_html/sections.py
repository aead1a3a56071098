"""Which tables of the case the page lists, in which order and words."""

from __future__ import annotations

from typing import Final

from forensics.reports._html.listing import Column, Listing
from forensics.reports._html.sections_of_logs import OF_LOGS

_BECAUSE: Final = Column("because", "Because", "reasons")
_CONFIDENCE: Final = Column("confidence", "Confidence", "confidence")
_SOURCE: Final = Column("source_ip", "Address", "address")
_COUNTRY: Final = Column("country_iso_code", "Country", "country")
_AS_OF: Final = Column("country_as_of", "as of", "day")
_HOLDER: Final = Column("as_organization_name", "Network")
_FIRST: Final = Column("first_seen", "First seen", "time")
_LAST: Final = Column("last_seen", "Last seen", "time")
_LOCATORS: Final = Column("locators", "Rows", "locators")

_WEIGHT_OF_ROLE: Final = (
    "CASE role WHEN 'operator' THEN 0 WHEN 'relay' THEN 1 WHEN 'local' THEN 2 WHEN 'implant' THEN 3 "
    "WHEN 'researcher' THEN 4 WHEN 'unknown' THEN 5 WHEN 'visitor' THEN 6 ELSE 7 END"
)

LISTINGS: Final = (
    Listing(
        "sessions",
        "RDP sessions, from logon to end, across reconnects from other addresses",
        "SELECT * FROM sessions ORDER BY start, session_uid",
        (
            Column("session_uid", "Session", "code"),
            Column("user_name", "User"),
            Column("source_ips", "Addresses, in order", "address"),
            Column("start", "Start", "time"),
            Column("end", "End", "time"),
            Column("end_basis", "End known by", "words"),
            Column("duration_s", "Seconds", "number"),
            Column("client_name", "Client's own name"),
            Column("client_zone", "Client's zone"),
            Column("http_requests", "Web requests", "number"),
            Column("events", "Records", "number"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "sessions.csv",
        "No RDP session is in these logs.",
    ),
    Listing(
        "chain",
        "Stays of an operator at an address, in order: which address came next, and after how many seconds",
        "SELECT * FROM chain ORDER BY operator_id, since, session_uid, source_ip, locator",
        (
            Column("operator_id", "Operator", "code"),
            Column("session_uid", "Session", "code"),
            _SOURCE,
            _COUNTRY,
            _HOLDER,
            Column("anonymity", "Known to hide behind", "sentence"),
            Column("since", "Since", "time"),
            Column("until", "Until", "time"),
            Column("next_source_ip", "Next address", "other"),
            Column("gap_s", "after seconds", "number"),
            Column("flags", "Marks", "words"),
            Column("locator", "Row", "locators"),
        ),
        "chain.csv",
    ),
    Listing(
        "links",
        "What ties addresses, machines and accounts to one operator",
        "SELECT * FROM links ORDER BY operator_id, CASE confidence WHEN 'almost certain' THEN 0 WHEN 'likely' THEN 1 "
        "ELSE 2 END, since, relation, a, b, until, because",
        (
            Column("operator_id", "Operator", "code"),
            Column("relation", "Relation", "words"),
            Column("a", "This", "tie"),
            Column("b", "and that", "tie"),
            Column("since", "Since", "time"),
            Column("until", "Until", "time"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "links.csv",
    ),
    Listing(
        "sources",
        "Source addresses: what each did, where it was placed as of the day it was seen",
        f"SELECT * FROM sources ORDER BY coalesce(rare_grade, '') = '', rare_grade, {_WEIGHT_OF_ROLE}, first_seen, source_ip",
        (
            _SOURCE,
            Column("role", "Role", "word"),
            Column("role_confidence", "Confidence", "confidence"),
            _COUNTRY,
            _AS_OF,
            Column("country_says", "Who says so", "sentence"),
            _HOLDER,
            Column("anonymity", "Known to hide behind", "sentence"),
            Column("rare_grade", "Rare origin", "words"),
            _FIRST,
            _LAST,
            Column("rdp_sessions", "RDP sessions", "number"),
            Column("rdp_failures", "RDP failures", "number"),
            Column("http_requests", "Web requests", "number"),
            _BECAUSE,
        ),
        "sources.csv",
        "No source address is in these logs.",
    ),
    Listing(
        "milestones",
        "What happened first, and when",
        "SELECT * FROM milestones ORDER BY time, milestone, source_ip, locators",
        (
            Column("time", "Time", "time"),
            Column("milestone", "Milestone", "words"),
            _SOURCE,
            Column("detail", "Detail", "sentence"),
            _CONFIDENCE,
            _LOCATORS,
        ),
        "milestones.csv",
    ),
    Listing(
        "endpoints",
        "Paths of the web server and what they were for",
        "SELECT * FROM endpoints ORDER BY CASE kind WHEN 'c2' THEN 0 WHEN 'panel' THEN 1 WHEN 'manager' THEN 2 "
        "WHEN 'application' THEN 3 WHEN 'static' THEN 4 ELSE 5 END, first_seen, path",
        (
            Column("path", "Path", "code"),
            Column("kind", "Kind", "word"),
            _FIRST,
            Column("first_source_ip", "First from", "address"),
            Column("sources", "Addresses", "number"),
            Column("requests", "Requests", "number"),
            _BECAUSE,
        ),
        "endpoints.csv",
    ),
    Listing(
        "victims",
        "Addresses behind which an implant ran: those to notify",
        "SELECT * FROM victims ORDER BY first_seen, source_ip",
        (
            _SOURCE,
            _COUNTRY,
            _AS_OF,
            _HOLDER,
            _FIRST,
            _LAST,
            Column("requests", "Requests", "number"),
            Column("bytes", "Bytes received", "number"),
            Column("paths", "Paths", "list"),
            Column("period_s", "Period, s", "number"),
            Column("jitter_s", "Jitter, s", "number"),
            Column("clients_estimate", "Clients", "number"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "victims.csv",
        "No address came back to a command path by a timer.",
    ),
    Listing(
        "beacons",
        "Who comes back by a timer: score 0 to 1 after RITA, from times, sizes, duration and histogram",
        "SELECT * FROM beacons ORDER BY score DESC, source_ip, path",
        (
            _SOURCE,
            Column("path", "Path", "code"),
            Column("kind", "Kind", "word"),
            Column("score", "Score", "number"),
            Column("category", "Category", "word"),
            Column("period_s", "Period, s", "number"),
            Column("jitter_s", "Jitter, s", "number"),
            Column("requests", "Requests", "number"),
            _FIRST,
            _LAST,
            _BECAUSE,
        ),
        "beacons.csv",
        "No address came back by a timer.",
    ),
    Listing(
        "people",
        "Whose each RDP session is held to be, and why",
        "SELECT * FROM people ORDER BY session_uid, person",
        (
            Column("session_uid", "Session", "code"),
            Column("person", "Person", "code"),
            Column("held_to_be", "Held to be", "words"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "people.csv",
        "No RDP session is in these logs.",
    ),
    Listing(
        "hops",
        "Connections through a Remote Desktop Gateway, and RDP from this server to others",
        "SELECT * FROM hops ORDER BY start NULLS LAST, kind, source_ip, target, user_name, locators",
        (
            Column("kind", "Kind", "words"),
            Column("start", "Start", "time"),
            Column("end", "End", "time"),
            _SOURCE,
            Column("target", "To"),
            Column("user_name", "User"),
            Column("user_basis", "User known by", "words"),
            Column("duration_s", "Seconds", "number"),
            Column("bytes_in", "Bytes in", "number"),
            Column("bytes_out", "Bytes out", "number"),
            Column("session_uid", "During session", "code"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "hops.csv",
        "No gateway connection and no RDP from this server is in these logs.",
    ),
    Listing(
        "source_windows",
        "Addresses that played several roles, by time",
        "SELECT * FROM source_windows ORDER BY source_ip, since, role",
        (
            _SOURCE,
            Column("since", "Since", "time"),
            Column("until", "Until", "time"),
            Column("hours", "Hours that tell", "number"),
            Column("role", "Role then", "word"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "source_windows.csv",
        "No address played more than one role.",
    ),
    Listing(
        "rarities",
        "What stands alone in this case: a reason to look, by itself never an origin",
        "SELECT * FROM rarities ORDER BY role <> 'operator', kind, first_seen, source_ip",
        (
            _SOURCE,
            Column("kind", "Rare by", "words"),
            Column("value", "What"),
            Column("among", "among addresses", "number"),
            Column("role", "Role", "word"),
            _FIRST,
            _LAST,
            _CONFIDENCE,
            _BECAUSE,
        ),
        "rarities.csv",
        "Nothing stands alone: among fewer than 200 placed addresses nearly every country and network does.",
    ),
    Listing(
        "zones",
        "Time zones that the working hours would fit, best first: several candidates, never one country",
        "SELECT * FROM zones ORDER BY fit DESC, clock NULLS FIRST, offset_minutes",
        (
            Column("offset", "Offset", "code"),
            Column("clock", "Clock that changes"),
            Column("fit", "Fit, -1 to 1", "number"),
            Column("candidate", "Candidate"),
            Column("work_share", "Share at work", "number"),
            Column("night_share", "Share at night", "number"),
            Column("zones", "Zones that kept it then", "list"),
            Column("rest_days", "Days of rest", "list"),
            Column("client_sessions", "Sessions whose client stood there", "number"),
            Column("addresses", "Direct addresses of there", "address"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "zones.csv",
        "Too few acts to say anything of hours.",
    ),
    *OF_LOGS,
)
