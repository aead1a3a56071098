"""Where a record lies, as one number: the database finds the first record of millions of groups by comparing integers.

The order of these numbers is that of time, evidence and offset: the total order of the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb

_OFFSET_BITS: Final = 44
"""16 TiB of one stream."""
_EVIDENCE_BITS: Final = 24
_LENGTH_BITS: Final = 32
_NO_TIME: Final = (1 << 53) - 1
"""Later than any time there is: records without one come last."""

_LOW: Final = _OFFSET_BITS + _EVIDENCE_BITS

PLACE: Final = (
    f"(coalesce(epoch_us(e.time), {_NO_TIME})::HUGEINT * {1 << _LOW} + _evidence_numbers.base + e.log_offset)"
)
"""SQL for the place of an event `e`, joined with the table that `number_evidence` makes."""

MARK: Final = f"(coalesce(e.log_ordinal, 0)::HUGEINT * {1 << _LENGTH_BITS} + e.log_length)"
"""SQL for what a locator has beside evidence and offset: the record's number and its length."""

_LINE_BITS: Final = 24
LINE_MARK: Final = f"(coalesce(e.log_ordinal, 0) * {1 << _LINE_BITS} + e.log_length)"
"""MARK of a line of text in half the memory: lines are numbered by this code, and no longer than `MAX_LINE`."""


def number_evidence(db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `_evidence_numbers`: each `evidence_id` and the place of its first byte, in the order of the ids."""
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _evidence_numbers AS
        SELECT evidence_id, (row_number() OVER (ORDER BY evidence_id) - 1)::HUGEINT * {1 << _OFFSET_BITS} AS base
        FROM (SELECT DISTINCT evidence_id FROM events)""")
    db.execute(
        "SET VARIABLE evidence_ids = (SELECT coalesce(list(evidence_id ORDER BY base), []::VARCHAR[]) FROM _evidence_numbers)"
    )


def locator_at(place: str, mark: str, *, line: bool = True) -> str:
    """Return SQL for the locator of the event with a place and a mark, a LINE_MARK or else a MARK; null where they are."""
    bits = _LINE_BITS if line else _LENGTH_BITS
    length = f"({mark} & {(1 << bits) - 1})"
    number = f"CAST(({place} >> {_OFFSET_BITS}) & {(1 << _EVIDENCE_BITS) - 1} AS INTEGER)"
    return (
        f"getvariable('evidence_ids')[{number} + 1] || ':' || ({place} & {(1 << _OFFSET_BITS) - 1}) || '+' || {length} "
        f"|| '#' || (({mark} - {length}) // {1 << bits})"
    )


def time_at(place: str) -> str:
    """Return SQL for the time of the event with a place; null where it has none."""
    us = f"CAST(({place}) >> {_LOW} AS BIGINT)"
    return f"CASE WHEN {us} < {_NO_TIME} THEN make_timestamptz({us}) END"
