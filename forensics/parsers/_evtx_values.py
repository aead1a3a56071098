"""Values of binary XML as text: what each type's bytes mean (libyal's EVTX format description, Microsoft's BinXml).

One value is `text_of`; a column of values is `Words`, in which each distinct value is rendered once. Where a value lies is
one packed number: where it starts in the buffer (32 bits), its size (16) and its type (8).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from forensics.instants import FILETIME_EPOCH_US, iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.parsers._evtx_chunks import Chunks

    Ints = NDArray[np.int64]

NULL, STRING, ANSI, FILETIME, SID, GUID, BINXML = 0x00, 0x01, 0x02, 0x11, 0x13, 0x0F, 0x21
STRINGS: Final = 0x81
SEPARATOR: Final = "\u241f"
"""Stands between the strings of a list: the picture of the unit separator, which no list holds by accident."""
UINT16: Final = 0x06
_BOOLEAN: Final = 0x0D
_NUMBERS: Final = {
    0x03: "<b",
    0x04: "<B",
    0x05: "<h",
    0x06: "<H",
    0x07: "<i",
    0x08: "<I",
    0x09: "<q",
    0x0A: "<Q",
    0x0B: "<f",
    0x0C: "<d",
}
_HEX: Final = frozenset({0x14, 0x15})
_WIDTHS: Final = {0x04: 1, 0x05: 2, 0x06: 2, 0x07: 4, 0x08: 4, 0x09: 8, 0x0A: 8, 0x14: 4, 0x15: 8, FILETIME: 8}
_SIZE: Final = 0xFFFF << 32
"""Where a packed value has its size."""
_SIGNED: Final = frozenset({0x05, 0x07, 0x09})


def text_of(raw: bytes, kind: int) -> str:
    """Return a value as text; bytes of a type that is not known, or too short for it, in hexadecimal.

    Numbers are decimal, HexInt values `0x3e7` without leading zeros, GUIDs lower case without braces, SIDs `S-1-…`, times
    ISO 8601, lists of strings joined by SEPARATOR.
    """
    try:
        if kind in _NUMBERS:
            return str(struct.unpack(_NUMBERS[kind], raw)[0])
        read = _TEXTS.get(kind)
        return raw.hex() if read is None else read(raw)
    except (struct.error, ValueError, OverflowError):
        return raw.hex()


def _utf16(raw: bytes) -> str:
    try:
        return raw.decode("utf-16-le").rstrip("\0")
    except UnicodeDecodeError:
        # Arrow holds no lone surrogates; they are spelt out as text.visible would.
        text = raw.decode("utf-16-le", "surrogatepass").rstrip("\0")
        return "".join(f"\\u{{{ord(c):x}}}" if 0xD800 <= ord(c) <= 0xDFFF else c for c in text)


def _guid(raw: bytes) -> str:
    a, b, c = struct.unpack_from("<IHH", raw)
    tail = raw[8:16].hex()
    if len(raw) != 16:
        raise ValueError("a GUID has 16 bytes")
    return f"{a:08x}-{b:04x}-{c:04x}-{tail[:4]}-{tail[4:]}"


def _parts(raw: bytes) -> list[bytes]:
    parts, start = [], 0
    for at in range(0, len(raw) - 1, 2):
        if raw[at : at + 2] == b"\0\0":
            parts.append(raw[start:at])
            start = at + 2
    if start < len(raw):
        parts.append(raw[start:])
    return parts


def _sid(raw: bytes) -> str:
    if len(raw) < 8 or len(raw) < 8 + 4 * raw[1]:
        return raw.hex()
    parts = struct.unpack_from(f"<{raw[1]}I", raw, 8)
    return f"S-{raw[0]}-{int.from_bytes(raw[2:8], 'big')}" + "".join(f"-{part}" for part in parts)


def filetime_text(ticks: int) -> str:
    """Return a FILETIME (100 ns since 1601) as ISO 8601 with seven digits of a second."""
    us, rest = divmod(ticks, 10)
    whole, fraction = divmod(us - FILETIME_EPOCH_US, 1_000_000)
    return iso(whole * 1_000_000)[:-1] + f".{fraction:06d}{rest}Z"


_TEXTS: Final[Mapping[int, Callable[[bytes], str]]] = {
    STRING: _utf16,
    ANSI: lambda raw: raw.rstrip(b"\0").decode("latin-1"),
    _BOOLEAN: lambda raw: "true" if any(raw) else "false",
    GUID: _guid,
    SID: _sid,
    FILETIME: lambda raw: filetime_text(int.from_bytes(raw, "little")),
    STRINGS: lambda raw: SEPARATOR.join(_utf16(part) for part in _parts(raw)),
    **dict.fromkeys(_HEX, lambda raw: hex(int.from_bytes(raw, "little"))),
}


@dataclass(frozen=True, slots=True)
class Words:
    """A column of text: a code a row, -1 for nothing, and the words that the codes number."""

    codes: NDArray[np.int32]
    words: Sequence[str]

    def map(self, change: Callable[[str], str | None]) -> Words:
        """Change each word once; None and empty become nothing."""
        numbers: dict[str, int] = {}
        changed = [change(word) for word in self.words]
        # The last entry serves code -1.
        lookup = np.array([numbers.setdefault(w, len(numbers)) if w else -1 for w in changed] + [-1], np.int32)
        return Words(lookup[self.codes], list(numbers))

    def arrow(self) -> pa.DictionaryArray:
        """Return the column as Arrow."""
        absent = self.codes < 0
        indices = pa.array(self.codes, mask=absent if absent.any() else None)
        return pa.DictionaryArray.from_arrays(indices, pa.array(self.words, pa.string()))

    def over(self, other: Words) -> Words:
        """Return this column, with another one where it has nothing."""
        codes = np.where(other.codes < 0, -1, other.codes + np.int32(len(self.words)))
        joined = Words(np.where(self.codes < 0, codes, self.codes), [*self.words, *other.words])
        return joined.map(str)


def nothing(count: int) -> Words:
    """Return a column of nothing."""
    return Words(np.full(count, -1, np.int32), [])


def starts(values: Ints) -> Ints:
    """Return where packed values start in the buffer."""
    return values & 0xFFFFFFFF


def sizes(values: Ints) -> Ints:
    """Return the sizes of packed values in bytes."""
    return values >> 32 & 0xFFFF


def kinds(values: Ints) -> Ints:
    """Return the types of packed values."""
    return values >> 48


def words(chunks: Chunks, values: Ints, *, distinct: bool = True) -> Words:
    """Return packed values as text; those of type null or size 0 are nothing, empty ones only if words must be `distinct`.

    Rows ascend and do not overlap, since each value lies in its own record: so one array over the buffer has them all.
    """
    codes = np.full(len(values), -1, np.int32)
    there = np.flatnonzero(values & _SIZE)
    if len(there) < len(values):
        values = values[there]
    kind = kinds(values)
    alike = len(there) > 0 and bool((kind == kind[0]).all())
    found = kind[:1].tolist() if alike else np.unique(kind).tolist()
    told: list[str] = []
    certain = alike
    for number in found:
        if number == NULL:
            continue
        rows = slice(None) if alike else np.flatnonzero(kind == number)
        new, index, differ = _distinct(chunks, starts(values[rows]), sizes(values[rows]), number)
        certain &= differ
        codes[there[rows]] = index + np.int32(len(told))
        told += new
    return Words(codes, told) if certain or not distinct else Words(codes, told).map(str)


def _distinct(chunks: Chunks, start: Ints, size: Ints, kind: int) -> tuple[list[str], NDArray[np.int32], bool]:
    """Return the distinct values of one type as text, which of them each row has, and whether the texts differ for sure."""
    if kind in _WIDTHS and kind != FILETIME and (size == _WIDTHS[kind]).all():
        coded = pa.array(_integers(chunks, start, kind)).dictionary_encode()
        return list(map(hex if kind in _HEX else str, coded.dictionary.to_pylist())), coded.indices.to_numpy(), True
    coded = _binary(chunks, start, size).dictionary_encode()
    texts = _ascii(coded.dictionary) if kind == STRING else None
    if texts is None:
        texts = [text_of(raw, kind) for raw in coded.dictionary.to_pylist()]
    return texts, coded.indices.to_numpy(), False


def _ascii(values: pa.BinaryArray) -> list[str] | None:
    """Return UTF-16 texts, if all of them are ASCII, as nearly all are: every second byte is the text. Else None."""
    _, offsets, data = values.buffers()
    at = np.frombuffer(offsets, np.int32, len(values) + 1)
    if values.offset or (at & 1).any():
        return None
    units = np.frombuffer(data, "<u2", at[-1] >> 1)
    if (units >= 0x80).any():
        return None
    plain = [None, pa.py_buffer(at >> 1), pa.py_buffer(units.astype(np.uint8))]
    texts: list[str] = pa.Array.from_buffers(pa.string(), len(values), plain).to_pylist()
    return [text.rstrip("\0") for text in texts]


def integers(chunks: Chunks, values: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return packed values as integers and which rows have one; unsigned ones wrap into negative from 2**63 on."""
    start, size, kind = starts(values), sizes(values), kinds(values)
    out = np.zeros(len(values), np.int64)
    present = np.zeros(len(values), bool)
    for number in set(np.unique(kind).tolist()) & set(_WIDTHS):
        here = (kind == number) & (size == _WIDTHS[number])
        out[here] = _integers(chunks, start[here], number).astype(np.int64)
        present |= here
    return out, present


