"""The vocabulary: what an event, a reject, a skip, a span, a batch, a parser, a rule and a report are.

Arrow schemas of the tables stand in `schemas`; this module holds the words and the small frozen types that pass between
stages. Nothing here reads a file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from forensics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from forensics.stream import Recount, Stream

EVENT_ACTIONS: Final[Mapping[str, str]] = {
    "rdp_connect": "a client opened a connection to the RDP listener; nobody has logged on yet",
    "rdp_authenticate": "network authentication went through, or failed; not yet a logon",
    "logon": "an account logged on, or failed to",
    "shell_start": "the desktop of a session started",
    "reconnect": "an existing session was taken up again",
    "disconnect": "a session was left without logging off",
    "logoff": "a session ended",
    "rdp_client_info": "what the RDP client said of itself: zone, screen, operating system, name",
    "rdp_end": "a connection ended, with its reason",
    "rdp_service": "the RDP service, its listener or a session's setup changed state; no act of a person",
    "session_limit": "a session ran into an idle, time or disconnect limit, and was left or ended by it",
    "session_shadow": "somebody asked to watch or control a session from another, was let or refused, or stopped",
    "session_lock": "a workstation was locked or unlocked",
    "privileges": "a logon received administrator rights",
    "gateway_connect": "a connection through a Remote Desktop Gateway opened",
    "gateway_disconnect": "a connection through a Remote Desktop Gateway closed, with bytes and duration",
    "outbound_rdp": "this server connected to another by RDP",
    "http_request": "one request answered by Tomcat",
    "tomcat_start": "Tomcat started, or said which version it is",
    "tomcat_stop": "Tomcat stopped",
    "deploy": "a web application was deployed or reloaded",
    "undeploy": "a web application was removed",
    "service_install": "a Windows service was installed",
    "service_state": "a Windows service changed its state",
    "software_install": "a program was installed",
    "log_cleared": "an event log was cleared",
    "clock_changed": "the system clock was set",
    "server_zone": "the server told which offset from UTC its own clock keeps",
    "system_start": "Windows started",
    "system_stop": "Windows stopped",
    "system_crash": "the last shutdown was unexpected",
    "manager_act": "the Tomcat manager was used",
    "realm_lockout": "an account was refused because it is locked after failed log-ins, or left the list of those that failed",
    "request_parse_error": "Tomcat could not read a request; the once-only message that tells of it",
    "file_time": "a file time that came with the evidence",
    "configuration": "what a configuration file says; it does not say since when",
}
"""Every word that `event_action` can hold, and its meaning."""

EVENT_OUTCOMES: Final = ("success", "failure", "unknown")

TIME_BASES: Final[Mapping[str, str]] = {
    "filetime_utc": "Windows wrote the time in UTC",
    "unix_utc": "seconds since 1970 in UTC (legacy event logs)",
    "offset_in_log": "the line carries its offset from UTC",
    "utc_by_format": "the format writes its times in UTC, whatever the server's zone",
    "zone_given": "the analyst gave the zone of a local time",
    "zone_from_evidence": "the zone of a local time was found in the evidence",
    "zone_assumed": "the zone of a local time is not known; UTC was assumed",
    "file_time": "a file's own time, as its disk or archive carries it: weak, easily set, changed by copying",
}
"""How the zone of an event's time was known."""

ROLES: Final = ("operator", "implant", "relay", "researcher", "scanner", "visitor", "local", "unknown")

CONFIDENCES: Final = ("almost certain", "likely", "possible")
"""The one scale of confidence, strongest first."""

MILESTONES: Final = (
    "first_logon",
    "tomcat_installed",
    "tomcat_started",
    "c2_deployed",
    "first_browser_test",
    "first_backdoor_test",
    "first_implant",
    "rare_origin",
    "log_cleared",
    "clock_changed",
    "crash",
    "last_operator_act",
)

ENDPOINT_KINDS: Final = ("c2", "manager", "panel", "application", "static", "probe")

EVENT_FLAGS: Final[Mapping[str, str]] = {
    "ambiguous": "the line can be read in more than one way; it was split from both ends",
    "recovered": "found in slack or a damaged place, not among the live records",
    "out_of_order": "its time is before that of the record before it",
    "bad_checksum": "the chunk that holds it fails its checksum",
    "beyond_header": "it lies past the chunks that the file's header counts",
    "torn": "the file ends inside this line",
    "mixed_script": "a name mixes letters of two scripts",
    "broken_text": "bytes that are no UTF-8 were spelt out",
    "repeated_hour": "its local time came twice when the clock was set back; the first was taken",
    "skipped_hour": "its local time never came, since the clock was set forward over it; the offset before the change was taken",
    "offset_unsure": "the offsets in evidence before and after its day differ, or none is within a month; the nearest was taken",
    "claimed_source": "the source is what a trusted proxy says of its client; the TCP peer is peer_ip in unmapped",
    "claims_differ": "a trusted proxy's headers name different clients; the TCP peer was kept as the source",
    "from_message": "its fields were read out of the message that Windows rendered for a viewer",
    "message_only": "the export has no fields of the event; its rendered message, where there is one, stands in unmapped",
    "dash_request": "Tomcat read no request line: a handshake of another protocol, a probe, a timeout",
}
"""Every word that the `flags` of an event can hold (joined by `;`), and its meaning."""

