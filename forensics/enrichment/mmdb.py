"""Databases that the analyst adds with --geo: MaxMind format, whatever the schema.

MaxMind's and DB-IP's nested records, IPinfo's and ip-location-db's flat ones are told apart by the names they use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.enrichment import _store
from forensics.enrichment._database import Mmdb, sha256
from forensics.enrichment._placing import apart
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness
from forensics.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

_TRAITS: Final = {
    "is_tor_exit_node": "tor_exit",
    "is_tor": "tor_exit",
    "tor": "tor_exit",
    "is_anonymous_vpn": "vpn",
    "is_vpn": "vpn",
    "vpn": "vpn",
    "is_public_proxy": "proxy",
    "is_residential_proxy": "proxy",
    "is_anonymous_proxy": "proxy",
    "is_proxy": "proxy",
    "proxy": "proxy",
    "is_hosting_provider": "hosting",
    "is_hosting": "hosting",
    "hosting": "hosting",
    "is_relay": "relay_service",
    "relay": "relay_service",
    "is_satellite_provider": "satellite",
    "is_satellite": "satellite",
}
"""Flags of MaxMind and of IPinfo (before 2025 without `is_`, some as the text "true")."""


@dataclass(slots=True)
class Added:
    """One added database."""

    about: About
    _mmdb: Mmdb

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """Return the one snapshot, if the database tells countries; a registered country, where it tells no other, apart."""
        located: dict[int, str] = {}
        registered: dict[int, str] = {}
        for row, text in enumerate(addresses.texts):
            record = self._mmdb.get(text)[0]
            if code := _country(record):
                located[row] = code
            elif code := _registered(record):
                registered[row] = code
        told = ((self.about.name, located), (f"{self.about.name} registered country", registered))
        return [self._series(name, codes, len(addresses.texts)) for name, codes in told if codes]

    def _series(self, name: str, told: Mapping[int, str], count: int) -> Countries:
        names = ("", *sorted(set(told.values())))
        number = {code: place for place, code in enumerate(names)}
        codes = np.zeros((count, 1), np.int64)
        codes[list(told), 0] = [number[code] for code in told.values()]
        return Countries(name, self.about.dates, codes, names)

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
            for name in ("as_number", "as_organization_name", "as_as_of", "as_addresses", "anonymity")
        }
        for row, text in enumerate(addresses.texts):
            record, _ = self._mmdb.get(text)
            number, name = _system(record)
            if number:
                columns["as_number"][row] = number
                columns["as_organization_name"][row] = name
                columns["as_as_of"][row] = self.about.dates[0]
            columns["anonymity"][row] = _reasons(record)
        spread = {name: pairs.spread(values) for name, values in columns.items()}
        built = self.about.dates[0]
        for place, day in enumerate(pairs.days.astype("datetime64[D]").tolist()):
            said = (f"{word}: {self.about.name} {built}{apart(built, day)}" for word in spread["anonymity"][place])
            spread["anonymity"][place] = "; ".join(said) or None
        return spread


def _country(record: Mapping[str, Any]) -> str:
    """Return the country; IPinfo of 2025 has the name in `country` and the code in `country_code`."""
    country = record.get("country")
    if isinstance(country, dict):
        country = country.get("iso_code")
    return _code(country) or _code(record.get("country_code"))


def _registered(record: Mapping[str, Any]) -> str:
    """Return the country of the holder, which is all that MaxMind tells of proxies and satellites."""
    country = record.get("registered_country")
    return _code(country.get("iso_code")) if isinstance(country, dict) else ""


def _code(text: object) -> str:
    return text.upper() if isinstance(text, str) and len(text) == 2 and text.isascii() and text.isalpha() else ""


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its traits beside the rest: paid databases of MaxMind and DB-IP put system and flags there."""
    traits = record.get("traits")
    return {**(traits if isinstance(traits, dict) else {}), **record}


def _system(record: Mapping[str, Any]) -> tuple[int | None, str | None]:
    flat = _flat(record)
    number = flat.get("autonomous_system_number", flat.get("asn"))
    if isinstance(number, str):
        digits = number.upper().removeprefix("AS")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
    if not isinstance(number, int) or not 0 < number < 1 << 32:
        return None, None
    spelt = ("autonomous_system_organization", "autonomous_system_name", "as_name", "org", "name")
    return number, next((flat[key] for key in spelt if isinstance(flat.get(key), str)), None)


def _reasons(record: Mapping[str, Any]) -> list[str]:
    flat = _flat(record)
    found = {word for name, word in _TRAITS.items() if flat.get(name) in (True, "true")}
    if flat.get("user_type") == "hosting":
        found.add("hosting")
    if not found and flat.get("is_anonymous") is True:
        found.add("anonymous")
    return sorted(found)


def _open(_folder: Path, _files: Sequence[Mapping[str, str]], added: Sequence[Path]) -> Sequence[Witness]:
    out: list[Witness] = []
    for place, entry in _store.used(added):
        if entry.kind == _store.MMDB:
            mmdb = Mmdb(_store.whole(place, entry))
            name, licence = f"{mmdb.kind} ({entry.name})", entry.licence or "the analyst's"
            out.append(Added(About(name, "added", (mmdb.built(),), licence, "", entry.file, entry.sha256), mmdb))
    for path in added:
        found = sorted(path.glob("**/*.mmdb")) if path.is_dir() else [path]
        if not found and not (path / _store.CATALOGUE).is_file():
            raise DatabaseError(f"{path}: holds no .mmdb database and no catalogue of c2trail geo add")
        for file in found:
            mmdb = Mmdb(file)
            about = About(
                f"{mmdb.kind} ({file.name})", "added", (mmdb.built(),), "the analyst's", "", file.name, sha256(file)
            )
            out.append(Added(about, mmdb))
    return out


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
