"""Which Windows events are wanted, and what their fields mean: one table, by provider and event id.

Fields are the provider manifests' (Windows 7 to 10) and the event samples'. A line says the action, the outcome and which
fields fill which columns; every other field of the event is kept in `unmapped`. What is not here is never rendered.

Providers, not channels or file names, decide: RDPClient's 1102 is no cleared log, and a forwarded or renamed log is read
as what its records say.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LSM: Final = "Microsoft-Windows-TerminalServices-LocalSessionManager"
RCM: Final = "Microsoft-Windows-TerminalServices-RemoteConnectionManager"
CORE: Final = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"
SECURITY: Final = "Microsoft-Windows-Security-Auditing"
EVENTLOG: Final = "Microsoft-Windows-Eventlog"
CLASSIC: Final = "EventLog"
KERNEL: Final = "Microsoft-Windows-Kernel-General"
SCM: Final = "Service Control Manager"
GATEWAY: Final = "Microsoft-Windows-TerminalServices-Gateway"
CLIENT: Final = "Microsoft-Windows-TerminalServices-ClientActiveXCore"
MSI: Final = "MsiInstaller"
DESKTOP: Final = "Desktop Window Manager"


@dataclass(frozen=True, slots=True)
class Meaning:
    r"""What one event means. `columns` maps a column to the field that fills it.

    Two columns are not the schema's: `account` is `DOMAIN\name` and fills user_name and user_domain; `address` may carry
    a port and fills source_address, source_ip and source_port. `verdict` names the field whose 0 means success.
    """

    action: str
    outcome: str = "unknown"
    columns: Mapping[str, str] = field(default_factory=dict)
    verdict: str | None = None


def _lsm(action: str, outcome: str = "success") -> Meaning:
    return Meaning(action, outcome, {"account": "User", "session_id": "SessionID", "address": "Address"})


_SUBJECT: Final = {"user_name": "SubjectUserName", "user_domain": "SubjectDomainName", "logon_id": "SubjectLogonId"}
_CLEARER: Final = {"user_name": "SubjectUserName", "user_domain": "SubjectDomainName"}
_TARGET: Final = {"user_name": "TargetUserName", "user_domain": "TargetDomainName"}
_LOGGED_ON: Final = {**_TARGET, "logon_id": "TargetLogonId"}
_LOCKED: Final = {**_LOGGED_ON, "session_id": "SessionId"}
_FROM: Final = {"address": "IpAddress", "source_port": "IpPort"}
_DENIED: Final = {
    "user_name": "AccountName",
    "user_domain": "AccountDomain",
    "logon_id": "LogonID",
    "address": "ClientAddress",
}
_WINSTATION: Final = {**_DENIED, "client_name": "ClientName"}
_GATEWAY: Final = {"account": "Username", "address": "IpAddress"}
_PARAMS: Final = {"user_name": "Param1", "user_domain": "Param2", "address": "Param3"}

MEANINGS: Final[Mapping[tuple[str, int], Meaning]] = {
    (LSM, 21): _lsm("logon"),
    (LSM, 22): _lsm("shell_start"),
    (LSM, 23): _lsm("logoff"),
    (LSM, 24): _lsm("disconnect"),
    (LSM, 25): _lsm("reconnect"),
    (LSM, 39): Meaning("disconnect", "success", {"session_id": "TargetSession"}),
    (LSM, 40): Meaning("disconnect", "success", {"session_id": "Session"}),
    (LSM, 41): _lsm("rdp_authenticate", "unknown"),
    (LSM, 42): _lsm("rdp_authenticate", "unknown"),
    (LSM, 54): Meaning("system_stop"),
    **{(LSM, i): Meaning("rdp_service") for i in (32, 33, 34, 36, 38, 59, 60)},
    (RCM, 261): Meaning("rdp_connect"),
    # 1149 is no logon: a connection that reached the logon screen, or passed network authentication where that is asked.
    (RCM, 1149): Meaning("rdp_authenticate", "success", _PARAMS),
    (RCM, 1158): Meaning("rdp_connect", "unknown", {"address": "Param1"}),
    **{(RCM, i): Meaning("rdp_service") for i in (258, 259, 260, 1136, 1150, 1155, 1156, 20520, 20521)},
    **{(RCM, i): Meaning("session_limit", "success", {"session_id": "Session"}) for i in range(20515, 20520)},
    # Their parameters are not named in any manifest seen; they are kept as they stand.
    **{
        (RCM, i): Meaning("session_shadow")
        for i in (1146, 1147, 1148, 20503, 20504, 20506, 20507, *range(20508, 20515))
    },
    (CORE, 131): Meaning("rdp_connect", "unknown", {"address": "ClientIP"}),
    (CORE, 65): Meaning("rdp_connect"),
    (CORE, 66): Meaning("rdp_client_info", "unknown", {"session_id": "SessionID"}),
    (CORE, 98): Meaning("rdp_connect", "success"),
    (CORE, 102): Meaning("rdp_end"),
    (CORE, 103): Meaning("rdp_end"),
    (CORE, 104): Meaning("rdp_client_info", "unknown", {"client_zone": "TimezoneBiasHour"}),
    (CORE, 139): Meaning("rdp_authenticate", "failure", {"address": "IPString"}),
    (CORE, 140): Meaning("rdp_authenticate", "failure", {"address": "IPString"}),
    # Transport, channels, round trips, TLS, graphics, screen and system: what is said of the client and its line.
    **{
        (CORE, i): Meaning("rdp_client_info") for i in (130, 132, 133, 135, 137, 141, 145, 148, 153, 162, 163, 168, 169)
    },
    **{(CORE, i): Meaning("rdp_end") for i in (142, 143, 144)},
    (CORE, 146): Meaning("reconnect", "failure"),
    **{(CORE, i): Meaning("rdp_service") for i in (68, 70, 71, 72, 129, *range(226, 230))},
    (SECURITY, 4624): Meaning("logon", "success", {**_LOGGED_ON, **_FROM, "logon_type": "LogonType"}),
    (SECURITY, 4625): Meaning("logon", "failure", {**_TARGET, **_FROM, "logon_type": "LogonType"}),
    (SECURITY, 4634): Meaning("logoff", "success", {**_LOGGED_ON, "logon_type": "LogonType"}),
    (SECURITY, 4647): Meaning("logoff", "success", _LOGGED_ON),
    (SECURITY, 4648): Meaning("rdp_authenticate", "unknown", {**_TARGET, **_FROM, "logon_id": "SubjectLogonId"}),
    (SECURITY, 4672): Meaning("privileges", "success", _SUBJECT),
    (SECURITY, 4697): Meaning("service_install", "success", _SUBJECT),
    (SECURITY, 4776): Meaning(
        "rdp_authenticate", "unknown", {"user_name": "TargetUserName", "client_name": "Workstation"}, verdict="Status"
    ),
    (SECURITY, 4778): Meaning("reconnect", "success", _WINSTATION),
    (SECURITY, 4779): Meaning("disconnect", "success", _WINSTATION),
    (SECURITY, 4800): Meaning("session_lock", "success", _LOCKED),
    (SECURITY, 4801): Meaning("session_lock", "success", _LOCKED),
    (SECURITY, 4825): Meaning("logon", "failure", _DENIED),
    (SECURITY, 4616): Meaning("clock_changed", "success", _SUBJECT),
    (EVENTLOG, 1102): Meaning("log_cleared", "success", _SUBJECT),
    (EVENTLOG, 104): Meaning("log_cleared", "success", _CLEARER),
    (SCM, 7045): Meaning("service_install", "success"),
    (SCM, 7036): Meaning("service_state"),
    (SCM, 7040): Meaning("service_state"),
    # A desktop was left; often an RDP session's, but the console's too.
    (DESKTOP, 9009): Meaning("rdp_service"),
    (KERNEL, 1): Meaning("clock_changed", "success"),
    (KERNEL, 24): Meaning("server_zone"),
    (KERNEL, 12): Meaning("system_start", "success"),
    (KERNEL, 13): Meaning("system_stop", "success"),
    (CLASSIC, 6005): Meaning("system_start", "success"),
    (CLASSIC, 6006): Meaning("system_stop", "success"),
    (CLASSIC, 6013): Meaning("server_zone"),
    (CLASSIC, 6008): Meaning("system_crash", "success"),
    (MSI, 1033): Meaning("software_install"),
    (MSI, 11707): Meaning("software_install", "success"),
    **{(GATEWAY, i): Meaning("gateway_connect", "success", _GATEWAY) for i in (200, 300, 302, 312, 313)},
    **{(GATEWAY, i): Meaning("gateway_connect", "failure", _GATEWAY) for i in (201, 301, 304)},
    **{(GATEWAY, i): Meaning("gateway_disconnect", "success", _GATEWAY) for i in (202, 203, 303, 307)},
    **{(CLIENT, i): Meaning("outbound_rdp") for i in (1024, 1025, 1026, 1027, 1029, 1102, 1103, 1105)},
}

IDS: Final = frozenset(event_id for _, event_id in MEANINGS)

LOGON_TYPE_OF: Final = frozenset({(SECURITY, 4624), (SECURITY, 4625), (SECURITY, 4634)})
"""Events that carry a LogonType: those of unwanted types are skipped by that value, before anything is rendered."""

SKIPPED_LOGON_TYPES: Final = frozenset({0, 4, 5})
"""System (0), batch (4) and service (5): Windows' own, with no person and no address behind them; most of a busy Security
log. The others stay: 2 console, 7 unlock or reconnect, 9 new credentials, 10 remote, 11 to 13 cached; also 3 network, since
the network authentication of an RDP logon comes first as one, and 8, which is 3 with a password in the clear."""

NETWORK: Final = 3
"""The logon type in which WorkstationName is the client's name; in the others it is the server's own."""

RENAMED: Final[Mapping[tuple[str, int, str], str]] = {(EVENTLOG, 104, "Channel"): "cleared_channel"}
"""Fields kept in `unmapped` under another name: 104 names the log that was cleared `Channel`, as System names its own."""


def meaning_of(provider: str, event_id: int, logon_type: int | None = None) -> Meaning | None:
    """Return what an event means, None if it is not wanted."""
    meaning = MEANINGS.get((provider, event_id))
    if meaning is not None and logon_type == NETWORK and "logon_type" in meaning.columns and event_id != 4634:
        return replace(meaning, columns={**meaning.columns, "client_name": "WorkstationName"})
    return meaning
