"""The events of an EVTX log as other tools export them, from what the `evtx` package renders."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import evtx

from forensics.parsers._rdp import SCM

EVTXECMD = [
    "RecordNumber",
    "EventRecordId",
    "TimeCreated",
    "EventId",
    "Level",
    "Provider",
    "Channel",
    "ProcessId",
    "ThreadId",
    "Computer",
    "ChunkNumber",
    "UserId",
    "MapDescription",
    "UserName",
    "RemoteHost",
    "PayloadData1",
    "PayloadData2",
    "PayloadData3",
    "PayloadData4",
    "PayloadData5",
    "PayloadData6",
    "ExecutableInfo",
    "HiddenRecord",
    "SourceFile",
    "Keywords",
    "ExtraDataOffset",
    "Payload",
]
WINEVENT = [
    "Message",
    "Id",
    "Version",
    "Qualifiers",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "RecordId",
    "ProviderName",
    "ProviderId",
    "LogName",
    "ProcessId",
    "ThreadId",
    "MachineName",
    "UserId",
    "TimeCreated",
    "ActivityId",
    "RelatedActivityId",
    "ContainerLog",
    "MatchedQueryIds",
    "Bookmark",
    "LevelDisplayName",
    "OpcodeDisplayName",
    "TaskDisplayName",
    "KeywordsDisplayNames",
    "Properties",
]
EVENTLOG = [
    "EventID",
    "MachineName",
    "Data",
    "Index",
    "Category",
    "CategoryNumber",
    "EntryType",
    "Message",
    "Source",
    "ReplacementStrings",
    "InstanceId",
    "TimeGenerated",
    "TimeWritten",
    "UserName",
    "Site",
    "Container",
]


@dataclass(frozen=True)
class Told:
    """One event: System's values, and its own part as nested JSON in the manner of EvtxECmd."""

    provider: str
    event_id: str
    time: str
    record: str
    computer: str
    channel: str
    activity: str
    part: dict[str, Any]


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def as_json(node: ET.Element) -> Any:
    about = {f"@{local(name)}": value for name, value in node.attrib.items()}
    inner: dict[str, Any] = {}
    for child in node:
        made, name = as_json(child), local(child.tag)
        if name in inner:
            inner[name] = [*inner[name], made] if isinstance(inner[name], list) else [inner[name], made]
        else:
            inner[name] = made
    text = node.text if node.text and not node.text.isspace() and not len(node) else None
    if not about and not inner:
        return text
    return about | inner | ({"#text": text} if text else {})


def told(path: Path) -> list[Told]:
    out = []
    for record in evtx.PyEvtxParser(str(path)).records():
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>\s*", "", record["data"]))  # noqa: S314
        system = {local(child.tag): child for child in root[0]}
        correlation = system.get("Correlation")
        parts = {local(child.tag): as_json(child) for child in root if local(child.tag) != "System"}
        out.append(
            Told(
                system["Provider"].get("Name") or "",
                system["EventID"].text or "",
                system["TimeCreated"].get("SystemTime") or "",
                system["EventRecordID"].text or "",
                system["Computer"].text or "",
                system["Channel"].text or "",
                (correlation.get("ActivityID") or "") if correlation is not None else "",
                parts,
            )
        )
    return out


def evtxecmd_csv(events: list[Told], *, delimiter: str = ",", everywhere: bool = False) -> str:
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if everywhere else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerow(EVTXECMD)
    for number, one in enumerate(events, 1):
        cells = dict.fromkeys(EVTXECMD, "") | {
            "RecordNumber": str(number),
            "EventRecordId": one.record,
            "TimeCreated": one.time.replace("T", " ").removesuffix("Z") + "0",
            "EventId": one.event_id,
            "Level": "Info",
            "Provider": one.provider,
            "Channel": one.channel,
            "Computer": one.computer,
            "HiddenRecord": "False",
            "Payload": json.dumps(one.part, ensure_ascii=False, separators=(",", ":")),
        }
        writer.writerow(cells.values())
    return out.getvalue()


