"""EVTX records as rows of the events table: the fields that the table of meanings names fill the columns.

Both ways in, columnar and rendered, end in a `Fields`: columns by field name, so that one code gives them their meaning.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.parsers._address import source_ip
from forensics.parsers._evtx_values import filetime_texts
from forensics.parsers._fast_columns import constant, nulls
from forensics.parsers._rdp import CORE, MEANINGS, SECURITY
from forensics.schemas import EVENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from forensics.parsers._rdp import Meaning

LOG_FORMAT: Final = "evtx"
_EMPTY: Final = frozenset({"", "-"})


@dataclass(slots=True)
class Fields:
    """Records of one provider and event id, in ascending place. `named` holds the event's own fields as text columns.

    `ticks` is TimeCreated as FILETIME; `offset` is the place in the stream; `header_id` the record header's number.
    """

    provider: str
    event_id: int
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    header_id: NDArray[np.int64]
    ticks: NDArray[np.int64]
    record_id: NDArray[np.int64]
    record_id_absent: NDArray[np.bool_]
    computer: pa.DictionaryArray
    channel: pa.DictionaryArray
    activity: pa.DictionaryArray
    named: Mapping[str, pa.DictionaryArray]
    flags: pa.DictionaryArray

    def only(self, keep: NDArray[np.bool_]) -> Fields:
        """Return some of the records."""
        mask = pa.array(keep)
        return Fields(
            self.provider,
            self.event_id,
            self.offset[keep],
            self.length[keep],
            self.header_id[keep],
            self.ticks[keep],
            self.record_id[keep],
            self.record_id_absent[keep],
            self.computer.filter(mask),
            self.channel.filter(mask),
            self.activity.filter(mask),
            {name: column.filter(mask) for name, column in self.named.items()},
            self.flags.filter(mask),
        )


def time_is_possible(ticks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which FILETIME values lie within the bounds of limits.py."""
    us = ticks // 10 - 11_644_473_600_000_000
    return (us >= TIME_MIN_US) & (us <= TIME_MAX_US)


def events(fields: Fields, evidence_id: str) -> pa.RecordBatch:
    """Return the records as events."""
    meaning = MEANINGS[fields.provider, fields.event_id]
    count = len(fields.offset)
    columns: dict[str, Any] = {
        "time": pa.array(fields.ticks // 10 - 11_644_473_600_000_000, pa.int64()).cast(EVENTS.field("time").type),
        "time_original": filetime_texts(fields.ticks).dictionary_encode(),
        "time_basis": constant("filetime_utc", count),
        "event_action": constant(meaning.action, count),
        "event_outcome": constant(meaning.outcome, count),
        "event_provider": constant(fields.provider, count),
        "event_code": constant(str(fields.event_id), count),
        "event_sequence": pa.array(fields.record_id, pa.int64(), mask=fields.record_id_absent),
        "host_name": fields.computer,
        "activity_id": _each(fields.activity, _guid),
        "log_format": constant(LOG_FORMAT, count),
        "evidence_id": constant(evidence_id, count),
        "log_offset": pa.array(fields.offset),
        "log_length": pa.array(fields.length),
        "log_ordinal": pa.array(fields.header_id),
        "flags": fields.flags,
    }
    for column, name in meaning.columns.items():
        if name in fields.named:
            columns |= _READERS.get(column, _plain)(column, fields.named[name])
    columns |= _outcome(fields, meaning)
    columns["unmapped"] = _unmapped(fields, meaning, count)
    arrays = [columns[f.name] if f.name in columns else nulls(f.type, count) for f in EVENTS]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS)


def _each(column: pa.DictionaryArray, change: Callable[[str], str | None]) -> pa.DictionaryArray:
    """Change every distinct value once; a value changed to None is null."""
    values = [change(value) for value in column.dictionary.to_pylist()]
    distinct = pa.array(values, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(column.indices), distinct.dictionary)


def _guid(text: str) -> str | None:
    return text.strip("{}").lower() or None


def _present(text: str) -> str | None:
    return None if text in _EMPTY else text


