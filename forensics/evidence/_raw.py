"""Bytes from disk: opened read-only, no access-time change where the system allows it, regular files only; and views of them."""

from __future__ import annotations

import io
import os
import stat
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from forensics.errors import EvidenceError
from forensics.limits import MIB

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.stream import Readable

# A FIFO blocks on open without O_NONBLOCK, a link could lead anywhere, a plain open changes the access time.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_NOATIME: Final = getattr(os, "O_NOATIME", 0)


def open_raw(path: Path) -> io.FileIO:
    """Open one evidence file for reading, unbuffered; EvidenceError if it cannot be or is no regular file."""
    try:
        try:
            descriptor = os.open(path, _FLAGS | _NOATIME)
        except PermissionError:
            # Only the owner may ask for O_NOATIME; read access alone still serves.
            descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise EvidenceError(f"cannot be opened ({error.strerror}); give read access or leave it out") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise EvidenceError("is no regular file and was not read")
    return io.FileIO(descriptor, "rb")


class Seekable(Protocol):
    """A readable that can go to any byte: a file, bytes in memory, a slice of one."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill `buffer` and return how many bytes; 0 at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a byte and return where that is."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Slice:
    """A part of a seekable, itself seekable. Bytes that the part should have and the file has not are just not there.

    With `lent` closing the slice leaves its source open.
    """

    def __init__(self, source: Seekable, start: int, size: int, *, lent: bool = False) -> None:
        self._source = source
        self._lent = lent
        self._start = start
        self._size = size
        self._at = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        want = min(len(buffer), self._size - self._at)
        if want <= 0:
            return 0
        self._source.seek(self._start + self._at)
        got = self._source.readinto(buffer[:want]) or 0
        self._at += got
        return got

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a byte of the slice; `whence` 2 counts from its end, as for files."""
        self._at = max(0, offset + (self._size if whence == os.SEEK_END else 0))
        return self._at

    def close(self) -> None:
        """Close what it is a slice of."""
        if not self._lent:
            self._source.close()


class Peeked:
    """A readable whose first bytes were already taken, and are given once more."""

    def __init__(self, head: bytes, source: Readable) -> None:
        self._head = head
        self._source = source

    @property
    def damage(self) -> tuple[str, str] | None:
        """What broke below."""
        return damage_of(self._source)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        if not self._head:
            return self._source.readinto(buffer) or 0
        count = min(len(buffer), len(self._head))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        return count

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class Checked:
    """A member held to the size and the CRC-32 that its archive declares (-1: not declared).

    `damage` is `archive_truncated`, `archive_size` or the reason given for a wrong checksum; more than was declared is not
    given out.
    """

    def __init__(self, source: Readable, size: int, crc: int, reason: str) -> None:
        self._source = source
        self._size = size
        self._crc = crc
        self._reason = reason
        self._seen = 0
        self._sum = 0
        self._over = False
        self._damage: tuple[str, str] | None = None

    @property
    def damage(self) -> tuple[str, str] | None:
        """What broke below, or what is not as declared."""
        return damage_of(self._source) or self._damage

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        if self._over:
            return 0
        got = self._source.readinto(buffer) or 0
        if not got:
            self._end()
            return 0
        if 0 <= self._size < self._seen + got:
            got = self._size - self._seen
            self._damage = ("archive_size", f"it holds more than the {self._size} bytes that its archive declares")
            self._over = True
        self._sum = zlib.crc32(buffer[:got], self._sum)
        self._seen += got
        return got

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _end(self) -> None:
        self._over = True
        if self._seen < self._size:
            self._damage = ("archive_truncated", f"{self._seen} bytes of the {self._size} that its archive declares")
        elif self._crc >= 0 and self._sum != self._crc:
            self._damage = (self._reason, f"its CRC-32 is {self._sum:08x}, the archive says {self._crc:08x}")


def damage_of(source: object) -> tuple[str, str] | None:
    """Return what broke in a readable, as (reason, detail); None for a whole one and for a plain file."""
    damage: tuple[str, str] | None = getattr(source, "damage", None)
    return damage


def take(source: Readable, count: int) -> bytes:
    """Read up to `count` bytes; fewer mean the end. The memory taken grows with what is there, not with `count`."""
    out = bytearray()
    while len(out) < count:
        room = bytearray(min(count - len(out), MIB))
        got = source.readinto(memoryview(room)) or 0
        if not got:
            break
        out += memoryview(room)[:got]
    return bytes(out)


def skip(source: Readable, count: int) -> int:
    """Read and drop up to `count` bytes; return how many there were."""
    room = memoryview(bytearray(min(max(count, 1), MIB)))
    left = count
    while left:
        got = source.readinto(room[: min(left, len(room))]) or 0
        if not got:
            break
        left -= got
    return count - left


def seekable(source: Readable) -> Seekable | None:
    """Return the source itself if it can be sought in, else None."""
    return source if isinstance(source, (io.FileIO, io.BytesIO, Slice)) else None
