"""Stays of operator sessions: who was connected from where and when, and which addresses are one operator's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.analysis._united import United
from forensics.instants import bound, moment

if TYPE_CHECKING:
    from datetime import datetime

    import duckdb


@dataclass(frozen=True, slots=True)
class Stay:
    """One connection of a session: its address, and from when to when (`end` None where it is not in evidence)."""

    session_uid: str
    source_ip: str
    start: datetime
    end: datetime | None
    client_name: str | None
    locator: str


def stays(db: duckdb.DuckDBPyConnection) -> list[Stay]:
    """Return the stays at addresses whose role is operator, in order of time."""
    insiders = {
        row["source_ip"]
        for row in db.sql("SELECT source_ip FROM sources WHERE role = 'operator'").to_arrow_table().to_pylist()
    }
    out = []
    found = db.sql("SELECT session_uid, client_name, stays FROM sessions ORDER BY session_uid").to_arrow_table()
    for row in found.to_pylist():
        for one in json.loads(row["stays"]):
            if one["source_ip"] in insiders:
                end = moment(bound(one["end"])) if one["end"] else None
                out.append(
                    Stay(
                        row["session_uid"],
                        one["source_ip"],
                        moment(bound(one["start"])),
                        end,
                        row["client_name"],
                        one["locator"],
                    )
                )
    return sorted(out, key=lambda stay: (stay.start, stay.session_uid, stay.source_ip))


def operators(known: list[Stay]) -> dict[str, str]:
    """Group addresses: those of one session, and those whose clients share a machine name, are one operator's, O1 the first."""
    tied = United()
    for stay in known:
        address = f"ip {stay.source_ip}"
        for tie in (f"session {stay.session_uid}", f"name {stay.client_name.lower()}" if stay.client_name else address):
            tied.tie(tie, address)
    numbers: dict[str, str] = {}
    return {
        stay.source_ip: numbers.setdefault(tied.group(f"ip {stay.source_ip}"), f"O{len(numbers) + 1}") for stay in known
    }
