"""zip directories (PKWARE APPNOTE 6.3.10): every member with its place, sizes, method and time.

The central directory counts; if it is damaged or cut off, the local headers are read one after the other instead. Bytes in
front of the archive are allowed for. Nothing here inflates.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from forensics.evidence._raw import take
from forensics.limits import MAX_NAME, MIB, TIME_MAX_US, TIME_MIN_US
from forensics.model import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.evidence._raw import Seekable

_LOCAL: Final = b"PK\x03\x04"
_CENTRAL: Final = b"PK\x01\x02"
_DESCRIPTOR: Final = b"PK\x07\x08"
_END: Final = b"PK\x05\x06"
_END64: Final = b"PK\x06\x06"
_LOCATOR64: Final = b"PK\x06\x07"
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_CENTRAL_HEADER: Final = struct.Struct("<4s4B4H3I5H2I")
_END_BYTES: Final = 22
_COMMENT: Final = 65535
_SIZE_LATER: Final = 8
# Version needed and method of a local header that is one: APPNOTE knows none above 6.3 and 99.
_NEWEST, _LAST_METHOD = 63, 99
ENCRYPTED: Final = 1
_FILETIME_1970: Final = 116_444_736_000_000_000
_FULL: Final = 0xFFFFFFFF
# Host systems of "version made by" whose paths have backslashes: FAT, OS/2 HPFS, NTFS, VFAT.
_BACKSLASHES: Final = frozenset((0, 6, 10, 14))
_UNIX: Final = frozenset((3, 19))


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One member as its header has it; `layer` is what opens it."""

    name: bytes
    folder: bool
    link: bool
    layer: Layer
    modified: int | None
    modified_basis: str


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the central directory lies, how many entries it should have, and the bytes in front of the archive."""

    start: int
    size: int
    entries: int
    base: int


def directory_at_end(source: Seekable) -> bool:
    """Return whether a file of another kind ends in a zip directory without a comment: an archive behind other bytes."""
    end = source.seek(0, os.SEEK_END)
    if end < _END_BYTES:
        return False
    source.seek(end - _END_BYTES)
    tail = take(source, _END_BYTES)
    if tail[:4] != _END or tail[20:22] != b"\0\0":
        return False
    found = _directory(source, end)
    if found is None or not found.entries:
        return False
    source.seek(found.start)
    return take(source, 4) == _CENTRAL


def members(source: Seekable, damages: list[tuple[str, str]]) -> Iterator[ZipMember]:
    """Yield the members in the order of the directory; what is wrong with the archive is added to `damages`."""
    end = source.seek(0, os.SEEK_END)
    found = _directory(source, end)
    source.seek(0)
    # The last directory of an archive that was cut can be that of a zip stored in it: its places do not fit then.
    if found is None or (found.base and take(source, 4) == _LOCAL):
        damages.append(("archive_truncated", "its directory is missing; its local headers were read instead"))
        yield from _scan(source, 0, end)
        return
    at = found.start
    seen: list[int] = []
    while at < found.start + found.size:
        member, following = _central(source, at, found.base)
        if member is None:
            damages.append(("archive_corrupt", f"no directory entry at byte {at}; its local headers were read instead"))
            listed = frozenset(seen)
            yield from (other for other in _scan(source, found.base, end) if other.layer.place not in listed)
            return
        yield member
        seen.append(member.layer.place)
        at = following
    if (len(seen) ^ found.entries) & 0xFFFF:
        counted = f"its end record counts {found.entries} entries, its directory has {len(seen)}"
        damages.append(("archive_corrupt", counted))


def _directory(source: Seekable, end: int) -> _Directory | None:
    start = max(0, end - _END_BYTES - _COMMENT)
    source.seek(start)
    tail = take(source, end - start)
    at = len(tail)
    while (at := tail.rfind(_END, 0, at)) >= 0:
        if len(tail) - at >= _END_BYTES:
            *_, entries, size, offset, _ = struct.unpack_from("<4H2IH", tail, at + 4)
            found = _directory64(source, start + at) if _FULL in {size, offset} or entries == 0xFFFF else None
            found = found or _placed(start + at, entries, size, offset)
            if found is not None:
                return found
    return None


def _directory64(source: Seekable, end: int) -> _Directory | None:
    """Read the zip64 end record, which a locator right before the end record points to."""
    if end < 20:
        return None
    source.seek(end - 20)
    locator = take(source, 20)
    if locator[:4] != _LOCATOR64:
        return None
    (told,) = struct.unpack_from("<Q", locator, 8)
    # With bytes in front the pointer is short by their number; the record then lies right before its locator.
    for at in (told, end - 20 - 56):
        if 0 <= at <= end - 20 - 56:
            source.seek(at)
            record = take(source, 56)
            if record[:4] == _END64:
                entries, size, offset = struct.unpack_from("<3Q", record, 32)
                return _placed(at, entries, size, offset)
    return None


def _placed(end: int, entries: int, size: int, offset: int) -> _Directory | None:
    """The directory ends where its end record starts; what its offset lacks to that lies in front of the archive."""
    start = end - size
    return _Directory(start, size, entries, start - offset) if 0 <= offset <= start else None


def _central(source: Seekable, at: int, base: int) -> tuple[ZipMember | None, int]:
    source.seek(at)
    raw = take(source, _CENTRAL_HEADER.size)
    if len(raw) < _CENTRAL_HEADER.size or raw[:4] != _CENTRAL:
        return None, at
    (_, _, host, _, _, flags, method, time, date, crc, stored, size, names, extras, comments, _, _, outer, offset) = (
        _CENTRAL_HEADER.unpack(raw)
    )
    rest = take(source, names + extras)
    name, fields = rest[:names], dict(_extra(rest[names:]))
    size, stored, offset = _wide(fields.get(1, b""), size, stored, offset)
    layer = _layer(fields, base + offset, size, stored, method, crc, flags, time)
    mode = outer >> 16 if host in _UNIX else 0
    modified, basis = _time(fields, date, time)
    folder = name.endswith((b"/", b"\\")) and not size
    member = ZipMember(_path(name, host, fields), folder, stat.S_ISLNK(mode), layer, modified, basis)
    return member, at + _CENTRAL_HEADER.size + names + extras + comments


def _scan(source: Seekable, start: int, end: int) -> Iterator[ZipMember]:
    """Yield members by their local headers alone."""
    at = start
    while (at := _find(source, _LOCAL, at, end)) >= 0:
        source.seek(at)
        raw = take(source, _LOCAL_HEADER.size)
        if len(raw) < _LOCAL_HEADER.size:
            return
        _, version, flags, method, time, date, crc, stored, size, names, extras = _LOCAL_HEADER.unpack(raw)
        if version & 0xFF > _NEWEST or method > _LAST_METHOD or not names:
            at += len(_LOCAL)
            continue
        rest = take(source, names + extras)
        name, fields = rest[:names], dict(_extra(rest[names:]))
        size, stored, _ = _wide(fields.get(1, b""), size, stored, 0)
        data = at + _LOCAL_HEADER.size + names + extras
        if flags & _SIZE_LATER and not stored:
            crc, stored, size = _described(source, data, end)
        layer = _layer(fields, at, size, stored, method, crc, flags, time)
        modified, basis = _time(fields, date, time)
        folder = name.endswith((b"/", b"\\")) and size <= 0
        # A local header does not say which system it is of; a path with backslashes only is a Windows one.
        host = 0 if b"/" not in name else 3
        yield ZipMember(_path(name, host, fields), folder, False, layer, modified, basis)
        at = min(end, data + max(0, stored)) if stored >= 0 else end


def _described(source: Seekable, data: int, end: int) -> tuple[int, int, int]:
    """Return CRC, stored and inflated size from the data descriptor behind the data: the one whose size fits its place."""
    at = data
    while (at := _find(source, _DESCRIPTOR, at, end)) >= 0:
        source.seek(at)
        raw = take(source, 24)
        for form in ("<4x3I", "<4xI2Q"):
            if len(raw) >= struct.calcsize(form):
                crc, stored, size = struct.unpack_from(form, raw)
                if stored == at - data:
                    return crc, stored, size
        at += 4
    # A descriptor can lack its signature: the data then end before the next member, of which the decoder knows where.
    following = _find(source, _LOCAL, data, end)
    return -1, following - data if following >= 0 else -1, -1


def _find(source: Seekable, signature: bytes, at: int, end: int) -> int:
    """Return where a signature stands next, -1 if nowhere."""
    while at < end:
        source.seek(at)
        block = take(source, min(MIB, end - at))
        found = block.find(signature)
        if found >= 0:
            return at + found
        if len(block) < len(signature):
            return -1
        at += len(block) - len(signature) + 1
    return -1


def _layer(
    fields: dict[int, bytes], place: int, size: int, stored: int, method: int, crc: int, flags: int, time: int
) -> Layer:
    check = (time >> 8 if flags & _SIZE_LATER else max(crc, 0) >> 24) & 0xFF
    strength = 0
    aes = fields.get(0x9901, b"")
    if method == 99 and len(aes) >= 7:
        version, strength, method = struct.unpack_from("<H2xBH", aes)
        crc = crc if version == 1 else -1
    return Layer("zip", place, size, stored, method, crc, flags & 0xFFFF | (strength & 3) << 16 | check << 24)


def _wide(field: bytes, size: int, stored: int, offset: int) -> tuple[int, int, int]:
    """Return the sizes and the offset, each from the zip64 field if the header has no room for it (APPNOTE 4.5.3)."""
    at = 0
    out = []
    for value in (size, stored, offset):
        if value == _FULL and at + 8 <= len(field):
            out.append(int.from_bytes(field[at : at + 8], "little"))
            at += 8
        else:
            out.append(value)
    return out[0], out[1], out[2]


def _extra(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(raw):
        kind, size = struct.unpack_from("<2H", raw, at)
        yield kind, raw[at + 4 : at + 4 + size]
        at += 4 + size


def _path(name: bytes, host: int, fields: dict[int, bytes]) -> bytes:
    """Return the name with `/`; the Unicode path field of Info-ZIP is believed, it is there because the name is not enough."""
    better = fields.get(0x7075, b"")
    if len(better) > 5 and better[0] == 1:
        name = better[5:]
    name = name[: MAX_NAME + 1]
    return name.replace(b"\\", b"/") if host in _BACKSLASHES else name


def _time(fields: dict[int, bytes], date: int, time: int) -> tuple[int | None, str]:
    """Return the modification time in microseconds and how it was written: NTFS field, Unix field, else DOS, local."""
    ntfs = fields.get(0x000A, b"")
    if len(ntfs) >= 16 and ntfs[4:6] == b"\x01\0":
        instant = (int.from_bytes(ntfs[8:16], "little") - _FILETIME_1970) // 10
        if TIME_MIN_US <= instant < TIME_MAX_US:
            return instant, "filetime_utc"
    unix = fields.get(0x5455, b"")
    if len(unix) >= 5 and unix[0] & 1:
        instant = int.from_bytes(unix[1:5], "little", signed=True) * 1_000_000
        if TIME_MIN_US <= instant < TIME_MAX_US:
            return instant, "unix_utc"
    try:
        local = datetime(
            1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2, tzinfo=UTC
        )
    except ValueError:
        return None, ""
    instant = int(local.timestamp()) * 1_000_000
    return (instant, "dos_local") if TIME_MIN_US <= instant < TIME_MAX_US else (None, "")


def data_place(source: Seekable, layer: Layer) -> int | None:
    """Return where the data of a member start, None if its local header is not there."""
    source.seek(layer.place)
    raw = take(source, _LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or raw[:4] != _LOCAL:
        return None
    names, extras = int.from_bytes(raw[26:28], "little"), int.from_bytes(raw[28:30], "little")
    return layer.place + _LOCAL_HEADER.size + names + extras
