"""gzip as a stream: any number of members, bounded, and everything before a damage is delivered."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from forensics.limits import MAX_INFLATED, MAX_RATIO, RATIO_FREE

_fast: ModuleType
try:
    # Four times faster than zlib on the same bytes; not built for every processor.
    from isal import isal_zlib as _fast
except ImportError:
    _fast = zlib

if TYPE_CHECKING:
    import io
    from types import ModuleType

_STORED: Final = 256 * 1024
_WBITS_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"


class Inflating:
    """The inflated bytes of an open gzip file (RFC 1952).

    `damage` is None while all is well; once the stream broke off it is (reason, detail) with reason `gzip_truncated`,
    `gzip_corrupt`, `gzip_trailing_bytes` or `bomb`. Reading past it returns 0.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._inflater: Any = None
        self._stored = b""
        self._member_at = 0
        self._read = 0
        self._given = 0
        self._member_given = 0
        self._pending = b""
        self.damage: tuple[str, str] | None = None
        self._over = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end or at the damage."""
        while not self._pending and not self._over:
            self._pending = self._more(len(buffer))
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        """Close the file underneath."""
        self._raw.close()

    def _more(self, want: int) -> bytes:
        """Return the next inflated bytes, possibly none yet."""
        if self._inflater is None and not self._next_member():
            return b""
        stored, self._stored = self._stored or self._pull(), b""
        try:
            # An inflater may hold output back after its last input, so it is asked once more without any.
            out: bytes = self._inflater.decompress(stored, want)
        except (zlib.error, getattr(_fast, "error", zlib.error)) as error:
            return self._creep(str(error))
        if not stored and not out and not self._inflater.eof:
            self._break("gzip_truncated", f"the file ends inside a gzip member after {self._read} stored bytes")
            return b""
        self._given += len(out)
        self._member_given += len(out)
        if self._inflater.eof:
            self._stored = self._inflater.unused_data
            self._inflater = None
        else:
            self._stored = self._inflater.unconsumed_tail
        self._bound()
        return out

    def _pull(self) -> bytes:
        stored = self._raw.read(_STORED) or b""
        self._read += len(stored)
        return stored

    def _next_member(self) -> bool:
        while len(self._stored) < len(_MAGIC) and (more := self._pull()):
            self._stored += more
        if not self._stored:
            self._over = True
            return False
        if self._stored[:2] != _MAGIC:
            rest = self._read - len(self._stored)
            if self._stored.strip(b"\0") or self._pull().strip(b"\0"):
                self._break("gzip_trailing_bytes", f"stored bytes from {rest} on are no gzip member")
            self._over = True
            return False
        self._member_at = self._read - len(self._stored)
        self._member_given = 0
        self._inflater = _fast.decompressobj(_WBITS_GZIP)
        return True

    def _creep(self, why: str) -> bytes:
        """Inflate the broken member again, the last block byte by byte, and return what the failed call had swallowed."""
        self._raw.seek(self._member_at)
        inflater = zlib.decompressobj(_WBITS_GZIP)
        seen = 0
        at = self._member_at
        out = bytearray()
        try:
            while block := self._raw.read(_STORED):
                careful = at + len(block) >= self._read
                for piece in _bytewise(block) if careful else (block,):
                    made = inflater.decompress(piece)
                    keep = made[max(0, self._member_given - seen) :]
                    seen += len(made)
                    out += keep
                at += len(block)
        except zlib.error:
            pass
        self._break("gzip_corrupt", f"the stream is damaged after {self._given + len(out)} inflated bytes: {why}")
        self._given += len(out)
        return bytes(out)

    def _bound(self) -> None:
        if self._given > MAX_INFLATED or (self._given > RATIO_FREE and self._given > MAX_RATIO * max(1, self._read)):
            self._break("bomb", f"{self._given} bytes out of {self._read} stored bytes; the rest was not inflated")

    def _break(self, reason: str, detail: str) -> None:
        self.damage = (reason, detail)
        self._over = True


def _bytewise(block: bytes) -> list[bytes]:
    return [block[i : i + 1] for i in range(len(block))]
