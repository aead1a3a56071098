"""Is a case what it was? Everything that its manifest says is computed again: hashes, sums, reports, the chain of the audit log."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import duckdb

from forensics import __version__
from forensics.case import AUDIT, MANIFEST, Case, digest, seal
from forensics.evidence.find import find
from forensics.evidence.open import digest as digest_of
from forensics.reports import reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Difference = tuple[str, str]


def verify(
    case: Case, evidence: Sequence[Path | str] = (), password: bytes | None = None, *, sealed: str | None = None
) -> Iterator[Difference]:
    """Yield (what, difference) for everything in a case that is not as it was made; nothing means it is whole.

    The audit log's chain leads to the manifest, the manifest to every file, the tables to the ledger's sums, the manifest's
    totals and, in the version that made them, to every byte of every report. Evidence that is given is hashed and compared
    with what was read. `sealed` is the seal that was noted down when the case was made: without it, whoever can write the
    case could make all of it anew.
    """
    manifest = case.manifest
    wrong = False
    for difference in _kept(case, manifest, sealed):
        wrong = True
        yield difference
    for difference in _sums(case, manifest):
        wrong = True
        yield difference
    if not wrong:
        # Reports are made again only from tables that are whole.
        yield from _reports(case, manifest)
    if evidence:
        yield from _evidence(manifest, evidence, password)


def _kept(case: Case, manifest: Mapping[str, Any], sealed: str | None) -> Iterator[Difference]:
    """Compare every file with its hash."""
    present = {p.relative_to(case.folder).as_posix() for p in case.folder.rglob("*") if p.is_file()}
    yield from _audit(case)
    if sealed is not None and AUDIT in present and seal(case) != sealed.strip().lower():
        yield AUDIT, f"its seal is {seal(case)}, not the one that was noted down"
    for name, facts in sorted(manifest["files"].items()):
        path = case.folder / name
        if name not in present:
            yield name, "is missing"
        elif path.stat().st_size != facts["size"]:
            yield name, f"has {path.stat().st_size:,} bytes, the manifest says {facts['size']:,}"
        elif digest(path) != facts["sha256"]:
            yield name, "differs from its SHA-256 in the manifest"
    for name in sorted(present - set(manifest["files"]) - {MANIFEST, AUDIT}):
        yield name, "is not in the manifest"


def _audit(case: Case) -> Iterator[Difference]:
    """Follow the chain of the audit log to its last line, which holds the hash of the manifest."""
    previous, said = "0" * 64, None
    try:
        lines = (case.folder / AUDIT).read_bytes().splitlines()
    except OSError:
        yield AUDIT, "is missing"
        return
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            before, said = entry["previous"], entry.get("sha256") if entry["action"] == "manifest_written" else None
        except (ValueError, KeyError, TypeError):
            before = None
        if before != previous:
            yield AUDIT, f"its chain of hashes breaks at line {number}"
            return
        previous = hashlib.sha256(line).hexdigest()
    if said is None:
        yield AUDIT, "does not end with the hash of the manifest"
    elif said != digest(case.folder / MANIFEST):
        yield MANIFEST, "differs from its SHA-256 in the audit log"


_SUMS = """
    WITH parts AS (
        SELECT evidence_id, log_length FROM all_events UNION ALL SELECT evidence_id, log_length FROM rejects
        UNION ALL SELECT evidence_id, log_length FROM skips),
    sums AS (SELECT evidence_id, sum(log_length) AS bytes FROM parts GROUP BY ALL)
    SELECT e.label, e.stream_size, coalesce(s.bytes, 0) FROM evidence e LEFT JOIN sums s USING (evidence_id)
    WHERE e.parser IS NOT NULL AND coalesce(s.bytes, 0) <> e.stream_size ORDER BY e.evidence_id"""
_LEDGER = "SELECT outcome || 's', sum(records)::BIGINT, sum(bytes)::BIGINT FROM ledger GROUP BY ALL ORDER BY 1"
_READ = "SELECT evidence_id, label, size, sha256 FROM evidence ORDER BY evidence_id"


def _sums(case: Case, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """Count the tables again: the bytes of each file, the totals of the ledger, the hashes of the evidence."""
    try:
        with case.database() as db:
            for label, size, total in db.execute(_SUMS).fetchall():
                yield label, f"tables account for {total:,} bytes of {size:,}"
            for outcome, records, size in db.execute(_LEDGER).fetchall():
                said = manifest["ledger"][outcome]
                if (said["records"], said["bytes"]) != (records, size):
                    yield (
                        MANIFEST,
                        f"says {said['records']:,} {outcome} of {said['bytes']:,} bytes; the ledger {records:,} of {size:,}",
                    )
            told = [(e["evidence_id"], e["label"], e["size"], e["sha256"]) for e in manifest["evidence"]]
            if told != db.execute(_READ).fetchall():
                yield MANIFEST, "names other evidence than the table evidence"
        for entry in manifest["evidence"]:
            after = entry.get("sha256_after")
            if after is not None and after != entry["sha256"]:
                yield MANIFEST, f"says that {entry['label']} changed while it was read"
    except (duckdb.Error, KeyError) as error:
        yield "tables", f"cannot be read ({str(error).splitlines()[0]})"


def _reports(case: Case, manifest: Mapping[str, Any]) -> Iterator[Difference]:
    """Make every report again from the tables; only the version that wrote them writes the same bytes."""
    if manifest["tool"]["version"] != __version__:
        return
    with case.database() as db:
        for report in reports().values():
            if report.filename not in manifest["files"]:
                continue
            hasher = hashlib.sha256()
            for piece in report.write(db):
                hasher.update(piece)
            if hasher.hexdigest() != manifest["files"][report.filename]["sha256"]:
                yield report.filename, "is not what its tables give"


def _evidence(
    manifest: Mapping[str, Any],
    places: Sequence[Path | str],
    password: bytes | None,
) -> Iterator[Difference]:
    """Hash what is given and hold the manifest against it; the hash of an archive stands for all its members."""
    found = find(places, password, shadows=bool(manifest.get("options", {}).get("shadow_copies")))
    told = {(problem["label"], problem["why"]) for problem in manifest["passed_over"]}
    for problem in found.passed_over:
        if problem.failed and (problem.label, problem.why) not in told:
            yield problem.label, problem.why
    hashes = {digest_of(item) for item in found.evidence if not item.layers}
    archives = [
        e["label"] + "/" for e in manifest["evidence"] if e.get("members") is not None and e["sha256"] in hashes
    ]
    lacking = [
        e for e in manifest["evidence"] if not e["label"].startswith(tuple(archives)) and e["sha256"] not in hashes
    ]
    if lacking:
        hashes = {digest_of(item) for item in found.evidence if item.layers}
    for entry in lacking:
        if entry["sha256"] not in hashes:
            yield entry["label"], f"no file given has its SHA-256 {entry['sha256'][:16]}…"
