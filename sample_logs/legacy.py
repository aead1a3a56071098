"""A Server 2003 as it might have logged an operator: a sample of the format (synthetic), not of the case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from evt_writer import LegacyEvent, write_evt

COMPUTER: Final = "SYNTH2003"
_START: Final = datetime(2009, 3, 2, 8, 0, tzinfo=UTC)
_LOGON: Final = "(0x0,0x3F2A1)"
# Addresses of RFC 5737: nobody's.
_FROM, _LATER, _GUESSER = "198.51.100.20", "203.0.113.7", "192.0.2.66"


def _at(seconds: int, number: int, *strings: str, source: str = "Security", failed: bool = False) -> LegacyEvent:
    return LegacyEvent(_START + timedelta(seconds=seconds), source, number, strings, failed)


def _refused(seconds: int, name: str) -> LegacyEvent:
    strings = (
        name, COMPUTER, "10", "User32  ", "Negotiate", COMPUTER, f"{COMPUTER}$", "SYNTHETIC", "(0x0,0x3E7)", "412", "-",
        _GUESSER, "4120",
    )  # fmt: skip
    return _at(seconds, 529, *strings, failed=True)


def legacy_events() -> list[LegacyEvent]:
    """Return the events in order: guesses, a logon from one address, taken up from another, logoff, log cleared."""
    logon = (
        "Administrator", COMPUTER, _LOGON, "10", "User32  ", "Negotiate", COMPUTER, "-", f"{COMPUTER}$", "SYNTHETIC",
        "(0x0,0x3E7)", "412", "-", _FROM, "3389",
    )  # fmt: skip
    winstation = ("Administrator", COMPUTER, _LOGON, "RDP-Tcp#5", "SYNTH-CLIENT")
    return [
        _at(0, 6005, source="EventLog"),
        *(_refused(60 + 2 * turn, name) for turn, name in enumerate(("admin", "test", "guest", "Administrator"))),
        _at(600, 528, *logon),
        _at(600, 576, "Administrator", COMPUTER, _LOGON, "SeSecurityPrivilege SeBackupPrivilege"),
        _at(602, 680, "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0", "Administrator", COMPUTER, "0x0"),
        _at(1500, 683, *winstation, _FROM),
        _at(1900, 682, *winstation[:3], "RDP-Tcp#6", "SYNTH-CLIENT", _LATER),
        _at(2400, 7036, "Synthetic Service", "running", source="Service Control Manager"),
        _at(3000, 517, "SYSTEM", "NT AUTHORITY", "(0x0,0x3E7)", "Administrator", COMPUTER, _LOGON),
        _at(3600, 551, "Administrator", COMPUTER, _LOGON),
        _at(3602, 538, "Administrator", COMPUTER, _LOGON, "10"),
        _at(4000, 6006, source="EventLog"),
    ]


def legacy_logs() -> dict[str, bytes]:
    """File name to content."""
    return {"SecEvent.Evt": write_evt(legacy_events(), COMPUTER, dirty=True)}
