r"""Events of Windows 2000, XP and Server 2003: what their positional strings are, and which event of today each is.

Microsoft's event texts of Windows Server 2003 (5.2) name the strings by place (%1, %2 …); Vista added 4,096 to most numbers
and named the fields. Source *and* number decide: EventSystem writes a 4625 of its own, which is no refused logon. Windows
2000 writes fewer strings (no source address before 2003) and logs a Terminal Services logon as type 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.parsers._rdp import CLASSIC, EVENTLOG, MSI, SCM, SECURITY

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Legacy:
    """One event: provider and number of its successor, and the successor's field for each string, in their order."""

    provider: str
    event_id: int
    fields: tuple[str, ...]
    channel: str


def _security(event_id: int, fields: str) -> Legacy:
    return Legacy(SECURITY, event_id, tuple(fields.split()), "Security")


_CALLER: Final = "SubjectUserName SubjectDomainName SubjectLogonId ProcessId TransmittedServices IpAddress IpPort"
_LOGON: Final = (
    "TargetUserName TargetDomainName TargetLogonId LogonType LogonProcessName AuthenticationPackageName WorkstationName LogonGuid "
    + _CALLER
)
_REFUSED: Final = (
    "TargetUserName TargetDomainName LogonType LogonProcessName AuthenticationPackageName WorkstationName " + _CALLER
)
_WINSTATION: Final = "AccountName AccountDomain LogonID SessionName ClientName ClientAddress"
_CLEARED: Final = "PrimaryUserName PrimaryDomainName PrimaryLogonId SubjectUserName SubjectDomainName SubjectLogonId"
_EXPLICIT: Final = (
    "SubjectUserName SubjectDomainName SubjectLogonId LogonGuid TargetUserName TargetDomainName TargetLogonGuid "
    "TargetServerName TargetInfo ProcessId IpAddress IpPort"
)

LEGACY: Final[Mapping[tuple[str, int], Legacy]] = {
    ("Security", 528): _security(4624, _LOGON),
    ("Security", 540): _security(4624, _LOGON),
    **{
        ("Security", number): _security(4625, _REFUSED) for number in (529, 530, 531, 532, 533, 534, 535, 536, 537, 539)
    },
    ("Security", 538): _security(4634, "TargetUserName TargetDomainName TargetLogonId LogonType"),
    ("Security", 551): _security(4647, "TargetUserName TargetDomainName TargetLogonId"),
    ("Security", 552): _security(4648, _EXPLICIT),
    ("Security", 576): _security(4672, "SubjectUserName SubjectDomainName SubjectLogonId PrivilegeList"),
    ("Security", 680): _security(4776, "PackageName TargetUserName Workstation Status"),
    ("Security", 682): _security(4778, _WINSTATION),
    ("Security", 683): _security(4779, _WINSTATION),
    ("Security", 517): Legacy(EVENTLOG, 1102, tuple(_CLEARED.split()), "Security"),
    ("Security", 520): _security(4616, ""),
    ("EventLog", 6005): Legacy(CLASSIC, 6005, (), "System"),
    ("EventLog", 6006): Legacy(CLASSIC, 6006, (), "System"),
    ("EventLog", 6008): Legacy(CLASSIC, 6008, (), "System"),
    ("EventLog", 6013): Legacy(CLASSIC, 6013, (), "System"),
    ("Service Control Manager", 7036): Legacy(SCM, 7036, ("param1", "param2"), "System"),
    ("Service Control Manager", 7040): Legacy(SCM, 7040, ("param1", "param2", "param3", "param4"), "System"),
    ("MsiInstaller", 1033): Legacy(MSI, 1033, (), "Application"),
    ("MsiInstaller", 11707): Legacy(MSI, 11707, (), "Application"),
}
"""By source and number. The strings of 520 are kept without names: Microsoft's text for them was not at hand."""

NUMBERS: Final = frozenset(number for _, number in LEGACY)

LOGON_IDS: Final = frozenset({"TargetLogonId", "SubjectLogonId", "LogonID", "PrimaryLogonId"})
"""Fields written as two halves, `(0x0,0x3E7)`."""


def named(legacy: Legacy, strings: list[str]) -> dict[str, str]:
    """Return the strings of an event by the names of today; those without one are `Data`, `Data#2` and so on."""
    out = dict(zip(legacy.fields, strings, strict=False))
    for number in range(len(legacy.fields) + 1, len(strings) + 1):
        out["Data" if number == 1 else f"Data#{number}"] = strings[number - 1]
    for name in LOGON_IDS & out.keys():
        out[name] = logon_id(out[name])
    return out


def logon_id(text: str) -> str:
    """Return `(0x0,0x3E7)` as `0x3e7`, the high half above the low one; any other text as it is."""
    high, comma, low = text.strip().removeprefix("(").removesuffix(")").partition(",")
    try:
        return hex(int(high, 16) << 32 | int(low, 16)) if comma and len(text) < 32 else text
    except ValueError:
        return text
