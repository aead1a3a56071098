"""ATT&CK Navigator: a layer (format 4.5) of the techniques that the logs prove, each with what proves it and where it stands.

The score is how sure the surest observation is: 100 almost certain, 75 likely, 50 possible.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from forensics.exports._techniques import TECHNIQUES, Proof, Technique, proofs
from forensics.model import CONFIDENCES, Report
from forensics.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

_SCORES: Final = dict(zip(CONFIDENCES, (100, 75, 50), strict=True))
_SENTENCES: Final = 10
_LOCATORS: Final = 20
_VERSIONS: Final = {"attack": "18", "navigator": "5.3.1", "layer": "4.5"}
_NEEDS: Final = ("sessions", "chain", "addresses", "timeline", "endpoints", "milestones", "victims", "sources")


def _entry(technique: Technique, found: Sequence[Proof]) -> dict[str, Any]:
    said = [f"{shown(proof.sentence)} ({proof.confidence})" for proof in found[:_SENTENCES]]
    if len(found) > _SENTENCES:
        said.append(f"and {len(found) - _SENTENCES} more like these")
    locators = list(dict.fromkeys(locator for proof in found for locator in proof.locators))
    metadata = [{"name": "rule", "value": technique.rule}, {"name": "observations", "value": str(len(found))}]
    metadata += [{"name": "locator", "value": locator} for locator in locators[:_LOCATORS]]
    if len(locators) > _LOCATORS:
        metadata.append({"name": "locators left out", "value": str(len(locators) - _LOCATORS)})
    return {
        "techniqueID": technique.id,
        "score": max(_SCORES.get(proof.confidence, 0) for proof in found),
        "comment": "\n".join(said),
        "enabled": True,
        "metadata": metadata,
        "showSubtechniques": "." not in technique.id,
    }


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    found = [(technique, list(proofs(db, technique))) for technique in TECHNIQUES]
    layer = {
        "name": "c2trail: what the logs prove",
        "versions": _VERSIONS,
        "domain": "enterprise-attack",
        "description": "Only techniques that records of the seized server's logs prove; each names them by locator.",
        "sorting": 3,
        "hideDisabled": False,
        "techniques": [_entry(technique, proven) for technique, proven in found if proven],
        "gradient": {"colors": ["#fff7b3", "#ffb347", "#d7301f"], "minValue": 0, "maxValue": 100},
        "legendItems": [{"label": f"{word}: {score}", "color": "#ffffff"} for word, score in _SCORES.items()],
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
    }
    yield json.dumps(layer, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False).encode() + b"\n"


EXPORT = Report(
    "navigator", "navigator.json", "an ATT&CK Navigator layer of what the logs prove, with locators", _NEEDS, _write
)
