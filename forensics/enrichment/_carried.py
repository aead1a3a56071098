"""The second fact of an IPv6 address that carries an IPv4 one (6to4, Teredo, NAT64): where the carried address lies.

It goes beside what is said of the address itself, never over it: a relay stands between, and who sends may write what he likes.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from forensics.enrichment._kinds import embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forensics.enrichment._witness import Pairs


def carried(ip: str) -> tuple[str, str] | None:
    """Return (technique, IPv4 address) if the address carries one."""
    return embedded(ip_address(ip.partition("%")[0]))


def add_carried(pairs: Pairs, table: Mapping[str, Any], place: Callable[[pa.Table], pa.Table]) -> None:
    """Put what `place` says of carried addresses into `country_says` and, where nothing stands there, the rare origin."""
    inside = {row: two for row in pairs.addresses.rows_v6.tolist() if (two := carried(pairs.addresses.texts[row]))}
    if not inside:
        return
    days = pairs.days.astype("datetime64[D]").tolist()
    where = [(at, *inside[row], days[at]) for at, row in enumerate(pairs.rows.tolist()) if row in inside]
    asked = sorted({(ip, day) for _, _, ip, day in where})
    columns = {"source_ip": pa.array([a[0] for a in asked]), "day": pa.array([a[1] for a in asked], pa.date32())}
    found = {(row["source_ip"], row["day"]): row for row in place(pa.table(columns)).to_pylist()}
    for at, technique, ip, day in where:
        told = found[ip, day]
        if told["country_says"]:
            own = table["country_says"][at]
            says = f"carried {ip} ({technique}): {told['country_says']}"
            table["country_says"][at] = f"{own}; {says}" if own else says
        if told["rare_origin"] and table["rare_origin"][at] is None:
            table["rare_origin"][at] = f"{told['rare_origin']} (carried by {technique})"
            table["rare_grade"][at] = told["rare_grade"]
            table["rare_basis"][at] = f"the address carries {ip}: {told['rare_basis']}"
