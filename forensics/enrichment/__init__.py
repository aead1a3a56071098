"""Enrichment: where an address was on a day, through what, and who says so. One module is one kind of witness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.enrichment._database import listing, sha256
from forensics.enrichment._kinds import embedded, kind_of
from forensics.enrichment._placing import columns, opinions
from forensics.enrichment._witness import Addresses
from forensics.errors import DatabaseError, UsageError
from forensics.packaged import geo_dir
from forensics.registry import listing as modules
from forensics.schemas import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from forensics.enrichment._witness import Kind, Witness

_JOINED = frozenset({"anonymity", "flags"})
"""Columns in which every witness's words are kept, joined by `; `; in the others the first that speaks is kept."""


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind of witness by its name."""
    return modules(__path__, __name__, "WITNESS")


def load(added: Sequence[Path] = ()) -> Witnesses:
    """Open the embedded witnesses and what the analyst adds; DatabaseError if one is damaged or is none."""
    folder = geo_dir()
    entries = listing(folder / "witnesses.json")
    found: list[Witness] = []
    for kind in kinds().values():
        mine = [entry for entry in entries if entry["kind"] in kind.files]
        found += kind.open(folder, mine, added)
    return Witnesses(tuple(found))


def verify() -> Iterator[str]:
    """Yield a sentence for each embedded file that is not what witnesses.json says; nothing means all are whole."""
    folder = geo_dir()
    for entry in listing(folder / "witnesses.json"):
        try:
            whole = sha256(folder / entry["file"]) == entry["sha256"]
        except DatabaseError as error:
            yield str(error)
            continue
        if not whole:
            yield f"{entry['file']}: differs from its SHA-256 in witnesses.json"


@dataclass(frozen=True, slots=True)
class Witnesses:
    """All loaded witnesses, in a fixed order."""

    all: tuple[Witness, ...]

    def describe(self) -> list[dict[str, Any]]:
        """Return who the witnesses are, for the manifest."""
        return [
            {
                "name": w.about.name,
                "kind": w.about.kind,
                "dates": [str(d) for d in w.about.dates],
                "licence": w.about.licence,
                "attribution": w.about.attribution,
                "file": w.about.file,
                "sha256": w.about.sha256,
            }
            for w in self.all
        ]

    def enrich(self, pairs: pa.Table, *, as_of: date | None = None) -> pa.Table:
        """Return ADDRESSES for distinct (source_ip, day) pairs, in order; `as_of` places all of them as of one day."""
        days: dict[date, list[str]] = {}
        for ip, day in zip(pairs.column("source_ip").to_pylist(), pairs.column("day").to_pylist(), strict=True):
            days.setdefault(day, []).append(ip)
        texts = sorted({ip for listed in days.values() for ip in listed})
        everyone = Addresses(texts)
        series = [one for witness in self.all for one in witness.countries(everyone)]
        number = {text: row for row, text in enumerate(texts)}
        rows: list[dict[str, Any]] = []
        for day, listed in sorted(days.items()):
            asked = as_of or day
            labels = self._labels(Addresses(listed), asked)
            for place, ip in enumerate(listed):
                row: dict[str, Any] = {"source_ip": ip, "day": day, **labels[place]}
                rows.append(_placed(row, series, number[ip], asked))
        rows.sort(key=lambda row: (row["source_ip"], row["day"]))
        return pa.table({f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in ADDRESSES}, ADDRESSES)

    def lookup(self, ip: str, day: date | None = None) -> Iterator[dict[str, Any]]:
        """Yield what every witness says of an address on a day; without a day, all that each of them ever said."""
        if kind_of(ip) == "invalid":
            raise UsageError(f"'{ip}' is no address")
        addresses = Addresses([ip])
        yield {
            "address": ip,
            "witness": "IANA",
            "fact": "address_kind",
            "value": kind_of(ip),
            "date": None,
            "distance_days": None,
        }
        for witness in self.all:
            for one in witness.countries(addresses):
                yield from _country_facts(ip, one, day)
            when = day or max(witness.about.dates, default=None)
            if when is None:
                continue
            for name, values in witness.labels(addresses, when).items():
                if values[0] is not None and name != "as_as_of":
                    dated = witness.about.dates[-1]
                    yield {
                        "address": ip, "witness": witness.about.file, "fact": name, "value": str(values[0]),
                        "date": dated, "distance_days": (when - dated).days if day else None,
                    }  # fmt: skip

    def _labels(self, addresses: Addresses, day: date) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{} for _ in addresses.texts]
        for witness in self.all:
            for name, values in witness.labels(addresses, day).items():
                for row, value in zip(rows, values, strict=True):
                    if value is None:
                        continue
                    if name in _JOINED and name in row:
                        row[name] = f"{row[name]}; {value}"
                    else:
                        row.setdefault(name, value)
        return rows


def _placed(row: dict[str, Any], series: list[Any], number: int, day: date) -> dict[str, Any]:
    kind = kind_of(row["source_ip"])
    row["address_kind"] = kind
    flags = [row.pop("flags")] if row.get("flags") else []
    if kind == "public":
        placed = columns(opinions(series, number, day), day)
        if "false_friend" in flags and placed.get("country_iso_code") == "KP":
            # A declared location is what the databases repeat; it stands in `country_says`, and is no place.
            placed["country_iso_code"] = None
        flags += placed.pop("flags", [])
        row |= placed
    else:
        row |= {"country_basis": "none", "country_disputed": False}
    if kind == "loopback":
        flags.append("tunnel_end")
    carried = _carried(row["source_ip"])
    if carried:
        flags.append(carried)
    row["flags"] = ";".join(sorted(flags)) or None
    return row


def _carried(ip: str) -> str | None:
    from ipaddress import ip_address  # noqa: PLC0415

    found = embedded(ip_address(ip))
    return f"{found[0]}_of_{found[1]}" if found else None


def _country_facts(ip: str, one: Any, day: date | None) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # Countries
    last = None
    for column, when in enumerate(one.dates):
        code = one.names[one.codes[0, column]]
        following = one.dates[column + 1] if column + 1 < len(one.dates) else None
        if day is not None:
            speaks = (when <= day and (following is None or following > day)) or (column == 0 and when > day)
            if not speaks and not (last == "spoke" and when > day):
                continue
            last = "spoke" if speaks else None
        elif code == last:
            continue
        else:
            last = code
        yield {
            "address": ip, "witness": one.series, "fact": "country", "value": code or "unknown",
            "date": when, "distance_days": (day - when).days if day else None,
        }  # fmt: skip
