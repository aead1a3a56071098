"""Events of the sample logs as exports write them: XML of Windows' event viewer (schema of 2004/08), CSV and JSON of other tools."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from rdp_story import remote_desktop_events
from story import SERVER_ZONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evtx_event import Event

_EXPORTED: Final = 8
_SCHEMA: Final = "http://schemas.microsoft.com/win/2004/08/events/event"
_EVTXECMD: Final = (
    *(
        "RecordNumber",
        "EventRecordId",
        "TimeCreated",
        "EventId",
        "Level",
        "Provider",
        "Channel",
        "ProcessId",
        "ThreadId",
    ),
    *("Computer", "ChunkNumber", "UserId", "MapDescription", "UserName", "RemoteHost", "PayloadData1", "PayloadData2"),
    *("PayloadData3", "PayloadData4", "PayloadData5", "PayloadData6", "ExecutableInfo", "HiddenRecord", "SourceFile"),
    *("Keywords", "ExtraDataOffset", "Payload"),
)
_WINEVENT_TYPE: Final = "System.Diagnostics.Eventing.Reader.EventLogRecord"
_WINEVENT: Final = (
    *("Message", "Id", "Version", "Qualifiers", "Level", "Task", "Opcode", "Keywords", "RecordId", "ProviderName"),
    *("ProviderId", "LogName", "ProcessId", "ThreadId", "MachineName", "UserId", "TimeCreated", "ActivityId"),
    *("RelatedActivityId", "ContainerLog", "MatchedQueryIds", "Bookmark", "LevelDisplayName", "OpcodeDisplayName"),
    *("TaskDisplayName", "KeywordsDisplayNames", "Properties"),
)
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


def exports() -> dict[str, bytes]:
    """File name to content: the first events of LocalSessionManager."""
    every = (
        event for event in remote_desktop_events() if event.shape == "event_xml" and "LocalSession" in event.provider
    )
    wanted = list(islice(every, _EXPORTED))
    told = "\r\n".join(_xml(event, number) for number, event in enumerate(wanted, 1))
    head = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<!-- Synthetic sample: an export. -->\r\n'
    return {
        "LocalSessionManager-export.xml": f"{head}<Events>{told}</Events>\r\n".encode(),
        "LocalSessionManager-evtxecmd.csv": _csv(_EVTXECMD, map(_evtxecmd, wanted, range(1, 99))).encode("utf-8-sig"),
        "LocalSessionManager-winevent.csv": _winevents(wanted).encode("utf-16-le"),
        "LocalSessionManager-evtx_dump.json": "".join(
            f"Record {number}\n{json.dumps(_evtx_dump(event, number), indent=2)}\n"
            for number, event in enumerate(wanted, 1)
        ).encode(),
    }


def _csv(names: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _evtxecmd(event: Event, number: int) -> dict[str, str]:
    fields: dict[str, str] = {"@xmlns": "Event_NS"} | {name: str(value) for name, _, value in event.fields}
    return {
        "RecordNumber": str(number),
        "EventRecordId": str(number),
        "TimeCreated": f"{_when(event):%Y-%m-%d %H:%M:%S.%f}0",
        "EventId": str(event.event_id),
        "Level": "Info",
        "Provider": event.provider,
        "Channel": event.channel,
        "Computer": event.computer,
        "ChunkNumber": "0",
        "MapDescription": "synthetic sample",
        "HiddenRecord": "False",
        "ExtraDataOffset": "0",
        "Payload": json.dumps({"UserData": {"EventXML": fields}}, separators=(",", ":")),
    }


def _evtx_dump(event: Event, number: int) -> dict[str, object]:
    fields: dict[str, object] = {"#attributes": {"xmlns": "Event_NS"}} | {
        name: value for name, _, value in event.fields
    }
    system = {
        "Channel": event.channel,
        "Computer": event.computer,
        "EventID": event.event_id,
        "EventRecordID": number,
        "Provider": {"#attributes": {"Name": event.provider}},
        "TimeCreated": {"#attributes": {"SystemTime": f"{_when(event):%Y-%m-%dT%H:%M:%S.%fZ}"}},
    }
    return {"Event": {"#attributes": {"xmlns": _SCHEMA}, "System": system, "UserData": {"EventXML": fields}}}


def _winevents(events: Sequence[Event]) -> str:
    """Get-WinEvent, Export-Csv of PowerShell 5: every cell that is not null in quotes, German Windows: semicolons, local times."""
    lines = [f"#TYPE {_WINEVENT_TYPE}", ";".join(f'"{name}"' for name in _WINEVENT)]
    for number, event in enumerate(events, 1):
        values = {name: str(value) for name, _, value in event.fields}
        labels = zip(("Benutzer", "Sitzungs-ID", "Quellnetzwerkadresse"), values.values(), strict=False)
        when = _when(event).astimezone(SERVER_ZONE)
        cells = {
            "Message": "Remotedesktopdienste: synthetisches Beispiel:\r\n\r\n"
            + "\r\n".join(f"{a}: {b}" for a, b in labels),
            "Id": str(event.event_id),
            "RecordId": str(number),
            "ProviderName": event.provider,
            "LogName": event.channel,
            "MachineName": event.computer,
            "TimeCreated": f"{when:%d.%m.%Y %H:%M:%S}",
        }
        lines.append(";".join(f'"{cells[name]}"' if name in cells else "" for name in _WINEVENT))
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def _when(event: Event) -> datetime:
    when = _EPOCH + timedelta(microseconds=event.time // 10) if isinstance(event.time, int) else event.time
    return when.astimezone(UTC)


def _xml(event: Event, number: int) -> str:
    when = _when(event)
    fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, _, value in event.fields)
    return (
        f"<Event xmlns='{_SCHEMA}'><System><Provider Name={quoteattr(event.provider)}/><EventID>{event.event_id}</EventID>"
        f"<TimeCreated SystemTime='{when:%Y-%m-%dT%H:%M:%S.%f}0Z'/><EventRecordID>{number}</EventRecordID>"
        f"<Channel>{escape(event.channel)}</Channel><Computer>{escape(event.computer)}</Computer></System>"
        f"<UserData><EventXML xmlns='Event_NS'>{fields}</EventXML></UserData></Event>"
    )
