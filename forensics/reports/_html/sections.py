"""Which tables of the case the page lists, in which order and words."""

from __future__ import annotations

from typing import Final

from forensics.reports._html.listing import Column, Listing

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
        "coverage",
        "From when to when each log speaks, its holes, and the logs that are not in evidence",
        "SELECT * FROM coverage ORDER BY evidence_id NULLS LAST, log, label, host_name",
        (
            Column("log", "Log", "words"),
            Column("evidence_id", "Evidence", "code"),
            Column("label", "File"),
            Column("host_name", "Host"),
            _FIRST,
            _LAST,
            Column("events", "Events", "number"),
            Column("numbers_missing", "Record numbers missing", "number"),
            Column("times_back", "Times stepping back", "number"),
            Column("silent_hours", "Longest silence, hours", "number"),
            Column("silent_from", "from", "time"),
            Column("missing_days", "Days missing"),
            Column("notes", "Notes", "sentence"),
            Column("cannot_know", "Cannot be known", "sentence"),
        ),
        "coverage.csv",
    ),
    Listing(
        "evidence",
        "Evidence files, their hashes, and what became of every byte",
        "SELECT e.*, n.events, n.rejects, n.skips FROM evidence e LEFT JOIN (SELECT evidence_id, "
        "sum(bytes) FILTER (outcome = 'event')::BIGINT AS events, sum(bytes) FILTER (outcome = 'reject')::BIGINT AS rejects, "
        "sum(bytes) FILTER (outcome = 'skip')::BIGINT AS skips FROM ledger GROUP BY ALL) n USING (evidence_id) "
        "ORDER BY evidence_id",
        (
            Column("evidence_id", "Evidence", "code"),
            Column("label", "File"),
            Column("size", "Bytes", "number"),
            Column("parser", "Read as", "word"),
            Column("why", "because"),
            Column("stream_size", "Bytes, inflated", "number"),
            Column("events", "in events", "number"),
            Column("rejects", "in rejects", "number"),
            Column("skips", "in skips", "number"),
            Column("sha256", "SHA-256", "code"),
        ),
        "ledger.csv and manifest.json",
    ),
    Listing(
        "skips",
        "What was read and holds no event, by reason",
        "SELECT outcome, reason, sum(records)::BIGINT AS records, sum(bytes)::BIGINT AS bytes, count(*) AS files FROM ledger "
        "GROUP BY ALL ORDER BY outcome, reason",
        (
            Column("outcome", "Outcome", "word"),
            Column("reason", "Reason", "words"),
            Column("files", "Files", "number"),
            Column("records", "Records", "number"),
            Column("bytes", "Bytes", "number"),
        ),
        "ledger.csv",
    ),
    Listing(
        "rejects",
        "Records that could not be read, each with its place",
        "SELECT *, concat(evidence_id, ':', log_offset, '+', log_length) AS locator FROM rejects "
        "ORDER BY evidence_id, log_offset, log_length, reason",
        (
            Column("locator", "Row", "locators"),
            Column("log_ordinal", "Number", "number"),
            Column("reason", "Reason", "words"),
            Column("detail", "Detail"),
            Column("records", "Records", "number"),
        ),
        "rejects.csv",
        "Every record could be read.",
    ),
    Listing(
        "passed_over",
        "What was found or named and is not part of this case",
        "SELECT name, value, kind FROM run WHERE kind IN ('failed', 'passed_over') ORDER BY kind, name, value",
        (
            Column("name", "File"),
            Column("value", "Why"),
            Column("kind", "Kind", "words"),
        ),
        "manifest.json",
        "Nothing was passed over.",
    ),
    Listing(
        "witnesses",
        "Databases and lists that were asked, and their dates",
        "SELECT * FROM witnesses ORDER BY kind, file, name, sha256",
        (
            Column("kind", "Kind", "words"),
            Column("name", "Witness"),
            Column("first_date", "From"),
            Column("last_date", "to"),
            Column("dates", "Snapshots", "number"),
            Column("licence", "Licence"),
            Column("attribution", "Credit"),
            Column("sha256", "SHA-256", "code"),
        ),
        "manifest.json",
    ),
    Listing(
        "registrations",
        "What registries said of networks on the day they were asked, which is not the day of the event",
        "SELECT * FROM registrations ORDER BY network NULLS LAST, asked_for",
        (
            Column("network", "Network", "code"),
            Column("holder", "Holder"),
            _COUNTRY,
            Column("registered", "Registered", "word"),
            Column("last_changed", "Last changed", "word"),
            Column("changed_since", "Changed since the event"),
            Column("source_ips", "Addresses", "address"),
            Column("registry", "Registry"),
            Column("asked_on", "Asked on", "word"),
            Column("refused", "Refused"),
        ),
        "registrations.csv",
        "No registry was asked.",
    ),
    Listing(
        "run",
        "Versions and options that decided the result",
        "SELECT kind, name, value FROM run WHERE kind IN ('tool', 'package', 'option') ORDER BY kind DESC, name, value",
        (Column("kind", "Kind", "word"), Column("name", "Name"), Column("value", "Value")),
        "manifest.json",
    ),
    Listing(
        "zones",
        "Time zones that the working hours would fit, best first: several candidates, never one country",
        "SELECT * FROM zones ORDER BY fit DESC, offset_minutes",
        (
            Column("offset", "Offset", "code"),
            Column("fit", "Fit, -1 to 1", "number"),
            Column("candidate", "Candidate"),
            Column("work_share", "Share at work", "number"),
            Column("night_share", "Share at night", "number"),
            Column("zones", "Zones that kept it then", "list"),
            Column("client_sessions", "Sessions whose client stood there", "number"),
            _CONFIDENCE,
            _BECAUSE,
        ),
        "zones.csv",
        "Too few acts to say anything of hours.",
    ),
)
