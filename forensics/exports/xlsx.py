"""XLSX: one sheet a table, typed cells, frozen headers, no formula, no link; texts as safe as in the CSV files.

A sheet ends at 1,048,576 rows, Excel's limit: a table that is longer is cut there, and the first sheet and the sheet's last
row say so. Times are UTC; Excel shows them to the millisecond, the text of a cell to 32,767 characters.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from forensics.exports._spooled import blocks, spool
from forensics.model import Report
from forensics.reports._cells import cell, plain, stream
from forensics.schemas import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

SHEETS: Final[Mapping[str, str]] = {
    "findings": "rank",
    "timeline": "time, locator, act, source_ip, message",
    "sessions": "session_uid",
    "sources": "source_ip",
    "milestones": "time NULLS LAST, milestone, locators",
    "endpoints": "first_seen, path",
    "chain": "operator_id, since, session_uid, source_ip",
    "hops": "start, kind, target, locators",
    "links": "operator_id, confidence, relation, a, b, since",
    "victims": "first_seen, source_ip",
    "rarities": "kind, first_seen, source_ip",
    "beacons": "score DESC, source_ip, path",
    "hours": "weekday, hour",
    "zones": "fit DESC, offset_minutes",
    "coverage": "evidence_id NULLS LAST, log",
    "registrations": "network NULLS LAST, asked_for",
    "evidence": "evidence_id",
    "ledger": "evidence_id, outcome, reason",
    "rejects": "evidence_id, log_offset",
    "witnesses": "ALL",
    "run": "ALL",
}
"""The tables that become sheets, in their order, and the total order of the rows of each."""

MAX_ROWS: Final = 1_048_576
"""Rows of a sheet, the header and the row that tells of a cut included."""

_MAX_TEXT: Final = 32_767
_EXACT: Final = 10**15
"""Excel keeps fifteen digits of a number: a longer one is text."""

_FIRST_DAY: Final = datetime(1900, 3, 1, tzinfo=UTC)
"""Before it Excel counts a day that never was."""

_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # the file says no time of its making: same case, same bytes
_WIDTHS: Final = {"message": 70, "sentence": 90, "because": 60, "detail": 60, "label": 40, "path": 40, "locators": 30}


class _Book:
    """A workbook in the making; rows go to it one by one and are not held."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401  # a binary file
        import xlsxwriter  # noqa: PLC0415  # only who asks for a workbook waits for it

        plain_text = {f"strings_to_{kind}": False for kind in ("formulas", "urls", "numbers")}
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True, **plain_text})
        self._book.set_properties({"title": "c2trail case", "created": _CREATED})
        self._head = self._book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8EAED"})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})

    def sheet(self, name: str, columns: list[str], rows: Iterator[dict[str, Any]], total: int) -> None:
        """Write one sheet; the last row of one that is cut says how many more there are."""
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for at, column in enumerate(columns):
            sheet.set_column(at, at, _WIDTHS.get(column, 24 if TIME_WORDS & set(column.split("_")) else 18))
            sheet.write_string(0, at, cell("", column), self._head)
        kept = total if total < MAX_ROWS else MAX_ROWS - 2
        for number, row in enumerate(itertools.islice(rows, kept), 1):
            for at, column in enumerate(columns):
                self._cell(sheet, number, at, column, row[column])
        if kept < total:
            sheet.write_string(kept + 1, 0, f"{total - kept:,} more rows do not fit a sheet; they stand in the case")
        else:
            sheet.autofilter(0, 0, max(kept, 1), max(len(columns) - 1, 0))

    def _cell(self, sheet: Any, row: int, at: int, column: str, value: object) -> None:  # noqa: ANN401
        if isinstance(value, datetime) and value.tzinfo and value >= _FIRST_DAY:
            sheet.write_datetime(row, at, value.astimezone(UTC).replace(tzinfo=None), self._time)
        elif isinstance(value, date) and not isinstance(value, datetime) and value >= _FIRST_DAY.date():
            sheet.write_datetime(row, at, datetime(value.year, value.month, value.day), self._day)  # noqa: DTZ001
        elif isinstance(value, bool):
            sheet.write_boolean(row, at, value)
        elif isinstance(value, (int, float)) and plain(value) is not None and abs(value) < _EXACT:
            sheet.write_number(row, at, value)
        elif value is not None:
            text = cell(column, value)
            sheet.write_string(row, at, text if len(text) <= _MAX_TEXT else _cut(text))

    def close(self) -> None:
        """Make the file whole."""
        self._book.close()


TIME_WORDS: Final = {"time", "seen", "start", "end", "since", "until", "source"}


def _cut(text: str) -> str:
    kept = text[: _MAX_TEXT - 20]
    return f"{kept}…(+{len(text) - len(kept)})"


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    counts = {name: int(db.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]) for name in SHEETS}
    with spool() as file:
        book = _Book(file)
        told = [
            {"sheet": name, "rows": n, "left out": max(0, n - MAX_ROWS + 2) if n >= MAX_ROWS else 0}
            for name, n in counts.items()
        ]
        book.sheet("contents", ["sheet", "rows", "left out"], iter(told), len(told))
        for name, order in SHEETS.items():
            rows = stream(db, f"SELECT * FROM {name} ORDER BY {order}")
            book.sheet(name, TABLES[name].names, rows, counts[name])
        book.close()
        yield from blocks(file)


EXPORT = Report("xlsx", "xlsx", "one sheet a table, for Excel and LibreOffice", tuple(SHEETS), _write)
