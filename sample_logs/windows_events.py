"""The Windows events of the story, one function each, with the fields and types of the real providers.

Field names and values follow the provider manifests and real samples (Windows Server 2012 R2: Security 4624 has
version 1, Terminal Services events carry UserData).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from evtx_event import Event, Field, Type
from story import ACCOUNT, ACCOUNT_SID, CLIENT_NAME, HOST

if TYPE_CHECKING:
    from datetime import datetime

LSM: Final = "Microsoft-Windows-TerminalServices-LocalSessionManager"
RCM: Final = "Microsoft-Windows-TerminalServices-RemoteConnectionManager"
CORE: Final = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"
_GUIDS: Final = {
    LSM: "5d896912-022d-40aa-a3a8-4fa5515c76d7",
    RCM: "c76baa63-ae81-421c-b425-340b4b24157f",
    CORE: "1139c61b-b549-4251-8ed3-27250a1edec8",
}
_LSASS, _SERVICES, _WINLOGON = 0x210, 0x208, 0x9F4
_NULL_GUID: Final = "00000000-0000-0000-0000-000000000000"
_SUCCESS, _FAILURE = 0x8020000000000000, 0x8010000000000000
_TASKS: Final = {4624: 12544, 4625: 12544, 4634: 12545, 4647: 12545, 4648: 12544, 4672: 12548, 4776: 14336}
_PRIVILEGE_NAMES: Final = (
    *("Security", "TakeOwnership", "LoadDriver", "Backup"),
    *("Restore", "Debug", "SystemEnvironment", "Impersonate"),
)
_PRIVILEGES: Final = "\r\n\t\t\t".join(f"Se{name}Privilege" for name in _PRIVILEGE_NAMES)
_CORE_OPCODES: Final = {131: 15, 65: 13, 66: 13, 102: 17, 103: 17, 104: 15, 98: 15, 132: 15, 169: 19}


def text(name: str, value: str) -> Field:
    """A string field."""
    return (name, Type.STRING, value)


def number(name: str, value: int) -> Field:
    """An unsigned 32-bit field."""
    return (name, Type.UINT32, value)


def _logon_id(name: str, value: int) -> Field:
    return (name, Type.HEX64, value)


def local_session(event_id: int, time: datetime, *fields: Field, activity: str | None) -> Event:
    """LocalSessionManager/Operational: 21, 22, 23, 24, 25, 40, 41, 42."""
    return Event(
        provider=LSM,
        provider_guid=_GUIDS[LSM],
        event_id=event_id,
        time=time,
        channel=f"{LSM}/Operational",
        computer=HOST,
        keywords=0x1000000000000000,
        activity_id=activity,
        process_id=732,
        thread_id=1500 + event_id * 4,
        user_sid="S-1-5-18",
        shape="event_xml",
        fields=fields,
    )


def remote_connection(event_id: int, time: datetime, *fields: Field, activity: str) -> Event:
    """RemoteConnectionManager/Operational: 261 listener, 1149 user known."""
    event = local_session(event_id, time, *fields, activity=activity)
    return replace(
        event,
        provider=RCM,
        provider_guid=_GUIDS[RCM],
        channel=f"{RCM}/Operational",
        process_id=1044,
        thread_id=2216,
        user_sid="S-1-5-20",
    )


def rdp_core(event_id: int, time: datetime, *fields: Field, activity: str) -> Event:
    """RdpCoreTS/Operational; all events of one TCP connection share the activity."""
    return Event(
        provider=CORE,
        provider_guid=_GUIDS[CORE],
        event_id=event_id,
        time=time,
        channel=f"{CORE}/Operational",
        computer=HOST,
        level=3 if event_id == 140 else 4,
        task=4,
        opcode=_CORE_OPCODES.get(event_id, 11),
        keywords=0x4000000000000000,
        activity_id=activity,
        process_id=1044,
        thread_id=2300 + event_id * 4,
        user_sid="S-1-5-20",
        fields=fields,
    )


def security(event_id: int, time: datetime, *fields: Field, failed: bool = False, version: int = 0) -> Event:
    """A Security audit record."""
    return Event(
        provider="Microsoft-Windows-Security-Auditing",
        provider_guid="54849625-5478-4994-a5ba-3e3b0328c30d",
        event_id=event_id,
        time=time,
        channel="Security",
        computer=HOST,
        version=version,
        level=0,
        task=_TASKS.get(event_id, 12551),
        keywords=_FAILURE if failed else _SUCCESS,
        process_id=_LSASS,
        thread_id=596 + event_id % 7 * 24,
        fields=fields,
    )


def logon(time: datetime, logon_type: int, logon_id: int, source_ip: str) -> Event:
    """4624 of the operator's account: 3 is network level authentication, 10 the desktop, 7 the return to a session."""
    network = logon_type == 3
    address, port = ("-", "-") if logon_type == 7 else (source_ip, "0")
    return security(
        4624,
        time,
        ("SubjectUserSid", Type.SID, "S-1-0-0" if network else "S-1-5-18"),
        text("SubjectUserName", "-" if network else f"{HOST}$"),
        text("SubjectDomainName", "-" if network else "WORKGROUP"),
        _logon_id("SubjectLogonId", 0 if network else 0x3E7),
        ("TargetUserSid", Type.SID, ACCOUNT_SID),
        text("TargetUserName", ACCOUNT),
        text("TargetDomainName", HOST),
        _logon_id("TargetLogonId", logon_id),
        number("LogonType", logon_type),
        text("LogonProcessName", "NtLmSsp " if network else "User32 "),
        text("AuthenticationPackageName", "NTLM" if network else "Negotiate"),
        text("WorkstationName", CLIENT_NAME if network else HOST),
        ("LogonGuid", Type.GUID, _NULL_GUID),
        text("TransmittedServices", "-"),
        text("LmPackageName", "NTLM V2" if network else "-"),
        number("KeyLength", 128 if network else 0),
        ("ProcessId", Type.SIZE_T, 0 if network else _WINLOGON),
        text("ProcessName", "-" if network else r"C:\Windows\System32\winlogon.exe"),
        text("IpAddress", address),
        text("IpPort", port),
        text("ImpersonationLevel", "%%1833"),
        version=1,
    )


