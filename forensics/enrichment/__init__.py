"""Enrichment: where an address was on a day, through what, and who says so. One module is one kind of witness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.enrichment import _store as added
from forensics.enrichment._carried import add_carried, carried
from forensics.enrichment._database import listing, sha256
from forensics.enrichment._kinds import kind_of, kinds_of, read
from forensics.enrichment._placing import columns, opinions, rank, silence
from forensics.enrichment._rdap import Answer, Online, Question, ask, facts, lines
from forensics.enrichment._registrations import registered, registrations
from forensics.enrichment._witness import Addresses, Pairs
from forensics.enrichment.rare_origin import watch
from forensics.enrichment.system_kinds import SystemKinds
from forensics.errors import DatabaseError, UsageError
from forensics.packaged import geo_dir
from forensics.registry import listing as modules
from forensics.schemas import ADDRESSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray

    from forensics.enrichment._witness import Kind, Witness

__all__ = [
    "Answer",
    "Online",
    "Question",
    "Witnesses",
    "added",
    "ask",
    "facts",
    "kinds",
    "lines",
    "load",
    "read",
    "registered",
    "registrations",
    "verify",
]

BLOCK: Final = 1 << 16
"""Pairs that are placed at once: temporaries of about 100 MB with every embedded witness."""
_SYSTEM: Final = ("as_number", "as_organization_name", "as_as_of", "as_addresses")
_LABELS: Final = (*_SYSTEM, "network", "anonymity", "rare_origin", "rare_grade", "rare_basis", "flags")
_ASKED: Final = pa.schema([("source_ip", pa.string()), ("day", pa.date32())])


@cache
def kinds() -> dict[str, Kind]:
    """Return every kind of witness by its name."""
    return modules(__path__, __name__, "WITNESS")


def load(added: Sequence[Path] = (), watched: Sequence[Path] = ()) -> Witnesses:
    """Open the embedded witnesses, those of `geo add`, and what is named here; DatabaseError if one is damaged or is none.

    `watched` are lists of networks to watch for, with label and grade; they speak before the embedded table.
    """
    folder = geo_dir()
    entries = listing(folder / "witnesses.json")
    found: list[Witness] = []
    for kind in kinds().values():
        mine = [entry for entry in entries if entry["kind"] in kind.files]
        found += kind.open(folder, mine, added)
    return Witnesses((*(watch(path) for path in watched), *found))


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
        """Return ADDRESSES, one row a distinct (source_ip, day) pair, in order; `as_of` places all as of one day.

        Every address is looked up once, in blocks of a bounded number of rows.
        """
        asked = pairs.select(["source_ip", "day"]).cast(_ASKED).group_by(["source_ip", "day"]).aggregate([])
        asked = asked.filter(pc.and_(asked["source_ip"].is_valid(), asked["day"].is_valid()))
        asked = asked.sort_by([("source_ip", "ascending"), ("day", "ascending")])
        parts = [self._enrich(asked.slice(at, BLOCK), as_of) for at in range(0, asked.num_rows, BLOCK)]
        return pa.concat_tables([ADDRESSES.empty_table(), *parts]).combine_chunks()

    def place(self, batches: Iterable[pa.RecordBatch], *, as_of: date | None = None) -> Iterator[pa.Table]:
        """Yield ADDRESSES in pieces: of batches of distinct (source_ip, day) pairs in order, at most BLOCK each."""
        for batch in batches:
            yield self._enrich(pa.Table.from_batches([batch]).cast(_ASKED), as_of)

    def _enrich(self, asked: pa.Table, as_of: date | None) -> pa.Table:
        ips = pc.dictionary_encode(asked["source_ip"].combine_chunks())
        days = asked["day"].to_numpy().astype("datetime64[D]")
        when = days if as_of is None else np.full(len(days), as_of, "datetime64[D]")
        pairs = Pairs(Addresses(ips.dictionary.to_pylist()), ips.indices.to_numpy().astype(np.int64), when)
        kinds = kinds_of(pairs.addresses)[pairs.rows]
        public = kinds == "public"
        labels = self._labels(pairs)
        table, flags = columns(opinions([s for witness in self.all for s in witness.countries(pairs.addresses)], pairs))
        friend = np.array([word == "false_friend" for word in labels["flags"]], bool)
        silence(table, ~public)
        for column in _LABELS:
            # Lists of networks are coarse: what nobody routes is in none of them.
            labels[column] = [value if known else None for value, known in zip(labels[column], public, strict=True)]
        # A declared location is what the databases repeat; it stands in `country_says`, and is no place.
        table["country_iso_code"][friend & (table["country_iso_code"] == "KP")] = None
        flags = {name: flag & public for name, flag in flags.items()}
        flags |= {"false_friend": friend, "tunnel_end": (kinds == "loopback") | _is_unspecified(pairs)}
        table |= {**labels, "address_kind": kinds, "flags": _flags(pairs, flags)}
        add_carried(pairs, table, lambda inner: self._enrich(inner, None))
        made = {f.name: pa.array(table[f.name], f.type, from_pandas=True) for f in ADDRESSES if f.name in table}
        return (
            pa.table(made | {"source_ip": asked["source_ip"], "day": asked["day"]})
            .select(ADDRESSES.names)
            .cast(ADDRESSES)
        )

    def lookup(self, ip: str, day: date | None = None) -> Iterator[dict[str, Any]]:
        """Yield what every witness says of an address on a day; without a day, all that each of them ever said."""
        typed, known = ip, read(ip)
        if known is None:
            raise UsageError(f"'{ip}' is no address; LOCAL, in whatever language, is the server itself or a tunnel")
        ip = known
        if ip != typed:
            yield _iana(typed, "read_as", ip)
        addresses = Addresses([ip])
        yield _iana(ip, "address_kind", kind_of(ip))
        if ip == "::" or kind_of(ip) == "loopback":
            yield _iana(ip, "flags", "tunnel_end")
        for witness in self.all:
            for one in witness.countries(addresses):
                yield from _country_facts(ip, one, day)
            yield from _said(ip, witness, day)
            yield from self._labelled(ip, witness, day)
        if inner := carried(ip):
            yield _iana(ip, "carries", f"{inner[1]} ({inner[0]})")
            yield from self.lookup(inner[1], day)

    def _labelled(self, ip: str, witness: Witness, day: date | None) -> Iterator[dict[str, Any]]:
        """Yield what a witness fills into the columns of ADDRESSES."""
        when = day or max(witness.about.dates, default=None)
        if when is None:
            return
        told = witness.labels(Pairs.on([ip], when))
        for name, values in told.items():
            if (
                values[0] is not None
                and name != "as_as_of"
                and not (name == "anonymity" and witness.about.kind == "list")
            ):
                dated = witness.about.dates[-1]
                yield {
                    "address": ip, "witness": witness.about.file, "fact": name, "value": str(values[0]),
                    "date": dated, "distance_days": (when - dated).days if day else None,
                }  # fmt: skip
        if told.get("as_number", [None])[0] is not None:
            yield from self._system_facts(ip, told["as_number"][0], told["as_as_of"][0], day)

    def _system_facts(self, ip: str, number: int, as_of: date, day: date | None) -> Iterator[dict[str, Any]]:
        for reason, kinds in ((k.of_system(number, as_of, day), k) for k in self._system_kinds()):
            if reason is not None:
                yield {
                    "address": ip, "witness": kinds.about.file, "fact": "anonymity", "value": reason,
                    "date": as_of, "distance_days": (day - as_of).days if day else None,
                }  # fmt: skip

    def _system_kinds(self) -> list[SystemKinds]:
        return [witness for witness in self.all if isinstance(witness, SystemKinds)]

    def _labels(self, pairs: Pairs) -> dict[str, list[Any]]:
        """Return the columns that witnesses fill: all reasons joined, the system of the nearest date, else the first to know."""
        count = len(pairs.rows)
        out = {name: np.full(count, None, object) for name in _LABELS}
        nearest = np.full(count, np.iinfo(np.int64).max)
        for witness in self.all:
            told = {name: _objects(values) for name, values in witness.labels(pairs).items()}
            better = np.zeros(count, bool)
            if "as_number" in told:
                ranked = rank((pairs.days - np.datetime64(witness.about.dates[-1])).astype(np.int64))
                better = _told(told["as_number"]) & (ranked < nearest)
                nearest[better] = ranked[better]
            for name, values in told.items():
                # Number, name and date of a system are one statement: never the number of one witness, the name of another.
                known = better if name in _SYSTEM else _told(values)
                before = out[name]
                new = known if name in _SYSTEM else known & ~_told(before)
                if name == "anonymity":
                    both = known & ~new
                    before[both] = before[both] + "; " + values[both]
                before[new] = values[new]
        listed = {name: column.tolist() for name, column in out.items()}
        self._add_system_kinds(pairs, listed)
        return listed

    def _add_system_kinds(self, pairs: Pairs, out: dict[str, list[Any]]) -> None:
        days = pairs.days.astype("datetime64[D]").tolist()
        said = out["anonymity"]
        for kinds in self._system_kinds():
            for place, (number, as_of) in enumerate(zip(out["as_number"], out["as_as_of"], strict=True)):
                reason = kinds.of_system(number, as_of, days[place]) if number is not None else None
                if reason is not None:
                    said[place] = f"{said[place]}; {reason}" if said[place] else reason


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _told(values: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say where there is something."""
    return np.array([value is not None for value in values.tolist()], bool)


