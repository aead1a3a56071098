"""What speaks of a time zone beside the hours: the clock that clients told, and the countries in which addresses lay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._clock_zones import offsets_of, text_of
from forensics.analysis._words import HIDDEN, reason
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

Row = dict[str, Any]
_HALF: Final = 30
_SHOWN: Final = 4


def _rows(db: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    found: list[Row] = db.sql(query).to_arrow_table().to_pylist()
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """An operator's address that no list calls a proxy, its country, and where clocks stood there when it was used."""

    source_ip: str
    country: str
    offsets: frozenset[int]
    locator: str


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Sessions by the offset (minutes) their client told, its records, the places of direct addresses, and how many operators there are."""

    told: Mapping[int, int]
    proof: Sequence[str]
    places: Sequence[Place]
    operators: int

    @classmethod
    def of(cls, db: duckdb.DuckDBPyConnection) -> Witnesses:
        """Return what the case holds."""
        said = _rows(
            db,
            "SELECT client_zone, count(*) AS sessions FROM sessions WHERE client_zone IS NOT NULL GROUP BY ALL ORDER BY ALL",
        )
        told = {minutes: row["sessions"] for row in said if (minutes := _minutes(row["client_zone"])) is not None}
        proof = _rows(
            db,
            """SELECT x.evidence_id || ':' || x.log_offset || '+' || e.log_length || '#' || coalesce(e.log_ordinal, 0) AS locator FROM session_events x
            JOIN events e ON e.evidence_id = x.evidence_id AND e.log_offset = x.log_offset
            WHERE x.relation = 'rdp' AND e.event_action = 'rdp_client_info' AND e.client_zone IS NOT NULL ORDER BY 1 LIMIT 5""",
        )
        direct = _rows(
            db,
            f"""SELECT source_ip, any_value(country_iso_code) AS country, min(since) AS since, arg_min(locator, since) AS locator FROM chain
            WHERE country_iso_code IS NOT NULL AND NOT ({HIDDEN}) AND coalesce(rare_grade, '') <> 'C' GROUP BY source_ip ORDER BY since, source_ip""",
        )
        places = [
            Place(row["source_ip"], row["country"], frozenset(offsets_of(row["country"], row["since"])), row["locator"])
            for row in direct
        ]
        (number,) = _rows(db, "SELECT count(DISTINCT operator_id) AS n FROM chain")
        return cls(told, [row["locator"] for row in proof], [one for one in places if one.offsets], number["n"])

    def sessions_at(self, offsets: Sequence[int]) -> int:
        """Return in how many sessions the client's clock stood at one of some offsets."""
        return sum(self.told.get(one, 0) for one in offsets)

    def addresses_at(self, offsets: Sequence[int]) -> list[str]:
        """Return the direct addresses of countries where clocks stood at one of some offsets."""
        return [one.source_ip for one in self.places if one.offsets & set(offsets)]

    def clients(self, offsets: Sequence[int]) -> Iterator[Row]:
        """Say whether the clients' own word agrees with offsets; it has whole hours alone."""
        if not self.told:
            return
        here = self.sessions_at(offsets)
        others = ", ".join(f"UTC{text_of(one)}" for one in self.told if one not in offsets)
        if here:
            also = f"; in others it stood at {others}" if others else ""
            yield reason(
                f"the client's clock stood at this offset in {counted(here, 'session')}, by its own word{also}",
                5,
                self.proof,
            )
        elif any(one % 60 == _HALF and {one - _HALF, one + _HALF} & set(self.told) for one in offsets):
            yield reason(
                f"the clients' clocks stood at {others} by their own word, which knows whole hours alone: it neither fits nor contradicts",
                3,
                self.proof,
            )
        else:
            yield reason(
                f"contradiction: the clients' clocks stood at {others} by their own word, not here", 4, self.proof
            )

    def addresses(self, offsets: Sequence[int]) -> Iterator[Row]:
        """Say whether the places of addresses that no list calls a proxy agree with offsets."""
        if not self.places:
            return
        here = [one for one in self.places if one.offsets & set(offsets)]
        elsewhere = [one for one in self.places if one not in here]
        if here:
            also = f"; elsewhere lay {_named(elsewhere)}" if elsewhere else ""
            yield reason(
                f"by the databases {_named(here)} lay where clocks stood at this offset, and no list calls "
                f"{'it a proxy' if len(here) == 1 else 'them proxies'}{also}",
                4,
                [one.locator for one in here],
            )
        else:
            yield reason(
                f"contradiction: the addresses that no list calls a proxy lay elsewhere: {_named(elsewhere)}",
                3,
                [one.locator for one in elsewhere],
            )

    def several(self) -> Iterator[Row]:
        """Say that the hours are of several operators."""
        if self.operators > 1:
            yield reason(f"the acts of {self.operators:,} operators are counted together: their hours may differ", 5)


def _named(places: Sequence[Place]) -> str:
    shown = [f"{one.source_ip} ({one.country}, {_offsets(one.offsets)})" for one in places[:_SHOWN]]
    more = len(places) - _SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _offsets(offsets: frozenset[int]) -> str:
    ordered = sorted(offsets)
    return f"UTC{text_of(ordered[0])}" if len(ordered) == 1 else f"UTC{text_of(ordered[0])} to {text_of(ordered[-1])}"


def _minutes(text: str) -> int | None:
    """Return an offset such as `+08:00` in minutes; None for what a client wrote in its place."""
    sign, hours, minutes = text[:1], text[1:3], text[4:6]
    if (
        sign in ("+", "-")
        and text[3:4] == ":"
        and len(text) == 6
        and f"{hours}{minutes}".isdecimal()
        and text.isascii()
    ):
        return (-1 if sign == "-" else 1) * (int(hours) * 60 + int(minutes))
    return None
