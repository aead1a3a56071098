"""One record of a legacy event log: EVENTLOGRECORD of the Windows SDK (winnt.h), and its row of the events table."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from forensics.instants import SECOND_US, iso
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.parsers._evt_events import LEGACY, named
from forensics.parsers._evtx_exact import event, logon_type
from forensics.parsers._evtx_render import Rendered
from forensics.parsers._rdp import LOGON_TYPE_OF, SKIPPED_LOGON_TYPES

SIGNATURE: Final = b"LfLe"
LEAST: Final = 56
"""Length, the 48 bytes of fixed fields, and the length again: the shortest record."""
MOST: Final = 256 * 1024
"""Windows bounds a record to 64 KiB; what claims more is damaged."""
HEADER: Final = 48
FIXED: Final = struct.Struct("<I4s4I4H6I")
END_MARK: Final = struct.pack("<5I", 0x28, 0x11111111, 0x22222222, 0x33333333, 0x44444444)
END_SIZE: Final = 0x28
LOG_FORMAT: Final = "evt"
_MOST_STRINGS: Final = 256


_iso = lru_cache(maxsize=4096)(iso)


def row_of(raw: bytes) -> dict[str, Any] | tuple[str, str, str]:
    """Return the row of a whole record, or (outcome, reason, detail) where it is skipped or rejected."""
    _, _, number, written, _, code, _, count, _, _, _, strings_at, *_ = FIXED.unpack_from(raw)
    source, computer = _texts(raw[FIXED.size :], 2)
    legacy = LEGACY.get((source, code & 0xFFFF))
    if legacy is None:
        return "skip", "unwanted_event", ""
    if not FIXED.size <= strings_at <= len(raw) - 4 or count > _MOST_STRINGS:
        return "reject", "damaged_record", f"its {count} strings lie at byte {strings_at} of {len(raw)}"
    strings = _texts(raw[strings_at:-4], count)
    us = written * SECOND_US
    record = Rendered(
        legacy.provider, legacy.event_id, us, number, computer, legacy.channel, "", named(legacy, strings)
    )
    if (legacy.provider, legacy.event_id) in LOGON_TYPE_OF and logon_type(record) in SKIPPED_LOGON_TYPES:
        return "skip", "unwanted_logon_type", ""
    if not TIME_MIN_US <= us <= TIME_MAX_US:
        return "reject", "bad_time", f"{written} seconds since 1970"
    row = event(record, _iso(us))
    row["time_basis"], row["event_provider"], row["event_code"] = "unix_utc", source, str(code & 0xFFFF)
    row["log_format"] = LOG_FORMAT
    return row


def length_at(raw: bytes | bytearray, at: int) -> int:
    """Return the length that a record at `at` claims, 0 if no record claims it."""
    size = int.from_bytes(raw[at : at + 4], "little")
    return size if LEAST <= size <= MOST and size % 4 == 0 else 0


def _texts(raw: bytes, count: int) -> list[str]:
    """Return `count` UTF-16 texts, each up to its NUL; those that are not there are empty."""
    even = raw[: len(raw) // 2 * 2]
    try:
        texts = even.decode("utf-16-le").split("\0", count)[:count]
    except UnicodeDecodeError:
        odd = even.decode("utf-16-le", "surrogatepass").split("\0", count)[:count]
        texts = [text.encode("utf-8", "backslashreplace").decode() for text in odd]
    return texts + [""] * (count - len(texts))
