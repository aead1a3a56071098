"""Values of binary XML as text: what each type's bytes mean (libyal's EVTX format description, Microsoft's BinXml)."""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.instants import FILETIME_EPOCH_US, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRING, ANSI, FILETIME, SYSTEMTIME, SID, GUID, BINXML = 0x01, 0x02, 0x11, 0x12, 0x13, 0x0F, 0x21
STRINGS: Final = 0x81
NUMBERS: Final = {
    0x03: "<b",
    0x04: "<B",
    0x05: "<h",
    0x06: "<H",
    0x07: "<i",
    0x08: "<I",
    0x09: "<q",
    0x0A: "<Q",
    0x0B: "<f",
    0x0C: "<d",
}
_HEX: Final = {0x14, 0x15}


def text_of(raw: bytes, kind: int) -> str:
    """Return a value as text; bytes of a type that is not known, or too short for it, in hexadecimal.

    Numbers are decimal, HexInt values `0x3e7` without leading zeros, GUIDs lower case without braces, SIDs `S-1-…`, times
    ISO 8601, lists of strings joined by U+241F (the visible separator symbol) so that none of their own characters can be
    one by accident.
    """
    try:
        if kind == STRING:
            return _utf16(raw)
        if kind in NUMBERS:
            return str(struct.unpack(NUMBERS[kind], raw)[0])
        if kind in _HEX:
            return hex(int.from_bytes(raw, "little"))
        if kind == GUID:
            return str(uuid.UUID(bytes_le=raw))
        if kind == SID:
            return _sid(raw)
        if kind == FILETIME:
            return filetime_text(int.from_bytes(raw, "little"))
        if kind == 0x0D:
            return "true" if any(raw) else "false"
        if kind == ANSI:
            return raw.rstrip(b"\0").decode("latin-1")
        if kind == STRINGS:
            return "\u241f".join(_utf16(part) for part in _parts(raw))
    except (struct.error, ValueError, OverflowError):
        pass
    return raw.hex()


def _utf16(raw: bytes) -> str:
    text = raw.decode("utf-16-le", "surrogatepass").rstrip("\0")
    # Arrow holds no lone surrogates; they are spelt out as text.visible would.
    return (
        "".join(f"\\u{{{ord(c):x}}}" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text) if not _sound(text) else text
    )


def _sound(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _parts(raw: bytes) -> list[bytes]:
    parts, start = [], 0
    for at in range(0, len(raw) - 1, 2):
        if raw[at : at + 2] == b"\0\0":
            parts.append(raw[start:at])
            start = at + 2
    if start < len(raw):
        parts.append(raw[start:])
    return parts


def _sid(raw: bytes) -> str:
    if len(raw) < 8 or len(raw) < 8 + 4 * raw[1]:
        return raw.hex()
    parts = struct.unpack_from(f"<{raw[1]}I", raw, 8)
    return f"S-{raw[0]}-{int.from_bytes(raw[2:8], 'big')}" + "".join(f"-{part}" for part in parts)


def filetime_text(ticks: int) -> str:
    """Return a FILETIME (100 ns since 1601) as ISO 8601 with seven digits of a second."""
    us, rest = divmod(ticks, 10)
    whole, fraction = divmod(us - FILETIME_EPOCH_US, 1_000_000)
    return iso(whole * 1_000_000)[:-1] + f".{fraction:06d}{rest}Z"


def filetime_texts(ticks: NDArray[np.int64]) -> pa.StringArray:
    """Return FILETIME values between 1990 and 2100 as `filetime_text` does, a column at once."""
    whole = (ticks // 10 - FILETIME_EPOCH_US).astype("datetime64[us]")
    seconds = pa.array(np.datetime_as_string(whole, unit="us"), pa.string())
    digit = pa.array(ticks % 10).cast(pa.string())
    return pc.binary_join_element_wise(seconds, digit, pa.repeat(pa.scalar("Z"), len(ticks)), "")
