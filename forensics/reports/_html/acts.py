"""The rows of the timeline as one block of JSON for the page's script: columns, not rows, and every text once.

Not compressed: two builds of zlib write different bytes, and what a reader of the file sees is what the browser reads.
"""

from __future__ import annotations

import json
import re
from array import array
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.instants import microseconds
from forensics.reports._html.drawing import LANE_OF, LANES, SESSIONS, Window, stays
from forensics.reports._html.listing import Known, count, rows_of
from forensics.text import shown, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

MAX_ACTS: Final = 200_000
"""Rows that the page carries; more stand in timeline.csv alone, the operator's last of all."""

MAX_PAGE_BYTES: Final = 19_000_000
"""What the page may take with all that is in it; what the tables leave of it is the rows'. 200,000 rows of which every one has
an address and a sentence of its own take 26 MB; those of real servers repeat, and take a quarter of that."""

_SESSION_BYTES: Final = 1_000_000
_STAYS: Final = 200
_NAME: Final = 100

_BATCH: Final = 10_000
_LOCATOR: Final = re.compile(r"([^:]*):([0-9]+)\+([0-9]+)(?:#([0-9]+))?", re.ASCII)
_NUMBERS: Final = ("time", "span", "count", "message", "kind", "address", "file", "length", "offset", "ordinal")
_DIFFERENCES: Final = 16
"""Bytes that a row's time, offset and ordinal take as differences to those before, with commas, on a long average."""

KIND: Final = (
    "act",
    "session_uid",
    "role",
    "country_iso_code",
    "as_organization_name",
    "origin_flags",
    "rare_origin",
    "rare_grade",
    "user_name",
    "outcome",
    "milestone",
    "time_basis",
    "flags",
)
"""Columns that repeat together: a row names their combination by number."""

_QUERY: Final = f"""
SELECT epoch_us(time), coalesce(epoch_us(time_end) - epoch_us(time), 0), coalesce(count, 1), message, source_ip, locator,
  {LANE_OF}, {", ".join(KIND)} FROM timeline
ORDER BY CASE WHEN rare_grade <> '' OR milestone <> '' THEN 0 WHEN {LANE_OF} = 'operator' THEN 1
  WHEN {LANE_OF} = 'implant' THEN 2 WHEN {LANE_OF} = 'other' THEN 3 ELSE 4 END, time, locator, act, source_ip, message
LIMIT {MAX_ACTS}
"""  # this module's own words


