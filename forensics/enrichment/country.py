"""Country as of a day: the embedded histories of several databases, one range table for all dates of each.

Form of a table: row i covers start[i] to start[i+1]-1; `hist` names a row of `table`, which holds a code number for each
snapshot. Source and measurements: geo/SOURCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.enrichment._database import arrays, sha256
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness, range_rows, range_rows_v6

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SERIES: Final = {
    "geolite2": "GeoLite2",
    "geolite2-reg": "GeoLite2 registered country",
    "geo-whois-asn": "geo-whois-asn",
    "dbip-lite": "DB-IP Lite",
    "iptoasn": "IPtoASN",
    "rir-delegated": "RIR delegations",
    "ipfire": "IPFire",
}


@dataclass(slots=True)
class History:
    """An IPv4 range table with one or more series of snapshots."""

    about: About
    _table: dict[str, Any]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """Return one series after the other; addresses of the other family are unknown."""
        table = self._table
        names = tuple(str(code) for code in table["codes"])
        rows = range_rows(table["start"], addresses.v4)
        found = table["table"][table["hist"][np.maximum(rows, 0)]].astype(np.int64)
        found[rows < 0] = 0
        out = []
        for series in dict.fromkeys(table["series"].tolist()):
            columns = np.flatnonzero(table["series"] == series)
            codes = np.zeros((len(addresses.texts), len(columns)), np.int64)
            codes[addresses.rows_v4] = found[:, columns]
            dates = tuple(date.fromisoformat(str(table["date"][c])) for c in columns)
            out.append(Countries(SERIES.get(series, series), dates, codes, names))
        return out

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """A country database labels nothing else."""
        del pairs
        return {}


@dataclass(slots=True)
class SixTable:
    """An IPv6 range table of one date."""

    about: About
    _table: dict[str, Any]

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """Return the one snapshot."""
        table = self._table
        rows = range_rows_v6(table["start_hi"], table["start_lo"], addresses.high, addresses.low)
        codes = np.zeros((len(addresses.texts), 1), np.int64)
        found = table["cc"][np.maximum(rows, 0)].astype(np.int64)
        found[rows < 0] = 0
        codes[addresses.rows_v6, 0] = found
        return [Countries("geo-whois-asn (IPv6)", self.about.dates, codes, tuple(str(code) for code in table["codes"]))]

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """A country database labels nothing else."""
        del pairs
        return {}


def _open(folder: Path, files: Sequence[Mapping[str, str]], _added: Sequence[Path]) -> Sequence[Witness]:
    out: list[Witness] = []
    for entry in files:
        path = folder / entry["file"]
        table = arrays(path)
        told = table["date"].tolist() if "date" in table else [entry["date"]]
        dates = tuple(sorted({date.fromisoformat(str(d)) for d in told}))
        about = About(
            entry["title"], "country", dates, entry["licence"], entry["attribution"], entry["file"], sha256(path)
        )
        out.append(History(about, table) if entry["kind"] == "country" else SixTable(about, table))
    return out


WITNESS = Kind("country", "Country by dated databases", ("country", "country_v6"), _open)
