"""Tables of the page about the logs themselves: what they cover, what became of their bytes, who was asked, with what."""

from __future__ import annotations

from typing import Final

from forensics.reports._html.listing import Column, Listing

OF_LOGS: Final = (
    Listing(
        "coverage",
        "From when to when each log speaks, its holes, and the logs that are not in evidence",
        "SELECT * FROM coverage ORDER BY evidence_id NULLS LAST, log, label, host_name",
        (
            Column("log", "Log", "words"),
            Column("evidence_id", "Evidence", "code"),
            Column("label", "File"),
            Column("host_name", "Host"),
            Column("first_seen", "First event", "time"),
            Column("last_seen", "Last event", "time"),
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
        "gaps",
        "Holes in the logs: from when to when, and what so cannot be known",
        "SELECT * FROM gaps",
        (
            Column("kind", "Kind", "words"),
            Column("log", "Log", "words"),
            Column("evidence_id", "Evidence", "code"),
            Column("since", "Since", "time"),
            Column("until", "Until", "time"),
            Column("detail", "What is seen", "sentence"),
            Column("cannot_know", "Cannot be known", "sentence"),
            Column("confidence", "Confidence", "confidence"),
            Column("locators", "Rows", "locators"),
        ),
        "gaps.csv",
        "No hole was found in these logs.",
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
            Column("country_iso_code", "Country", "country"),
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
)
