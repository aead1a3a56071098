"""Tables of a case in which every text, in every column, is the adversary's."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pyarrow as pa

from forensics.schemas import TABLES

PAYLOADS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "\"><img src=x onerror='window.pwned=1'>",
    "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=1",
    "<svg onload=window.pwned=1><style>@import 'http://canary.invalid/'</style>",
    "<iframe src=http://canary.invalid/></iframe><link rel=stylesheet href=http://canary.invalid/>",
    "{{ 7*7 }}{% raw %}{{ policy }}{# #}",
    "javascript:window.pwned=1//http://canary.invalid/",
    "\x1b]52;c;Zm9v\x07\x1b[2J\x9b31m\x00\x7f",
    "admin\u202egpj.exe\u2066\u2069\u200b\u200d\ufeff\U000e0041\u2028\u2029",
    "\u115f\u3164\u2800a\u0301\u0301\u0301\u0301",
    '=HYPERLINK("http://canary.invalid/")|\'@+-',
    "[click](http://canary.invalid/) ![x](http://canary.invalid/) `code` | # *",
    "<!--<script>&lt;/script&gt;<![CDATA[",
    "\ue000\U000f0000\ufffe&#x202e;&#0;",
)


def BENIGN(payload: str) -> str:  # noqa: N802
    """Return a harmless text of the same shape: as long, and with a `;` wherever the payload has one."""
    return "".join(char if char == ";" else "x" for char in payload)


NOON = datetime(2017, 1, 16, 0, 3, 14, 435927, tzinfo=UTC)
FIXED = {
    "findings.kind": "rare_origin",
    "run.kind": "passed_over",
    "timeline.rare_grade": "A",
    "sources.rare_grade": "A",
    "sources.role": "operator",
    "hours.weekday": 2,
    "hours.hour": 5,
    "zones.offset_minutes": 510,
}
"""What the page chooses its parts by: values of the tool's own, which no evidence can set."""


def tables(payload: str) -> dict[str, pa.Table]:
    """Return every table of a case with one row, its texts all `payload`."""
    return {name: pa.table(_row(name, schema, payload), schema=schema) for name, schema in TABLES.items()}


def _row(name: str, schema: pa.Schema, payload: str) -> dict[str, pa.Array]:
    row = {}
    for field in schema:
        value = FIXED.get(f"{name}.{field.name}", _value(field, payload))
        row[field.name] = pa.array([value], field.type)
    return row


def _value(field: pa.Field, payload: str) -> object:
    kind = field.type
    if field.name == "because":
        return json.dumps([{"sentence": payload, "weight": 7, "locators": [payload, payload]}] * 2)
    if field.name == "stays":
        instant = NOON.isoformat()
        return json.dumps([{"source_ip": payload, "start": instant, "end": None, "began": payload, "locator": payload}])
    if pa.types.is_timestamp(kind):
        return NOON
    if pa.types.is_date(kind):
        return date(2017, 1, 4)
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_integer(kind):
        return 7
    return 0.5 if pa.types.is_floating(kind) else payload
