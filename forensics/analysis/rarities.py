"""Rarities: what stands alone in this case, whatever any table of rare origins knows.

The only address of a country among hundreds, or one of a network as small as a village, deserves a look; it is no origin. Which
witness placed the address, and how surely, stands in the reasons; a declared location (false friend) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import because, reason
from forensics.answers import RARITIES
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

_MANY: Final = 200
"""Among fewer addresses than this nearly every country is there once."""

_SMALL: Final = 1_024
"""A system with no more addresses than this is a village; all of North Korea has as many."""

_CROWD: Final = ("scanner", "local")
"""Whoever scans comes from anywhere; a scanner is rare by country only."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    found = db.sql(f"""
        WITH placed AS (
            SELECT source_ip, arg_min(country_iso_code, day) AS country, arg_min(country_witness, day) AS witness,
                   arg_min(country_as_of, day) AS as_of, bool_or(country_disputed) AS disputed, arg_min(as_number, day) AS number,
                   arg_min(as_organization_name, day) AS name, arg_min(as_as_of, day) AS system_as_of,
                   arg_min(as_addresses, day) AS size
            FROM addresses WHERE address_kind = 'public' AND NOT contains(coalesce(flags, ''), 'false_friend') GROUP BY source_ip),
        counted AS (
            SELECT *, count(country) OVER () AS located, count(*) OVER (PARTITION BY country) AS of_country,
                   count(number) OVER () AS routed, count(*) OVER (PARTITION BY number) AS of_system
            FROM placed)
        SELECT c.*, s.role, s.first_seen, s.last_seen, s.locators FROM counted c JOIN (
            SELECT source_ip, role, first_seen, last_seen,
                   json_extract_string(because, '$[0].locators[0]') AS locators FROM sources) s USING (source_ip)
        WHERE (country IS NOT NULL AND of_country = 1 AND located >= {_MANY})
           OR (number IS NOT NULL AND list_position({list(_CROWD)}, role) IS NULL
               AND ((of_system = 1 AND routed >= {_MANY}) OR size <= {_SMALL}))
        ORDER BY first_seen, source_ip""")
    rows = [row for place in found.to_arrow_table().to_pylist() for row in _rarities(place)]
    return table(sorted(rows, key=lambda row: (row["kind"], row["first_seen"], row["source_ip"])), RARITIES)


def _rarities(place: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if place["country"] and place["of_country"] == 1 and place["located"] >= _MANY:
        said = f"the only one of {place['located']:,} placed addresses in {place['country']} ({place['witness']} {place['as_of']})"
        doubt = [reason("other witnesses place it elsewhere", 2)] if place["disputed"] else []
        yield _row(place, "alone_in_country", place["country"], place["located"], said, doubt)
    if place["number"] is None or place["role"] in _CROWD:
        return
    system = f"AS{place['number']} {place['name'] or ''}".strip()
    known = f"{system}, as of {place['system_as_of']}"
    if place["of_system"] == 1 and place["routed"] >= _MANY:
        said = f"the only one of {place['routed']:,} placed addresses in {known}"
        yield _row(place, "alone_in_as", system, place["routed"], said, [])
    if place["size"] is not None and place["size"] <= _SMALL:
        said = f"{known} announces no more than {place['size']:,} addresses"
        yield _row(place, "small_as", system, place["routed"], said, [])


def _row(
    place: dict[str, Any], kind: str, value: str, among: int, said: str, doubt: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "kind": kind, "value": value, "source_ip": place["source_ip"], "role": place["role"],
        "first_seen": place["first_seen"], "last_seen": place["last_seen"], "among": among, "confidence": CONFIDENCES[-1],
        "because": because([reason(said, 3, [place["locators"]]), *doubt]),
    }  # fmt: skip


RULE = Rule("rarities", "What stands alone in this case", ("addresses", "sources"), RARITIES, _run)
