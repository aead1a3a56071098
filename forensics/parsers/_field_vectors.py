"""Whole columns of one kind of field turned by Arrow: addresses, counts, requests, CLF times, texts, and what is only kept.

Each function says of the rows it cannot turn that they are bad; the strict path reads those.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.columns import TIME
from forensics.parsers._clock_columns import clocks
from forensics.parsers._fast_bytes import clf_times
from forensics.parsers._fast_columns import constant, cut_at_mark, masked, source_ips, unusual_hosts
from forensics.parsers._kept_text import Kept
from forensics.parsers._valve import Kind
from forensics.parsers._valve_rows import HEADERS, keep, reader_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forensics.parsers._valve import Field

    Bools = NDArray[np.bool_]
    Columns = dict[str, Any]

_NOTHING: Final = pa.nulls(1, pa.string())[0]
_SHAPES: Final = frozenset({"any", "count", "dash"})
_COUNT: Final = r"^(?:[0-9]{1,18}|-)$"
_COUNT_DIGITS: Final = 18
_DASH: Final = 0x2D
_CLF: Final = r"(?s)^\[[0-9]{2}/[^ ]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}\]$"
_HOST_BYTES: Final = np.zeros(256, bool)
_HOST_BYTES[list(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:%_-[]")] = True
_PLAIN: Final = np.zeros(256, bool)
"""Bytes of a text that JSON writes as it is: ASCII from the blank on, no quote, no backslash."""
_PLAIN[0x20:0x7F] = True
_PLAIN[[0x22, 0x5C]] = False
_REQUEST: Final = r"^(?P<method>[A-Za-z]+) (?P<path>[^ ?]*)(?P<mark>\??)(?P<query>[^ ]*) HTTP/(?P<version>[0-9.]+)$"
# `clf_times` wants bytes 0 to 23, then 18 to 25 once more; the opening bracket stands before them.
_CLF_BYTES: Final = np.concatenate([np.arange(24), np.arange(18, 26)]) + 1


def at_once(field: Field, texts: pa.StringArray, zone: str, bad: Bools) -> Columns | None:
    """Return the columns of a field whose values can be turned as a whole, None for others; marks rows in `bad`.

    `zone` places times without offset.
    """
    header = HEADERS.get(field.key.lower()) if field.letter == "i" else None
    if header is not None:
        return {header: dash_to_null(texts.dictionary_encode())}
    if reader_of(field) is keep:
        return _kept(field, texts, bad)
    if field.letter in {"a", "h"}:
        return _hosts(texts, bad)
    if field.letter in {"b", "B"}:
        return {"http_response_bytes": _counts(texts, bad)}
    if field.letter in {"U", "query"}:
        return {"url_path" if field.letter == "U" else "url_query": without_dash(texts)}
    if field.letter == "Uq":
        return _path_and_query(texts)
    if field.kind is Kind.CLOCK:
        return clocks(field.key, texts, zone, bad)
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
    return {"source_address": dash_to_null(written), "source_ip": source_ips(written, unusual)}


def dash_to_null(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """A lone dash is Tomcat's word for nothing, among words by their codes."""
    found = pc.index(column.dictionary, "-").as_py()
    if found < 0:
        return column
    codes = column.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(masked(codes, codes == found), column.dictionary)


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
    _mark(pc.match_substring_regex(texts, _COUNT), bad)
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


def _path_and_query(whole: pa.StringArray) -> Columns:
    """Cut targets at their first question mark; a dash behind a path may stand for no query."""
    columns = cut_at_mark(whole)
    path, query = columns["url_path"], columns["url_query"]
    unsure = pc.and_(pc.and_(pc.is_null(query), pc.ends_with(path, "-")), pc.not_equal(path, "-"))
    columns["url_path"] = without_dash(path)
    if pc.any(unsure).as_py():
        columns["flags"] = pc.if_else(unsure, pa.scalar("ambiguous"), _NOTHING).dictionary_encode()
    return columns


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
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    if shape not in _SHAPES or not _PLAIN[data].all():
        return None
    if shape == "dash":
        _mark(pc.equal(texts, "-"), bad)
    elif shape == "count":
        _mark_counts(texts, data, bad)
    return {"rest": Kept(texts, pc.equal(texts, "-").to_numpy(zero_copy_only=False), plain=True)}


def _mark_counts(texts: pa.StringArray, data: NDArray[np.uint8], bad: Bools) -> None:
    """Mark what is no number of 1 to 18 digits and no lone dash."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    size = np.diff(offsets)
    bad |= (size < 1) | (size > _COUNT_DIGITS)
    others = np.flatnonzero((data < 0x30) | (data > 0x39))
    rows = np.searchsorted(offsets, others, "right") - 1
    inside = (rows >= 0) & (rows < len(texts))
    rows, others = rows[inside], others[inside]
    bad[rows[(size[rows] != 1) | (data[others] != _DASH)]] = True


def kept(field: Field, texts: pa.StringArray, bad: Bools) -> Columns | None:
    """Return what a field brings whose column another one fills: its text. None if its shape wants a closer look."""
    if field.kind is Kind.CLOCK:
        return None
    if field.kind is Kind.TIME:
        _mark(pc.match_substring_regex(texts, _CLF), bad)
    elif field.shape == "host":
        odd = _odd_hosts(texts)
        bad[odd] = True
    elif field.kind is Kind.TOKEN and field.shape not in _SHAPES:
        return None
    return _kept(replace(field, shape="any") if field.shape == "host" else field, texts, bad)


def milliseconds(texts: pa.StringArray, bad: Bools) -> pa.StringArray:
    """Check milliseconds of their own."""
    _mark(pc.match_substring_regex(texts, "^[0-9]{1,3}$"), bad)
    return texts


def add_milliseconds(columns: Columns, added: pa.StringArray, bad: Bools) -> None:
    """Add them to the time, and to how it was written."""
    number = pc.if_else(pa.array(~bad), added, "0").cast(pa.int64()).to_numpy()
    us = columns["time"].cast(pa.int64()).to_numpy(zero_copy_only=False)
    written = columns["time_original"].cast(pa.string())
    columns["time"] = pa.array(us + number * 1000).cast(TIME)
    columns["time_original"] = pc.binary_join_element_wise(written, added, ".").dictionary_encode()
