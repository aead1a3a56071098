"""Columns of events from columns of field values, without a Python object a row: what `_valve_rows` says, said by column.

A field whose values repeat is read once a distinct value by its strict reader. Texts that hardly repeat (paths, queries,
agents) and numbers are turned by Arrow. Fields that only make sense together (two addresses, two times) are not for this
way: `plan` says so, and the strict path reads the lines.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from forensics.parsers._fast_columns import coded, constant, nulls
from forensics.parsers._field_roles import Role, roles_of
from forensics.parsers._field_vectors import add_milliseconds, at_once, kept, milliseconds
from forensics.parsers._kept_text import Kept, unmapped
from forensics.parsers._valve_rows import PEER, NotALine, Row, outcome, reader_of
from forensics.parsers._valve_split import fits
from forensics.schemas import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._valve import Field

    Bools = NDArray[np.bool_]
    Columns = dict[str, Any]

_OUTCOMES: Final = ("success", "failure", "unknown")


def plan(fields: Sequence[Field], proxies: str) -> bool:
    """Say whether each field can be read apart from the others: no column has two sources, no field stands twice."""
    roles = roles_of(fields, proxies)
    return roles is not None and set(roles) <= {Role.FILLS} and len({field.name for field in fields}) == len(fields)


def columns_of(
    fields: Sequence[Field],
    values: Sequence[pa.StringArray],
    zone: str,
    size: int,
    roles: Sequence[Role] | None = None,
) -> tuple[Columns, Bools]:
    """Return the columns that the fields fill in `size` rows, and which rows hold a value that its field cannot have.

    `values` hold text for every row. The columns of a row that is marked are worth nothing. Without `roles` every field
    fills its columns.
    """
    bad = np.zeros(size, bool)
    columns: Columns = {}
    pieces: dict[str, Kept] = {}
    added = None
    for field, texts, role in zip(fields, values, roles or [Role.FILLS] * len(fields), strict=True):
        if role is Role.ADDS:
            added = milliseconds(texts, bad)
            continue
        if role is Role.KEPT:
            made = kept(field, texts, bad) or _kept_by_distinct(field, texts, bad)
        else:
            made = at_once(field, texts, zone, bad) or _by_distinct(field, texts, zone, bad)
        piece = made.pop("rest", None)
        if piece is not None:
            pieces[field.name] = piece
        if role is not Role.CHECKED:
            columns |= made
    if added is not None and "time" in columns:
        add_milliseconds(columns, added, bad)
    if roles is not None and Role.KEPT in roles:
        _mark_undecided(fields, roles, columns, bad)
    columns["unmapped"] = unmapped(pieces, size)
    return columns, bad


def _mark_undecided(fields: Sequence[Field], roles: Sequence[Role], columns: Columns, bad: Bools) -> None:
    """Mark rows whose source or duration a later field has to tell, since the first names none."""
    told = {"source_ip": "ah", "duration_us": "T"}
    for column, letters in told.items():
        shared = [(f, role) for f, role in zip(fields, roles, strict=True) if f.letter in letters]
        later = any(role is Role.KEPT for _, role in shared)
        if later and not any(f.key == PEER and role is Role.FILLS for f, role in shared):
            bad |= True if column not in columns else columns[column].is_null().to_numpy(zero_copy_only=False)


def _kept_by_distinct(field: Field, texts: pa.StringArray, bad: Bools) -> Columns:
    """Keep the values that the field can have."""
    encoded = texts.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    wrong = np.array([not fits(name.encode(), field) for name in names], bool)
    bad |= wrong[encoded.indices.to_numpy()]
    pieces = ["" if name == "-" else json.dumps({field.name: name}, ensure_ascii=False)[1:-1] for name in names]
    return {"rest": _as_json(pieces, encoded.indices)}


def _by_distinct(field: Field, texts: pa.StringArray, zone: str, bad: Bools) -> Columns:
    """Read each distinct value by the field's strict reader."""
    encoded = texts.dictionary_encode()
    codes = encoded.indices
    rows = [_read(field, text, zone) for text in encoded.dictionary.to_pylist()]
    wrong = np.array([row is None for row in rows], bool)
    if wrong.any():
        bad |= wrong[codes.to_numpy()]
    read: list[Row] = [row or {} for row in rows]
    names = {name for row in read for name in row} - {"rest", "flags", "held", "timed_by"}
    columns = {name: _column(name, read, codes) for name in sorted(names)}
    if any(row.get("flags") for row in read):
        columns["flags"] = _column("flags", [{"flags": ";".join(row.get("flags", ())) or None} for row in read], codes)
    if field.letter == "s":
        found = np.array([_OUTCOMES.index(outcome(r.get("http_response_status_code"))) for r in read], np.int32)
        columns["event_outcome"] = coded(found[codes.to_numpy()], None, _OUTCOMES)
    rests = [json.dumps(row["rest"], ensure_ascii=False)[1:-1] if row.get("rest") else "" for row in read]
    if any(rests):
        columns["rest"] = _as_json(rests, codes)
    return columns


def _as_json(texts: Sequence[str], codes: pa.Array) -> Kept:
    """Return what rows keep as names and values in JSON, nothing where the text is empty."""
    absent = np.array([not text for text in texts], bool)
    return Kept(pa.array(texts, pa.string()).take(codes), absent[codes.to_numpy()], plain=False)


def _read(field: Field, text: str, zone: str) -> Row | None:
    raw = text.encode()
    if not fits(raw, field):
        return None
    row: Row = {"flags": [], "rest": {}}
    try:
        reader_of(field)(row, field, raw, zone)
    except NotALine:
        return None
    return row


def _column(name: str, rows: Sequence[Row], codes: pa.Array) -> pa.Array:
    kind = EVENTS.field(name).type
    values = [row.get(name) for row in rows]
    if not pa.types.is_dictionary(kind):
        return pa.array(values, kind).take(codes)
    distinct = pa.array(values, kind.value_type).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(codes), distinct.dictionary)


def events_of(columns: Mapping[str, Any], size: int, log_format: str, evidence_id: str) -> pa.RecordBatch:
    """Return the batch of `size` requests that the columns describe; what they do not name is null."""
    made = {
        "event_outcome": constant("unknown", size),
        "event_action": constant("http_request", size),
        "event_provider": constant("tomcat", size),
        "log_format": constant(log_format, size),
        "evidence_id": constant(evidence_id, size),
        **columns,
    }
    arrays = [made[f.name] if f.name in made else nulls(f.type, size) for f in EVENTS]
    return pa.RecordBatch.from_arrays(arrays, schema=EVENTS)