_LOCATOR: Final = re.compile(r"(E[0-9]{4,9}):([0-9]{1,18})\+([0-9]{1,18})(?:#([0-9]{1,18}))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Locator:
    """Where a record lies: evidence, byte offset and length in its (inflated) stream, line or record number from 1."""

    evidence_id: str
    offset: int
    length: int
    ordinal: int | None = None

    def __str__(self) -> str:
        tail = "" if self.ordinal is None else f"#{self.ordinal}"
        return f"{self.evidence_id}:{self.offset}+{self.length}{tail}"

    @classmethod
    def parse(cls, text: str) -> Locator:
        """Return the locator that `E0001:4096+312#17` or `E0001:4096+312` names; UsageError if it names none."""
        match = _LOCATOR.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is no locator; one looks like E0001:4096+312#17 (evidence:offset+length#record)"
            )
        evidence_id, offset, length, ordinal = match.groups()
        return cls(evidence_id, int(offset), int(length), None if ordinal is None else int(ordinal))


@dataclass(frozen=True, slots=True, order=True)
class Layer:
    """One wrapping to take off on the way from a file on disk to a member inside it.

    `kind` is `gzip`, `xz`, `zstd`, `bzip2` (the whole stream) or `zip`, `tar`, `7z`, `image` (one member). `place` is a byte:
    of the local header (zip), of the data (tar), of the data in the stream of folder `method` (7z). Sizes are -1 where unknown.
    """

    kind: str
    place: int = 0
    size: int = -1
    stored: int = -1
    method: int = 0
    crc: int = -1
    flags: int = 0
    """zip: the general purpose flags, the AES strength from bit 16 on, the byte that checks a password from bit 24 on."""
    spec: str = ""
    """image: where the file lies in its volume, as dfvfs writes it."""


MODIFIED_BASES: Final[Mapping[str, str]] = {
    "filetime_utc": "Windows wrote the time in UTC: the NTFS field of a zip, a 7z",
    "unix_utc": "Unix time: the file system, a tar, the extended timestamp of a zip",
    "dos_local": "a zip's DOS time, local to an unknown zone; the value is that wall clock read as UTC",
}
"""How the time of `Evidence.modified` was written."""


@dataclass(frozen=True, slots=True, order=True)
class StoredObject:
    """A file that lies in an object store, as it was when it was listed; whoever opens it gets these bytes or an error."""

    url: str
    size: int
    etag: str
    """What the store says its content is; the store keeps every read to it."""
    written_ns: int
    """When it was put there, in nanoseconds UTC: no time of the server it came from."""
    beside: tuple[StoredObject, ...] = field(default=(), compare=False)
    """A disk image: its further segments, extents or parents."""

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class Evidence:
    """One file that was found, or one member of an archive.

    `label` is its name in every output; `path` is the file on disk, or in a store, and stays out of reports. `layers` lead from it to the
    member, outermost first. `size` is of the member as it would lie on disk, as its archive declares it.
    """

    id: str
    label: str
    path: Path | StoredObject
    size: int
    wrapping: str = "none"
    """How its own bytes are wrapped: `none`, `gzip`, `xz`, `zstd`, `bzip2`; of an archive `zip`, `tar`, `gzip+tar`, `7z`; of a disk `image`."""
    layers: tuple[Layer, ...] = ()
    holds: int | None = None
    """How many members were found in it; None for what is no archive."""
    damage: tuple[str, str] | None = None
    """What is wrong with an archive beyond its members: reason and detail."""
    modified: int | None = None
    """When it was last written, in microseconds UTC; see `modified_basis`."""
    modified_basis: str = ""
    password: bytes | None = field(default=None, repr=False, compare=False)
    """What opens its encrypted layers; it enters no output."""

    @property
    def container(self) -> bool:
        """True for an archive, whose bytes are accounted for by its members."""
        return self.holds is not None and self.wrapping != "none"

    @property
    def divisible(self) -> bool:
        """True when reading can start at any byte: not compressed, and without a checksum over the whole."""
        return self.wrapping == "none" and all(layer.kind in {"tar", "image"} for layer in self.layers)

    @property
    def solid(self) -> bool:
        """True when all that lies before it in its archive must be inflated to reach it."""
        return bool(self.layers) and (self.layers[0].kind not in {"zip", "tar", "image"} or len(self.layers) > 1)


