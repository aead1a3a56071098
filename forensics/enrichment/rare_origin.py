"""Rare origins: ranges tied to North Korea by grade and date, and the false friends that only look it.

Grade A is held by a North Korean holder in the registry; B is a documented assignment with dates; C is reported use or
geolocation alone, and never becomes a country. A false friend is a declared location: labelled, never an origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from forensics.enrichment._database import rows, sha256
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Witness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """One row of the graded table."""

    network: IPv4Network | IPv6Network
    label: str
    grade: str
    kind: str
    since: date
    until: date
    basis: str


@dataclass(slots=True)
class Origins:
    """The graded table."""

    about: About
    _origins: list[Origin]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A grade is not a country."""
        del addresses
        return []

    def labels(self, addresses: Addresses, day: date) -> Mapping[str, Sequence[Any]]:
        """Return label, grade and basis of rare origins valid on the day, and the flag of false friends."""
        count = len(addresses.texts)
        columns: dict[str, list[Any]] = {
            n: [None] * count for n in ("rare_origin", "rare_grade", "rare_basis", "flags")
        }
        rows_of = {4: addresses.rows_v4.tolist(), 6: addresses.rows_v6.tolist()}
        for origin in self._origins:
            if not origin.since <= day <= origin.until:
                continue
            for row in rows_of[origin.network.version]:
                if ip_address(addresses.texts[row]) not in origin.network:
                    continue
                if origin.kind == "false_friend":
                    columns["flags"][row] = "false_friend"
                    columns["rare_basis"][row] = f"{origin.label}: {origin.basis}"
                else:
                    columns["rare_origin"][row] = origin.label
                    columns["rare_grade"][row] = origin.grade
                    columns["rare_basis"][row] = origin.basis
        return columns


def _open(folder: Path, files: Sequence[Mapping[str, str]], _added: Sequence[Path]) -> Sequence[Witness]:
    (entry,) = files
    path = folder / entry["file"]
    origins = [
        Origin(
            ip_network(row["network"]),
            row["label"],
            row["grade"],
            row["kind"],
            date.fromisoformat(row["valid_from"] or "1990-01-01"),
            date.fromisoformat(row["valid_to"] or "2100-01-01"),
            f"{row['basis']} ({row['source']})",
        )
        for row in rows(path)
    ]
    about = About(
        entry["title"],
        "rare_origin",
        (date.fromisoformat(entry["date"]),),
        entry["licence"],
        entry["attribution"],
        entry["file"],
        sha256(path),
    )
    return [Origins(about, origins)]


WITNESS = Kind("rare_origin", "Rare origins and their false friends", ("rare_origin",), _open)
