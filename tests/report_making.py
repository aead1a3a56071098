"""Reports of tables that were never a case: hostile ones, and large ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import duckdb
import pyarrow as pa

from forensics.reports.report_html import REPORT
from forensics.schemas import TABLES


def page_of(rows: dict[str, pa.Table]) -> bytes:
    """Return the report of tables in memory."""
    with duckdb.connect(":memory:") as db:
        db.execute("SET TimeZone = 'UTC'")
        for name, schema in TABLES.items():
            db.register(f"_{name}", rows.get(name, schema.empty_table()))
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
        return b"".join(REPORT.write(db))


def many_acts(count: int, message: str) -> dict[str, pa.Table]:
    """Return a case of so many rows of the timeline, three of a rare origin among them, last in time."""
    start = datetime(2017, 1, 1, tzinfo=UTC)
    rare = range(count - 3, count)
    columns = {
        "time": [start + timedelta(seconds=7 * i) for i in range(count)],
        "act": ["http_request"] * count,
        "message": [message.format(i) for i in range(count)],
        "source_ip": [
            "175.45.178.141" if i in rare else f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}" for i in range(count)
        ],
        "role": ["operator" if i in rare else "scanner" for i in range(count)],
        "rare_grade": ["A" if i in rare else None for i in range(count)],
        "country_iso_code": ["KP" if i in rare else "FR" for i in range(count)],
        "country_as_of": [date(2017, 1, 4)] * count,
        "count": [1] * count,
        "locator": [f"E0001:{i * 90}+90#{i + 1}" for i in range(count)],
    }
    schema = TABLES["timeline"]
    fields = {f.name: pa.array(columns.get(f.name, [None] * count), f.type) for f in schema}
    return {"timeline": pa.table(fields, schema=schema)}
