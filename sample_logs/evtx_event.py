"""Event records and the BinXML templates that Windows makes of them.

An event becomes two nested template instances: the outer one holds the ``System`` element and, as its last substitution,
the inner one with the event's own fields.  Which values are substituted and which are constant, the order of the
substitutions and the terminated strings of ``UserData`` are those of real files of Windows Server 2012 to 2019.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVENT_NAMESPACE: Final = "http://schemas.microsoft.com/win/2004/08/events/event"
_FILETIME_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
_TEMPLATE_NAMES: Final = uuid.UUID("5f0d9a1c-6f1e-5b0a-9d3c-9f7f0f1c2017")


class Type(IntEnum):
    """BinXML value types; the numbers are those of the format."""

    NULL = 0x00
    STRING = 0x01
    UINT8 = 0x04
    UINT16 = 0x06
    INT32 = 0x07
    UINT32 = 0x08
    INT64 = 0x09
    UINT64 = 0x0A
    BOOLEAN = 0x0D
    BINARY = 0x0E
    GUID = 0x0F
    SIZE_T = 0x10  # declared so in the template (Security's ProcessId); the value itself is stored as HEX64
    FILETIME = 0x11
    SID = 0x13
    HEX32 = 0x14
    HEX64 = 0x15
    BINXML = 0x21
    STRING_ARRAY = 0x81


Value = str | int | bool | bytes | datetime | uuid.UUID | tuple[str, ...] | None
Field = tuple[str, Type, Value]
Shape = Literal["event_data", "event_xml", "event_info", "log_file_cleared", "classic"]

# Root element and its attributes for the events that carry UserData.
_USER_DATA: Final[dict[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "event_xml": ("EventXML", (("xmlns", "Event_NS"),)),
    "event_info": ("EventInfo", (("xmlns", "aag"),)),
    "log_file_cleared": (
        "LogFileCleared",
        (
            ("xmlns:auto-ns3", "http://schemas.microsoft.com/win/2004/08/events"),
            ("xmlns", "http://manifests.microsoft.com/win/2004/08/windows/eventlog"),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event record.

    ``shape`` says where the fields stand:

    * ``event_data``: ``EventData/Data[@Name]`` (Security, RdpCoreTS; with ``event_source_name`` also the Service
      Control Manager, whose provider and channel are constants of the template);
    * ``event_xml``: ``UserData/EventXML`` (LocalSessionManager, RemoteConnectionManager);
    * ``event_info``: ``UserData/EventInfo`` (TerminalServices-Gateway);
    * ``log_file_cleared``: ``UserData/LogFileCleared`` (Microsoft-Windows-Eventlog 104 and 1102);
    * ``classic``: unnamed ``EventData/Data`` (EventLog 6005, 6006, 6008); field names are ignored, values are text.

    ``time`` is an aware datetime or a FILETIME (100 ns ticks since 1601).  ``record_id`` None counts on from the record
    before.  ``binary`` adds a ``Binary`` element after the data.
    """

    provider: str
    event_id: int
    time: datetime | int
    channel: str
    computer: str
    fields: Sequence[Field] = ()
    shape: Shape = "event_data"
    provider_guid: str | None = None
    event_source_name: str | None = None
    qualifiers: int | None = None
    version: int = 0
    level: int = 4
    task: int = 0
    opcode: int = 0
    keywords: int = 0x8000000000000000
    record_id: int | None = None
    activity_id: str | None = None
    process_id: int = 0
    thread_id: int = 0
    user_sid: str | None = None
    binary: bytes | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A substitution: the value with this index of the instance; an optional one leaves nothing when null."""

    index: int
    type: Type
    optional: bool = True


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a template; left out whole when the substitution it depends on is null."""

    name: str
    attributes: tuple[tuple[str, str | Slot], ...] = ()
    content: tuple[str | Slot | Element, ...] = ()
    depends: int | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A template with the values of one record."""

    template: Element
    values: tuple[tuple[Type, Value | Instance], ...]


def filetime(time: datetime | int) -> int:
    """100 ns ticks since 1601-01-01 UTC; an int passes through."""
    if isinstance(time, int):
        return time
    delta = time - _FILETIME_EPOCH
    return (delta.days * 86400 + delta.seconds) * 10_000_000 + delta.microseconds * 10


def sid_bytes(sid: str) -> bytes:
    """``S-1-5-…`` as the binary security identifier."""
    revision, authority, *parts = (int(part) for part in sid.split("-")[1:])
    return struct.pack(f"<BB6s{len(parts)}I", revision, len(parts), authority.to_bytes(6, "big"), *parts)


_PACKED: Final = {
    Type.UINT8: "<B",
    Type.UINT16: "<H",
    Type.INT32: "<i",
    Type.UINT32: "<I",
    Type.INT64: "<q",
    Type.UINT64: "<Q",
    Type.BOOLEAN: "<I",
    Type.HEX32: "<I",
    Type.HEX64: "<Q",
    Type.SIZE_T: "<Q",
}


def value_bytes(kind: Type, value: Value) -> bytes:
    """The value as it stands in a substitution array; None is empty."""
    if value is None:
        return b""
    if kind in _PACKED:
        return struct.pack(_PACKED[kind], value)
    if isinstance(value, tuple):
        return b"".join(text.encode("utf-16-le") + b"\0\0" for text in value)
    encoded = value
    if kind == Type.FILETIME and isinstance(value, datetime | int):
        encoded = struct.pack("<Q", filetime(value))
    elif kind == Type.GUID:
        encoded = uuid.UUID(str(value)).bytes_le
    elif kind == Type.SID:
        encoded = sid_bytes(str(value))
    return encoded if isinstance(encoded, bytes) else str(encoded).encode("utf-16-le", "surrogatepass")


@lru_cache(maxsize=4096)
def template_guid(template: Element) -> bytes:
    return uuid.uuid5(_TEMPLATE_NAMES, repr(template)).bytes_le


def _leaf(name: str, index: int, kind: Type) -> Element:
    """An element with one value, absent when the value is null."""
    return Element(name, (), (Slot(index, kind),), index)


def _system(event: Event, *, constant: bool) -> Element:
    """The System element; the order of the substitutions is that of Windows."""
    classic = event.shape == "classic"
    provider: list[tuple[str, str | Slot]] = []
    if constant:
        provider = [("Name", event.provider)]
        provider += [("Guid", event.provider_guid)] if event.provider_guid else []
        provider += [("EventSourceName", event.event_source_name)] if event.event_source_name else []
    else:
        provider = [("Name", Slot(14, Type.STRING)), ("Guid", Slot(15, Type.GUID))]
    channel = event.channel if constant else Slot(16, Type.STRING)
    related = Slot(18 if constant else 13, Type.GUID)
    parts = (
        Element("Provider", tuple(provider)),
        Element("EventID", (("Qualifiers", Slot(4, Type.UINT16)),), (Slot(3, Type.UINT16),), 3),
        None if classic else _leaf("Version", 11, Type.UINT8),
        _leaf("Level", 0, Type.UINT8),
        _leaf("Task", 2, Type.UINT16),
        None if classic else _leaf("Opcode", 1, Type.UINT8),
        _leaf("Keywords", 5, Type.HEX64),
        Element("TimeCreated", (("SystemTime", Slot(6, Type.FILETIME)),)),
        _leaf("EventRecordID", 10, Type.UINT64),
        None
        if classic
        else Element("Correlation", (("ActivityID", Slot(7, Type.GUID)), ("RelatedActivityID", related))),
        None
        if classic
        else Element("Execution", (("ProcessID", Slot(8, Type.UINT32)), ("ThreadID", Slot(9, Type.UINT32)))),
        Element("Channel", (), (channel,), None if constant else 16),
        Element("Computer", (), (event.computer,)),
        Element("Security", (("UserID", Slot(12, Type.SID)),)),
    )
    return Element("System", (), tuple(part for part in parts if part is not None))


def _payload(event: Event) -> Instance:
    """The nested instance with the event's own fields."""
    if event.shape == "classic":
        values: list[tuple[Type, Value | Instance]] = [
            (Type.STRING_ARRAY, tuple(str(value) for _, _, value in event.fields) or None),
            (Type.UINT32, len(event.binary or b"")),
            (Type.BINARY, event.binary),
        ]
        data = Element("Data", (), (Slot(0, Type.STRING_ARRAY),), 0)
        return Instance(
            Element("EventData", (), (data, Element("Binary", (), (Slot(2, Type.BINARY),), 2))), tuple(values)
        )
    terminated = event.shape in {"event_xml", "event_info"}  # as the Terminal Services providers write them
    values, content = [], []
    for index, (name, kind, value) in enumerate(event.fields):
        slot = Slot(index, kind, optional=value is None)
        data_name = (("Name", name),) if event.shape == "event_data" else ()
        content.append(Element("Data" if data_name else name, data_name, (slot,)))
        values.append((kind, value + "\0" if terminated and kind == Type.STRING and isinstance(value, str) else value))
    if event.binary is not None:
        content.append(Element("Binary", (), (Slot(len(values) + 1, Type.BINARY, optional=False),)))
        values += [(Type.UINT32, len(event.binary)), (Type.BINARY, event.binary)]
    root, attributes = _USER_DATA.get(event.shape, ("EventData", ()))
    return Instance(Element(root, attributes, tuple(content)), tuple(values))


