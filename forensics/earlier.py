"""An earlier case of the same evidence and more: which of its parts are what would be made again, and are taken instead.

Evidence is numbered and grouped into parts in the order of names. So what stands in front of the first new or changed file
has the same numbers and the same parts as before: those are taken, and what is behind is read. Nothing is taken on trust:
the earlier case must verify, be made by the same code with the same options, and its evidence must hash to what it did.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from forensics.case import AUDIT, open_case
from forensics.engines._identity import identity
from forensics.errors import EvidenceChangedError
from forensics.evidence.ledger import Tally
from forensics.evidence.open import digest
from forensics.parse import JobDone, SpanDone
from forensics.reading import Reused
from forensics.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from forensics.case import Case
    from forensics.identify import Identified

Entry = dict[str, Any]


def reusable(folder: Path, plan: Sequence[Identified], options: Mapping[str, Any]) -> Reused | None:
    """Return what can be taken from the case in `folder`; None if that is nothing.

    EvidenceChangedError if the case is not what was written.
    """
    case = open_case(folder)
    for name, difference in verify(case, []):
        raise EvidenceChangedError(
            f"{folder}: {name} {difference}; nothing is taken from such a case: analyse again, with --force"
        )
    log = [json.loads(line) for line in (folder / AUDIT).read_bytes().splitlines()]
    made_by = next((entry.get("identity") for entry in log if entry["action"] == "start"), None)
    asked = json.loads(json.dumps(dict(options)))
    if made_by != identity() or case.manifest["options"] != asked:
        return None
    same = _same(case, plan)
    # The last part may have been closed by the end of the evidence: with more behind it, it would hold more.
    parts = [entry for entry in log if entry["action"] == "part"][:-1]
    taken = []
    for part in parts:
        if not all(span["evidence_id"] in same for span in part["spans"]):
            break
        taken.append(part)
    if not taken:
        return None
    cut_through = {span["evidence_id"] for part in parts[len(taken) :] for span in part["spans"]}
    last = [entry for entry in log if entry["action"] == "part"][-1]
    cut_through |= {span["evidence_id"] for span in last["spans"]}
    spans: dict[str, list[Entry]] = {}
    for part in taken:
        for span in part["spans"]:
            spans.setdefault(span["evidence_id"], []).append(span)
    whole = {name: rows for name, rows in spans.items() if name not in cut_through}
    hashes = {name: same[name] for name in whole}
    return Reused(folder / "tables", [_done(part) for part in taken], whole, hashes)


def _same(case: Case, plan: Sequence[Identified]) -> dict[str, tuple[str, int]]:
    """Return hash and stored size of the evidence that is as it was, up to the first that is not."""
    known = {row["evidence_id"]: row for row in case.table("evidence").to_pylist()}
    same: dict[str, tuple[str, int]] = {}
    for item in plan:
        row = known.get(item.evidence.id)
        if row is None or (row["label"], row["parser"], row["wrapping"], row["settings"]) != (
            item.evidence.label,
            item.parser.name if item.parser else None,
            item.evidence.wrapping,
            json.dumps(dict(item.settings), sort_keys=True),
        ):
            break
        if item.parser is not None and digest(item.evidence) != row["sha256"]:
            break
        same[item.evidence.id] = row["sha256"], row["size"]
    return same


def _done(part: Entry) -> JobDone:
    done = JobDone(part["number"], parts=part["parts"])
    for span in part["spans"]:
        tally = Tally()
        for outcome, reason, records, size in span["tally"]:
            tally.add(outcome, reason, records, size)
        done.spans.append(SpanDone(span["evidence_id"], span["start"], span["stop"], span["recount"], tally))
    return done
