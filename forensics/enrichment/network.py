"""Network: the autonomous system that announces an address, and its name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.enrichment._database import arrays, sha256
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness, range_rows, range_rows_v6

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(slots=True)
class Networks:
    """The tables of one date, both families, with the names of the systems."""

    about: About
    _four: dict[str, Any]
    _six: dict[str, Any]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A network is not a place."""
        del addresses
        return []

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return number, name and range of the announcing system; of the table's date, whatever the day."""
        addresses = pairs.addresses
        numbers = np.zeros(len(addresses.texts), np.int64)
        four = range_rows(self._four["start"], addresses.v4)
        numbers[addresses.rows_v4] = np.where(four < 0, 0, self._four["asn"][np.maximum(four, 0)])
        six = range_rows_v6(self._six["start_hi"], self._six["start_lo"], addresses.high, addresses.low)
        numbers[addresses.rows_v6] = np.where(six < 0, 0, self._six["asn"][np.maximum(six, 0)])
        names = self._names(numbers)
        networks: list[str | None] = [None] * len(numbers)
        spelt = {place: self._range(place) for place in np.unique(four).tolist() if place >= 0}
        for row, place in zip(addresses.rows_v4.tolist(), four.tolist(), strict=True):
            if place >= 0 and numbers[row]:
                networks[row] = spelt[place]
        known = [number or None for number in numbers.tolist()]
        found: dict[str, list[Any]] = {
            "as_number": known,
            "as_organization_name": names,
            "as_as_of": [self.about.dates[0] if number else None for number in known],
            "as_addresses": [size or None for size in self._sizes(numbers).tolist()],
            "network": networks,
        }
        return {name: pairs.spread(values) for name, values in found.items()}

    def _sizes(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many IPv4 addresses each system announces in all; 0 for none."""
        listed, sizes = self._four["size_asn"], self._four["size"]
        place = np.minimum(np.searchsorted(listed, numbers), len(listed) - 1)
        return np.where((listed[place] == numbers) & (numbers > 0), sizes[place], 0)

    def _names(self, numbers: NDArray[np.int64]) -> list[str | None]:
        listed = self._four["org_asn"]
        place = np.minimum(np.searchsorted(listed, numbers), len(listed) - 1)
        hit = listed[place] == numbers
        names = self._four["names"]
        return [
            names[p] if h and n else None
            for p, h, n in zip(place.tolist(), hit.tolist(), numbers.tolist(), strict=True)
        ]

    def _range(self, place: int) -> str:
        start = int(self._four["start"][place])
        following = self._four["start"]
        end = int(following[place + 1]) - 1 if place + 1 < len(following) else (1 << 32) - 1
        size = end - start + 1
        if size & (size - 1) or start % size:
            return f"{IPv4Address(start)}-{IPv4Address(end)}"
        return f"{IPv4Address(start)}/{33 - size.bit_length()}"


def _open(folder: Path, files: Sequence[Mapping[str, str]], _added: Sequence[Path]) -> Sequence[Witness]:
    listed = {entry["kind"]: entry for entry in files}
    entry = listed["network"]
    path = folder / entry["file"]
    four = arrays(path)
    order = np.argsort(four["org_asn"], kind="stable")
    names = bytes(four["org_utf8"]).decode("utf-8").split("\n")
    four["names"] = [names[i] for i in order.tolist()]
    four["org_asn"] = four["org_asn"][order].astype(np.int64)
    spans = np.diff(four["start"].astype(np.int64), append=1 << 32)
    four["size_asn"], row = np.unique(four["asn"].astype(np.int64), return_inverse=True)
    four["size"] = np.bincount(row, weights=spans).astype(np.int64)
    six = arrays(folder / listed["network_v6"]["file"])
    day = date.fromisoformat(entry["date"])
    about = About(
        entry["title"], "network", (day,), entry["licence"], entry["attribution"], entry["file"], sha256(path)
    )
    return [Networks(about, four, six)]


WITNESS = Kind("network", "Autonomous system", ("network", "network_v6"), _open)