def powershell_csv(
    columns: list[str], rows: list[dict[str, str]], *, delimiter: str = ",", kind: str | None = None
) -> str:
    def cell(row: dict[str, str], name: str) -> str:
        return '"' + row[name].replace('"', '""') + '"' if row.get(name) is not None else ""

    lines = [delimiter.join(f'"{name}"' for name in columns)]
    lines += [delimiter.join(cell(row, name) for name in columns) for row in rows]
    head = f"#TYPE {kind}\r\n" if kind else ""
    return head + "\r\n".join(lines) + "\r\n"


def dump(one: Told, *, separate: bool = False) -> dict[str, Any]:
    """One event in the manner of evtx_dump: attributes apart, texts as numbers where they are some."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return {"#text": [item.get("#text") if isinstance(item, dict) else item for item in value]}
        if not isinstance(value, dict):
            return int(value) if value and value.isascii() and value.isdigit() and str(int(value)) == value else value
        about = {key[1:]: text for key, text in value.items() if key.startswith("@")}
        inner = {key: plain(part) for key, part in value.items() if not key.startswith("@")}
        return ({"#attributes": about} if about else {}) | inner

    def part(value: Any) -> Any:
        data = value.get("Data") if isinstance(value, dict) else None
        named = data if isinstance(data, list) else [data]
        if all(isinstance(item, dict) and "@Name" in item for item in named):
            rest = {key: plain(item) for key, item in value.items() if key != "Data"}
            return rest | {item["@Name"]: plain(item.get("#text")) for item in named}
        return plain(value)

    def about(**values: str) -> dict[str, Any]:
        return {"#attributes": values}

    system: dict[str, Any] = {
        "Channel": one.channel,
        "Computer": one.computer,
        "EventID": about(Qualifiers="16384") | {"#text": int(one.event_id)}
        if one.provider == SCM
        else int(one.event_id),
        "EventRecordID": int(one.record),
    }
    attributes = {"Provider": {"Name": one.provider}, "TimeCreated": {"SystemTime": one.time}}
    if one.activity:
        attributes["Correlation"] = {"ActivityID": one.activity}
    for name, values in attributes.items():
        system[f"{name}_attributes" if separate else name] = values if separate else about(**values)
    return {"Event": about(xmlns="x") | {"System": system} | {key: part(value) for key, value in one.part.items()}}


def jsonl(objects: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in objects)


def evtxecmd_json(one: Told) -> dict[str, Any]:
    return {
        "PayloadData1": "x",
        "MapDescription": "y",
        "ChunkNumber": 1,
        "Computer": one.computer,
        "Payload": json.dumps(one.part, ensure_ascii=False),
        "Channel": one.channel,
        "Provider": one.provider,
        "EventId": int(one.event_id),
        "EventRecordId": one.record,
        "TimeCreated": one.time.removesuffix("Z") + "0+00:00",
        "RecordNumber": 1,
    }


def winlogbeat(one: Told, *, old: bool = False) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for value in one.part.values():
        if isinstance(value, dict):
            data = value.get("Data")
            inner = next((item for item in value.values() if isinstance(item, dict) and "@Name" not in item), {})
            named = data if isinstance(data, list) else [data] if data else []
            fields |= {
                (item.get("@Name") if isinstance(item, dict) else None) or f"param{number}": item.get("#text")
                if isinstance(item, dict)
                else item
                for number, item in enumerate(named, 1)
            }
            fields |= {key: text for key, text in inner.items() if isinstance(text, str) and not key.startswith("@")}
    kind = "event_data" if "EventData" in one.part else "user_data"
    fields = {key: text for key, text in fields.items() if text}
    when = one.time[:23].removesuffix("Z") + "Z"
    if old:
        keys = {"source_name": one.provider, "log_name": one.channel, "record_number": one.record}
        return {"@timestamp": when, "event_id": int(one.event_id), "computer_name": one.computer, kind: fields} | keys
    log = {
        "provider_name": one.provider,
        "channel": one.channel,
        "record_id": int(one.record),
        "computer_name": one.computer,
        "event_id": one.event_id,
        "activity_id": one.activity,
        kind: fields,
    }
    return {"@timestamp": when, "event": {"code": one.event_id, "provider": one.provider}, "winlog": log}
