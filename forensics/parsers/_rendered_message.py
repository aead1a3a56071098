"""Fields read out of the message that Windows rendered: some exports have nothing else of what an event says.

Terminal Services messages hold three labelled values, in one order in every language. Security messages are read by their
English labels, by section; in another language they stay a text. (Message tables of Windows 7 to 11; EVTX exports of them.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from forensics.parsers._rdp import CORE, LSM, RCM, SECURITY

if TYPE_CHECKING:
    from collections.abc import Mapping

_LABELLED: Final = re.compile("^[ \t]*+([^:\uff1a\n]{1,80})[:\uff1a]([^\n]*)", re.MULTILINE)
"""A label, its colon (a wide one in Chinese and Japanese) and its value."""
_THREE: Final[Mapping[str, tuple[str, str, str]]] = {
    LSM: ("User", "SessionID", "Address"),
    RCM: ("Param1", "Param2", "Param3"),
}
_THREE_IDS: Final = frozenset({(LSM, 21), (LSM, 22), (LSM, 23), (LSM, 24), (LSM, 25), (RCM, 1149)})
_WITHOUT_ADDRESS: Final = 2
_CLIENT: Final = re.compile(
    r"[ (]((?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.%]{2,60}\](?::[0-9]{1,5})?)(?=[.,) ]|$)"
)
ADDRESS_IDS: Final[Mapping[tuple[str, int], str]] = {
    (CORE, 131): "ClientIP",
    (CORE, 140): "IPString",
    (RCM, 1158): "Param1",
}
"""Events whose message is a sentence with an address."""
_SUBJECT: Final = {
    "Security ID": "SubjectUserSid",
    "Account Name": "SubjectUserName",
    "Account Domain": "SubjectDomainName",
    "Logon ID": "SubjectLogonId",
}
_TARGET: Final = {
    "Security ID": "TargetUserSid",
    "Account Name": "TargetUserName",
    "Account Domain": "TargetDomainName",
    "Logon ID": "TargetLogonId",
    "Logon GUID": "LogonGuid",
}
_NETWORK: Final = {
    "Workstation Name": "WorkstationName",
    "Source Network Address": "IpAddress",
    "Network Address": "IpAddress",
    "Source Port": "IpPort",
    "Port": "IpPort",
}
_DETAIL: Final = {
    "Logon Process": "LogonProcessName",
    "Authentication Package": "AuthenticationPackageName",
    "Transited Services": "TransmittedServices",
    "Package Name (NTLM only)": "LmPackageName",
    "Key Length": "KeyLength",
}
_SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "Subject": _SUBJECT,
    "New Logon": _TARGET,
    "Account For Which Logon Failed": _TARGET,
    "Account Whose Credentials Were Used": _TARGET,
    "Network Information": _NETWORK,
    "Detailed Authentication Information": _DETAIL,
    "Failure Information": {"Status": "Status", "Sub Status": "SubStatus", "Failure Reason": "FailureReason"},
    "Process Information": {"Process Name": "ProcessName", "Caller Process Name": "ProcessName"},
    "Additional Information": {"Client Name": "ClientName", "Client Address": "ClientAddress"},
    "Session": {"Session Name": "SessionName", "Session ID": "SessionId"},
}
_ANYWHERE: Final = {
    "Logon Type": "LogonType",
    "Logon Account": "TargetUserName",
    "Source Workstation": "Workstation",
    "Error Code": "Status",
}
_ITS_OWN: Final[Mapping[int, Mapping[str, str]]] = {
    # The one account of these events is called Subject in the text and Target in the fields.
    **{
        number: {
            "Security ID": "TargetUserSid",
            "Account Name": "TargetUserName",
            "Account Domain": "TargetDomainName",
            "Logon ID": "TargetLogonId",
        }
        for number in (4634, 4647, 4800, 4801)
    },
    **{
        number: {"Account Name": "AccountName", "Account Domain": "AccountDomain", "Logon ID": "LogonID"}
        for number in (4778, 4779, 4825)
    },
}


def _labelled(message: str) -> list[tuple[str, str]]:
    return [(label.strip(), value.strip()) for label, value in _LABELLED.findall(message.replace("\r", ""))]


def fields_of(provider: str, event_id: int, message: str) -> dict[str, str]:
    """Return the event's own fields as its message shows them; empty where it is not known how to read it."""
    if (provider, event_id) in _THREE_IDS:
        # The first line is the sentence; it may end with a colon itself.
        values = [value for _, value in _labelled(message.partition("\n")[2])]
        names = _THREE[provider]
        if len(values) == len(names) or (event_id == 23 and len(values) == _WITHOUT_ADDRESS):
            return {name: value for name, value in zip(names, values, strict=False) if value}
        return {}
    if (provider, event_id) in ADDRESS_IDS:
        found = _CLIENT.findall(message)
        return {ADDRESS_IDS[provider, event_id]: found[0]} if len(found) == 1 else {}
    return _security(event_id, message) if provider == SECURITY else {}


def _security(event_id: int, message: str) -> dict[str, str]:
    named: dict[str, str] = {}
    section: Mapping[str, str] = {}
    for label, value in _labelled(message):
        if not value:
            section = _SECTIONS.get(label, {})
            if label == "Subject":
                section = _ITS_OWN.get(event_id, section)
            continue
        name = section.get(label) or _ANYWHERE.get(label)
        if name:
            named.setdefault(name, value)
    return named
