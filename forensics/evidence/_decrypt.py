"""Encrypted members: the traditional cipher of zip (APPNOTE 6.1), WinZip's AES, the AES of 7z. A password opens, it is never kept.

Decrypting changes nothing about what may be believed: sizes and checksums are held as for any member.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.errors import EvidenceError
from forensics.evidence._raw import damage_of, take
from forensics.limits import MAX_KEY_ROUNDS, MIB

if TYPE_CHECKING:
    from forensics.stream import Readable

LOCKED: Final = "is encrypted; give its password with --password-file"
NOT_OPENED: Final = "is encrypted, and the password that was given does not open it"
_MAC: Final = 10
_AES_BLOCK: Final = 16
_ROUNDS_AT_ONCE: Final = 1 << 16


class _Piecewise:
    """A readable that turns pieces of its source into others of the same size or smaller."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._pending = b""
        self._damage: tuple[str, str] | None = None

    @property
    def damage(self) -> tuple[str, str] | None:
        """What broke below, or here."""
        return damage_of(self._source) or self._damage

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        if not self._pending:
            self._pending = self._piece()
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _piece(self) -> bytes:
        raise NotImplementedError


def _crc_table() -> list[int]:
    # The byte step of CRC-32 without its inversions, from zlib's own, which has them.
    return [zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]


class ZipCrypto(_Piecewise):
    """The traditional cipher: three keys that each byte moves on; EvidenceError if the check byte is not as told."""

    def __init__(self, source: Readable, password: bytes, check: int) -> None:
        super().__init__(source)
        self._table = _crc_table()
        self._keys = (0x12345678, 0x23456789, 0x34567890)
        self._run(password, plain=True)
        start = self._run(take(source, 12), plain=False)
        if len(start) == 12 and start[11] != check:
            raise EvidenceError(NOT_OPENED)

    def _piece(self) -> bytes:
        return self._run(take(self._source, 1 << 16), plain=False)

    def _run(self, data: bytes, *, plain: bool) -> bytes:
        table = self._table
        first, second, third = self._keys
        out = bytearray(len(data))
        for number, byte in enumerate(data):
            if not plain:
                stream = third | 2
                byte ^= (stream * (stream ^ 1) >> 8) & 0xFF  # noqa: PLW2901  # the byte becomes its plain self
            first = (first >> 8) ^ table[(first ^ byte) & 0xFF]
            second = ((second + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
            third = (third >> 8) ^ table[(third ^ (second >> 24)) & 0xFF]
            out[number] = byte
        self._keys = (first, second, third)
        return bytes(out)


class ZipAes(_Piecewise):
    """WinZip's AES (AE-1, AE-2): key by PBKDF2 with 1,000 rounds, counter from 1, little-endian, HMAC-SHA1 at the end."""

    def __init__(self, source: Readable, password: bytes, strength: int, stored: int) -> None:
        super().__init__(source)
        salt_size, key_size = {1: (8, 16), 2: (12, 24), 3: (16, 32)}[strength]
        salt, check = take(source, salt_size), take(source, 2)
        keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 2 * key_size + 2)
        if len(check) == 2 and keys[-2:] != check:
            raise EvidenceError(NOT_OPENED)
        self._left = max(0, stored - salt_size - 2 - _MAC)
        self._mac = hmac.new(keys[key_size : 2 * key_size], digestmod="sha1")
        self._cipher = _aes(keys[:key_size])
        self._counter = 1
        self._ended = False

    def _piece(self) -> bytes:
        data = take(self._source, min(MIB, self._left))
        self._left -= len(data)
        if not data:
            self._end()
            return b""
        self._mac.update(data)
        blocks = -(-len(data) // _AES_BLOCK)
        counters = np.zeros((blocks, 2), "<u8")
        counters[:, 0] = np.arange(self._counter, self._counter + blocks, dtype=np.uint64)
        self._counter += blocks
        key = np.frombuffer(self._cipher.update(counters.tobytes()), np.uint8)[: len(data)]
        return (np.frombuffer(data, np.uint8) ^ key).tobytes()

    def _end(self) -> None:
        if not self._ended and not self._left and take(self._source, _MAC) != self._mac.digest()[:_MAC]:
            self._damage = ("zip_mac", "its authentication code is wrong: it was changed, or the password is another")
        self._ended = True


class SevenAes(_Piecewise):
    """The AES of 7z: key by SHA-256 over 2 to the power `rounds` of salt, password, counter; CBC, padded behind `size`."""

    def __init__(self, source: Readable, password: bytes, properties: bytes, size: int) -> None:
        super().__init__(source)
        self._left = size
        rounds, salt, vector = _seven_properties(properties)
        self._cipher = _aes(_seven_key(password, rounds, salt), vector)

    def _piece(self) -> bytes:
        data = take(self._source, MIB)
        if len(data) % _AES_BLOCK:
            self._damage = ("archive_truncated", "it ends inside an encrypted block")
            data = data[: len(data) // _AES_BLOCK * _AES_BLOCK]
        plain: bytes = self._cipher.update(data)[: self._left]
        self._left -= len(plain)
        return plain


def _seven_properties(raw: bytes) -> tuple[int, bytes, bytes]:
    if len(raw) < 2:
        raise EvidenceError("the properties of its encryption are damaged")
    salt_size = (raw[0] >> 7) + (raw[1] >> 4)
    vector_size = (raw[0] >> 6 & 1) + (raw[1] & 15)
    rounds = raw[0] & 0x3F
    if len(raw) < 2 + salt_size + vector_size or (rounds > MAX_KEY_ROUNDS and rounds != 0x3F):
        raise EvidenceError(f"the properties of its encryption are damaged, or ask for 2^{rounds} rounds")
    vector = raw[2 + salt_size : 2 + salt_size + vector_size]
    return rounds, raw[2 : 2 + salt_size], vector.ljust(_AES_BLOCK, b"\0")


def _seven_key(password: bytes, rounds: int, salt: bytes) -> bytes:
    secret = salt + password.decode("utf-8", "surrogateescape").encode("utf-16-le", "surrogatepass")
    if rounds == 0x3F:
        return secret[:32].ljust(32, b"\0")
    hasher = hashlib.sha256()
    for start in range(0, 1 << rounds, _ROUNDS_AT_ONCE):
        count = min(_ROUNDS_AT_ONCE, (1 << rounds) - start)
        table = np.empty((count, len(secret) + 8), np.uint8)
        table[:, : len(secret)] = np.frombuffer(secret, np.uint8)
        table[:, len(secret) :] = np.arange(start, start + count, dtype="<u8").view(np.uint8).reshape(count, 8)
        hasher.update(table.tobytes())
    return hasher.digest()


def _aes(key: bytes, vector: bytes | None = None) -> Any:  # noqa: ANN401  # cryptography's context
    # Loaded when a member is encrypted: it takes as long as the rest of the command line.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415

    mode = modes.ECB() if vector is None else modes.CBC(vector)  # noqa: S305  # the counter mode of WinZip is made of it
    return (
        Cipher(algorithms.AES(key), mode).decryptor()
        if vector is not None
        else Cipher(algorithms.AES(key), mode).encryptor()
    )
