"""The columns of Windows events in CSV, by the names that PowerShell and EvtxECmd write in any language of Windows.

PowerShell's are the properties of System.Diagnostics.Eventing.Reader.EventLogRecord (Get-WinEvent) and of
System.Diagnostics.EventLogEntry (Get-EventLog); EvtxECmd's are those of its EventRecord. Event Viewer names its columns in the
language of Windows, and only five of the six: it is known by what its records look like.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.parsers._export_pieces import MOST, Mark
from forensics.parsers._rdp import LSM, RCM, SCM, SECURITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

csv.field_size_limit(MOST)

_FORMS: Final[Mapping[str, Mapping[str, str]]] = {
    "EvtxECmd": {
        "id": "EventId",
        "provider": "Provider",
        "time": "TimeCreated",
        "payload": "Payload",
        "record": "EventRecordId",
        "computer": "Computer",
        "channel": "Channel",
    },
    "Get-WinEvent": {
        "id": "Id",
        "provider": "ProviderName",
        "time": "TimeCreated",
        "record": "RecordId",
        "computer": "MachineName",
        "channel": "LogName",
        "activity": "ActivityId",
        "message": "Message",
    },
    "Get-EventLog": {
        "id": "EventID",
        "provider": "Source",
        "time": "TimeGenerated",
        "record": "Index",
        "computer": "MachineName",
        "message": "Message",
    },
}
_NEEDED: Final = {"EvtxECmd": ("id", "provider", "time", "payload")}
_NEEDED_ELSE: Final = ("id", "provider", "time")
_TIMES: Final = frozenset(parts["time"] for parts in _FORMS.values())
_DELIMITER_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_TYPE: Final = re.compile(r"#TYPE [\w.]+(?:EventLogEntry#([^/\s]{1,80})/)?")
CHANNELS: Final[Mapping[str, str]] = {
    SECURITY: "Security",
    SCM: "System",
    LSM: f"{LSM}/Operational",
    RCM: f"{RCM}/Operational",
}
"""Where these providers log, for exports that do not say (Event Viewer, Get-EventLog without its #TYPE line)."""
_VIEWER: Final = "EventViewer"
_VIEWER_AT: Final = {"time": 1, "provider": 2, "id": 3, "message": 5}
_VIEWER_NAMED: Final = 5
"""Level or keywords, date and time, source, event id, task category; the message has no name."""
_VIEWER_ROW: Final = re.compile(
    r"[^,\"\r\n]{0,80},[^,\"\r\n]{0,12}[0-9]{1,4}[./-][^,\"\r\n]{1,12}[0-9][^,\"\r\n]{4,24},[^,\"\r\n]{1,160},[0-9]{1,5},[^,\"\r\n]{0,160},"
)
# What may stand in front: a byte order mark, as it is in UTF-8 or as the second count sees it in UTF-16.
QUOTED: Final = Mark(re.compile(rb'\n(?:\xef\xbb\xbf|\xff)?"'), lines=True)
NUMBERED: Final = Mark(
    re.compile(rb"\n[0-9]{1,19}([,;\t|])[0-9]{1,19}\1[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:"), lines=True
)


LINES: Final = Mark(None, lines=True)
"""Records whose quotes stand only where they must: any line may be one."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Who wrote a CSV, its delimiter, how many columns it has, and where each part of an event stands in a row."""

    form: str
    delimiter: str
    count: int
    at: Mapping[str, int]

    def cell(self, row: Sequence[str], part: str) -> str:
        """Return one part of an event, empty where the export has none."""
        place = self.at.get(part)
        return row[place] if place is not None else ""


def columns_of(line: str) -> Columns | None:
    """Return what a header line says, None for a line that is no header of Windows events."""
    line = line.removeprefix("\ufeff").rstrip("\r\n")
    for delimiter in _DELIMITER_NAMES:
        names = row_of(line, delimiter)
        if names is not None and (columns := columns_of_row(names, delimiter)) is not None:
            return columns
    return None


def columns_of_row(names: Sequence[str], delimiter: str) -> Columns | None:
    """Return the columns that the cells of a header name, None where they are no header."""
    if not _TIMES.intersection(names) or len(set(names) - {""}) < sum(1 for name in names if name):
        return None
    for form, parts in _FORMS.items():
        at = {part: names.index(name) for part, name in parts.items() if name in names}
        if all(part in at for part in _NEEDED.get(form, _NEEDED_ELSE)):
            return Columns(form, delimiter, len(names), at)
    return None


def is_viewer_header(row: Sequence[str]) -> bool:
    """Say whether the cells are the names that Event Viewer gives its columns, in whatever language: they have no numbers."""
    return len(row) == _VIEWER_NAMED and all(row) and not any(digit in "".join(row[1:4]) for digit in "0123456789")


def row_of(text: str, delimiter: str) -> list[str] | None:
    """Return the cells of one record, None where it is not exactly one."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def cells_of(text: str, columns: Columns, part: str) -> str:
    """Return the cells of one part, each in quotes on a line of its own, from the records that a text starts with."""
    found = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=columns.delimiter):
            found += [f'"{columns.cell(row, part)}"'] if len(row) == columns.count else []
    except csv.Error:
        # What came before it is as good as it was.
        pass
    return "\n".join(found)


def channel_of_type(line: str) -> str | None:
    """Return the log that a `#TYPE` line of Get-EventLog names, empty where it names none; None for another line."""
    match = _TYPE.match(line.removeprefix("\ufeff"))
    return None if match is None else match[1] or ""


def first_header(text: str) -> tuple[Columns, str, int] | None:
    """Return the header that a file starts with, the log named above it, and where the header ends."""
    channel, at = "", 0
    for _ in range(2):
        end = text.find("\n", at)
        line = text[at:] if end < 0 else text[at : end + 1]
        columns = columns_of(line)
        if columns is None and is_viewer_header(line.strip().split(",")) and _VIEWER_ROW.match(text, at + len(line)):
            columns = Columns(_VIEWER, ",", _VIEWER_NAMED + 1, _VIEWER_AT)
        if columns is not None:
            return columns, channel, at + len(line)
        named = channel_of_type(line)
        if named is None or end < 0:
            return None
        channel, at = named, end + 1
    return None


def packed(columns: Columns) -> str:
    """Return columns as the text that `Span.settings` carry."""
    places = " ".join(f"{part}={place}" for part, place in columns.at.items())
    return f"{columns.form} by {_DELIMITER_NAMES[columns.delimiter]}, {columns.count} columns: {places}"


def unpacked(text: str) -> Columns:
    """Return what `packed` packed."""
    form, _, delimiter, count, _, *places = text.split(" ")
    pairs = (place.split("=") for place in places)
    by_name = {name: mark for mark, name in _DELIMITER_NAMES.items()}
    return Columns(form, by_name[delimiter.rstrip(",")], int(count), {part: int(place) for part, place in pairs})
