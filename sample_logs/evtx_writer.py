"""Write Windows event logs (.evtx) that real readers accept.

The bytes follow the layout Windows itself writes: a file header, 64 KiB chunks with their own string and template
tables, and records whose BinXML is an instance of an event template.  A template is defined where a chunk first uses
it; later records refer to it.  Layout source: libyal's description of the EVTX and BinXML formats; the hash functions
were checked against the tables of real files.

    write_evtx([Event(provider="Microsoft-Windows-Security-Auditing", event_id=4624, ...)])

``Event`` and ``Type`` live in evtx_event.py and are offered here too.  The modules of this folder import each other by
name: put the folder on ``sys.path`` to use them from elsewhere.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from evtx_event import (
    Element,
    Event,
    Field,
    Instance,
    Slot,
    Type,
    event_instance,
    filetime,
    sid_bytes,
    template_guid,
    value_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CHUNK_SIZE",
    "FILE_HEADER_SIZE",
    "Event",
    "Field",
    "Type",
    "filetime",
    "name_hash",
    "sid_bytes",
    "write_evtx",
]

CHUNK_SIZE: Final = 65536
FILE_HEADER_SIZE: Final = 4096
_CHUNK_HEADER_SIZE: Final = 512
_FRAGMENT_HEADER: Final = b"\x0f\x01\x01\x00"


def name_hash(text: str) -> int:
    """Hash of an element or attribute name: h * 65599 + c over its UTF-16 units, low 16 bits kept."""
    return _hash_units(text.encode("utf-16-le")) & 0xFFFF


def _hash_units(raw: bytes) -> int:
    result = 0
    for (unit,) in struct.iter_unpack("<H", raw):
        result = (result * 65599 + unit) & 0xFFFFFFFF
    return result


class _Chunk:
    """One 64 KiB chunk under construction; every offset in BinXML counts from its start."""

    def __init__(self) -> None:
        self.data = bytearray(_CHUNK_HEADER_SIZE)
        self.names: dict[str, int] = {}
        self.templates: dict[bytes, int] = {}
        self.records: list[tuple[int, int]] = []  # (offset, record id)

    def add(self, event: Event, record_id: int) -> bool:
        """Append the event; False, and nothing changed, when the chunk has no room for it."""
        start = len(self.data)
        self.data += struct.pack("<IIQQ", 0x00002A2A, 0, record_id, filetime(event.time)) + _FRAGMENT_HEADER
        self._write_instance(event_instance(event, record_id))
        self.data += b"\0"  # end of fragment
        self.data += bytes(-(len(self.data) + 4 - start) % 8)
        size = len(self.data) + 4 - start
        self.data += struct.pack("<I", size)
        if len(self.data) > CHUNK_SIZE:
            del self.data[start:]
            self.names = {name: at for name, at in self.names.items() if at < start}
            self.templates = {guid: at for guid, at in self.templates.items() if at < start}
            return False
        struct.pack_into("<I", self.data, start + 4, size)
        self.records.append((start, record_id))
        return True

    def seal(self, first_number: int, *, dirty: bool) -> bytes:
        """The finished chunk: tables filled, checksums set, padded to 64 KiB.  ``first_number`` counts in the file."""
        free, out = len(self.data), self.data + bytes(CHUNK_SIZE - len(self.data))
        for name, at in self.names.items():
            _raise_head(out, 128 + 4 * (name_hash(name) % 64), at)
        for guid, at in self.templates.items():
            _raise_head(out, 384 + 4 * (_hash_units(guid) % 32), at)
        last_number = first_number + len(self.records) - 1
        identifiers = (self.records[0][1], self.records[-1][1]) if self.records else (0, 0)
        struct.pack_into("<8sQQQQ", out, 0, b"ElfChnk\0", first_number, last_number, *identifiers)
        last_offset = self.records[-1][0] if self.records else 0
        checksum = zlib.crc32(out[_CHUNK_HEADER_SIZE:free])
        struct.pack_into("<IIII", out, 40, 128, last_offset, free, checksum)
        struct.pack_into("<I", out, 120, int(dirty))
        struct.pack_into("<I", out, 124, zlib.crc32(out[:120] + out[128:_CHUNK_HEADER_SIZE]))
        return bytes(out)

    def _write_instance(self, instance: Instance) -> None:
        guid = template_guid(instance.template)
        here = len(self.data) + 10
        known = self.templates.get(guid)
        self.data += struct.pack("<BB4sI", 0x0C, 0x01, guid[:4], here if known is None else known)
        if known is None:
            self._define(guid, instance.template)
        self.data += struct.pack("<I", len(instance.values))
        descriptors = len(self.data)
        self.data += bytes(4 * len(instance.values))
        for index, (kind, value) in enumerate(instance.values):
            start = len(self.data)
            if isinstance(value, Instance):
                self.data += _FRAGMENT_HEADER
                self._write_instance(value)
                self.data += b"\0"
            else:
                self.data += value_bytes(kind, value)
            stored = Type.NULL if value is None else Type.HEX64 if kind == Type.SIZE_T else kind
            size = len(self.data) - start
            if size > 0xFFFF:
                msg = f"value {index} needs {size} bytes, a BinXML value holds at most 65535"
                raise ValueError(msg)
            struct.pack_into("<HBB", self.data, descriptors + 4 * index, size, stored, 0)

    def _define(self, guid: bytes, template: Element) -> None:
        start, bucket = len(self.data), _hash_units(guid) % 32
        previous = max((at for known, at in self.templates.items() if _hash_units(known) % 32 == bucket), default=0)
        self.templates[guid] = start
        self.data += struct.pack("<I16sI", previous, guid, 0) + _FRAGMENT_HEADER
        self._write_element(template)
        self.data += b"\0"
        struct.pack_into("<I", self.data, start + 20, len(self.data) - start - 24)

    def _write_element(self, element: Element) -> None:
        start = len(self.data)
        depends = 0xFFFF if element.depends is None else element.depends
        self.data += struct.pack("<BHI", 0x41 if element.attributes else 0x01, depends, 0)
        self._write_name(element.name)
        if element.attributes:
            size_at = len(self.data)
            self.data += bytes(4)
            for index, (name, value) in enumerate(element.attributes):
                self.data.append(0x06 if index == len(element.attributes) - 1 else 0x46)
                self._write_name(name)
                self._write_content(value)
            struct.pack_into("<I", self.data, size_at, len(self.data) - size_at - 4)
        self.data.append(0x02 if element.content else 0x03)
        for part in element.content:
            self._write_content(part)
        if element.content:
            self.data.append(0x04)
        struct.pack_into("<I", self.data, start + 3, len(self.data) - start - 7)

    def _write_content(self, part: str | Slot | Element) -> None:
        if isinstance(part, Element):
            self._write_element(part)
        elif isinstance(part, Slot):
            self.data += struct.pack("<BHB", 0x0E if part.optional else 0x0D, part.index, part.type)
        else:
            raw = part.encode("utf-16-le")
            self.data += struct.pack("<BBH", 0x05, Type.STRING, len(raw) // 2) + raw

    def _write_name(self, name: str) -> None:
        """Offset of the name; the name itself follows where the chunk uses it for the first time."""
        known = self.names.get(name)
        if known is not None:
            self.data += struct.pack("<I", known)
            return
        start, code = len(self.data) + 4, name_hash(name)
        previous = max((at for other, at in self.names.items() if name_hash(other) % 64 == code % 64), default=0)
        self.names[name] = start
        raw = name.encode("utf-16-le")
        self.data += struct.pack("<IIHH", start, previous, code, len(raw) // 2) + raw + b"\0\0"


def _raise_head(out: bytearray, at: int, offset: int) -> None:
    """A table entry points at the newest item of its chain; each item points at the one before."""
    struct.pack_into("<I", out, at, max(offset, struct.unpack_from("<I", out, at)[0]))


def _file_header(chunks: int, next_record_id: int, *, dirty: bool) -> bytes:
    fixed = struct.pack(
        "<8sQQQIHHHH", b"ElfFile\0", 0, max(chunks - 1, 0), next_record_id, 128, 1, 3, FILE_HEADER_SIZE, chunks
    )
    head = fixed.ljust(120, b"\0")
    return (head + struct.pack("<II", int(dirty), zlib.crc32(head))).ljust(FILE_HEADER_SIZE, b"\0")


def write_evtx(events: Iterable[Event], *, dirty: bool = False) -> bytes:
    """A whole .evtx file holding the events in the order given.

    ``dirty`` leaves the file as a crash does: the dirty flag is set and the file header still tells of the first chunk
    only, while the chunks themselves are complete.

    Raises:
        ValueError: an event does not fit into a chunk of 64 KiB.
    """
    sealed: list[bytes] = []
    chunk, number, record_id, first_end = _Chunk(), 1, 0, 0
    for event in events:
        record_id = event.record_id if event.record_id is not None else record_id + 1
        if chunk.add(event, record_id):
            continue
        sealed.append(chunk.seal(number, dirty=False))
        number, first_end = number + len(chunk.records), first_end or record_id
        chunk = _Chunk()
        if not chunk.add(event, record_id):
            msg = f"event {event.event_id} (record {record_id}) does not fit into a chunk"
            raise ValueError(msg)
    sealed.append(chunk.seal(number, dirty=dirty))
    header = _file_header(1, first_end or record_id + 1, dirty=True) if dirty else None
    return (header or _file_header(len(sealed), record_id + 1, dirty=False)) + b"".join(sealed)