def _is_unspecified(pairs: Pairs) -> NDArray[np.bool_]:
    """Say which addresses are `::`, which is how a tunnel that logs `::%16777216` arrives here."""
    return np.array([text == "::" for text in pairs.addresses.texts], bool)[pairs.rows]


def _flags(pairs: Pairs, flags: dict[str, NDArray[np.bool_]]) -> list[str | None]:
    """Return the flags of each pair in order of their names, joined by `;`."""
    names = sorted(flags)
    bits = sum((flags[name].astype(np.int64) << place for place, name in enumerate(names)), np.zeros(1, np.int64))
    spelt = {
        int(b): ";".join(name for place, name in enumerate(names) if int(b) >> place & 1) or None
        for b in np.unique(bits)
    }
    out = [spelt[b] for b in bits.tolist()]
    carried = {row: word for row in pairs.addresses.rows_v6.tolist() if (word := _carried(pairs.addresses.texts[row]))}
    for place in np.flatnonzero(np.isin(pairs.rows, np.array(list(carried), np.int64))).tolist():
        word = carried[int(pairs.rows[place])]
        flagged = out[place]
        out[place] = ";".join(sorted([word, *flagged.split(";")])) if flagged else word
    return out


def _carried(ip: str) -> str | None:
    found = carried(ip)
    return f"{found[0]}_of_{found[1]}" if found else None


def _iana(ip: str, fact: str, value: str) -> dict[str, Any]:
    """Return what the special-purpose registries say of an address, on whatever day."""
    return {"address": ip, "witness": "IANA", "fact": fact, "value": value, "date": None, "distance_days": None}


def _said(ip: str, witness: Witness, day: date | None) -> Iterator[dict[str, Any]]:
    """Yield what a witness has to say of one address beyond the columns of ADDRESSES."""
    for name, value in getattr(witness, "says", _silent)(ip, day):
        first, dated = witness.about.dates[0], witness.about.dates[-1]
        if day is not None:
            # A list of many days speaks of the day itself, if that is among them.
            dated = min(max(day, first), dated)
        yield {
            "address": ip, "witness": witness.about.name, "fact": name, "value": value,
            "date": dated, "distance_days": (day - dated).days if day else None,
        }  # fmt: skip


def _silent(_ip: str, _day: date | None) -> tuple[()]:
    """Answer for a witness that has nothing to say beyond its columns."""
    return ()


def _country_facts(ip: str, one: Any, day: date | None) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # Countries
    if not one.codes.any():
        return
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