def _integers(chunks: Chunks, start: Ints, kind: int) -> NDArray[np.uint64] | Ints:
    unused = np.uint64(64 - 8 * _WIDTHS[kind])
    shifted = chunks.word(start) << unused
    if kind in _SIGNED:
        return shifted.view(np.int64) >> np.int64(unused)
    return shifted >> unused


def _binary(chunks: Chunks, start: Ints, size: Ints) -> pa.BinaryArray:
    """Copy value bytes out of the buffer: value and gap alternate in one array, and every second one is taken."""
    count = len(start)
    offsets = np.empty(2 * count + 1, np.int32)
    offsets[0:-1:2] = start
    offsets[1::2] = start + size
    offsets[-1] = offsets[-2]
    whole = pa.Array.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(chunks.bytes)])
    return whole.take(pa.array(np.arange(0, 2 * count, 2)))


def grouped(keys: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each key with the rows that have it, in order of their first."""
    coded = pa.array(keys).dictionary_encode()
    listed = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy()
    # Sixteen bits are sorted by counting.
    order = np.argsort(codes.astype(np.uint16) if len(listed) < 1 << 16 else codes, kind="stable")
    cuts = np.cumsum(np.bincount(codes, minlength=len(listed))).tolist()
    for start, stop, key in zip([0, *cuts], cuts, listed, strict=False):
        yield key, order[start:stop]
