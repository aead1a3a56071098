"""Decoders of one shape: bytes in, at most so many bytes out, and how it stands. The shape is that of `bz2` and `lzma`.

Standard library where it has them; isal for speed; `inflate64` for Deflate64 and `backports.zstd` (in Python 3.14 and later
`compression.zstd`) for what it has not.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import inflate64

from forensics.limits import MAX_WINDOW

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_fast: ModuleType
try:
    # Four times faster than zlib on the same bytes; not built for every processor.
    from isal import isal_zlib as _fast
except ImportError:
    _fast = zlib

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ERRORS: Final = (
    zlib.error,
    getattr(_fast, "error", zlib.error),
    lzma.LZMAError,
    zstd.ZstdError,
    OSError,
    ValueError,
    EOFError,
)
"""What decoders raise at damaged bytes."""

_WINDOW_LOG: Final = MAX_WINDOW.bit_length() - 1
_BITE: Final = 1024
"""Deflate64 puts up to 65,538 bytes into three; this much at a time is at most some 30 MB out."""


class Decoder(Protocol):
    """Decodes one stream. `unused_data` is what lies behind its end."""

    @property
    def eof(self) -> bool:
        """True behind the end mark."""
        ...

    @property
    def needs_input(self) -> bool:
        """False while there is output that needs no further input."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Input behind the end mark."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take all of `data`, return at most `max_length` bytes."""
        ...


class _Deflate:
    """zlib's and isal's object in the shape of the others."""

    def __init__(self, wbits: int, engine: ModuleType = _fast) -> None:
        self._inner: Any = engine.decompressobj(wbits)
        self._tail = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        fed = self._tail + data if self._tail else data
        out: bytes = self._inner.decompress(fed, max_length)
        self._tail = self._inner.unconsumed_tail
        # An inflater may hold output back after its last input, so a full answer is followed by another question.
        self.needs_input = not self._tail and len(out) < max_length
        return out


class _Deflate64:
    """inflate64 has no bound on its output, so it is fed in bites."""

    def __init__(self) -> None:
        self._inner = inflate64.Inflater()
        self._tail = b""
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return not self._tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        fed = self._tail + data
        out = bytearray()
        at = 0
        while at < len(fed) and len(out) < max_length and not self.eof:
            out += self._inner.inflate(fed[at : at + _BITE])
            at += _BITE
        self._tail = b"" if self.eof else fed[at:]
        return bytes(out)


class _ZipLzma:
    """LZMA as zip has it (APPNOTE 5.8.8): version, size of the properties, properties, stream."""

    def __init__(self) -> None:
        self._start = b""
        self._inner: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner is None or self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data if self._inner else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inner is None:
            self._start += data
            if len(self._start) < 9:
                return b""
            self._inner = raw_lzma([lzma1_filter(self._start[4:9])])
            data, self._start = self._start[9:], b""
        return self._inner.decompress(data, max_length)


def lzma1_filter(properties: bytes) -> dict[str, int]:
    """Return liblzma's filter for the five property bytes of LZMA; ValueError if they are none or ask for too much."""
    if len(properties) != 5 or properties[0] >= 9 * 5 * 5:
        raise ValueError("the properties of an LZMA stream are damaged")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    size = _window(int.from_bytes(properties[1:5], "little"))
    return {"id": lzma.FILTER_LZMA1, "dict_size": size, "lc": lc, "lp": lp, "pb": pb}


def lzma2_filter(properties: bytes) -> dict[str, int]:
    """Return liblzma's filter for the property byte of LZMA2; ValueError as above."""
    if len(properties) != 1 or properties[0] > 40:
        raise ValueError("the properties of an LZMA2 stream are damaged")
    bits = properties[0]
    return {"id": lzma.FILTER_LZMA2, "dict_size": _window((2 | (bits & 1)) << (bits // 2 + 11))}


def _window(size: int) -> int:
    if size > MAX_WINDOW:
        raise ValueError(f"it asks for a dictionary of {size} bytes; the limit is {MAX_WINDOW}")
    return max(size, 4096)


def raw_lzma(filters: list[dict[str, int]]) -> lzma.LZMADecompressor:
    """Return a decoder of a stream without a header."""
    return lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters)


def _zstd() -> Decoder:
    decoder: Decoder = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return decoder


@dataclass(frozen=True, slots=True)
class Codec:
    """One way of compressing. `word` begins its reasons of damage; `magics` begin each of the members that follow one another."""

    word: str
    fresh: Callable[[], Decoder]
    magics: tuple[bytes, ...] = ()
    careful: Callable[[], Decoder] | None = None
    """A decoder that gives each byte out as soon as it can, if `fresh` does not."""


# Skippable frames of zstd begin with one of sixteen magics (RFC 8878, 3.1.2).
_ZSTD_MAGICS: Final = (b"\x28\xb5\x2f\xfd", *(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16)))

CODECS: Final = {
    "gzip": Codec("gzip", lambda: _Deflate(31), (b"\x1f\x8b",), lambda: _Deflate(31, zlib)),
    "xz": Codec(
        "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW + (64 << 20)), (b"\xfd7zXZ\0",)
    ),
    "zstd": Codec("zstd", _zstd, _ZSTD_MAGICS),
    "bzip2": Codec("bzip2", bz2.BZ2Decompressor, (b"BZh",)),
}
"""Compressions of a whole file, by the word for them."""

_ARCHIVE: Final = "archive"
ZIP_METHODS: Final = {
    8: Codec(_ARCHIVE, lambda: _Deflate(-15), careful=lambda: _Deflate(-15, zlib)),
    9: Codec(_ARCHIVE, _Deflate64),
    12: Codec(_ARCHIVE, bz2.BZ2Decompressor),
    14: Codec(_ARCHIVE, _ZipLzma),
    93: Codec(_ARCHIVE, _zstd),
    95: Codec(_ARCHIVE, CODECS["xz"].fresh),
}
"""Compressions of a zip member, by method number (APPNOTE 4.4.5); 0 is stored as it is."""


def chain_codec(filters: list[dict[str, int]]) -> Codec:
    """Return the codec of a raw LZMA stream, as 7z has it."""
    return Codec(_ARCHIVE, lambda: raw_lzma(filters))
