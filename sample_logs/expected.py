"""The truth of the story as data, in the words of the case folder's columns, for tests to compare an answer with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from addresses import ALL, BOTH, IMPLANTS, KP1, LOOPBACK
from story import (
    ACCOUNT,
    BUFFER_FLUSHED,
    C2_DEPLOYED,
    C2_PATH,
    CLIENT_NAME,
    CLIENT_ZONE,
    CONSOLE_LOGON,
    CRASH,
    FIRST_BACKDOOR_TEST,
    FIRST_BROWSER_SUCCESS,
    FIRST_BROWSER_TEST,
    FIRST_IMPLANT,
    FIRST_START,
    HOST,
    LAST_ALIVE,
    LOG_CLEARED,
    MANAGER_PATH,
    MINER_INSTALLED,
    PANEL_PATH,
    REBOOT,
    SERVICE_INSTALLED,
    SESSIONS,
    Session,
)
from tomcat_story import FIRST_BANNER, FIRST_START_MS, access_requests
from windows_events import CORE, LSM, RCM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evtx_event import Event

# Delays after a connection's start at which the session's own events stand; see rdp_story.py.
_LOGON_AFTER: Final = timedelta(microseconds=2_674_400)
_RECONNECT_AFTER: Final = timedelta(microseconds=2_741_900)
FIRST_LOGON: Final = SESSIONS[0].connections[0].start + _LOGON_AFTER
RARE_CONNECTION: Final = SESSIONS[2].connections[1]

Row = dict[str, object]


def iso(time: datetime) -> str:
    """ISO 8601 UTC with ``Z``, with a fraction where the log has one."""
    spec = "milliseconds" if time.microsecond and time.microsecond % 1000 == 0 else "auto"
    return time.isoformat(timespec=spec).replace("+00:00", "Z")


def _requests_while_connected(session: Session) -> int:
    """Requests of the connected address or of loopback, from a connection's start to its end."""
    return sum(
        connection.start <= item.time <= connection.end and item.source_ip in {LOOPBACK, connection.source.source_ip}
        for connection in session.connections
        for item in access_requests()
    )


def _session(session: Session, number: int) -> Row:
    first, last = session.connections[0], session.connections[-1]
    return {
        "number": number,
        "session_id": session.session_id,
        "logon_id": hex(session.logon_id),
        "user_name": ACCOUNT,
        "source_ips": list(session.sources),
        "start": iso(first.start + _LOGON_AFTER),
        "end": iso(last.end),
        "end_basis": last.end_basis,
        "client_name": CLIENT_NAME,
        "client_zone": CLIENT_ZONE,
        "http_requests": _requests_while_connected(session),
        "connections": [
            {
                "source_ip": connection.source.source_ip,
                "connected": iso(connection.start),
                "event_action": "reconnect" if at else "logon",
                "in_session": iso(connection.start + (_RECONNECT_AFTER if at else _LOGON_AFTER)),
                "end": iso(connection.end),
                "end_basis": connection.end_basis,
            }
            for at, connection in enumerate(session.connections)
        ],
    }


def _milestone(name: str, time: datetime, source_ip: str | None, detail: str) -> Row:
    return {"milestone": name, "time": iso(time), "source_ip": source_ip, "detail": detail}


def _milestones() -> list[Row]:
    tomcat_up = FIRST_BANNER + timedelta(milliseconds=FIRST_START_MS)
    tomcat_up -= timedelta(microseconds=tomcat_up.microsecond % 1000)
    first_implant = IMPLANTS[0].source_ip
    # The crash itself leaves no event; 6008 is written when the machine is on again, in whole seconds.
    found = REBOOT.replace(microsecond=0)
    last = max(item.time for item in access_requests() if item.line.split("?")[0].split()[1:2] == [PANEL_PATH])
    own = {item.source_ip for item in access_requests() if item.time == last}
    return [
        _milestone("first_logon", FIRST_LOGON, SESSIONS[0].sources[0], "LocalSessionManager 21"),
        _milestone("tomcat_installed", SERVICE_INSTALLED, None, "System 7045, service Tomcat8"),
        _milestone("tomcat_started", tomcat_up, None, f"catalina log; System 7036 says running at {iso(FIRST_START)}"),
        _milestone("log_cleared", LOG_CLEARED, None, "System 104, channel Application; Security was not cleared"),
        _milestone("c2_deployed", C2_DEPLOYED, "::1", "manager upload of support.war, HostConfig.deployWAR"),
        _milestone(
            "first_browser_test", FIRST_BROWSER_TEST, "::1", f"GET 404; first GET 200 at {iso(FIRST_BROWSER_SUCCESS)}"
        ),
        _milestone(
            "first_backdoor_test", FIRST_BACKDOOR_TEST, "115.68.12.90", "POST of implant size from the operator"
        ),
        _milestone("first_implant", FIRST_IMPLANT, first_implant, "first victim's beacon"),
        _milestone(
            "rare_origin", RARE_CONNECTION.start, KP1.source_ip, "RDP connection of about a minute, two web requests"
        ),
        _milestone("crash", found, None, f"System 6008; the machine stopped at {iso(CRASH)}"),
        _milestone("last_operator_act", last, min(own), "last request to the panel"),
    ]


