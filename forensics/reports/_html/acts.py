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
from forensics.reports._html.listing import Known, rows_of
from forensics.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

MAX_ACTS: Final = 200_000
"""Rows that the page carries; more stand in timeline.csv alone, the operator's last of all."""

MAX_PAGE_BYTES: Final = 19_000_000
"""What the page may take with all that is in it; what the tables leave of it is the rows'. 200,000 rows of which every one has
an address and a sentence of its own take 26 MB; those of real servers repeat, and take a quarter of that."""

_BATCH: Final = 10_000
_LOCATOR: Final = re.compile(r"([^:]*):([0-9]+)\+([0-9]+)(?:#([0-9]+))?", re.ASCII)
_AS_THEY_ARE: Final = ("span", "count", "message", "kind", "address", "file", "length")
_DIFFERENCES: Final = 24
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
SELECT time, time_end, message, source_ip, count, locator, {LANE_OF} AS lane, {", ".join(KIND)} FROM timeline
ORDER BY CASE WHEN rare_grade <> '' OR milestone <> '' THEN 0 WHEN {LANE_OF} = 'operator' THEN 1
  WHEN {LANE_OF} = 'implant' THEN 2 WHEN {LANE_OF} = 'other' THEN 3 ELSE 4 END, time, locator, act, source_ip, message
LIMIT {MAX_ACTS}
"""  # this module's own words


class _Words:
    """Texts by number, each stored once; counts the bytes they will take."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.bytes = 0
        self._number: dict[Any, int] = {}

    def __call__(self, word: Any, size: int) -> int:  # noqa: ANN401  # text or a tuple of numbers
        number = self._number.get(word)
        if number is None:
            number = self._number[word] = len(self.all)
            self.all.append(word)
            self.bytes += size
        return number


class Acts:
    """The rows that the page carries, the operator's and the rare origins' first, until `room` bytes are used up."""

    def __init__(self, db: duckdb.DuckDBPyConnection, room: int) -> None:
        self._room = room
        self.total = int(db.sql("SELECT count(*) AS n FROM timeline").to_arrow_table()["n"][0].as_py())
        self._words, self._messages, self._kinds, self._files = _Words(), _Words(), _Words(), _Words()
        self._rows = {name: array("q") for name in ("time", "span", "count", "message", "kind")}
        self._rows |= {name: array("q") for name in ("address", "file", "offset", "length", "ordinal")}
        self._numbers = 0
        for batch in db.sql(_QUERY).to_arrow_reader(_BATCH):
            if not all(self._add(row) for row in batch.to_pylist()):
                break

    def __len__(self) -> int:
        """Return how many rows the page carries."""
        return len(self._rows["time"])

    def _add(self, row: Mapping[str, Any]) -> bool:
        """Take one row in; False if there is no room left."""
        kind = tuple(self._word(row[name]) for name in ("lane", *KIND))
        message = shown(row["message"])
        used = self._words.bytes + self._messages.bytes + self._kinds.bytes + self._numbers
        if used > self._room:
            return False
        place = _LOCATOR.fullmatch(row["locator"] or "")
        time = microseconds(row["time"])
        values = {
            "time": time,
            "span": microseconds(row["time_end"]) - time if row["time_end"] else 0,
            "count": row["count"] or 1,
            "message": self._messages(message, _size(message)),
            "kind": self._kinds(kind, 3 + sum(len(str(number)) + 1 for number in kind)),
            "address": self._word(row["source_ip"]),
            "file": self._files(shown(place[1]), 0) if place else -1,
            "offset": int(place[2]) if place else 0,
            "length": int(place[3]) if place else 0,
            "ordinal": int(place[4] or 0) if place else 0,
        }
        for name, value in values.items():
            self._rows[name].append(value)
        self._numbers += _DIFFERENCES + sum(len(str(values[name])) + 1 for name in _AS_THEY_ARE)
        return True

    def _word(self, text: str | None) -> int:
        word = shown(text)
        return self._words(word, _size(word))

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
        yield f'"messages":{safe_json(self._messages.all)},\n"kinds":{safe_json(self._kinds.all)},\n'
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


def _size(text: str) -> int:
    """Return how many bytes a text takes as ASCII JSON, at most."""
    escaped = sum(map(text.count, '<>&"\\'))
    return len(text) + 6 * escaped + 3 if text.isascii() else 12 * len(text) + 3


def safe_json(value: object) -> str:
    """Return JSON that may stand in a script element: ASCII, and none of `<`, `>`, `&`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _sessions(db: duckdb.DuckDBPyConnection, known: Known) -> Iterator[dict[str, Any]]:
    query = (
        'SELECT session_uid, user_name, user_domain, client_name, client_zone, start, "end", end_basis, stays FROM sessions '
        "WHERE start IS NOT NULL ORDER BY start, session_uid"
    )
    for row in rows_of(db, query, SESSIONS):
        who: Sequence[str] = [shown(row[name]) for name in ("user_domain", "user_name") if row[name]]
        yield {
            "uid": shown(row["session_uid"]),
            "who": "\\".join(who),
            "client": ", zone ".join(shown(row[name]) for name in ("client_name", "client_zone") if row[name]),
            "start": microseconds(row["start"]) / 1000,
            "end": microseconds(row["end"]) / 1000 if row["end"] else None,
            "end_basis": shown(row["end_basis"]).replace("_", " "),
            "stays": [
                [shown(ip), start / 1000, end / 1000 if end is not None else None, known.rare.get(ip, "")]
                for ip, start, end in stays(row["stays"])[:200]
            ],
        }


def static_rows() -> str:
    """Return the query of the rows that stand in the page as a table, for paper and for browsers without script."""
    return (
        "SELECT time, session_uid, source_ip, country_iso_code, role, message, milestone, rare_grade, count, flags, locator "
        f"FROM timeline WHERE rare_grade <> '' OR milestone <> '' OR {LANE_OF} = 'operator' "
        "ORDER BY time, locator, act, source_ip, message"
    )
