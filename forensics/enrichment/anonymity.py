"""Anonymity: lists of hosting, VPN, Tor and proxy ranges. Each reason names its list and the list's date.

A list younger or older than the event proves little for Tor and VPN exits, which move within months; so the date stands in
every reason, and absence from a list means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.enrichment._database import rows, sha256
from forensics.enrichment._placing import apart, snapshot_for
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness, range_rows, range_rows_v6

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_WORDS: Final = {"hosting": "hosting", "cdn": "cdn", "vpn": "vpn", "tor": "tor_exit", "bot": "crawler"}
_RELAYS: Final = frozenset({"Apple Private Relay"})
"""Services that the list files under VPN but that relay a user inside his own country or region."""
_HISTORY_WORDS: Final = {"anonymous_proxy": "proxy", "satellite_provider": "satellite"}


@dataclass(slots=True)
class Ranges:
    """Disjoint ranges of one date with a provider and a kind each."""

    about: About
    _four: tuple[NDArray[np.uint32], NDArray[np.uint32], list[str]]
    _six: tuple[NDArray[np.uint64], NDArray[np.uint64], list[int], list[str]]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A provider is not a place."""
        del addresses
        return []

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return the reason for each address that a range covers, and how far from the day the list is."""
        addresses = pairs.addresses
        out: list[str | None] = [None] * len(addresses.texts)
        start, end, reasons = self._four
        place = range_rows(start, addresses.v4)
        inside = (place >= 0) & (addresses.v4 <= end[np.maximum(place, 0)])
        for row, number in zip(addresses.rows_v4[inside].tolist(), place[inside].tolist(), strict=True):
            out[row] = reasons[number]
        high, low, ends, reasons_six = self._six
        place = range_rows_v6(high, low, addresses.high, addresses.low)
        for row, number in zip(addresses.rows_v6.tolist(), place.tolist(), strict=True):
            if number >= 0 and int(ip_address(addresses.texts[row])) <= ends[number]:
                out[row] = reasons_six[number]
        listed = self.about.dates[0]
        days = pairs.days.astype("datetime64[D]").tolist()
        return {
            "anonymity": [
                reason and f"{reason}{apart(listed, day)}" for reason, day in zip(pairs.spread(out), days, strict=True)
            ]
        }


@dataclass(slots=True)
class Flagged:
    """Networks that a dated database flagged between two of its builds."""

    about: About
    _networks: list[tuple[int, int, str, date, date]]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A flag is not a place."""
        del addresses
        return []

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return `proxy` or `satellite` with the builds that said so; a flag of years away is told as what it was."""
        out: list[str | None] = [None] * len(pairs.rows)
        flagged = self._flagged(pairs.addresses)
        if not flagged:
            return {"anonymity": out}
        builds = np.array(self.about.dates, "datetime64[D]")
        covered = ((pairs.days >= builds[0]) & (pairs.days <= builds[-1])).tolist()
        spoke = builds[snapshot_for(builds, pairs.days)[0]].tolist()
        hit = np.isin(pairs.rows, np.array(list(flagged)))
        for place in np.flatnonzero(hit).tolist():
            said = []
            for number in flagged[int(pairs.rows[place])]:
                _, _, word, since, until = self._networks[number]
                was = "" if covered[place] and since <= spoke[place] <= until else ", not on the day"
                said.append(f"{word}: GeoLite2 {since} to {until}{was}")
            out[place] = "; ".join(said)
        return {"anonymity": out}

    def _flagged(self, addresses: Addresses) -> dict[int, list[int]]:
        """Return the numbers of the networks around each address that has any."""
        order = np.argsort(addresses.v4, kind="stable")
        values = addresses.v4[order]
        first = np.searchsorted(values, np.array([n[0] for n in self._networks], np.uint32), "left")
        last = np.searchsorted(values, np.array([n[1] for n in self._networks], np.uint32), "right")
        found: dict[int, list[int]] = {}
        for number in np.flatnonzero(last > first).tolist():
            for row in addresses.rows_v4[order[first[number] : last[number]]].tolist():
                found.setdefault(row, []).append(number)
        return found


def _open(folder: Path, files: Sequence[Mapping[str, str]], _added: Sequence[Path]) -> Sequence[Witness]:
    return [_ranges(folder, entry) if entry["kind"] == "anonymity" else _flagged(folder, entry) for entry in files]


def _ranges(folder: Path, entry: Mapping[str, str]) -> Witness:
    path = folder / entry["file"]
    four: list[tuple[int, int, str]] = []
    six: list[tuple[int, int, str]] = []
    for row in rows(path):
        start, end = ip_address(row["start"]), ip_address(row["end"])
        word = "relay_service" if row["provider"] in _RELAYS else _WORDS.get(row["kind"], row["kind"])
        reason = f"{word}: {row['provider']}, list of {entry['date']}"
        (four if isinstance(start, IPv4Address) else six).append((int(start), int(end), reason))
    four.sort()
    six.sort()
    about = About(
        entry["title"],
        "anonymity",
        (date.fromisoformat(entry["date"]),),
        entry["licence"],
        entry["attribution"],
        entry["file"],
        sha256(path),
    )
    return Ranges(
        about,
        (
            np.array([s for s, _, _ in four], np.uint32),
            np.array([e for _, e, _ in four], np.uint32),
            [r for _, _, r in four],
        ),
        (
            np.array([s >> 64 for s, _, _ in six], np.uint64),
            np.array([s & ((1 << 64) - 1) for s, _, _ in six], np.uint64),
            [e for _, e, _ in six],
            [r for _, _, r in six],
        ),
    )


def _flagged(folder: Path, entry: Mapping[str, str]) -> Witness:
    path = folder / entry["file"]
    networks = []
    dates: set[date] = set()
    for row in rows(path):
        network = ip_network(row["network"])
        if isinstance(network.network_address, IPv6Address):
            continue
        since, until = date.fromisoformat(row["first_snapshot"]), date.fromisoformat(row["last_snapshot"])
        dates |= {since, until}
        word = _HISTORY_WORDS.get(row["kind"], row["kind"])
        networks.append((int(network.network_address), int(network.broadcast_address), word, since, until))
    about = About(
        entry["title"],
        "anonymity",
        tuple(sorted(dates)),
        entry["licence"],
        entry["attribution"],
        entry["file"],
        sha256(path),
    )
    return Flagged(about, sorted(networks))


WITNESS = Kind("anonymity", "Hosting, VPN, Tor and proxy lists", ("anonymity", "proxy_history"), _open)
