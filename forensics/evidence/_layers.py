"""Opening a member of an archive by its layers, outermost first, without a byte of it on disk.

What can only be read forwards (a compressed tar, a folder of a 7z) is kept open where the last reader left it, so that
members read in their stored order cost one inflation together. What must be sought in (a zip inside another archive) is
held in memory. Both are caches of this process: a member opens the same without them.
"""

from __future__ import annotations

import io
import lzma
import os
import zlib
from typing import TYPE_CHECKING, Final

from forensics.errors import EvidenceError
from forensics.evidence import _decrypt, _image, _seven, _store, _zip
from forensics.evidence._decoders import CODECS, ZIP_METHODS, Codec, chain_codec, lzma1_filter, lzma2_filter
from forensics.evidence._raw import Checked, Slice, damage_of, seekable, skip, take
from forensics.evidence._store import open_place
from forensics.evidence.inflate import Inflating
from forensics.limits import MAX_ARCHIVE_INFLATED, MAX_DIRECTORY, MAX_HELD, MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forensics.evidence._raw import Seekable
    from forensics.evidence._seven import Coder, Folder, SevenMember
    from forensics.model import Layer, StoredObject
    from forensics.stream import Readable

    Key = tuple[object, ...]

_CURSORS_KEPT: Final = 4
_MOST_FILTERS: Final = 4
_WHOLE_FOLDER: Final = 1 << 62
HELD_TOO_LARGE: Final = f"must be sought in and is larger than the {MAX_HELD:,} bytes that are held in memory"


class _Cursor:
    """A stream that is only read forwards, and where it stands."""

    def __init__(self, key: Key, source: Readable) -> None:
        self.key = key
        self.source = source
        self.position = 0


class _Borrowed:
    """One member of a cursor's stream; closing it gives the cursor back."""

    def __init__(self, cursor: _Cursor, size: int) -> None:
        self._cursor = cursor
        self._left = size
        self._damage: tuple[str, str] | None = None

    @property
    def damage(self) -> tuple[str, str] | None:
        """Why the member ends early; what breaks behind it is none of its."""
        return self._damage

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        want = min(len(buffer), self._left)
        if not want:
            return 0
        got = self._cursor.source.readinto(buffer[:want]) or 0
        self._cursor.position += got
        self._left -= got
        if not got:
            short = ("archive_truncated", f"its archive ends {self._left} bytes before it does")
            self._damage = damage_of(self._cursor.source) or short
            self._left = 0
        return got

    def close(self) -> None:
        """Give the cursor back."""
        _give_back(self._cursor)


_CURSORS: Final[list[_Cursor]] = []
_HELD: Final[dict[Key, io.BytesIO]] = {}
_DIRECTORIES: Final[dict[Key, tuple[list[Folder], list[SevenMember]]]] = {}


def forget() -> None:
    """Close what is kept open and drop what is held."""
    while _CURSORS:
        _CURSORS.pop().source.close()
    _HELD.clear()
    _DIRECTORIES.clear()
    _image.forget()
    _store.forget()


def _give_back(cursor: _Cursor) -> None:
    _CURSORS.append(cursor)
    while len(_CURSORS) > _CURSORS_KEPT:
        _CURSORS.pop(0).source.close()


def _forward(key: Key, place: int, size: int, fresh: Callable[[], Readable]) -> Readable:
    """Return the `size` bytes from `place` of a stream that is only read forwards."""
    fitting = [cursor for cursor in _CURSORS if cursor.key == key and cursor.position <= place]
    if fitting:
        cursor = max(fitting, key=lambda one: one.position)
        _CURSORS.remove(cursor)
    else:
        cursor = _Cursor(key, fresh())
    cursor.position += skip(cursor.source, place - cursor.position)
    return _Borrowed(cursor, size)


def open_layers(path: Path | StoredObject, layers: tuple[Layer, ...], password: bytes | None) -> Readable:
    """Open what the layers lead to; EvidenceError if it cannot be opened, or its password is missing or wrong."""
    if not layers:
        return open_place(path)[0]
    outer, last = layers[:-1], layers[-1]
    if last.kind in CODECS:
        return Inflating(
            open_layers(path, outer, password),
            CODECS[last.kind],
            lambda: open_layers(path, outer, password),
            MAX_ARCHIVE_INFLATED,
        )
    if last.kind == "tar":
        return _tar_member(path, outer, last, password)
    if last.kind == "image":
        return _image.open_member(path, last.spec)
    source = open_seekable(path, outer, password)
    if last.kind == "zip":
        return zip_member(source, last, password)
    return _seven_member(path, outer, last, password, source)


