"""The proxy chain: from which address an operator came until when, which came next, and after how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from forensics.analysis._stays import Stay, operators, stays
from forensics.answers import CHAIN
from forensics.model import Rule
from forensics.schemas import table

if TYPE_CHECKING:
    import duckdb

_TRAVEL_S: Final = 2 * 3600
"""Nobody reaches another country and sits down again in less; a network does."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    known = stays(db)
    operator_of = operators(known)
    # Of all addresses, those of operators alone: a busy server has seen millions.
    db.register("_known", pa.table({"source_ip": pa.array(sorted(operator_of), pa.string())}))
    found = db.sql("SELECT a.* FROM addresses a SEMI JOIN _known USING (source_ip)").to_arrow_table().to_pylist()
    places = {(row["source_ip"], row["day"]): row for row in found}
    rows: list[dict[str, Any]] = []
    for operator_id in sorted(set(operator_of.values()), key=lambda one: (len(one), one)):
        mine = _joined([stay for stay in known if operator_of[stay.source_ip] == operator_id])
        for number, stay in enumerate(mine):
            after = mine[number + 1] if number + 1 < len(mine) else None
            rows.append({"operator_id": operator_id, **_row(stay, after, places)})
    return table(rows, CHAIN)


def _joined(listed: list[Stay]) -> list[Stay]:
    """Make one link of stays at one address that follow each other."""
    out: list[Stay] = []
    for stay in listed:
        last = out[-1] if out else None
        if last is not None and last.source_ip == stay.source_ip and last.session_uid == stay.session_uid:
            ends = (last.end, stay.end)
            end = max(one for one in ends if one) if any(ends) else None
            out[-1] = Stay(last.session_uid, last.source_ip, last.start, end, last.client_name, last.locator)
        else:
            out.append(stay)
    return out


def _row(stay: Stay, after: Stay | None, places: dict[tuple[str, Any], dict[str, Any]]) -> dict[str, Any]:
    place = places.get((stay.source_ip, stay.start.date()), {})
    gap = int((after.start - (stay.end or stay.start)).total_seconds()) if after else None
    there = places.get((after.source_ip, after.start.date()), {}) if after else {}
    here, next_country = place.get("country_iso_code"), there.get("country_iso_code")
    flags = []
    if gap is not None and gap < 0:
        flags.append("overlapping")
    if gap is not None and gap < _TRAVEL_S and here and next_country and here != next_country:
        flags.append("faster_than_travel")
    return {
        "session_uid": stay.session_uid,
        "source_ip": stay.source_ip,
        "country_iso_code": here,
        "as_organization_name": place.get("as_organization_name"),
        "anonymity": place.get("anonymity"),
        "rare_grade": place.get("rare_grade"),
        "since": stay.start,
        "until": stay.end,
        "next_source_ip": after.source_ip if after else None,
        "gap_s": gap,
        "flags": ";".join(flags) or None,
        "locator": stay.locator,
    }


RULE = Rule("chain", "From which address to which", ("sessions", "sources", "addresses"), CHAIN, _run)
