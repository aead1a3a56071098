"""An earlier case of some of the same evidence: which of it would be read to the same rows again, and where those lie.

Nothing is taken on trust: the earlier case must verify, be made by the same code with the same options, and what is taken
of it is of evidence that hashes to what it did. Whether files came or went before, between or behind does not matter.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from forensics.case import AUDIT, open_case
from forensics.engines._identity import identity
from forensics.errors import EvidenceChangedError
from forensics.evidence.open import digest
from forensics.parts import KINDS, Taken
from forensics.reading import TakenSpan, Unchanged
from forensics.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.identify import Identified

Entry = dict[str, Any]


def unchanged(folder: Path, plan: Sequence[Identified], options: Mapping[str, Any]) -> dict[str, Unchanged]:
    """Return what of the plan the case in `folder` has read already, by the ids of the plan; nothing if it was made otherwise.

    EvidenceChangedError if the case is not what was written.
    """
    case = open_case(folder)
    for name, difference in verify(case, []):
        raise EvidenceChangedError(
            f"{folder}: {name} {difference}; nothing is taken from such a case: analyse again, with --force"
        )
    log = [json.loads(line) for line in (folder / AUDIT).read_bytes().splitlines()]
    made_by = next((entry.get("identity") for entry in log if entry["action"] == "start"), None)
    if made_by != identity() or case.manifest["options"] != json.loads(json.dumps(dict(options))):
        return {}
    earlier = {row["label"]: row for row in case.table("evidence").to_pylist()}
    modified = {entry["evidence_id"]: entry["modified"] for entry in log if entry["action"] == "evidence_read"}
    spans = _spans(folder / "tables", [entry for entry in log if entry["action"] == "part"])
    known = {}
    for item in plan:
        row = earlier.get(item.evidence.label)
        if row is None or item.parser is None or not _read_alike(item, row, modified[row["evidence_id"]]):
            continue
        if digest(item.evidence) == row["sha256"]:
            known[item.evidence.id] = Unchanged(row["sha256"], row["size"], tuple(spans[row["evidence_id"]]))
    return known


def _read_alike(item: Identified, row: Entry, modified: int | None) -> bool:
    """Say whether the same bytes would be read to the same rows: by the same parser, told the same."""
    parser = item.parser
    return (
        parser is not None
        and (row["parser"], row["wrapping"]) == (parser.name, item.evidence.wrapping)
        and row["settings"] == json.dumps(dict(item.settings), sort_keys=True)
        and (not parser.tells_file_time or modified == item.evidence.modified)
    )


def _spans(tables: Path, parts: Sequence[Entry]) -> dict[str, list[TakenSpan]]:
    """Return the spans of each evidence in order, with the place of their rows: a part has them in the order of its spans."""
    found: dict[str, list[TakenSpan]] = {}
    for part in parts:
        begin: Counter[str] = Counter()
        for at, span in enumerate(part["spans"]):
            rows = {kind: span["rows"][kind] for kind in KINDS}
            taken = Taken(
                tables=tables,
                number=part["number"],
                evidence_id=span["evidence_id"],
                place=(at, len(part["spans"])),
                begin={kind: begin[kind] for kind in KINDS},
                rows=rows,
                stop=span["stop"],
                recount=span["recount"],
                tally=tuple((outcome, reason, records, size) for outcome, reason, records, size in span["tally"]),
            )
            settings = tuple((name, value) for name, value in span["settings"])
            found.setdefault(span["evidence_id"], []).append(
                TakenSpan(span["start"], span["asked"], span["first_ordinal"], settings, taken)
            )
            begin.update(rows)
    return found
