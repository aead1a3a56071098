"""7z headers (7zFormat.txt of the LZMA SDK): folders, their coders, and which file lies where in them.

The whole header is held, at most MAX_DIRECTORY bytes; every count in it is checked against the bytes that are left.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from forensics.errors import EvidenceError
from forensics.limits import MAX_MEMBERS, TIME_MAX_US, TIME_MIN_US

if TYPE_CHECKING:
    from collections.abc import Callable

AES: Final = b"\x06\xf1\x07\x01"
MAGIC: Final = b"7z\xbc\xaf\x27\x1c"
START: Final = struct.Struct("<6s2BI2QI")
_END, _HEADER, _STREAMS, _FILES = 0x00, 0x01, 0x04, 0x05
_PACK, _UNPACK, _SUBSTREAMS, _SIZES, _CRCS = 0x06, 0x07, 0x08, 0x09, 0x0A
_FOLDERS, _CODER_SIZES, _COUNTS, _EMPTY, _EMPTY_FILE = 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
_NAMES, _MODIFIED, _ATTRIBUTES, _ENCODED = 0x11, 0x14, 0x15, 0x17
_FILETIME_1970: Final = 116_444_736_000_000_000
_MAX_CODERS: Final = 32
_MAX_PLACE: Final = 1 << 62
"""Beyond any file; what is smaller can be sought, and added to, in 64 bits."""


@dataclass(slots=True)
class Coder:
    """One step of decoding: its method id and properties, how many streams go in and out."""

    method: bytes
    properties: bytes
    inputs: int
    outputs: int


@dataclass(slots=True)
class Folder:
    """One solid run of files: where its packed bytes lie, the coders in the order of decoding with what each puts out."""

    coders: list[Coder] = field(default_factory=list)
    bound: list[tuple[int, int]] = field(default_factory=list)
    packed: int = 1
    sizes: list[int] = field(default_factory=list)
    crc: int = -1
    place: int = 0
    stored: int = 0
    files: list[tuple[int, int]] = field(default_factory=list)
    """Size and CRC (-1: none) of each file in it."""

    @property
    def encrypted(self) -> bool:
        """True if one of its coders is the AES of 7z."""
        return any(coder.method == AES for coder in self.coders)

    def chain(self) -> list[tuple[Coder, int]]:
        """Return the coders from the packed bytes on, each with the size it puts out; EvidenceError if they are no chain."""
        if self.packed != 1 or any(coder.inputs != 1 or coder.outputs != 1 for coder in self.coders):
            raise EvidenceError("is compressed by a method that mixes streams (BCJ2), which is not read")
        out: list[tuple[Coder, int]] = []
        takers = {giver: taker for taker, giver in self.bound}
        first = set(range(len(self.coders))) - {taker for taker, _ in self.bound}
        number = first.pop() if len(first) == 1 else -1
        while 0 <= number < len(self.coders) and len(out) < len(self.coders):
            out.append((self.coders[number], self.sizes[number]))
            number = takers.get(number, -1)
        if len(out) != len(self.coders):
            raise EvidenceError("has a damaged directory: its coders are no chain")
        return out


@dataclass(frozen=True, slots=True)
class SevenMember:
    """One file: its folder (-1: no data), where its data begin in the folder's stream, and what is known of it."""

    name: str
    folder: int
    place: int
    size: int
    crc: int
    modified: int | None
    is_folder: bool
    is_link: bool