class _Texts:
    """Texts by number, each made visible and stored once; counts the bytes they will take."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.bytes = 0
        self._number: dict[str | None, int] = {}

    def __call__(self, text: str | None) -> int:
        number = self._number.get(text)
        if number is None:
            number = self._number[text] = len(self.all)
            self.all.append(shown(text))
            self.bytes += len(safe_json(self.all[-1])) + 1
        return number


class Acts:
    """The rows that the page carries, the operator's and the rare origins' first, until `room` bytes are used up."""

    def __init__(self, db: duckdb.DuckDBPyConnection, room: int) -> None:
        self.total = count(db, "SELECT 1 FROM timeline")
        self._words, self._messages, self._files = _Texts(), _Texts(), _Texts()
        self._kinds: dict[tuple[str | None, ...], int] = {}
        self._kind_rows: list[tuple[int, ...]] = []
        self._rows = {name: array("q") for name in _NUMBERS}
        used = 0
        for batch in db.sql(_QUERY).to_arrow_reader(_BATCH):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                used += self._add(*row)
                if used + self._words.bytes + self._messages.bytes > room:
                    return

    def __len__(self) -> int:
        """Return how many rows the page carries."""
        return len(self._rows["time"])

    def _add(
        self,
        time: int,
        span: int,
        times: int,
        message: str | None,
        address: str | None,
        locator: str | None,
        *kind: str | None,
    ) -> int:
        """Take one row in; return how many bytes its numbers take, those of its texts apart."""
        place = _LOCATOR.fullmatch(locator or "")
        number = self._kinds.get(kind)
        size = _DIFFERENCES
        if number is None:
            number = self._kinds[kind] = len(self._kind_rows)
            self._kind_rows.append(tuple(self._words(text) for text in kind))
            size += len(str(self._kind_rows[-1]))
        said = (span, times, self._messages(message), number, self._words(address))
        where = (self._files(place[1]), int(place[3])) if place else (-1, 0)
        differing = (int(place[2]), int(place[4] or 0)) if place else (0, 0)
        for column, value in zip(self._rows.values(), (time, *said, *where, *differing), strict=True):
            column.append(value)
        return size + len(f"{said}{where}")

    def json(self, db: duckdb.DuckDBPyConnection, known: Known, first: Window | None) -> Iterator[str]:
        """Yield the block's text: ASCII, without any character that could end a script element."""
        columns = {name: np.frombuffer(values, np.int64) for name, values in self._rows.items()}
        order = np.argsort(columns["time"], kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
        columns["time"] = np.diff(columns["time"], prepend=0)
        _within_files(columns)
        yield "{"
        for name, values in columns.items():
            yield f'"{name}":[{",".join(map(str, values.tolist()))}],\n'
        yield f'"messages":{safe_json(self._messages.all)},\n"kinds":{safe_json(self._kind_rows)},\n'
        yield f'"words":{safe_json(self._words.all)},\n"files":{safe_json(self._files.all)},\n'
        facts = {
            "kind_columns": ["lane", *KIND],
            "lanes": list(LANES.items()),
            "sessions": list(_sessions(db, known)),
            "window": [first.start / 1000, first.stop / 1000] if first else None,
            "total": self.total,
        }
        yield safe_json(facts)[1:]


def _within_files(columns: dict[str, np.ndarray[Any, np.dtype[np.int64]]]) -> None:
    """Make offsets and ordinals differences to the row before in the same file: small numbers."""
    for name in ("offset", "ordinal"):
        values = columns[name].copy()
        for number in np.unique(columns["file"]):
            at = np.flatnonzero(columns["file"] == number)
            values[at] = np.diff(values[at], prepend=0)
        columns[name] = values


def safe_json(value: object) -> str:
    """Return JSON that may stand in a script element: ASCII, and none of `<`, `>`, `&`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _sessions(db: duckdb.DuckDBPyConnection, known: Known) -> Iterator[dict[str, Any]]:
    """Yield the sessions as bars with their stays, as many as there is room for; names are cut to what a bar can say."""
    room = _SESSION_BYTES
    query = (
        'SELECT session_uid, user_name, user_domain, client_name, client_zone, start, "end", end_basis, stays FROM sessions '
        "WHERE start IS NOT NULL ORDER BY start, session_uid"
    )
    for row in rows_of(db, query, SESSIONS):
        who = [visible(row[name], _NAME) for name in ("user_domain", "user_name") if row[name]]
        client = [visible(row[name], _NAME) for name in ("client_name", "client_zone") if row[name]]
        bar = {
            "uid": visible(row["session_uid"], _NAME),
            "who": "\\".join(who),
            "client": ", zone ".join(client),
            "start": microseconds(row["start"]) / 1000,
            "end": microseconds(row["end"]) / 1000 if row["end"] else None,
            "end_basis": visible(row["end_basis"] or "", _NAME).replace("_", " "),
            "stays": [
                [visible(ip, _NAME), start / 1000, end / 1000 if end is not None else None, known.rare.get(ip, "")]
                for ip, start, end in stays(row["stays"])[:_STAYS]
            ],
        }
        room -= len(safe_json(bar))
        if room < 0:
            return
        yield bar


def static_rows() -> str:
    """Return the query of the rows that stand in the page as a table, for paper and for browsers without script."""
    return (
        "SELECT time, session_uid, source_ip, country_iso_code, role, message, milestone, rare_grade, count, flags, locator "
        f"FROM timeline WHERE rare_grade <> '' OR milestone <> '' OR {LANE_OF} = 'operator' "
        "ORDER BY time, locator, act, source_ip, message"
    )