def open_seekable(path: Path | StoredObject, layers: tuple[Layer, ...], password: bytes | None) -> Seekable:
    """Open what the layers lead to so that it can be sought in, held in memory if need be; EvidenceError if too large."""
    key = (path, layers)
    if key in _HELD:
        return _view(_HELD[key])
    source = open_layers(path, layers, password)
    found = seekable(source)
    if found is not None:
        return found
    return hold(source, key)


def hold(source: Readable, key: Key) -> Seekable:
    """Read a source into memory and keep it until another is held; EvidenceError if it is too large."""
    _HELD.clear()
    held = io.BytesIO()
    room = memoryview(bytearray(MIB))
    try:
        while got := source.readinto(room):
            if held.tell() + got > MAX_HELD:
                raise EvidenceError(HELD_TOO_LARGE)
            held.write(room[:got])
    finally:
        source.close()
    _HELD[key] = held
    return _view(held)


def _view(held: io.BytesIO) -> Seekable:
    return Slice(held, 0, held.seek(0, os.SEEK_END), lent=True)


def _tar_member(path: Path | StoredObject, outer: tuple[Layer, ...], last: Layer, password: bytes | None) -> Readable:
    if all(layer.kind == "tar" for layer in outer):
        found = seekable(open_layers(path, outer, password))
        if found is not None:
            return Slice(found, last.place, last.size)
    return _forward((path, outer), last.place, last.size, lambda: open_layers(path, outer, password))


def zip_member(source: Seekable, layer: Layer, password: bytes | None) -> Readable:
    """Open one member of an open zip, held to its size and checksum; EvidenceError if it cannot be opened."""
    start = _zip.data_place(source, layer)
    if start is None:
        raise EvidenceError("is not where its archive's directory says; its local header is missing")
    if layer.method and layer.method not in ZIP_METHODS:
        raise EvidenceError(f"is compressed by zip method {layer.method}, which is not read")

    def decrypted() -> Readable:
        stored = layer.stored if layer.stored >= 0 else _WHOLE_FOLDER
        part = Slice(source, start, stored)
        return _zip_decrypted(part, layer, password) if layer.flags & _zip.ENCRYPTED else part

    plain = decrypted()
    if layer.method:
        plain = Inflating(plain, ZIP_METHODS[layer.method], decrypted)
    return Checked(plain, layer.size, layer.crc, "zip_crc")


def _zip_decrypted(part: Readable, layer: Layer, password: bytes | None) -> Readable:
    if password is None:
        raise EvidenceError(_decrypt.LOCKED)
    if layer.flags & 0x40 and not layer.flags >> 16 & 3:
        raise EvidenceError("is encrypted by PKWARE's strong encryption, which is not read")
    if strength := layer.flags >> 16 & 3:
        return _decrypt.ZipAes(part, password, strength, layer.stored)
    return _decrypt.ZipCrypto(part, password, layer.flags >> 24)


def seven_directory(source: Seekable, password: bytes | None) -> tuple[list[Folder], list[SevenMember]]:
    """Read the directory of an open 7z; EvidenceError if it is missing, damaged or encrypted."""
    source.seek(0)
    place, size, crc = _seven.start_of(take(source, _seven.START.size))
    if size > MAX_DIRECTORY:
        raise EvidenceError(f"has a directory of {size} bytes; the limit is {MAX_DIRECTORY}")
    source.seek(place)
    raw = take(source, size)
    if len(raw) < size:
        raise EvidenceError("is cut off: its directory, which stands at its end, is missing")
    if zlib.crc32(raw) != crc:
        raise EvidenceError("has a damaged directory: its checksum is wrong")

    locked = False

    def unpacked(folder: Folder) -> bytes:
        nonlocal locked
        locked = locked or folder.encrypted
        if folder.files[0][0] > MAX_DIRECTORY:
            raise EvidenceError(f"has a directory of {folder.files[0][0]} bytes; the limit is {MAX_DIRECTORY}")
        stream = Checked(_folder_stream(lambda: source, folder, password), *folder.files[0], "7z_crc")
        made = take(stream, MAX_DIRECTORY + 1)
        if stream.damage:
            raise EvidenceError("has a damaged directory")
        return made

    try:
        return _seven.parse(raw, unpacked)
    except (ValueError, EvidenceError) as error:
        # A directory that was deciphered by another password is as good as damaged.
        if locked and password is not None:
            raise EvidenceError(_decrypt.NOT_OPENED) from error
        raise EvidenceError(str(error) if isinstance(error, EvidenceError) else "has a damaged directory") from error