@dataclass(slots=True)
class _Bytes:
    """A header being read; EvidenceError at its end."""

    raw: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.raw):
            raise EvidenceError("has a damaged directory: it ends too early")
        self.at += count
        return self.raw[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Read a number of one to nine bytes: the leading ones of the first tell how many follow."""
        first = self.byte()
        value = 0
        for extra in range(8):
            mask = 0x80 >> extra
            if not first & mask:
                value |= (first & (mask - 1)) << (8 * extra)
                break
            value |= self.byte() << (8 * extra)
        return _placed_in_a_file(value)

    def count(self, most: int | None = None) -> int:
        """Read a number of things, of which each takes room in the header or at least a bit elsewhere."""
        number = self.number()
        if number > (MAX_MEMBERS * 4 if most is None else most):
            raise EvidenceError(f"has a damaged directory, or one of {number} entries; the limit is {MAX_MEMBERS}")
        return number

    def bits(self, count: int) -> list[bool]:
        raw = self.take(-(-count // 8))
        return [bool(raw[i >> 3] & 0x80 >> (i & 7)) for i in range(count)]

    def marks(self, count: int) -> list[bool]:
        return [True] * count if self.byte() else self.bits(count)

    def crcs(self, count: int) -> list[int]:
        return [struct.unpack("<I", self.take(4))[0] if given else -1 for given in self.marks(count)]


def _placed_in_a_file(number: int) -> int:
    if number > _MAX_PLACE:
        raise EvidenceError(f"has a damaged directory: it speaks of {number} bytes, more than any file has")
    return number


def start_of(raw: bytes) -> tuple[int, int, int]:
    """Return where the header lies, its size and its CRC; EvidenceError if the first 32 bytes are damaged."""
    if len(raw) < START.size:
        raise EvidenceError("is cut off in its first bytes")
    _, _, _, crc, offset, size, header_crc = START.unpack(raw[: START.size])
    if zlib.crc32(raw[12:32]) != crc:
        raise EvidenceError("has a damaged start header; where its directory lies is not known")
    return _placed_in_a_file(START.size + offset + size) - size, size, header_crc


def parse(raw: bytes, unpacked: Callable[[Folder], bytes]) -> tuple[list[Folder], list[SevenMember]]:
    """Return folders and files; `unpacked` decodes a header that is itself packed. EvidenceError if it is damaged."""
    for _ in range(4):
        if not raw:
            return [], []
        header = _Bytes(raw)
        kind = header.byte()
        if kind == _HEADER:
            return _header(header)
        if kind != _ENCODED:
            break
        folders = _streams(header)
        if len(folders) != 1:
            break
        raw = unpacked(folders[0])
    raise EvidenceError("has a damaged directory")


def _header(header: _Bytes) -> tuple[list[Folder], list[SevenMember]]:
    folders: list[Folder] = []
    files: list[SevenMember] = []
    while (kind := header.byte()) != _END:
        if kind == _STREAMS:
            folders = _streams(header)
        elif kind == _FILES:
            files = _files(header, folders)
        else:
            raise EvidenceError(f"has a damaged directory, or one with an unknown part {kind}")
    return folders, files


def _streams(header: _Bytes) -> list[Folder]:
    places: list[tuple[int, int]] = []
    folders: list[Folder] = []
    told = False
    while (kind := header.byte()) != _END:
        if kind == _PACK:
            places = _pack(header)
        elif kind == _UNPACK:
            folders = _unpack(header)
        elif kind == _SUBSTREAMS:
            _substreams(header, folders)
            told = True
        else:
            raise EvidenceError(f"has a damaged directory, or one with an unknown part {kind}")
    number = 0
    for folder in folders:
        if not told:
            folder.files = [(_whole(folder), folder.crc)]
        if number + folder.packed > len(places):
            raise EvidenceError("has a damaged directory: packed streams are missing")
        folder.place, folder.stored = places[number]
        number += folder.packed
    return folders


def _whole(folder: Folder) -> int:
    """Return the size of what the last coder puts out: the one that feeds no other."""
    givers = {giver for _, giver in folder.bound}
    ends = [number for number in range(len(folder.sizes)) if number not in givers]
    if len(ends) != 1:
        raise EvidenceError("has a damaged directory: its coders have no end")
    return folder.sizes[ends[0]]


def _pack(header: _Bytes) -> list[tuple[int, int]]:
    at = START.size + header.number()
    count = header.count()
    sizes = [0] * count
    while (kind := header.byte()) != _END:
        if kind == _SIZES:
            sizes = [header.number() for _ in range(count)]
        elif kind == _CRCS:
            header.crcs(count)
        else:
            raise EvidenceError("has a damaged directory: packed streams")
    out = []
    for size in sizes:
        out.append((at, size))
        at = _placed_in_a_file(at + size)
    return out


def _unpack(header: _Bytes) -> list[Folder]:
    if header.byte() != _FOLDERS:
        raise EvidenceError("has a damaged directory: folders")
    count = header.count()
    if header.byte():
        raise EvidenceError("has a directory in another place, which is not read")
    folders = [_folder(header) for _ in range(count)]
    if header.byte() != _CODER_SIZES:
        raise EvidenceError("has a damaged directory: sizes")
    for folder in folders:
        folder.sizes = [header.number() for _ in range(sum(coder.outputs for coder in folder.coders))]
    while (kind := header.byte()) != _END:
        if kind != _CRCS:
            raise EvidenceError("has a damaged directory: folders")
        for folder, crc in zip(folders, header.crcs(count), strict=True):
            folder.crc = crc
    return folders


def _folder(header: _Bytes) -> Folder:
    folder = Folder()
    for _ in range(header.count(_MAX_CODERS)):
        flags = header.byte()
        method = header.take(flags & 15)
        inputs, outputs = (header.count(_MAX_CODERS), header.count(_MAX_CODERS)) if flags & 0x10 else (1, 1)
        properties = header.take(header.number()) if flags & 0x20 else b""
        folder.coders.append(Coder(method, properties, inputs, outputs))
    bonds = max(0, sum(coder.outputs for coder in folder.coders) - 1)
    folder.bound = [(header.count(), header.count()) for _ in range(bonds)]
    folder.packed = sum(coder.inputs for coder in folder.coders) - bonds
    if folder.packed < 1:
        raise EvidenceError("has a damaged directory: a folder without packed bytes")
    if folder.packed > 1:
        for _ in range(folder.packed):
            header.number()
    return folder


def _substreams(header: _Bytes, folders: list[Folder]) -> None:
    counts = [1] * len(folders)
    kind = header.byte()
    if kind == _COUNTS:
        counts = [header.count() for _ in folders]
        kind = header.byte()
    sizes: list[list[int]] = []
    for folder, count in zip(folders, counts, strict=True):
        known = [header.number() for _ in range(count - 1)] if kind == _SIZES else []
        if count:
            known.append(_whole(folder) - sum(known))
        if len(known) != count or any(size < 0 for size in known):
            raise EvidenceError("has a damaged directory: sizes of files")
        sizes.append(known)
    if kind == _SIZES:
        kind = header.byte()
    crcs = [
        [folder.crc] if len(known) == 1 else [-1] * len(known) for folder, known in zip(folders, sizes, strict=True)
    ]
    while kind != _END:
        if kind != _CRCS:
            raise EvidenceError("has a damaged directory: files of folders")
        lacking = [(i, j) for i, known in enumerate(crcs) for j, crc in enumerate(known) if len(known) > 1 or crc < 0]
        for (i, j), crc in zip(lacking, header.crcs(len(lacking)), strict=True):
            crcs[i][j] = crc
        kind = header.byte()
    for folder, known, sums in zip(folders, sizes, crcs, strict=True):
        folder.files = list(zip(known, sums, strict=True))


def _files(header: _Bytes, folders: list[Folder]) -> list[SevenMember]:
    count = header.count(MAX_MEMBERS * 4)
    names: list[str] = []
    empty, no_file = [False] * count, [True] * count
    modified: list[int | None] = [None] * count
    attributes = [0] * count
    while (kind := header.byte()) != _END:
        part = _Bytes(header.take(header.number()))
        if kind == _EMPTY:
            empty = part.bits(count)
        elif kind == _EMPTY_FILE:
            marks = iter(part.bits(sum(empty)))
            no_file = [not next(marks) if nothing else True for nothing in empty]
        elif kind == _NAMES:
            names = _names(part, count)
        elif kind == _MODIFIED:
            modified = [_time(part.take(8)) if given else None for given in _external(part, count)]
        elif kind == _ATTRIBUTES:
            attributes = [struct.unpack("<I", part.take(4))[0] if given else 0 for given in _external(part, count)]
    if len(names) != count:
        raise EvidenceError("has a damaged directory: names")
    places = iter([(i, sum_, *entry) for i, folder in enumerate(folders) for sum_, entry in _placed(folder)])
    out = []
    for number in range(count):
        folder, place, size, crc = (-1, 0, 0, -1) if empty[number] else next(places, (-1, 0, 0, -1))
        mode = attributes[number] >> 16 if attributes[number] & 0x8000 else 0
        is_link = (mode & 0o170000) == 0o120000 or bool(attributes[number] & 0x400)
        is_folder = empty[number] and (no_file[number] or bool(attributes[number] & 0x10))
        out.append(SevenMember(names[number], folder, place, size, crc, modified[number], is_folder, is_link))
    return out


def _placed(folder: Folder) -> list[tuple[int, tuple[int, int]]]:
    at = 0
    out = []
    for size, crc in folder.files:
        out.append((at, (size, crc)))
        at += size
    return out


def _external(part: _Bytes, count: int) -> list[bool]:
    marks = part.marks(count)
    if part.byte():
        raise EvidenceError("has a directory in another place, which is not read")
    return marks


def _names(part: _Bytes, count: int) -> list[str]:
    if part.byte():
        raise EvidenceError("has a directory in another place, which is not read")
    # A lone surrogate would not fit into a table; it is spelt out as the bytes that it is.
    text = part.raw[part.at :].decode("utf-16-le", "surrogatepass")
    names = text.encode("utf-8", "backslashreplace").decode("utf-8").split("\0")
    return names[:count]


def _time(raw: bytes) -> int | None:
    instant = (int.from_bytes(raw, "little") - _FILETIME_1970) // 10
    return instant if TIME_MIN_US <= instant < TIME_MAX_US else None