def _source(source_ip: str) -> str:
    return "::1" if source_ip == LOOPBACK else source_ip


def _http_counts() -> dict[str, int]:
    counts: dict[str, int] = {}
    for request in access_requests():
        counts[_source(request.source_ip)] = counts.get(_source(request.source_ip), 0) + 1
    return counts


def _sources(seen: set[str]) -> list[Row]:
    """Every address that stands in a log; chance left a few of the noise's unused."""
    http, sessions = _http_counts(), {address.source_ip: 0 for address in ALL}
    for session in SESSIONS:
        for source_ip in session.sources:
            sessions[source_ip] += 1
    rows: list[Row] = [
        {
            "source_ip": address.source_ip,
            "role": address.role,
            "country_iso_code": address.country,
            "as_number": address.as_number,
            "rdp_sessions": sessions[address.source_ip],
            "http_requests": http.get(address.source_ip, 0),
            "rare_origin": address is KP1,
            "story": address.part + (", and web probes" if address is BOTH else ""),
        }
        for address in ALL
        if address.source_ip in seen or address.source_ip in http
    ]
    local = {"role": "local", "country_iso_code": None, "as_number": None, "rdp_sessions": 0, "rare_origin": False}
    rows.append(
        {"source_ip": "::1", **local, "http_requests": http["::1"], "story": "the browser on the server itself"}
    )
    return rows


def _endpoints() -> list[Row]:
    rows: list[Row] = []
    for path, kind in ((C2_PATH, "c2"), (PANEL_PATH, "panel"), (MANAGER_PATH, "manager")):
        calls = [item for item in access_requests() if item.line.split(";")[0].split("?")[0].split()[1:2] == [path]]
        rows.append(
            {
                "path": path,
                "kind": kind,
                "first_seen": iso(calls[0].time),
                "first_source_ip": _source(calls[0].source_ip),
                "sources": len({item.source_ip for item in calls}),
                "requests": len(calls),
            }
        )
    return rows


def _addresses(events: dict[str, list[Event]]) -> set[str]:
    """The addresses that event fields name, with or without a port."""
    values = (str(value) for items in events.values() for event in items for _, _, value in event.fields)
    return {value.strip("[]").rpartition(":")[0] if value.count(":") == 1 else value for value in values}


def _records(events: Iterable[Event]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for event in events:
        counts[str(event.event_id)] = counts.get(str(event.event_id), 0) + 1
    return dict(sorted(counts.items(), key=lambda item: int(item[0])))


def expected(events: dict[str, list[Event]], lines: dict[str, int]) -> Row:
    """The whole truth: ``events`` by channel, complete access-log ``lines`` by file."""
    return {
        "synthetic": True,
        "note": "An invented story. The addresses belong to real networks, the acts are made up.",
        "host_name": HOST,
        "milestones": _milestones(),
        "sessions": [_session(session, at) for at, session in enumerate(SESSIONS, 1)],
        "console_logon": {"time": iso(CONSOLE_LOGON), "source_address": "LOCAL", "story": "the responder"},
        "north_korean_contact": {
            "source_ip": KP1.source_ip,
            "rare_grade": "A",
            "connected": iso(RARE_CONNECTION.start),
            "reconnect": iso(RARE_CONNECTION.start + _RECONNECT_AFTER),
            "disconnect": iso(RARE_CONNECTION.end),
            "http_requests": [iso(item.time) for item in access_requests() if item.source_ip == KP1.source_ip],
            "back_by_the_usual_proxy": iso(SESSIONS[2].connections[2].start),
        },
        "sources": _sources(_addresses(events)),
        "endpoints": _endpoints(),
        "crash": {
            "stopped": iso(CRASH),
            "last_alive_in_6008": iso(LAST_ALIVE),
            "found": iso(REBOOT.replace(microsecond=0)),
            "last_flush": iso(BUFFER_FLUSHED),
            "last_program": f"service installed at {iso(MINER_INSTALLED)}",
            "torn_last_line": True,
        },
        "records": {channel: _records(items) for channel, items in sorted(events.items())},
        "access_log_lines": dict(sorted(lines.items())),
    }


CHANNEL_FILES: Final = {
    f"{LSM}/Operational": f"{LSM}%4Operational.evtx",
    f"{RCM}/Operational": f"{RCM}%4Operational.evtx",
    f"{CORE}/Operational": f"{CORE}%4Operational.evtx",
    "Security": "Security.evtx",
    "System": "System.evtx",
}