@dataclass(frozen=True, slots=True, order=True)
class PassedOver:
    """Something that was named or found and not read. `failed` when the analyst has to mend it (exit code 3)."""

    label: str
    why: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What a parser sees before it claims a file: the first inflated bytes, the name, and the whole size if known."""

    label: str
    start: bytes
    complete: bool
    """True when `start` is the whole stream."""


@dataclass(frozen=True, slots=True)
class Claim:
    """How sure a parser is that a file is its own, 0 (not mine) to 100, and the sentence that says why."""

    score: int
    why: str


NO_CLAIM: Final = Claim(0, "")


@dataclass(frozen=True, slots=True)
class Hint:
    """Something one evidence file says about how to read another, such as an access-log pattern in server.xml."""

    kind: str
    value: str
    applies_to: str
    """What it applies to, in words of its kind: for a pattern, the prefix of the log's file name; empty for all."""
    source: str
    """Label of the evidence that says so, or the option that was typed."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the analyst typed that changes the result; part of the manifest."""

    zone: str | None = None
    patterns: tuple[str, ...] = ()
    as_of: str = "event"
    recover: bool = False
    strict: bool = False
    trusted_proxies: tuple[str, ...] = ()
    """Networks in CIDR form; what a peer inside one of them says of its client is believed."""
    shadow_copies: bool = False
    """Whether the volume shadow copies of disk images are read too."""

    def __post_init__(self) -> None:
        """Raise UsageError if a trusted proxy is no network."""
        for text in self.trusted_proxies:
            try:
                ip_network(text)
            except ValueError as error:
                raise UsageError(f"--trusted-proxy: {error}; write 10.0.0.0/8 or a single address") from error


@dataclass(frozen=True, slots=True)
class Span:
    """A byte range of one evidence stream that can be read apart from all others.

    `stop` None means to the end (a compressed stream, whose length is not known before). `first_ordinal` is the line
    number at `start`, from 1. `settings` is what the parser settled for the whole file, such as the pattern.
    """

    evidence: Evidence
    parser: str
    start: int
    stop: int | None
    first_ordinal: int
    settings: tuple[tuple[str, str], ...] = ()

    def setting(self, name: str, default: str = "") -> str:
        """Return one settled value by name."""
        return dict(self.settings).get(name, default)


@dataclass(frozen=True, slots=True)
class Batch:
    """What a parser made of a contiguous run of bytes. Together the three tables cover it exactly, without overlap.

    Rows of `events` may stand in any order within the run; a table of several chunks is as good as one batch.
    """

    events: pa.RecordBatch | pa.Table
    rejects: pa.RecordBatch
    skips: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Parser:
    """One log format. A module of `parsers` without a leading underscore has one, named PARSER.

    `claims` looks at a head, with what other files and the analyst said; content beats name. `settle` decides once per file what `Span.settings` carry.
    `split` cuts the stream into spans while it is being hashed. `read` turns a span into batches. `recount` counts the
    records of a block stream with other code than `read`: the ledger holds the two against each other.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    claims: Callable[[Head, Sequence[Hint]], Claim]
    split: Callable[[Stream, Span], Iterator[Span]]
    read: Callable[[Span, Stream], Iterator[Batch]]
    recount: Callable[[Span], Recount]
    settle: Callable[[Head, Sequence[Hint], Options], Mapping[str, str]] = field(
        default=lambda _head, _hints, _options: {}
    )
    hints: Callable[[Head], Sequence[Hint]] = field(default=lambda _head: ())
    tells_file_time: bool = False
    """True if its events depend on when the file was written, so that the same bytes may be other events."""
    mask: Callable[[bytes], bytes] | None = None
    """Overwrites the secrets in a file's bytes, each by as many others; None for formats that hold none."""
    cannot_know: str = ""
    """What this format does not record, for the limits section of the documentation."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One question asked of a case. A module of `analysis` without a leading underscore has one, named RULE.

    `run` reads the tables named in `needs` from the database and returns the table called `name`, in total order. Where that
    may be larger than memory, `pieces` yields it piece by piece.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    schema: pa.Schema
    run: Callable[[duckdb.DuckDBPyConnection], pa.Table]
    pieces: Callable[[duckdb.DuckDBPyConnection], Iterator[pa.Table]] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One output file. A module of `reports` without a leading underscore has one, named REPORT.

    `write` reads the case's tables and yields the bytes of `filename`: same tables, same bytes.
    """

    name: str
    filename: str
    title: str
    needs: tuple[str, ...]
    write: Callable[[duckdb.DuckDBPyConnection], Iterator[bytes]]