def _plain(column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    return {column: _each(values, _present)}


def _integer(column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    def number(text: str) -> int | None:
        try:
            value = int(text, 0) if text.isascii() else -1
        except ValueError:
            return None
        return value if 0 <= value < 1 << 31 else None

    parsed = pa.array([number(text) for text in values.dictionary.to_pylist()], EVENTS.field(column).type)
    return {column: parsed.take(values.indices)}


def _hexadecimal(column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    def normal(text: str) -> str | None:
        try:
            value = int(text, 0)
        except ValueError:
            return _present(text)
        return hex(value) if value else None

    return {column: _each(values, normal)}


def _account(_column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    r"""`DOMAIN\name` in one field."""
    return {
        "user_name": _each(values, lambda text: _present(text.rpartition("\\")[2])),
        "user_domain": _each(values, lambda text: _present(text.rpartition("\\")[0])),
    }


def _address(_column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    """An address, alone or with its port: `10.0.2.16:52202`, `[10.0.2.16]:59407`; LOCAL in any language is none."""
    parsed = [_split_port(text) for text in values.dictionary.to_pylist()]
    out: dict[str, pa.Array] = {
        "source_address": _each(values, _present),
        "source_ip": _each(values, lambda text: source_ip(_split_port(text)[0])),
    }
    if any(port is not None for _, port in parsed):
        out["source_port"] = pa.array([port for _, port in parsed], pa.int32()).take(values.indices)
    return out


def _split_port(text: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    single = (host[:1] == "[" and host[-1:] == "]") or ":" not in host
    if colon and host and single and port.isascii() and port.isdigit() and len(port) <= 5:
        return host, int(port)
    return text, None


def _zone(_column: str, values: pa.DictionaryArray) -> dict[str, pa.Array]:
    """RdpCoreTS 104 writes whole hours from UTC in brackets, `[9]` or `[-7]`; a half hour cannot be shown."""

    def offset(text: str) -> str | None:
        try:
            hours = int(text.strip("[]"))
        except ValueError:
            return _present(text)
        return f"{'-' if hours < 0 else '+'}{abs(hours):02d}:00" if abs(hours) <= 14 else _present(text)

    return {"client_zone": _each(values, offset)}


_READERS: Final = {
    "account": _account,
    "address": _address,
    "client_zone": _zone,
    "logon_id": _hexadecimal,
    "logon_type": _integer,
    "session_id": _integer,
    "source_port": _integer,
}


def _outcome(fields: Fields, meaning: Meaning) -> dict[str, pa.Array]:
    """An NTLM check says by its status whether it succeeded."""
    if (fields.provider, fields.event_id) != (SECURITY, 4776) or "Status" not in fields.named:
        return {}
    del meaning
    return {"event_outcome": _each(fields.named["Status"], lambda text: "success" if text == "0x0" else "failure")}


def _unmapped(fields: Fields, meaning: Meaning, count: int) -> pa.Array:
    """Return the fields that fill no column as JSON text, keys sorted; joined by column, not by row."""
    used = set(meaning.columns.values()) - {"ClientIP"}
    keep = sorted(fields.named) if meaning.rest == ("*",) else sorted(set(meaning.rest) & set(fields.named))
    parts = []
    for name in keep:
        if name in used and fields.provider != CORE:
            continue
        parts.append(_said("cleared_channel" if name == "Channel" else name, fields.named[name]))
    parts.append(_said("channel", fields.channel))
    # Null parts become nothing, so each brings its own comma, and the first of a row goes. (Arrow's own skipping of nulls
    # drops whole rows.)
    joined = pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")
    inside = pc.utf8_slice_codeunits(joined, 2)
    braces = [pa.repeat(pa.scalar(mark), count) for mark in ("{", "}")]
    return pc.binary_join_element_wise(braces[0], inside, braces[1], "")


def _said(name: str, column: pa.DictionaryArray) -> pa.StringArray:
    key = f", {json.dumps(name)}: "
    return _each(column, lambda text: key + json.dumps(text, ensure_ascii=False)).cast(pa.string())
