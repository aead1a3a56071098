"""The exact path: one chunk rendered by the `evtx` package (Rust), for records that the columnar reader cannot prove.

The package works on files, so the chunk is given to it in memory behind a file header of its own; nothing is written.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import evtx
import orjson

from forensics.instants import FILETIME_EPOCH_US, microseconds
from forensics.parsers._evtx_chunks import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Rendered:
    """One record as the package renders it: System values and the event's own fields, as text."""

    header_id: int
    provider: str
    event_id: int
    ticks: int
    record_id: int | None
    computer: str
    channel: str
    activity: str
    named: dict[str, str]


_HEADER: Final = 4096


def render(chunk: bytes) -> list[Rendered]:
    """Return every record of a chunk that the package can render; an empty list if it cannot read the chunk at all."""
    header = bytearray(_HEADER)
    header[:8] = b"ElfFile\0"
    struct.pack_into("<QQQIHHHH", header, 8, 0, 0, 0, 128, 1, 3, _HEADER, 1)
    whole = bytes(header) + chunk.ljust(CHUNK, b"\0")
    out: list[Rendered] = []
    try:
        out.extend(_records(whole))
    except BaseException as error:  # a panic of the native library is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit, MemoryError)):
            raise
    return out


def _records(whole: bytes) -> Iterator[Rendered]:
    walk = iter(evtx.PyEvtxParser(io.BytesIO(whole), number_of_threads=1).records_json())
    for _ in range(CHUNK // 24):
        try:
            record = next(walk)
            if record is None:
                continue
            rendered = _of(record)
        except StopIteration:
            return
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError):
            # One record that cannot be rendered; the package goes on behind it.
            continue
        yield rendered


def _of(record: dict[str, Any]) -> Rendered:
    event = orjson.loads(record["data"])["Event"]
    system = event["System"]
    event_id = system["EventID"]
    named: dict[str, str] = {}
    for part in (event.get("EventData"), event.get("UserData")):
        _leaves(part, named)
    sequence = system.get("EventRecordID")
    return Rendered(
        header_id=record["event_record_id"],
        provider=_attribute(system, "Provider", "Name"),
        event_id=int(event_id["#text"] if isinstance(event_id, dict) else event_id),
        ticks=_ticks(_attribute(system, "TimeCreated", "SystemTime")),
        record_id=_number(sequence),
        computer=str(system.get("Computer") or ""),
        channel=str(system.get("Channel") or ""),
        activity=_attribute(system, "Correlation", "ActivityID"),
        named=named,
    )


def _number(sequence: Any) -> int | None:  # noqa: ANN401  # JSON
    """A record number that does not fit 63 bits was made up by damage; it is none."""
    number = int(sequence) if sequence is not None else -1
    return number if 0 <= number < 1 << 63 else None


def _attribute(system: dict[str, Any], element: str, name: str) -> str:
    found = system.get(element)
    return str((found.get("#attributes") or {}).get(name) or "") if isinstance(found, dict) else ""


def _ticks(text: str) -> int:
    """The package cuts times to microseconds."""
    return (microseconds(datetime.fromisoformat(text)) + FILETIME_EPOCH_US) * 10 if text else 0


def _leaves(part: Any, named: dict[str, str]) -> None:  # noqa: ANN401  # JSON
    if not isinstance(part, dict):
        return
    for name, value in part.items():
        if name == "#attributes":
            continue
        if name == "Data":
            listed = value.get("#text") if isinstance(value, dict) else value
            many = listed if isinstance(listed, list) else [listed]
            named |= {f"Data{number}": _said(one) for number, one in enumerate(many, 1) if _said(one)}
        elif isinstance(value, dict) and "#text" not in value:
            _leaves(value, named)
        else:
            said = _said(value.get("#text") if isinstance(value, dict) else value)
            if said:
                named[name] = said


def _said(value: Any) -> str:  # noqa: ANN401  # JSON
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "\u241f".join(_said(one) for one in value)
    return str(value)
