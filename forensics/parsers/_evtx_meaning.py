"""What the texts of event fields mean: accounts, addresses with ports, zones in brackets, numbers in hexadecimal.

Each reader turns the text of one field into the columns it fills, None where there is nothing. The columnar path calls
them once a distinct text, the exact path once a record, so both mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.parsers._address import source_ip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Cells = tuple[str | int | None, ...]

_NOTHING: Final = frozenset({"", "-"})
_MOST_DIGITS: Final = 20
_UNSPECIFIED: Final = frozenset({"::", "0.0.0.0"})  # noqa: S104  # read, not bound to
_MOST_OFFSET: Final = 14
"""Hours; the zone farthest from UTC is +14:00."""


def present(text: str) -> str | None:
    """Return a text that says something: Windows writes `-` for nothing."""
    return None if text in _NOTHING else text


def account(text: str) -> tuple[str | None, str | None]:
    r"""Split `DOMAIN\name`."""
    domain, _, name = text.rpartition("\\")
    return present(name), present(domain)


def address(text: str) -> tuple[str | None, str | None, int | None]:
    """Read an address, alone or with its port: `10.0.2.16:52202`, `[10.0.2.16]:59407` (RdpCoreTS 131, Gateway 312).

    LOCAL in any language (`YEREL`) is no address; nor is the unspecified one, which a tunnel leaves (`::%16777216`).
    """
    host, port = _split_port(text)
    found = source_ip(host)
    return present(text), None if found in _UNSPECIFIED else found, port


def _split_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    single = (host[:1] == "[" and host[-1:] == "]") or ":" not in host
    number = integer(port, 1 << 16) if colon and host and single else None
    return (text, None) if number is None else (host, number)


def client_zone(text: str) -> str | None:
    """RdpCoreTS 104 writes whole hours from UTC in brackets, `[9]` or `[-7]`; half an hour cannot be shown."""
    hours = text.strip("[]")
    number = integer(hours.removeprefix("-"), _MOST_OFFSET + 1)
    if number is None:
        return present(text)
    return f"{'-' if hours[:1] == '-' else '+'}{number:02d}:00"


def hexadecimal(text: str) -> str | None:
    """Return a logon id as `0x3e7`, without leading zeros; id 0 is none."""
    number = integer(text, 1 << 64)
    return present(text) if number is None else hex(number) if number else None


def integer(text: str, limit: int) -> int | None:
    """Return a number written in digits, or in hexadecimal behind `0x`, below a limit; None for any other text."""
    if not text.isascii() or len(text) > _MOST_DIGITS:
        return None
    if not text.isalnum():
        return None
    try:
        number = int(text, 16 if text[:2] == "0x" else 10)
    except ValueError:
        return None
    return number if number < limit else None


def guid(text: str) -> str | None:
    """Return a GUID in lower case without braces."""
    return text.strip("{}").lower() or None


def outcome(text: str) -> str:
    """Return what a status says: 0 is success (NTSTATUS)."""
    return "success" if integer(text, 1 << 64) == 0 else "failure"


READERS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str], Cells]]]] = {
    "account": (("user_name", "user_domain"), account),
    "address": (("source_address", "source_ip", "source_port"), address),
    "client_name": (("client_name",), lambda text: (present(text),)),
    "client_zone": (("client_zone",), lambda text: (client_zone(text),)),
    "logon_id": (("logon_id",), lambda text: (hexadecimal(text),)),
    "logon_type": (("logon_type",), lambda text: (integer(text, 1 << 31),)),
    "session_id": (("session_id",), lambda text: (integer(text, 1 << 63),)),
    "source_port": (("source_port",), lambda text: (integer(text, 1 << 16),)),
    "user_domain": (("user_domain",), lambda text: (present(text),)),
    "user_name": (("user_name",), lambda text: (present(text),)),
}
"""For each column of a meaning: the columns it fills, and the reader of its text."""

NUMBERS: Final = frozenset({"logon_type", "session_id", "source_port"})
"""Columns of a meaning that hold numbers: a text that is none (and not `-`) stays in `unmapped`."""

NOT_KEPT: Final = frozenset({"Binary"})
"""The bytes of classic events that repeat their texts in another form; the locator leads to them."""


def kept(name: str, text: str) -> str | None:
    """Return what `unmapped` keeps of a field; LogonProcessName is padded with a space."""
    return (text.rstrip(" ") if name == "LogonProcessName" else text) or None
