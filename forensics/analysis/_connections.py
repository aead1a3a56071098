"""RDP-side events of a case, small enough to judge one by one: noise is left in the database."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from forensics.analysis._words import LOCATOR, LOGON_LEAD
from forensics.columns import TIME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import duckdb

LSM: Final = "Microsoft-Windows-TerminalServices-LocalSessionManager"
RCM: Final = "Microsoft-Windows-TerminalServices-RemoteConnectionManager"
CORE: Final = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"
SECURITY: Final = "Microsoft-Windows-Security-Auditing"

_SUCCESSORS: Final = {
    **dict.fromkeys((528, 540), 4624),
    **dict.fromkeys((529, 530, 531, 532, 533, 534, 535, 536, 537, 539), 4625),
    538: 4634, 551: 4647, 552: 4648, 576: 4672, 680: 4776, 682: 4778, 683: 4779,
}  # fmt: skip
"""What Security of Windows 2000 to Server 2003 calls an event, and what its successors do (Vista added 4,096 to most)."""

EVENTS: Final = (
    "(SELECT * REPLACE ("
    f"CASE WHEN event_provider = 'Security' THEN '{SECURITY}' ELSE event_provider END AS event_provider, "
    "CASE WHEN event_provider = 'Security' THEN CASE event_code "
    + " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in _SUCCESSORS.items())
    + " ELSE event_code END ELSE event_code END AS event_code) FROM events)"
)
"""The events, those of legacy logs under the provider and numbers of today."""

_COLUMNS: Final = (
    "time, event_action, event_outcome, event_provider, CAST(event_code AS INTEGER) AS code, event_sequence, host_name, source_ip, "
    "source_address, user_name, user_domain, session_id, logon_id, logon_type, activity_id, client_name, client_zone, unmapped, "
    f"evidence_id, log_offset, {LOCATOR} AS locator"
)
_ORDER: Final = " ORDER BY time, evidence_id, log_offset"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the RDP side."""

    time: datetime
    event_action: str
    event_outcome: str
    event_provider: str
    code: int
    event_sequence: int | None
    host_name: str | None
    source_ip: str | None
    source_address: str | None
    user_name: str | None
    user_domain: str | None
    session_id: int | None
    logon_id: str | None
    logon_type: int | None
    activity_id: str | None
    client_name: str | None
    client_zone: str | None
    unmapped: str | None
    evidence_id: str
    log_offset: int
    locator: str

    @property
    def rest(self) -> dict[str, Any]:
        """What has no column."""
        found: dict[str, Any] = json.loads(self.unmapped or "{}")
        return found

    @property
    def key(self) -> tuple[str, int]:
        """Where it lies: no two events are equal in it."""
        return self.evidence_id, self.log_offset


@dataclass(slots=True)
class Material:
    """What sessions are built from: each list in total order."""

    lsm: list[Event] = field(default_factory=list)
    security: list[Event] = field(default_factory=list)
    core: list[Event] = field(default_factory=list)
    rcm: list[Event] = field(default_factory=list)
    system: list[Event] = field(default_factory=list)
    near: list[Event] = field(default_factory=list)


def material(db: duckdb.DuckDBPyConnection) -> Material:
    """Pull what can belong to a session. Connections that reached none, refused logons and network logons elsewhere stay."""
    lsm = _pull(db, f"event_provider = '{LSM}'")
    security = _pull(
        db,
        f"event_provider = '{SECURITY}' AND ((event_code = '4624' AND logon_type IN (7, 10, 12)) OR event_code IN ('4778', '4779') "
        f"OR (event_code IN ('4634', '4647') AND logon_id IN (SELECT logon_id FROM {EVENTS} WHERE event_provider = '{SECURITY}' "
        "AND ((event_code = '4624' AND logon_type IN (7, 10, 12)) OR event_code IN ('4778', '4779')))))",
    )
    core = _pull(
        db,
        f"event_provider = '{CORE}' AND activity_id IN "
        f"(SELECT activity_id FROM events WHERE event_provider = '{CORE}' AND event_code = '66')",
    )
    found = Material(lsm, security, core)
    starts = [e.time for e in lsm if e.code in (21, 25)] + [e.time for e in security if e.code in (4624, 4778)]
    found.rcm = _near(db, f"event_provider = '{RCM}' AND event_code = '1149'", starts)
    found.near = _near(
        db,
        f"event_provider = '{SECURITY}' AND event_outcome = 'success' AND client_name IS NOT NULL "
        "AND ((event_code = '4624' AND logon_type = 3) OR event_code = '4776')",
        starts,
    )
    found.system = _pull(
        db, "event_action IN ('system_start', 'system_stop', 'system_crash', 'log_cleared', 'clock_changed')"
    )
    return found


def _pull(db: duckdb.DuckDBPyConnection, where: str) -> list[Event]:
    # The conditions are this module's own words.
    rows = db.sql(f"SELECT {_COLUMNS} FROM {EVENTS} WHERE ({where}) AND time IS NOT NULL{_ORDER}")
    return _events(rows)


def _near(db: duckdb.DuckDBPyConnection, where: str, moments: Sequence[datetime]) -> list[Event]:
    """Pull events that lie shortly before (or just after) one of the moments."""
    if not moments:
        return []
    db.register("_moments", pa.table({"moment": pa.array(sorted(set(moments)), TIME)}))
    lead = int(LOGON_LEAD.total_seconds())
    rows = db.sql(
        f"SELECT DISTINCT {_COLUMNS} FROM {EVENTS}, _moments WHERE ({where}) "
        f"AND time BETWEEN moment - INTERVAL {lead} SECOND AND moment + INTERVAL {lead} SECOND{_ORDER}"
    )
    return _events(rows)


def _events(rows: duckdb.DuckDBPyRelation) -> list[Event]:
    return [Event(**row) for row in rows.to_arrow_table().to_pylist()]