def _seven_member(
    path: Path | StoredObject, outer: tuple[Layer, ...], last: Layer, password: bytes | None, source: Seekable
) -> Readable:
    if last.method < 0:
        source.close()
        return io.BytesIO(b"")
    key: Key = (path, outer)
    if key not in _DIRECTORIES:
        _DIRECTORIES.clear()
        _DIRECTORIES[key] = seven_directory(source, password)
    source.close()
    folder = _DIRECTORIES[key][0][last.method]

    def fresh() -> Readable:
        return _folder_stream(lambda: open_seekable(path, outer, password), folder, password)

    return Checked(_forward((*key, last.method), last.place, last.size, fresh), last.size, last.crc, "7z_crc")


def _folder_stream(fresh: Callable[[], Seekable], folder: Folder, password: bytes | None) -> Readable:
    """Return the decoded stream of one folder of a 7z; EvidenceError if a coder is not read."""
    chain = folder.chain()

    def stage(number: int) -> Readable:
        """Return what comes out of coder `number`, counted from 1; 0 is the packed bytes."""
        if number == 0:
            return Slice(fresh(), folder.place, folder.stored)
        coder, size = chain[number - 1]
        if coder.method == _seven.AES:
            if password is None:
                raise EvidenceError(_decrypt.LOCKED)
            return _decrypt.SevenAes(stage(number - 1), password, coder.properties, size)
        converters = []
        while coder.method in _CONVERTERS and number > 1:
            converters.append(_converter(coder))
            number -= 1
            coder = chain[number - 1][0]
        codec = _seven_codec(coder, converters)
        below = number - 1
        return Inflating(stage(below), codec, lambda: stage(below), max(size, 1)) if codec else stage(below)

    return stage(len(chain))


# Branch converters by their old and new ids (Methods.txt of the LZMA SDK): 7-Zip puts them before programs, py7zr before all.
# liblzma undoes them together with LZMA2, whose end it can tell.
_CONVERTERS: Final = {
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x04": lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x06": lzma.FILTER_IA64,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x07": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x08": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
    b"\x09": lzma.FILTER_SPARC,
    b"\x03": lzma.FILTER_DELTA,
}
_LZMA1: Final = b"\x03\x01\x01"
_LZMA2: Final = b"\x21"
_OTHERS: Final = {b"\x04\x01\x08": 8, b"\x04\x01\x09": 9, b"\x04\x02\x02": 12, b"\x04\xf7\x11\x01": 93}
"""7z methods that zip has too, by zip's number."""


def _converter(coder: Coder) -> dict[str, int]:
    kind = _CONVERTERS[coder.method]
    if kind == lzma.FILTER_DELTA:
        return {"id": kind, "dist": (coder.properties or b"\0")[0] + 1}
    return {"id": kind}


def _seven_codec(coder: Coder, converters: list[dict[str, int]]) -> Codec | None:
    """Return the codec of a 7z method, None for Copy; EvidenceError for one that is not read."""
    try:
        if coder.method == _LZMA2 and len(converters) < _MOST_FILTERS:
            return chain_codec([*converters, lzma2_filter(coder.properties)])
        if coder.method == _LZMA1 and not converters:
            return chain_codec([lzma1_filter(coder.properties)])
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    if coder.method == b"\0" and not converters:
        return None
    if coder.method not in _OTHERS or converters:
        with_filter = " behind a converter" if converters else ""
        raise EvidenceError(f"is compressed by 7z method {coder.method.hex()}{with_filter}, which is not read")
    return ZIP_METHODS[_OTHERS[coder.method]]