def service_logon(time: datetime) -> Event:
    """4624 type 5 of the system itself: everyday records without an address."""
    return security(
        4624,
        time,
        ("SubjectUserSid", Type.SID, "S-1-5-18"),
        text("SubjectUserName", f"{HOST}$"),
        text("SubjectDomainName", "WORKGROUP"),
        _logon_id("SubjectLogonId", 0x3E7),
        ("TargetUserSid", Type.SID, "S-1-5-18"),
        text("TargetUserName", "SYSTEM"),
        text("TargetDomainName", "NT AUTHORITY"),
        _logon_id("TargetLogonId", 0x3E7),
        number("LogonType", 5),
        text("LogonProcessName", "Advapi  "),
        text("AuthenticationPackageName", "Negotiate"),
        text("WorkstationName", ""),
        ("LogonGuid", Type.GUID, _NULL_GUID),
        text("TransmittedServices", "-"),
        text("LmPackageName", "-"),
        number("KeyLength", 0),
        ("ProcessId", Type.SIZE_T, _SERVICES),
        text("ProcessName", r"C:\Windows\System32\services.exe"),
        text("IpAddress", "-"),
        text("IpPort", "-"),
        text("ImpersonationLevel", "%%1833"),
        version=1,
    )


def failed_logon(time: datetime, user: str, workstation: str, source_ip: str, *, known: bool) -> Event:
    """4625 under network level authentication: type 3, wrong password (known user) or no such user."""
    return security(
        4625,
        time,
        ("SubjectUserSid", Type.SID, "S-1-0-0"),
        text("SubjectUserName", "-"),
        text("SubjectDomainName", "-"),
        _logon_id("SubjectLogonId", 0),
        ("TargetUserSid", Type.SID, "S-1-0-0"),
        text("TargetUserName", user),
        text("TargetDomainName", ""),
        ("Status", Type.HEX32, 0xC000006D),
        text("FailureReason", "%%2313"),
        ("SubStatus", Type.HEX32, 0xC000006A if known else 0xC0000064),
        number("LogonType", 3),
        text("LogonProcessName", "NtLmSsp "),
        text("AuthenticationPackageName", "NTLM"),
        text("WorkstationName", workstation),
        text("TransmittedServices", "-"),
        text("LmPackageName", "-"),
        number("KeyLength", 0),
        ("ProcessId", Type.SIZE_T, 0),
        text("ProcessName", "-"),
        text("IpAddress", source_ip),
        text("IpPort", "0"),
        failed=True,
    )


def credential_check(time: datetime, user: str, workstation: str, status: int) -> Event:
    """4776: the NTLM check behind a network logon; it names the client machine, not its address."""
    return security(
        4776,
        time,
        text("PackageName", "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"),
        text("TargetUserName", user),
        text("Workstation", workstation),
        ("Status", Type.HEX32, status),
        failed=status != 0,
    )


def explicit_credentials(time: datetime) -> Event:
    """4648: winlogon uses the credentials that came with the connection."""
    return security(
        4648,
        time,
        ("SubjectUserSid", Type.SID, "S-1-5-18"),
        text("SubjectUserName", f"{HOST}$"),
        text("SubjectDomainName", "WORKGROUP"),
        _logon_id("SubjectLogonId", 0x3E7),
        ("LogonGuid", Type.GUID, _NULL_GUID),
        text("TargetUserName", ACCOUNT),
        text("TargetDomainName", HOST),
        ("TargetLogonGuid", Type.GUID, _NULL_GUID),
        text("TargetServerName", "localhost"),
        text("TargetInfo", "localhost"),
        ("ProcessId", Type.SIZE_T, _WINLOGON),
        text("ProcessName", r"C:\Windows\System32\winlogon.exe"),
        text("IpAddress", "127.0.0.1"),
        text("IpPort", "0"),
    )


def special_privileges(time: datetime, logon_id: int) -> Event:
    """4672: the logon has administrator's rights."""
    return security(
        4672,
        time,
        ("SubjectUserSid", Type.SID, ACCOUNT_SID),
        text("SubjectUserName", ACCOUNT),
        text("SubjectDomainName", HOST),
        _logon_id("SubjectLogonId", logon_id),
        text("PrivilegeList", _PRIVILEGES),
    )


def logoff(time: datetime, logon_id: int, logon_type: int | None) -> Event:
    """4634 with the logon type, or 4647 (the user's own act) without."""
    fields = [
        ("TargetUserSid", Type.SID, ACCOUNT_SID),
        text("TargetUserName", ACCOUNT),
        text("TargetDomainName", HOST),
        _logon_id("TargetLogonId", logon_id),
    ]
    if logon_type is None:
        return security(4647, time, *fields)
    return security(4634, time, *fields, number("LogonType", logon_type))


def session_change(event_id: int, time: datetime, logon_id: int, connection_name: str, source_ip: str) -> Event:
    """4778 session reconnected, 4779 disconnected: they carry the client's machine name."""
    return security(
        event_id,
        time,
        text("AccountName", ACCOUNT),
        text("AccountDomain", HOST),
        _logon_id("LogonID", logon_id),
        text("SessionName", connection_name),
        text("ClientName", CLIENT_NAME),
        text("ClientAddress", source_ip),
    )
