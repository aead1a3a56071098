"""Rows as CSV and JSON lines: safe to open, the same bytes for the same rows.

A CSV cell is visible text that no spreadsheet takes for a formula; the JSONL beside it is the lossless twin.
"""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import iso, microseconds
from forensics.limits import MAX_FIELD_SHOWN
from forensics.model import Report
from forensics.reports._csv_columns import csv_block
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb
    import pyarrow as pa

_FORMULA: Final = frozenset("=+-@'")
LONG: Final = frozenset({"because", "locators", "country_says", "source_ips", "sentence", "settings", "stays"})
"""Columns that the tool itself writes, bounded by what is in the case; cutting them would break their form."""

_BATCH: Final = 10_000


def cell(name: str, value: object) -> str:
    """Return one value as the text of a CSV cell.

    Text is made visible and cut to MAX_FIELD_SHOWN, columns in `LONG` excepted; a first character that would start a
    formula gets an apostrophe before it.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    value = plain(value)
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, dict)):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if value is None:
        return ""
    text = visible(str(value), None if name in LONG else MAX_FIELD_SHOWN)
    return f"'{text}" if text[:1] in _FORMULA else text


def plain(value: object) -> object:
    """Return one value as JSON has it: times as ISO 8601, lists and structures of such values, no NaN, the rest as text."""
    if isinstance(value, datetime):
        return iso(microseconds(value)) if value.tzinfo else value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def csv_lines(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield a header and the rows as CSV: UTF-8, LF, every cell quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow([cell("", name) for name in names])
    for row in rows:
        writer.writerow([cell(name, row.get(name)) for name in names])
        if buffer.tell() > 1 << 16:
            yield _drained(buffer)
    yield _drained(buffer)


def _drained(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def json_line(row: dict[str, Any]) -> bytes:
    """Return a row as one line of JSON: ASCII, sorted keys, nothing cut."""
    values = {name: plain(value) for name, value in row.items()}
    return json.dumps(values, sort_keys=True, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def stream(db: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query, a bounded number at a time."""
    for batch in db.sql(query).to_arrow_reader(_BATCH):
        yield from batch.to_pylist()


def csv_report(filename: str, title: str, table: str, schema: pa.Schema, order: str) -> Report:
    """Return the report that writes a whole table of the case as CSV, in a total order."""
    # Table, columns and order are the reports' own words.
    listed = ", ".join(f'"{name}"' for name in schema.names)
    query = f"SELECT {listed} FROM {table} ORDER BY {order}"  # noqa: S608

    def write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
        yield from csv_lines(schema.names, ())
        floats: dict[int, str] = {}
        for batch in db.sql(query).to_arrow_reader(_BATCH):
            yield csv_block(schema.names, batch, cell, LONG, floats)

    return Report(filename.replace(".", "_"), filename, title, (table,), write)
