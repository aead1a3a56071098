"""What an autonomous system is known for: selling servers, or scanning the whole Internet for research.

It speaks of the system that announced the address as of the event's day, whichever witness knew that, and says of which date
that knowledge is. It serves where no list of ranges exists; a system that sells servers has other customers too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from forensics.enrichment._database import rows, sha256
from forensics.enrichment._placing import apart
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class SystemKinds:
    """The table of kinds by AS number."""

    about: About
    _kinds: dict[int, tuple[str, str]]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A trade is not a place."""
        del addresses
        return []

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Nothing by address: see `of_system`."""
        del pairs
        return {}

    def of_system(self, number: int, as_of: date, day: date | None) -> str | None:
        """Return the reason for an address that system `number` announced by a witness of `as_of`."""
        found = self._kinds.get(number)
        return f"{found[0]}: {found[1]}, AS{number} of {as_of}{apart(as_of, day)}" if found else None


def _open(folder: Path, files: Sequence[Mapping[str, str]], _added: Sequence[Path]) -> Sequence[Witness]:
    (entry,) = files
    path = folder / entry["file"]
    about = About(
        entry["title"],
        "system_kinds",
        (date.fromisoformat(entry["date"]),),
        entry["licence"],
        entry["attribution"],
        entry["file"],
        sha256(path),
    )
    return [SystemKinds(about, {int(row["as_number"]): (row["kind"], row["name"]) for row in rows(path)})]


WITNESS = Kind("system_kinds", "Hosting and scanning autonomous systems", ("system_kinds",), _open)