def event_instance(event: Event, record_id: int) -> Instance:
    """The outer instance: System values, then the payload as the last substitution."""
    constant = event.shape in {"classic", "log_file_cleared"} or event.event_source_name is not None
    last = 19 if constant else 17
    payload = Slot(last, Type.BINXML)
    system = _system(event, constant=constant)
    attributes = (("xmlns", _EVENT_NAMESPACE),)
    if event.shape in _USER_DATA:
        template = Element("Event", attributes, (system, Element("UserData", (), (payload,), last)))
    else:
        template = Element("Event", attributes, (system, payload), last)
    values: list[tuple[Type, Value | Instance]] = [
        (Type.UINT8, event.level),
        (Type.UINT8, event.opcode),
        (Type.UINT16, event.task),
        (Type.UINT16, event.event_id),
        (Type.UINT16, event.qualifiers),
        (Type.HEX64, event.keywords),
        (Type.FILETIME, event.time),
        (Type.GUID, event.activity_id),
        (Type.UINT32, event.process_id),
        (Type.UINT32, event.thread_id),
        (Type.UINT64, record_id),
        (Type.UINT8, event.version),
        (Type.SID, event.user_sid),
        (Type.NULL, None),
    ]
    if constant:
        values += [(Type.NULL, None)] * 5
    else:
        values += [(Type.STRING, event.provider), (Type.GUID, event.provider_guid), (Type.STRING, event.channel)]
    return Instance(template, (*values, (Type.BINXML, _payload(event))))
