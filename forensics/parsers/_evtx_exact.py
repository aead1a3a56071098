"""Rendered EVTX records as rows of the events table: one record at a time, by the same meanings as the columnar path."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import moment
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.parsers._evtx_meaning import NOT_KEPT, NUMBERS, READERS, guid, integer, kept, outcome, present
from forensics.parsers._evtx_render import filetime
from forensics.parsers._evtx_rows import CHANNEL, LOG_FORMAT, as_json, key_of
from forensics.parsers._evtx_values import filetime_text
from forensics.parsers._rdp import NETWORK, meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.parsers._evtx_render import Rendered
    from forensics.parsers._rdp import Meaning

_LONGEST_KEPT: Final = 128
"""Characters of a text whose reading is kept for the next event; real names and addresses are shorter."""


def logon_type(record: Rendered) -> int | None:
    """Return the LogonType of a record, None where it has none."""
    return integer(record.named.get("LogonType", ""), 1 << 31)


def time_is_possible(record: Rendered) -> bool:
    """Say whether the record has a time within the bounds of limits.py."""
    return record.us is not None and TIME_MIN_US <= record.us <= TIME_MAX_US


def event(record: Rendered, written: str | None = None) -> dict[str, Any]:
    """Return what a wanted record of a possible time says, by column; its place and flags are the caller's to add.

    `written` is the time as an export has it; without one it is written as the log has it.
    """
    meaning, steps = _steps(record.provider, record.event_id, logon_type(record) == NETWORK)
    assert record.us is not None  # noqa: S101  # and for those that have a time
    said = record.named.get(meaning.verdict) if meaning.verdict else None
    row: dict[str, Any] = {
        "time": moment(record.us),
        # The package cuts times to microseconds: the seventh digit is not known, and none is made up.
        "time_original": filetime_text(filetime(record.us))[:-2] + "Z" if written is None else written,
        "time_basis": "filetime_utc",
        "event_action": meaning.action,
        "event_outcome": outcome(said) if said else meaning.outcome,
        "event_provider": record.provider,
        "event_code": str(record.event_id),
        "event_sequence": record.record_id if record.record_id is not None and record.record_id < 1 << 63 else None,
        "host_name": present(record.computer),
        "activity_id": guid(record.activity),
        "log_format": LOG_FORMAT,
    }
    left = _fill(row, record, steps)
    if record.channel:
        left[CHANNEL] = record.channel
    row["unmapped"] = "{" + ", ".join(f"{as_json(key)}: {as_json(left[key])}" for key in sorted(left)) + "}"
    return row


@lru_cache(maxsize=1024)
def _steps(provider: str, event_id: int, network: bool) -> tuple[Meaning, tuple[tuple[str, str], ...]]:  # noqa: FBT001
    """Return what a wanted event means, and (column of the meaning, field) in the order of the readers."""
    meaning = meaning_of(provider, event_id, NETWORK if network else None)
    assert meaning is not None  # noqa: S101  # the caller asked for wanted records
    return meaning, tuple((meant, meaning.columns[meant]) for meant in READERS if meant in meaning.columns)


@lru_cache(maxsize=1 << 14)
def _cells(meant: str, text: str) -> tuple[str | int | None, ...]:
    """Read a text by its meaning; accounts, addresses and numbers come again and again."""
    return READERS[meant][1](text)


def _fill(row: dict[str, Any], record: Rendered, steps: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Fill the columns that the meaning names; return what fills none, by its key in `unmapped`."""
    used = set()
    for meant, name in steps:
        text = record.named.get(name, "")
        if not text:
            continue
        filled, read = READERS[meant]
        cells = _cells(meant, text) if len(text) <= _LONGEST_KEPT else read(text)
        if meant not in NUMBERS or cells[0] is not None or present(text) is None:
            used.add(name)
        for column, cell in zip(filled, cells, strict=True):
            if row.get(column) is None:
                row[column] = cell
    return {
        key_of(record.provider, record.event_id, name): said
        for name, text in record.named.items()
        if name not in used and name not in NOT_KEPT and (said := kept(name, text))
    }
