"""Archives of every kind and every ill, made in memory for the tests."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import hmac
import io
import lzma
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

import py7zr

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Files = Mapping[str, bytes]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def zipped_as_a_stream(files: Files) -> bytes:
    """Write to what cannot be sought in: sizes and checksums follow the data, as in what Velociraptor uploads."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.got = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.got += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return bytes(pipe.got)


def zipped64(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return out.getvalue()


def zip_member(
    name: bytes, data: bytes, stored: bytes, method: int, *, flags: int = 0, extra: bytes = b"", crc: int | None = None
) -> tuple[bytes, bytes]:
    """Return a local header with its data, and the central entry but for its offset, which is its last four bytes."""
    crc = zlib.crc32(data) if crc is None else crc
    common = struct.pack(
        "<5H3I2H", 51, flags, method, 0x6000, 0x4A32, crc, len(stored), len(data), len(name), len(extra)
    )
    local = b"PK\x03\x04" + common + name + extra + stored
    central = b"PK\x01\x02" + struct.pack("<H", 0) + common + struct.pack("<3HI", 0, 0, 0, 0)
    return local, central


def zip_of(*members: tuple[bytes, bytes], names: list[tuple[bytes, bytes]]) -> bytes:
    """Put members together; `names` has the name and extra field of each, for the directory."""
    body, directory = b"", b""
    for (local, central), (name, extra) in zip(members, names, strict=True):
        directory += central + struct.pack("<I", len(body)) + name + extra
        body += local
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + end


def one_zip(name: bytes, data: bytes, stored: bytes, method: int, **more: object) -> bytes:
    member = zip_member(name, data, stored, method, **more)  # type: ignore[arg-type]
    return zip_of(member, names=[(name, bytes(more.get("extra", b"")))])  # type: ignore[call-overload]


def zip_deflate64(name: str, data: bytes) -> bytes:
    import inflate64

    deflater = inflate64.Deflater()
    return one_zip(name.encode(), data, deflater.deflate(data) + deflater.flush(), 9)


def zip_zstd(name: str, data: bytes) -> bytes:
    return one_zip(name.encode(), data, zstd.compress(data), 93)


def zip_traditional(name: str, data: bytes, password: bytes) -> bytes:
    """Encrypt by the traditional cipher, written from APPNOTE 6.1 without a look at the reader."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def crc(old: int, byte: int) -> int:
        return zlib.crc32(bytes([byte]), old ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def update(byte: int) -> None:
        keys[0] = crc(keys[0], byte)
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = crc(keys[2], keys[1] >> 24)

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in bytes(11) + bytes([zlib.crc32(data) >> 24]) + zlib.compress(data, wbits=-15):
        key = keys[2] & 0xFFFF | 2
        out.append(byte ^ ((key * (key ^ 1)) >> 8 & 0xFF))
        update(byte)
    return one_zip(name.encode(), data, bytes(out), 8, flags=1)


def zip_aes(name: str, data: bytes, password: bytes) -> bytes:
    """Encrypt by WinZip's AES-256 (AE-2)."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt = bytes(range(16))
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 66)
    plain = zlib.compress(data, wbits=-15)
    cipher = Cipher(algorithms.AES(keys[:32]), modes.ECB()).encryptor()  # noqa: S305  # WinZip's counter mode is made of it
    stream = b"".join(cipher.update(struct.pack("<QQ", n, 0)) for n in range(1, len(plain) // 16 + 2))
    secret = bytes(a ^ b for a, b in zip(plain, stream, strict=False))
    mac = hmac.new(keys[32:64], secret, "sha1").digest()[:10]
    extra = struct.pack("<2HH2sBH", 0x9901, 7, 2, b"AE", 3, 8)
    return one_zip(name.encode(), data, salt + keys[64:] + secret + mac, 99, flags=1, extra=extra, crc=0)


def tarred(files: Files, form: int = tarfile.PAX_FORMAT, mtime: float = 0) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), mtime
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sevened(files: Files, password: str | None = None, *, hidden: bool = False, filters: object = None) -> bytes:
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", password=password, header_encryption=hidden, filters=filters) as archive:  # type: ignore[arg-type]
        for name, data in files.items():
            archive.writestr(data, name)
    return out.getvalue()


def zstd_checked(data: bytes) -> bytes:
    """Compress with a checksum, as the zstd command does."""
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


COMPRESS = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstd_checked, "bzip2": bz2.compress}
