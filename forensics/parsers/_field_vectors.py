"""Whole columns of one kind of field turned by Arrow: addresses, counts, requests, CLF times, texts, and what is only kept.

Each function says of the rows it cannot turn that they are bad; the strict path reads those.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.parsers._fast_bytes import clf_times
from forensics.parsers._fast_columns import constant, source_ips, unusual_hosts
from forensics.parsers._valve import Kind
from forensics.parsers._valve_rows import keep, reader_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from forensics.parsers._valve import Field

    Bools = NDArray[np.bool_]
    Columns = dict[str, pa.Array]

HEADERS: Final[Mapping[str, str]] = {"referer": "http_request_referrer", "user-agent": "user_agent_original"}
_NOTHING: Final = pa.scalar(None, pa.string())
_SHAPES: Final[Mapping[str, str]] = {
    "any": r"(?s)^.*$",
    "count": r"^(?:[0-9]{1,18}|-)$",
    "dash": r"^-$",
}
_HOST_BYTES: Final = np.zeros(256, bool)
_HOST_BYTES[list(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%_-[]")] = True
_PLAIN: Final = r"^[ !#-\[\]-~]*$"
"""Text that JSON writes as it is."""
_REQUEST: Final = r"^(?P<method>[A-Za-z]+) (?P<path>[^ ?]*)(?P<mark>\??)(?P<query>[^ ]*) HTTP/(?P<version>[0-9.]+)$"
# `clf_times` wants bytes 0 to 23, then 18 to 25 once more; the opening bracket stands before them.
_CLF_BYTES: Final = np.concatenate([np.arange(24), np.arange(18, 26)]) + 1


def at_once(field: Field, texts: pa.StringArray, bad: Bools) -> Columns | None:
    """Return the columns of a field whose values can be turned as a whole, None for others; marks rows in `bad`."""
    header = HEADERS.get(field.key.lower()) if field.letter == "i" else None
    if header is not None:
        return {header: _dash_to_null(texts.dictionary_encode())}
    if reader_of(field) is keep:
        return _kept(field, texts, bad)
    if field.letter in {"a", "h"}:
        return _hosts(texts, bad)
    if field.letter in {"b", "B"}:
        return {"http_response_bytes": _counts(texts, bad)}
    if field.letter in {"U", "query"}:
        return {"url_path" if field.letter == "U" else "url_query": without_dash(texts)}
    if field.kind is Kind.TIME:
        return _times(texts, bad)
    return _requests(texts, bad) if field.letter == "r" else None


def without_dash(texts: pa.StringArray) -> pa.StringArray:
    """A lone dash is Tomcat's word for nothing: null."""
    return pc.if_else(pc.equal(texts, "-"), _NOTHING, texts)


def _mark(good: pa.BooleanArray, bad: Bools) -> None:
    bad |= ~pc.fill_null(good, False).to_numpy(zero_copy_only=False)


def _hosts(texts: pa.StringArray, bad: Bools) -> Columns:
    written = texts.dictionary_encode()
    unusual = unusual_hosts(written.dictionary)
    odd = unusual[_odd_hosts(written.dictionary.take(pa.array(unusual)))]
    if len(odd):
        bad |= np.isin(written.indices.to_numpy(), odd)
    return {"source_address": _dash_to_null(written), "source_ip": source_ips(written, unusual)}


def _dash_to_null(column: pa.DictionaryArray) -> pa.DictionaryArray:
    found = pc.index(column.dictionary, "-").as_py()
    if found < 0:
        return column
    codes = column.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes == found), column.dictionary)


def _odd_hosts(names: pa.StringArray) -> NDArray[np.int64]:
    """Return the numbers of the texts that hold a byte no address or name has."""
    offsets = np.frombuffer(names.buffers()[1], np.int32)[names.offset : names.offset + len(names) + 1]
    data = (
        np.frombuffer(names.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        if len(names)
        else np.zeros(0, np.uint8)
    )
    found = np.flatnonzero(~_HOST_BYTES[data])
    result: NDArray[np.int64] = np.unique(np.searchsorted(offsets - offsets[:1], found, "right") - 1)
    return result


def _counts(texts: pa.StringArray, bad: Bools) -> pa.Array:
    _mark(pc.match_substring_regex(texts, _SHAPES["count"]), bad)
    good = pc.match_substring_regex(texts, r"^[0-9]{1,18}$")
    return pc.if_else(good, texts, _NOTHING).cast(pa.int64())


def _requests(texts: pa.StringArray, bad: Bools) -> Columns:
    """Read requests of an ordinary form; a request that Tomcat did not read, or with blanks in its target, is not one."""
    parts = pc.extract_regex(texts, _REQUEST)
    _mark(parts.is_valid(), bad)
    method, path, mark, query, version = parts.flatten()
    _mark(pc.not_equal(path, "-"), bad)
    return {
        "http_request_method": method.dictionary_encode(),
        "url_path": path,
        "url_query": pc.if_else(pc.equal(mark, "?"), query, _NOTHING),
        "http_version": version.dictionary_encode(),
    }


def _times(texts: pa.StringArray, bad: Bools) -> Columns | None:
    """Read CLF times in their brackets; the distinct ones alone are looked at."""
    written = texts.dictionary_encode()
    names = written.dictionary
    if not len(names) or not pc.all(pc.equal(pc.binary_length(names), 28)).as_py():
        return None
    raw = np.frombuffer(names.buffers()[2], np.uint8)[: 28 * len(names)].reshape(-1, 28)
    us, good = clf_times(np.ascontiguousarray(raw[:, _CLF_BYTES]))
    good &= (raw[:, 0] == 0x5B) & (raw[:, 27] == 0x5D)
    codes = written.indices
    bad |= ~good[codes.to_numpy()]
    inner = pc.binary_slice(names.cast(pa.binary()), 1, 27)
    shown = pc.if_else(pa.array(good), inner, pa.scalar(b"")).cast(pa.string()).dictionary_encode()
    original = pa.DictionaryArray.from_arrays(shown.indices.take(codes), shown.dictionary)
    return {
        "time": pa.array(us).cast(TIME).take(codes),
        "time_original": original,
        "time_basis": constant("offset_in_log", len(texts)),
    }


def _kept(field: Field, texts: pa.StringArray, bad: Bools) -> Columns | None:
    """Return the parts of `unmapped` that a field brings; None if a text needs escapes or its shape a closer look."""
    shape = field.shape if field.kind is Kind.TOKEN else "any"
    if shape not in _SHAPES or not pc.all(pc.match_substring_regex(texts, _PLAIN)).as_py():
        return None
    if shape != "any":
        _mark(pc.match_substring_regex(texts, _SHAPES[shape]), bad)
    opening = json.dumps(field.name, ensure_ascii=False) + ': "'
    piece = pc.binary_join_element_wise(pa.scalar(opening), texts, pa.scalar('"'), "")
    return {"rest": pc.if_else(pc.equal(texts, "-"), _NOTHING, piece)}
