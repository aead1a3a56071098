"""Databases that the analyst adds with --geo: MaxMind format, whatever the schema.

MaxMind's and DB-IP's nested records, IPinfo's and ip-location-db's flat ones are told apart by the names they use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.enrichment import _store
from forensics.enrichment._database import Mmdb, sha256
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness
from forensics.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

_TRAITS: Final = {
    "is_tor_exit_node": "tor_exit",
    "is_anonymous_vpn": "vpn",
    "is_public_proxy": "proxy",
    "is_residential_proxy": "proxy",
    "is_anonymous_proxy": "proxy",
    "is_hosting_provider": "hosting",
    "is_satellite_provider": "satellite",
}


@dataclass(slots=True)
class Added:
    """One added database."""

    about: About
    _mmdb: Mmdb

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """Return the one snapshot, if the database tells countries."""
        names = [""]
        codes = np.zeros((len(addresses.texts), 1), np.int64)
        for row, text in enumerate(addresses.texts):
            code = _country(self._mmdb.get(text)[0])
            if code:
                if code not in names:
                    names.append(code)
                codes[row, 0] = names.index(code)
        return [Countries(self.about.name, self.about.dates, codes, tuple(names))] if len(names) > 1 else []

    def says(self, ip: str, _day: date | None) -> Iterator[tuple[str, str]]:
        """Yield the city of one address, with its reliability."""
        city = _city(self._mmdb.get(ip)[0])
        if city:
            yield "city", city

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return autonomous system and anonymity, where the database has them."""
        addresses = pairs.addresses
        columns: dict[str, list[Any]] = {
            name: [None] * len(addresses.texts)
            for name in ("as_number", "as_organization_name", "as_as_of", "anonymity")
        }
        for row, text in enumerate(addresses.texts):
            record, _ = self._mmdb.get(text)
            number, name = _system(record)
            if number:
                columns["as_number"][row] = number
                columns["as_organization_name"][row] = name
                columns["as_as_of"][row] = self.about.dates[0]
            reasons = [f"{word}: {self.about.name} {self.about.dates[0]}" for word in _reasons(record)]
            columns["anonymity"][row] = "; ".join(reasons) or None
        return {name: pairs.spread(values) for name, values in columns.items()}


def _country(record: Mapping[str, Any]) -> str:
    country = record.get("country")
    if isinstance(country, dict):
        country = country.get("iso_code")
    code = country if isinstance(country, str) and len(country) == 2 else record.get("country_code")
    return code.upper() if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha() else ""


def _system(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    number = record.get("autonomous_system_number", record.get("asn"))
    if isinstance(number, str) and number.upper().removeprefix("AS").isdigit():
        number = int(number.upper().removeprefix("AS"))
    name = record.get("autonomous_system_organization", record.get("as_name", record.get("name")))
    if not isinstance(number, int) or not 0 < number < 1 << 32:
        return None, None
    return number, name if isinstance(name, str) else None


def _reasons(record: Mapping[str, Any]) -> list[str]:
    traits = record.get("traits")
    flags = {**record, **(traits if isinstance(traits, dict) else {})}
    return sorted({word for name, word in _TRAITS.items() if flags.get(name) is True})


def _open(_folder: Path, _files: Sequence[Mapping[str, str]], added: Sequence[Path]) -> Sequence[Witness]:
    out: list[Witness] = []
    for place in (_store.folder(), *(path for path in added if path.is_dir())):
        for entry in _store.entries(place):
            if entry.kind == _store.MMDB:
                mmdb = Mmdb(place / entry.file)
                about = About(
                    f"{mmdb.kind} ({entry.name})",
                    "added",
                    (_built(mmdb),),
                    entry.licence or "the analyst's",
                    "",
                    entry.file,
                    entry.sha256,
                )
                out.append(Added(about, mmdb))
    for path in added:
        found = sorted(path.glob("**/*.mmdb")) if path.is_dir() else [path]
        if not found and not (path / _store.CATALOGUE).is_file():
            raise DatabaseError(f"{path}: holds no .mmdb database and no catalogue of c2trail geo add")
        for file in found:
            mmdb = Mmdb(file)
            about = About(
                f"{mmdb.kind} ({file.name})", "added", (_built(mmdb),), "the analyst's", "", file.name, sha256(file)
            )
            out.append(Added(about, mmdb))
    return out


def _built(mmdb: Mmdb) -> date:
    return datetime.fromtimestamp(max(0, min(mmdb.epoch, 4_102_444_800)), UTC).date()


def _city(record: Mapping[str, Any]) -> str | None:
    """Return the city with how far it can be trusted; a city alone says more than the database knows."""
    city = record.get("city")
    name = (city.get("names") or {}).get("en") if isinstance(city, dict) else city
    place = record.get("location")
    radius = place.get("accuracy_radius") if isinstance(place, dict) else None
    if not isinstance(name, str) or not name:
        return None
    within = f"within {radius} km by its own word" if isinstance(radius, int) else "no radius given"
    return f"{name} ({within}; cities are the least reliable thing that such databases say)"


WITNESS = Kind("mmdb", "Databases added with --geo", (), _open)
