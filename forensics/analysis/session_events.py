"""Which events belong to which session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.analysis._attach import build
from forensics.model import Rule
from forensics.schemas import SESSION_EVENTS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    return build(db)[1]


RULE = Rule("session_events", "Which events belong to which session, and how", ("events",), SESSION_EVENTS, _run)
