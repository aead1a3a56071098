"""Which Windows events are wanted, and what their fields mean: one table, by provider and event id.

Fields are the provider manifests' (Windows 7 to 10) and the event samples'. A line says the action, the outcome, which
fields fill which columns, and which others are kept in `unmapped`; `*` keeps all. What is not here is never rendered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one event means. `columns` maps a column to the field that fills it; see `_evtx_rows` for the virtual ones."""

    action: str
    outcome: str = "unknown"
    columns: Mapping[str, str] = field(default_factory=dict)
    rest: tuple[str, ...] = ("*",)


def _lsm(action: str, outcome: str = "success") -> Meaning:
    return Meaning(action, outcome, {"account": "User", "session_id": "SessionID", "address": "Address"})


def _core(action: str, outcome: str = "unknown", **columns: str) -> Meaning:
    return Meaning(action, outcome, columns)


_SUBJECT: Final = {"user_name": "SubjectUserName", "user_domain": "SubjectDomainName", "logon_id": "SubjectLogonId"}
_TARGET: Final = {"user_name": "TargetUserName", "user_domain": "TargetDomainName"}
_LOGON: Final = {
    **_TARGET,
    "logon_type": "LogonType",
    "address": "IpAddress",
    "source_port": "IpPort",
    "client_name": "WorkstationName",
}
_WINSTATION: Final = {
    "user_name": "AccountName",
    "user_domain": "AccountDomain",
    "logon_id": "LogonID",
    "client_name": "ClientName",
    "address": "ClientAddress",
}
_GATEWAY: Final = {"account": "Username", "address": "IpAddress"}
_PARAMS: Final = {"user_name": "Param1", "user_domain": "Param2", "address": "Param3"}
_LOGON_REST: Final = (
    "LogonProcessName",
    "AuthenticationPackageName",
    "ProcessName",
    "RestrictedAdminMode",
    "SubjectUserName",
    "TargetUserSid",
)

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
    (RCM, 261): Meaning("rdp_connect"),
    (RCM, 1149): Meaning("rdp_authenticate", "success", _PARAMS),
    (RCM, 1158): Meaning("rdp_connect", "unknown", {"address": "Param1"}),
    (CORE, 131): _core("rdp_connect", address="ClientIP"),
    (CORE, 65): _core("rdp_connect"),
    (CORE, 66): _core("rdp_client_info", session_id="SessionID"),
    (CORE, 98): _core("rdp_connect", "success"),
    (CORE, 102): _core("rdp_end"),
    (CORE, 103): _core("rdp_end"),
    (CORE, 104): _core("rdp_client_info", client_zone="TimezoneBiasHour"),
    (CORE, 139): _core("rdp_authenticate", "failure", address="IPString"),
    (CORE, 140): _core("rdp_authenticate", "failure", address="IPString"),
    (CORE, 162): _core("rdp_client_info"),
    (CORE, 168): _core("rdp_client_info"),
    (CORE, 169): _core("rdp_client_info"),
    (SECURITY, 4624): Meaning("logon", "success", {**_LOGON, "logon_id": "TargetLogonId"}, _LOGON_REST),
    (SECURITY, 4625): Meaning("logon", "failure", _LOGON, (*_LOGON_REST, "Status", "SubStatus", "FailureReason")),
    (SECURITY, 4634): Meaning(
        "logoff", "success", {**_TARGET, "logon_id": "TargetLogonId", "logon_type": "LogonType"}, ()
    ),
    (SECURITY, 4647): Meaning("logoff", "success", {**_TARGET, "logon_id": "TargetLogonId"}, ()),
    (SECURITY, 4648): Meaning(
        "rdp_authenticate",
        "unknown",
        {**_TARGET, "logon_id": "SubjectLogonId", "address": "IpAddress", "source_port": "IpPort"},
    ),
    (SECURITY, 4672): Meaning("privileges", "success", _SUBJECT, ()),
    (SECURITY, 4697): Meaning("service_install", "success", _SUBJECT),
    (SECURITY, 4776): Meaning(
        "rdp_authenticate", "unknown", {"user_name": "TargetUserName", "client_name": "Workstation"}
    ),
    (SECURITY, 4778): Meaning("reconnect", "success", _WINSTATION),
    (SECURITY, 4779): Meaning("disconnect", "success", _WINSTATION),
    (SECURITY, 4800): Meaning(
        "session_lock", "success", {**_TARGET, "logon_id": "TargetLogonId", "session_id": "SessionId"}
    ),
    (SECURITY, 4801): Meaning(
        "session_lock", "success", {**_TARGET, "logon_id": "TargetLogonId", "session_id": "SessionId"}
    ),
    (SECURITY, 4825): Meaning("logon", "failure", {k: v for k, v in _WINSTATION.items() if k != "client_name"}),
    (SECURITY, 4616): Meaning("clock_changed", "success", _SUBJECT),
    (EVENTLOG, 1102): Meaning("log_cleared", "success", _SUBJECT),
    (EVENTLOG, 104): Meaning(
        "log_cleared", "success", {"user_name": "SubjectUserName", "user_domain": "SubjectDomainName"}
    ),
    (SCM, 7045): Meaning("service_install", "success"),
    (SCM, 7036): Meaning("service_state"),
    (KERNEL, 1): Meaning("clock_changed", "success"),
    (KERNEL, 12): Meaning("system_start", "success"),
    (KERNEL, 13): Meaning("system_stop", "success"),
    (CLASSIC, 6005): Meaning("system_start", "success"),
    (CLASSIC, 6006): Meaning("system_stop", "success"),
    (CLASSIC, 6008): Meaning("system_crash", "success"),
    (MSI, 1033): Meaning("software_install"),
    (MSI, 11707): Meaning("software_install", "success"),
    **{(GATEWAY, i): Meaning("gateway_connect", "success", _GATEWAY) for i in (200, 300, 302, 312, 313)},
    **{(GATEWAY, i): Meaning("gateway_connect", "failure", _GATEWAY) for i in (201, 301, 304)},
    **{(GATEWAY, i): Meaning("gateway_disconnect", "success", _GATEWAY) for i in (202, 203, 303, 307)},
    **{(CLIENT, i): Meaning("outbound_rdp") for i in (1024, 1025, 1026, 1027, 1029, 1102, 1103, 1105)},
}

IDS: Final = frozenset(event_id for _, event_id in MEANINGS)

SKIPPED_LOGON_TYPES: Final = frozenset({0, 4, 5})
"""System (0), batch (4) and service (5) logons: no person and no address; told from the record's bytes and skipped. Type 3
is kept, since network authentication of RDP comes first as one."""

LOGON_TYPE_OF: Final = frozenset({(SECURITY, 4624), (SECURITY, 4625), (SECURITY, 4634)})
