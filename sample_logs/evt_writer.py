"""Write legacy event logs (.evt) as Windows Server 2003 does: header, records, end mark (EVENTLOGRECORD of the Windows SDK)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_HEADER: Final = 48
_FIXED: Final = struct.Struct("<I4s4I4H6I")
_AUDIT_SUCCESS: Final = 8
_AUDIT_FAILURE: Final = 16


@dataclass(frozen=True, slots=True)
class LegacyEvent:
    """One event: when, of which source and number, with which strings."""

    time: datetime
    source: str
    number: int
    strings: tuple[str, ...]
    failed: bool = False


def record(event: LegacyEvent, number: int, computer: str) -> bytes:
    """Return the bytes of one record."""
    names = b"".join(f"{text}\0".encode("utf-16-le") for text in (event.source, computer))
    texts = b"".join(f"{text}\0".encode("utf-16-le") for text in event.strings)
    strings_at = _FIXED.size + len(names)
    size = strings_at + len(texts)
    padding = -size % 4
    size += padding + 4
    when = int(event.time.timestamp())
    kind = _AUDIT_FAILURE if event.failed else _AUDIT_SUCCESS
    fixed = _FIXED.pack(
        size, b"LfLe", number, when, when, event.number, kind, len(event.strings), 2, 0, 0, strings_at, 0, strings_at,
        0, strings_at + len(texts),
    )  # fmt: skip
    return fixed + names + texts + bytes(padding) + struct.pack("<I", size)


def write_evt(events: Sequence[LegacyEvent], computer: str, *, dirty: bool = False) -> bytes:
    """Return a whole log; a dirty one has a header that was never brought up to date, as after a power cut."""
    records = [record(event, number, computer) for number, event in enumerate(events, 1)]
    body = b"".join(records)
    end, following = _HEADER + len(body), len(records) + 1
    known = (_HEADER, 1, 0) if dirty else (end, following, 1 if records else 0)
    header = struct.pack(
        "<I4s10I", _HEADER, b"LfLe", 1, 1, _HEADER, known[0], known[1], known[2], 1 << 19, 9 if dirty else 8, 604800, _HEADER
    )  # fmt: skip
    mark = struct.pack(
        "<10I", 0x28, 0x11111111, 0x22222222, 0x33333333, 0x44444444, _HEADER, end, following, 1 if records else 0, 0x28
    )
    return header + body + mark
