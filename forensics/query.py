"""Questions to a published case: filtered rows of its tables, free SQL, and the bytes behind a locator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from forensics.case import Case, confine, evidence_path
from forensics.errors import EvidenceError, UsageError
from forensics.evidence.find import find
from forensics.evidence.open import Url, open_stream, place
from forensics.evidence.open import digest as digest_of
from forensics.instants import bound, moment
from forensics.limits import MAX_CONFIGURATION, MIB
from forensics.model import ROLES, Evidence, Locator
from forensics.parsers import parsers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SPANS: Final = {
    "timeline": ("time", "coalesce(time_end, time)"),
    "sources": ("first_seen", "last_seen"),
    "source_windows": ("since", "until"),
    # One that no log sees end may have gone on.
    "sessions": ("start", """coalesce("end", 'infinity'::TIMESTAMPTZ)"""),
    "findings": ("time", "time"),
    "milestones": ("time", "time"),
    "endpoints": ("first_seen", "first_seen"),
    "links": ("since", "until"),
    "hops": ("start", 'coalesce("end", start)'),
    "chain": ("since", "coalesce(until, since)"),
    "beacons": ("first_seen", "last_seen"),
    "victims": ("first_seen", "last_seen"),
    "rarities": ("first_seen", "last_seen"),
    "gaps": ("coalesce(since, until)", "coalesce(until, since)"),
    "coverage": ("first_seen", "last_seen"),
}
"""First and last instant of a row, by table: a row is chosen when it touches the time asked for."""

_HAS_SOURCE: Final = {
    **dict.fromkeys(
        (
            "timeline",
            "sources",
            "source_windows",
            "hops",
            "findings",
            "milestones",
            "chain",
            "beacons",
            "victims",
            "rarities",
        ),
        "source_ip = ?",
    ),
    "endpoints": "first_source_ip = ?",
    "links": "? IN (a, b)",
    "sessions": "list_contains(string_split(source_ips, ';'), ?)",
}
_HAS_ROLE: Final = {
    **dict.fromkeys(
        ("findings", "milestones", "chain", "beacons", "victims", "hops"),
        "source_ip IN (SELECT source_ip FROM sources WHERE role = ?)",
    ),
    "rarities": "role = ?",
    "timeline": "role = ?",
    "sources": "role = ?",
    "source_windows": "role = ?",
    "sessions": "list_has_any(string_split(source_ips, ';'), (SELECT list(source_ip) FROM sources WHERE role = ?))",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the analyst asked to see. Bounds are ISO 8601, UTC unless they say otherwise; `until` is exclusive."""

    since: str | None = None
    until: str | None = None
    source: str | None = None
    role: str | None = None


EVERYTHING: Final = Choice()

_QUESTIONS: Final = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
"""Statements that only read; SHOW, DESCRIBE and SUMMARIZE are SELECT to DuckDB."""


def rows(case: Case, name: str, choice: Choice = EVERYTHING) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table of the case in their published order, filtered."""
    if choice.role is not None and choice.role not in ROLES:
        raise UsageError(f"no role is called '{choice.role}'; roles are {', '.join(ROLES)}")
    wheres, values = _conditions(name, choice)
    where = f" WHERE {' AND '.join(wheres)}" if wheres else ""
    with case.database() as db:
        # The names and conditions are this module's own words; what was typed is bound.
        yield from _stream(db.sql(f"SELECT * FROM {name}{where}", params=values))  # noqa: S608


def _conditions(name: str, choice: Choice) -> tuple[list[str], list[Any]]:
    wheres: list[str] = []
    values: list[Any] = []
    for typed, option, able in (
        (choice.since or choice.until, "--from and --to", _SPANS),
        (choice.source, "--source", _HAS_SOURCE),
        (choice.role, "--role", _HAS_ROLE),
    ):
        if typed is not None and name not in able:
            raise UsageError(f"{name} cannot be narrowed by {option}; ask for what you need with: c2trail sql")
    if name in _SPANS:
        first, last = _SPANS[name]
        for typed, condition in ((choice.since, f"{last} >= ?"), (choice.until, f"{first} < ?")):
            if typed is not None:
                wheres.append(condition)
                values.append(moment(bound(typed)))
    for typed, conditions in ((choice.source, _HAS_SOURCE), (choice.role, _HAS_ROLE)):
        if typed is not None and name in conditions:
            wheres.append(conditions[name])
            values.append(typed)
    return wheres, values


def sql(case: Case, query: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a DuckDB query over the tables of a case; UsageError with DuckDB's words if it cannot run."""
    with case.database() as db:
        confine(db, case.folder)
        try:
            for statement in db.extract_statements(query):
                if statement.type not in _QUESTIONS:
                    raise UsageError("a case answers questions and is never written to: ask with SELECT")
            found = db.sql(query)
            if found is not None:
                yield from _stream(found)
        except duckdb.Error as error:
            raise UsageError(f"the query cannot run: {error}") from error


