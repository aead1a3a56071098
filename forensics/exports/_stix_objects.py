"""STIX 2.1 objects of a case, made and checked by the stix2 library. Ids are UUIDv5 of what an object is about, times are the case's.

The same case gives the same ids; two cases share those of the addresses, networks and accounts that they share.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import iso, microseconds
from forensics.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

_IDS: Final = uuid.UUID("0c2a6d1e-3f54-5b8e-9a77-6c327472616c")
"""The namespace of this tool's ids; those of addresses and other observables are made by STIX's own namespace."""

CONFIDENCE: Final[Mapping[str | None, int]] = {"almost certain": 95, "likely": 75, "possible": 50}
"""The one scale of confidence on STIX's 0 to 100."""

_REFERENCES: Final = 20
_ALWAYS: Final = "2026-01-01T00:00:00Z"
"""The time of what is the same in every case: the author and the credits."""


def written(made: Any) -> bytes:  # noqa: ANN401  # an object of stix2
    """Return an object as JSON: ASCII, sorted keys."""
    return json.dumps(json.loads(made.serialize()), sort_keys=True, ensure_ascii=True, allow_nan=False).encode()


def instant(when: datetime) -> str:
    """Return a time as STIX writes it."""
    return iso(microseconds(when))


def references(locators: Iterable[str]) -> list[dict[str, str]]:
    """Return the records behind an object as its external references; beyond twenty the last says how many more there are."""
    told = list(dict.fromkeys(locator for locator in locators if locator))
    found = [{"source_name": "c2trail locator", "external_id": locator} for locator in told[:_REFERENCES]]
    if len(told) > _REFERENCES:
        found.append({"source_name": "c2trail", "description": f"and {len(told) - _REFERENCES} more records"})
    return found


def because(text: str | None) -> list[str]:
    """Return the locators of a `because`."""
    return [locator for reason in json.loads(text or "[]") for locator in reason.get("locators", ())]


class Maker:
    """Makes the objects of one case: its marking, its author, its time, its namespace."""

    def __init__(self, case: str, time: datetime) -> None:
        import stix2  # noqa: PLC0415  # slow to load; only who asks for STIX waits for it

        self._stix = stix2.v21
        self._case = uuid.uuid5(_IDS, case)
        self._time = instant(time)
        self.amber: Any = stix2.TLP_AMBER
        self.author = self.thing(
            "Identity", "author", shared=True, marked=False, name="c2trail", identity_class="system"
        )
        self.credits = self._stix.MarkingDefinition(
            id=f"marking-definition--{uuid.uuid5(_IDS, 'credits')}",
            created=_ALWAYS,
            definition_type="statement",
            definition={
                "statement": "Origins of addresses: GeoLite2 data created by MaxMind, https://www.maxmind.com; IP geolocation by "
                "DB-IP, https://db-ip.com; IPFire; RouteViews; NRO"
            },
        )

    def thing(self, kind: str, about: str, *, shared: bool = False, marked: bool = True, **values: Any) -> Any:  # noqa: ANN401
        """Return an object of `kind` that is about `about`: its id, times and marking follow from the case.

        Texts in `values` pass `shown`; what is None or empty is left out.
        """
        cls = getattr(self._stix, kind)
        word = cls._type  # the word of the class in its ids
        settled: dict[str, Any] = {
            "id": f"{word}--{uuid.uuid5(_IDS if shared else self._case, f'{word} {about}')}",
            "created": _ALWAYS if shared else self._time,
            "modified": _ALWAYS if shared else self._time,
            **{name: shown(v) if isinstance(v, str) else v for name, v in values.items() if v not in (None, [], "")},
        }
        if marked:
            settled |= {
                "created_by_ref": self.author.id,
                "object_marking_refs": [self.amber.id, self.credits.id],
            }
        return cls(**settled)

    def seen(self, kind: str, **values: Any) -> Any:  # noqa: ANN401
        """Return an observable of `kind`; its id is STIX's own function of its values."""
        told = {name: shown(v) if isinstance(v, str) else v for name, v in values.items() if v not in (None, [])}
        return getattr(self._stix, kind)(**told)

    def address(self, ip: str, system: Any = None) -> Any:  # noqa: ANN401
        """Return the observable of an address."""
        kind = "IPv6Address" if ":" in ip else "IPv4Address"
        return self.seen(kind, value=ip, belongs_to_refs=[system.id] if system else None)

    def tie(self, a: Any, relation: str, b: Any, **values: Any) -> Any:  # noqa: ANN401
        """Return the relationship between two objects."""
        return self.thing(
            "Relationship",
            f"{a.id} {relation} {b.id}",
            relationship_type=relation,
            source_ref=a.id,
            target_ref=b.id,
            **values,
        )
