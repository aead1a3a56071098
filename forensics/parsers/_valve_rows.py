"""What the fields of one access-log line mean: a split line becomes the columns of an event."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from forensics.instants import zone as zone_named
from forensics.limits import MAX_LINE
from forensics.parsers._address import source_ip
from forensics.parsers._fast_columns import constant, nulls
from forensics.parsers._proxies import place
from forensics.parsers._valve import Kind
from forensics.parsers._valve_split import split
from forensics.parsers._valve_time import clf, clock
from forensics.schemas import EVENTS
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forensics.parsers._valve import Field, Pattern

Row = dict[str, Any]
Reader = Callable[[Row, "Field", bytes, str], None]

LOG_FORMAT: Final = "tomcat_access"
PEER: Final = "peer"
"""The key of `%{peer}a`: whoever held the TCP connection, from 8.5.62, 9.0.42 and 10.0.1."""
_NULL: Final = "null"
"""What `%m` and `%H` are when Tomcat read no method or no protocol (seen in 10.1)."""
NO_REQUEST: Final = frozenset({"-", "null null null"})
"""What `%r` is when Tomcat read no request line: `-` from 7.0.13, the three nulls before."""

HEADERS: Final[Mapping[str, str]] = {"referer": "http_request_referrer", "user-agent": "user_agent_original"}
_NO_VERSION: Final = frozenset({"", _NULL})
"""What stands for the protocol in `%r` of a request without one (HTTP/0.9), or whose line broke before it."""
_FIRST_ERROR: Final = 400
_MILLISECONDS: Final = 3
"""Digits that `%{msec_frac}t` has."""


class NotALine(Exception):  # noqa: N818  # it is an outcome, told as one
    """The line is no event of this pattern: `reason` and `detail` of its reject."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def row_of(line: bytes, pattern: Pattern, zone: str = "", proxies: str = "") -> Row:
    """Return the columns of one line (no line end); NotALine if it does not fit or has no possible time.

    `zone` places times without offset; `proxies` are the networks, blanks between, whose word on a client is believed.
    """
    if len(line) > MAX_LINE:
        raise NotALine("line_too_long", f"{len(line)} bytes")
    found = split(line, pattern)
    if found is None:
        raise NotALine("not_access_log", "")
    cut, ambiguous = found
    fields, values = pattern.fields, [line[start:end] for start, end in cut]
    row: Row = {"flags": [], "rest": {}}
    for reader, field, raw in zip(_readers_of(pattern), fields, values, strict=True):
        reader(row, field, raw, zone)
    place(row, fields, values, proxies)
    if ambiguous and "ambiguous" not in row["flags"]:
        row["flags"].append("ambiguous")
    if is_broken(line):
        row["flags"].append("broken_text")
    return row


def columns_of(fields: Sequence[Field], values: Sequence[bytes], zone: str = "", proxies: str = "") -> Row:
    """Return what the values of fields say, in whatever log they stand; NotALine if a time is impossible."""
    row: Row = {"flags": [], "rest": {}}
    for field, raw in zip(fields, values, strict=True):
        reader_of(field)(row, field, raw, zone)
    place(row, fields, values, proxies)
    return row


@cache
def _readers_of(pattern: Pattern) -> tuple[Reader, ...]:
    return tuple(reader_of(field) for field in pattern.fields)


def reader_of(field: Field) -> Reader:
    """Return what reads a field's value into a row."""
    if field.kind is Kind.TIME:
        return _time
    return _READERS.get(field.letter if not field.key else "{}" + field.letter, keep)


def is_broken(line: bytes) -> bool:
    """Say whether a line is no UTF-8."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _text(raw: bytes) -> str | None:
    return None if raw == b"-" else decode(raw)


def keep(row: Row, field: Field, raw: bytes, _zone: str) -> None:
    """Keep a value that has no column under its field's own name."""
    if raw != b"-":
        row["rest"].setdefault(field.name, decode(raw))


def _host(row: Row, field: Field, raw: bytes, zone: str) -> None:
    """The TCP peer is the source; else the first field that holds an address; else the first one."""
    address = source_ip(decode(raw))
    if (held := row.get("held")) is not None:
        other, text = held
        if other.key == PEER or not (field.key == PEER or (row["source_ip"] is None and address is not None)):
            keep(row, field, raw, zone)
            return
        keep(row, other, text, zone)
    row |= {"held": (field, raw), "source_address": _text(raw), "source_ip": address}


