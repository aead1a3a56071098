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