def _stream(result: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    for batch in result.to_arrow_reader(10_000):
        yield from batch.to_pylist()


@dataclass(frozen=True, slots=True)
class Shown:
    """The bytes behind a locator and what they became: `outcome` event, reject or skip with its row."""

    evidence: dict[str, Any]
    raw: bytes
    cut: bool
    outcome: str
    row: dict[str, Any]


def show(case: Case, locator: Locator, evidence: Sequence[Path | str] = (), password: bytes | None = None) -> Shown:
    """Return the bytes that a locator names, read again from the evidence, and the row that they became.

    `evidence` says where the evidence lies now, in an archive or out of it; without it the place where it was read.
    `password` opens encrypted members. EvidenceError if it is not there
    or is not the same file.
    """
    known = {entry["evidence_id"]: entry for entry in case.manifest["evidence"]}
    if locator.evidence_id not in known:
        raise UsageError(f"the case has no evidence {locator.evidence_id}; it has {', '.join(known)}")
    entry = known[locator.evidence_id]
    raw = _readable(_locate(case, entry, evidence, password), entry["parser"], locator)
    for name, outcome in (("events", "event"), ("rejects", "reject"), ("skips", "skip")):
        found = _row_at(case, name, locator)
        if found is not None:
            return Shown(entry, raw, locator.length > MIB, outcome, found)
    raise UsageError(f"{locator} is no record of the case: no event, reject or skip covers that byte")


def _readable(evidence: Evidence, parser: str | None, locator: Locator) -> bytes:
    """Return the bytes of a locator; secrets are masked over the whole file first, so that no cut lays one bare."""
    mask = parsers()[parser].mask if parser in parsers() else None
    if mask is None:
        return _bytes_at(evidence, locator)
    whole = mask(_bytes_at(evidence, Locator(locator.evidence_id, 0, MAX_CONFIGURATION), MAX_CONFIGURATION))
    return whole[locator.offset : locator.offset + min(locator.length, MIB)]


def _row_at(case: Case, name: str, locator: Locator) -> dict[str, Any] | None:
    with case.database() as db:
        found = db.sql(
            f"SELECT * FROM {name} WHERE evidence_id = ? AND log_offset <= ? AND ? < log_offset + greatest(log_length, 1) "  # noqa: S608
            "ORDER BY log_offset DESC LIMIT 1",
            params=[locator.evidence_id, locator.offset, locator.offset],
        )
        return next(iter(found.to_arrow_table().to_pylist()), None)


def _locate(case: Case, entry: dict[str, Any], places: Sequence[Path | str], password: bytes | None) -> Evidence:
    path = evidence_path(case, entry["evidence_id"])
    if path is not None and not places and isinstance(place(path), Url):
        # A case may come from anybody: no host that it names is spoken to unless the analyst types it.
        raise EvidenceError(f"{entry['label']} was read from {path}; to fetch it from there, type --evidence {path}")
    known = places or ([path] if path is not None else [])
    # A damaged member has not the size that its archive declares; the likeliest is hashed first.
    candidates = [
        i
        for i in find(known, password, shadows=_shadows(case.manifest)).evidence
        if i.layers or i.size == entry["size"]
    ]
    name = entry["label"].rpartition("/")[2]
    for item in sorted(candidates, key=lambda i: (i.size != entry["size"], i.label.rpartition("/")[2] != name)):
        if digest_of(item) == entry["sha256"]:
            return item
    raise EvidenceError(
        f"{entry['label']} is not where it was read, or is not the same file; say where it lies with --evidence"
    )


def _shadows(manifest: Any) -> bool:  # noqa: ANN401  # JSON
    return bool(manifest.get("options", {}).get("shadow_copies"))


def _bytes_at(evidence: Evidence, locator: Locator, most: int = MIB) -> bytes:
    stream = open_stream(evidence)
    want = min(locator.length, most)
    try:
        buffer = memoryview(bytearray(most))
        while stream.position < locator.offset:
            step = min(len(buffer), locator.offset - stream.position)
            if stream.readinto(buffer[:step]) < step:
                raise UsageError(f"{locator} lies behind the end of {evidence.label}")
        got = stream.readinto(buffer[:want])
    finally:
        stream.close()
    return bytes(buffer[:got])
