"""Which field of a pattern fills which column, where several could: what `_valve_rows` decides a row at a time, said once.

The first time is the event's, milliseconds of their own are added to it, later times are kept as text; the TCP peer, else
the first address, is the source; the first of two equal headers and of two durations counts, the last of two sizes.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from forensics.parsers._proxies import is_claim
from forensics.parsers._valve_rows import HEADERS, PEER, adds_milliseconds, keep, reader_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forensics.parsers._valve import Field


class Role(Enum):
    """What a field is good for."""

    FILLS = "fills"
    ADDS = "adds"  # milliseconds to the time
    KEPT = "kept"  # as text, under its own name
    CHECKED = "checked"  # a later field fills its column


_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "a": frozenset({"source_ip"}),
    "h": frozenset({"source_ip"}),
    "t": frozenset({"time"}),
    "T": frozenset({"duration_us"}),
    "r": frozenset({"http_request_method", "url_path", "http_version"}),
    "uri": frozenset({"url_path"}),
    "U": frozenset({"url_path"}),
    "Uq": frozenset({"url_path", "url_query"}),
    "q": frozenset({"url_query"}),
    "query": frozenset({"url_query"}),
    "m": frozenset({"http_request_method"}),
    "H": frozenset({"http_version"}),
    "s": frozenset({"http_response_status_code"}),
    "b": frozenset({"http_response_bytes"}),
    "B": frozenset({"http_response_bytes"}),
    "u": frozenset({"user_name"}),
    "v": frozenset({"host_name"}),
}


def columns_of(field: Field) -> frozenset[str]:
    """Return the columns that nothing but this field may fill."""
    if field.letter == "i":
        column = HEADERS.get(field.key.lower())
        return frozenset({column}) if column else frozenset()
    return frozenset() if reader_of(field) is keep else _COLUMNS.get(field.letter, frozenset())


def roles_of(fields: Sequence[Field], proxies: str) -> tuple[Role, ...] | None:
    """Return the role of each field; None if that depends on a row's values.

    Fields that are kept must have names of their own.
    """
    if proxies and any(is_claim(field) for field in fields):
        return None
    roles = [Role.FILLS] * len(fields)
    by_column: dict[str, list[int]] = {}
    for number, field in enumerate(fields):
        for column in columns_of(field):
            by_column.setdefault(column, []).append(number)
    for column, numbers in by_column.items():
        if len(numbers) > 1 and not _share(column, numbers, fields, roles, proxies):
            return None
    kept = [f.name for f, role in zip(fields, roles, strict=True) if role is Role.KEPT or reader_of(f) is keep]
    return tuple(roles) if len(set(kept)) == len(kept) else None


def _share(column: str, numbers: Sequence[int], fields: Sequence[Field], roles: list[Role], proxies: str) -> bool:
    """Give roles to fields of one column; False where a row's values decide."""
    first, *later = numbers
    if column == "time":
        for number in later:
            roles[number] = Role.ADDS if adds_milliseconds(fields[first], fields[number]) else Role.KEPT
        return roles.count(Role.ADDS) < 2
    if column == "source_ip":
        peers = [number for number in numbers if fields[number].key == PEER]
        for number in numbers:
            roles[number] = Role.FILLS if number == (peers or numbers)[0] else Role.KEPT
        return not proxies
    if column in {"duration_us", "http_request_referrer", "user_agent_original"}:
        for number in later:
            roles[number] = Role.KEPT
        return True
    if column == "http_response_bytes":
        for number in numbers[:-1]:
            roles[number] = Role.CHECKED
        return True
    return False
