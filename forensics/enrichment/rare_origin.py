"""Rare origins: ranges tied to North Korea by grade and date, and the false friends that only look it.

Grade A is held by a North Korean holder in the registry; B is a documented assignment with dates; C is reported use or
geolocation alone, and never becomes a country. A false friend is a declared location: labelled, never an origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network, summarize_address_range
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.enrichment import _store
from forensics.enrichment._database import rows, sha256
from forensics.enrichment._lists import read_watch
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


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

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return label, grade and basis of rare origins valid on the day, and the flag of false friends."""
        columns: dict[str, list[Any]] = {
            name: [None] * len(pairs.rows) for name in ("rare_origin", "rare_grade", "rare_basis", "flags")
        }
        for origin in self._origins:
            inside = _inside(origin.network, pairs.addresses)
            if not inside.any():
                continue
            valid = (pairs.days >= np.datetime64(origin.since)) & (pairs.days <= np.datetime64(origin.until))
            for place in np.flatnonzero(inside[pairs.rows] & valid).tolist():
                if origin.kind == "false_friend":
                    columns["flags"][place] = "false_friend"
                    columns["rare_basis"][place] = f"{origin.label}: {origin.basis}"
                else:
                    columns["rare_origin"][place] = origin.label
                    columns["rare_grade"][place] = origin.grade
                    columns["rare_basis"][place] = origin.basis
        return columns


def _inside(network: IPv4Network | IPv6Network, addresses: Addresses) -> NDArray[np.bool_]:
    """Return which of the addresses lie in a network."""
    out = np.zeros(len(addresses.texts), bool)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        out[addresses.rows_v4] = (addresses.v4 >= first) & (addresses.v4 <= last)
        return out
    high, low = addresses.high, addresses.low
    (first_high, first_low), (last_high, last_low) = (divmod(end, 1 << 64) for end in (first, last))
    out[addresses.rows_v6] = ((high > first_high) | ((high == first_high) & (low >= first_low))) & (
        (high < last_high) | ((high == last_high) & (low <= last_low))
    )
    return out


def _watched(added: Sequence[Path]) -> list[Witness]:
    """Return the lists of networks that the analyst watches for, each a graded table of its own."""
    mine = ((place, entry) for place, entry in _store.used(added) if entry.kind == _store.WATCH)
    return [_watch(_store.whole(place, entry), entry.name, entry.licence) for place, entry in mine]


def watch(path: Path) -> Witness:
    """Return a witness of a watch list: CSV with network, label, grade (A, B, C) and if known from, to, source.

    UsageError if a line is not understood: what the analyst watches for must not be missed in silence.
    """
    return _watch(path, path.name, "")


def _watch(path: Path, name: str, licence: str) -> Witness:
    listed = read_watch(path)
    origins = []
    for interval in listed.intervals:
        kind = IPv4Address if interval.version == 4 else IPv6Address
        basis = f"watch list {name}" + (f" ({interval.source})" if interval.source else "")
        origins += [
            Origin(network, interval.label or name, interval.word, "rare_origin", interval.since, interval.until, basis)
            for network in summarize_address_range(kind(interval.first), kind(interval.last))
        ]
    origins.sort(key=lambda origin: origin.grade, reverse=True)
    days = tuple(
        sorted({day for i in listed.intervals for day in (i.since, i.until) if day not in {date.min, date.max}})
    )
    about = About(name, "watch", days, licence or "the analyst's", "", path.name, sha256(path))
    return Origins(about, origins)


def _open(folder: Path, files: Sequence[Mapping[str, str]], added: Sequence[Path]) -> Sequence[Witness]:
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
    # Where ranges overlap, the last to speak is kept: a false friend yields to a grade, C to B, B to A.
    origins.sort(key=lambda origin: origin.grade or "Z", reverse=True)
    about = About(
        entry["title"],
        "rare_origin",
        (date.fromisoformat(entry["date"]),),
        entry["licence"],
        entry["attribution"],
        entry["file"],
        sha256(path),
    )
    return [*_watched(added), Origins(about, origins)]


WITNESS = Kind("rare_origin", "Rare origins and their false friends", ("rare_origin",), _open)