def _user(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["user_name"] = _text(raw)


def _time(row: Row, field: Field, raw: bytes, zone: str) -> None:
    if "time" in row:
        keep(row, field, raw, zone)
        return
    us = clf(raw[1:-1])
    if us is None:
        raise NotALine("bad_time", decode(raw))
    row |= {"time": us, "time_original": decode(raw[1:-1]), "time_basis": "offset_in_log", "timed_by": field}


def _clock(row: Row, field: Field, raw: bytes, zone: str) -> None:
    if "time" in row:
        if "timed_by" in row and adds_milliseconds(row["timed_by"], field) and len(raw) <= _MILLISECONDS:
            row["time"] += int(raw) * 1000
            row["time_original"] += "." + decode(raw)
        else:
            keep(row, field, raw, zone)
        return
    us, told = clock(raw, field.key, zone_named(zone) if zone else None)
    if us is None:
        raise NotALine("bad_time", decode(raw))
    basis = "offset_in_log" if told else "zone_given" if zone else "zone_assumed"
    row |= {"time": us, "time_original": decode(raw), "time_basis": basis, "timed_by": field}


def adds_milliseconds(first: Field, later: Field) -> bool:
    """Say whether a field holds the milliseconds of the whole seconds that stand in another: `%{sec}t.%{msec_frac}t`.

    Both must be of the request's begin, or both of its end.
    """
    ends = [field.key.startswith("begin") for field in (first, later)]
    forms = [field.key.removeprefix("begin:").removeprefix("end:") for field in (first, later)]
    whole = first.kind is Kind.TIME or ("S" not in forms[0] and not forms[0].startswith("msec"))
    return forms[1] == "msec_frac" and ends[0] == ends[1] and whole


def _request(row: Row, field: Field, raw: bytes, zone: str) -> None:
    text = decode(raw)
    if text in NO_REQUEST:
        row["flags"].append("dash_request")
        return
    method, _, rest = text.partition(" ")
    target, blank, version = rest.rpartition(" ")
    known = version.startswith("HTTP/") or version in _NO_VERSION
    if not blank or not known or not method.isascii() or not method.isalpha():
        keep(row, field, raw, zone)
        return
    row["http_request_method"] = method
    row["http_version"] = None if version in _NO_VERSION else version[5:]
    _target(row, target)


def _target(row: Row, target: str) -> None:
    path, mark, query = target.partition("?")
    # A dash is Tomcat's word for a target that it refused to read: a client's own dash is refused like any other.
    row["url_path"] = None if path == "-" else path
    row["url_query"] = query if mark else None


def _uri(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    _target(row, decode(raw))


def _path_and_query(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    text = decode(raw)
    _target(row, text)
    if "?" not in text and text.endswith("-") and text != "-":
        # From 9.0.117, 10.1.54 and 11.0.21 a dash stands for no query; before, it can only be the path's.
        row["flags"].append("ambiguous")


def _path(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["url_path"] = _text(raw)


def _query(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    # `?` alone is a query of nothing; without a query older Tomcats write nothing and newer ones a dash.
    row["url_query"] = None if raw in {b"", b"-"} else decode(raw).removeprefix("?")


def _bare_query(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["url_query"] = _text(raw)


def _method(row: Row, field: Field, raw: bytes, zone: str) -> None:
    row["http_request_method"] = None if raw == _NULL.encode() else _text(raw)
    if raw == _NULL.encode():
        keep(row, field, raw, zone)


def _protocol(row: Row, field: Field, raw: bytes, zone: str) -> None:
    text = _text(raw)
    row["http_version"] = text.removeprefix("HTTP/") if text and text != _NULL else None
    if text == _NULL:
        keep(row, field, raw, zone)


def _status(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["http_response_status_code"] = None if raw == b"-" else int(raw)


def _bytes(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["http_response_bytes"] = None if raw == b"-" else int(raw)


def _header(row: Row, field: Field, raw: bytes, zone: str) -> None:
    column = HEADERS.get(field.key.lower())
    if column is None or column in row:
        keep(row, field, raw, zone)
    else:
        row[column] = _text(raw)


def _seconds(row: Row, field: Field, raw: bytes, zone: str) -> None:
    """`%T` with a fraction is seconds (7.0 to 9.0); without one it is whole seconds of any version."""
    unit = {"": 1_000_000, "s": 1_000_000, "ms": 1000, "us": 1, "fracsec": 1_000_000, "ns": 0}.get(field.key)
    if unit is None or raw == b"-" or "duration_us" in row:
        keep(row, field, raw, zone)
        return
    whole, _, fraction = raw.partition(b".")
    if not unit:
        row["duration_us"] = int(whole) // 1000
        return
    row["duration_us"] = int(whole) * unit + (int(fraction[:6].ljust(6, b"0")) * unit // 1_000_000 if fraction else 0)


def _server(row: Row, _field: Field, raw: bytes, _zone: str) -> None:
    row["host_name"] = _text(raw)


_READERS: Final[Mapping[str, Reader]] = {
    "a": _host,
    "{}a": _host,
    "h": _host,
    "u": _user,
    "l": keep,
    "t": _time,
    "{}t": _clock,
    "r": _request,
    "U": _path,
    "Uq": _path_and_query,
    "q": _query,
    "uri": _uri,
    "query": _bare_query,
    "m": _method,
    "H": _protocol,
    "s": _status,
    "b": _bytes,
    "B": _bytes,
    "{}i": _header,
    "T": _seconds,
    "{}T": _seconds,
    "v": _server,
}
"""How each directive is read; what is not here goes to `unmapped` under its own name. `%D` does too: its unit is
milliseconds to Tomcat 9.0 and microseconds from 10.0, and the line does not say which."""


def outcome(status: int | None) -> str:
    """Return what a status says of the request."""
    if status is None:
        return "unknown"
    return "success" if status < _FIRST_ERROR else "failure"


def table_of(rows: Sequence[Row], evidence_id: str, log_format: str = LOG_FORMAT) -> pa.RecordBatch:
    """Return rows of the slow path as events; each row also holds its `log_offset`, `log_length` and `log_ordinal`."""
    for row in rows:
        rest = row["rest"]
        row["unmapped"] = json.dumps(rest, sort_keys=True, ensure_ascii=False) if rest else None
        row["flags"] = ";".join(sorted(row["flags"])) or None
        row["event_outcome"] = outcome(row.get("http_response_status_code"))
    same = {
        "event_action": "http_request",
        "event_provider": "tomcat",
        "log_format": log_format,
        "evidence_id": evidence_id,
    }
    filled = set().union(*rows)
    columns = [
        constant(same[f.name], len(rows))
        if f.name in same
        else _column([row.get(f.name) for row in rows], f.type)
        if f.name in filled
        else nulls(f.type, len(rows))
        for f in EVENTS
    ]
    return pa.RecordBatch.from_arrays(columns, schema=EVENTS)


def _column(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    return (
        pa.array(values, kind.value_type).dictionary_encode()
        if pa.types.is_dictionary(kind)
        else pa.array(values, kind)
    )
