"""A 7z whose directory lies, under right checksums: its members are read or told, and the run goes on."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import py7zr
import pytest

from forensics.evidence.find import find
from forensics.evidence.open import drain, open_stream

FILTERS = {
    "lzma2": [{"id": py7zr.FILTER_LZMA2, "preset": 1}],
    "lzma": [{"id": py7zr.FILTER_LZMA}],
    "copy": [{"id": py7zr.FILTER_COPY}],
    "deflate": [{"id": py7zr.FILTER_DEFLATE}],
    "bzip2": [{"id": py7zr.FILTER_BZIP2}],
    "zstd": [{"id": py7zr.FILTER_ZSTD, "level": 3}],
    "x86 and lzma2": [{"id": py7zr.FILTER_X86}, {"id": py7zr.FILTER_LZMA2, "preset": 1}],
}


def plain(filters: object) -> tuple[bytes, bytes]:
    """Return a 7z up to its directory, and the directory, which is not packed."""
    out = io.BytesIO()
    with py7zr.SevenZipFile(out, "w", filters=filters) as archive:  # type: ignore[arg-type]
        archive.set_encoded_header_mode(False)
        archive.writestr(b"hello world\n" * 50, "a.log")
        archive.writestr(b"x" * 3000, "b.log")
    raw = out.getvalue()
    offset, size = struct.unpack("<QQ", raw[12:28])
    return raw[: 32 + offset], raw[32 + offset : 32 + offset + size]


def sealed(body: bytes, directory: bytes, offset: int | None = None) -> bytes:
    """Return a 7z of that directory, all its checksums right."""
    start = struct.pack("<QQI", len(body) - 32 if offset is None else offset, len(directory), zlib.crc32(directory))
    return body[:8] + struct.pack("<I", zlib.crc32(start)) + start + body[32:] + directory


def read_all(path: Path, raw: bytes) -> str:
    """Read the archive and all its members; return what was told of them."""
    path.write_bytes(raw)
    found = find([path])
    told = [problem.why for problem in found.passed_over]
    for item in found.evidence:
        stream = open_stream(item)
        try:
            drain(stream)
            told += [": ".join(stream.damage)] if stream.damage else []
        finally:
            stream.close()
    return "; ".join(told)


def test_the_archive_itself_is_whole(tmp_path: Path) -> None:
    body, directory = plain(FILTERS["lzma"])
    assert read_all(tmp_path / "a.7z", sealed(body, directory)) == ""


@pytest.mark.parametrize("offset", [1 << 62, (1 << 63) - 40, 1 << 63, (1 << 64) - 1])
def test_a_directory_beyond_any_file_is_told(tmp_path: Path, offset: int) -> None:
    body, directory = plain(FILTERS["copy"])
    assert "directory" in (read_all(tmp_path / "a.7z", sealed(body, directory, offset)))


def test_packed_bytes_beyond_any_file_are_told(tmp_path: Path) -> None:
    body, directory = plain(FILTERS["copy"])
    # Header, streams, packed streams, their place: a byte that becomes nine.
    assert directory[:4] == b"\x01\x04\x06\x00"
    lying = directory[:3] + b"\xff" * 9 + directory[4:]
    assert "more than any file has" in (read_all(tmp_path / "a.7z", sealed(body, lying)))


def test_coders_that_form_no_chain_are_told(tmp_path: Path) -> None:
    body, directory = plain(FILTERS["x86 and lzma2"])
    # Two coders are bound by one pair: the input of one, the output of the other. Bound to itself, a coder has no end.
    at = next(
        i
        for i in range(len(directory) - 2)
        if directory[i : i + 2] in {b"\x01\x00", b"\x00\x01"} and directory[i + 2] == 0x0C
    )
    for pair in (b"\x00\x00", b"\x01\x01", b"\x07\x00", b"\x00\x07"):
        told = read_all(tmp_path / f"{pair.hex()}.7z", sealed(body, directory[:at] + pair + directory[at + 2 :]))
        assert "chain" in told or "no end" in told


def test_lzma_properties_that_no_decoder_takes_are_damage(tmp_path: Path) -> None:
    body, directory = plain(FILTERS["lzma"])
    at = directory.index(b"\x03\x01\x01\x05") + 4
    # lc 8 and lp 4: both in range, together more than liblzma allows.
    lying = directory[:at] + bytes([8 + 9 * 4]) + directory[at + 1 :]
    assert "no decoder takes its properties" in read_all(tmp_path / "a.7z", sealed(body, lying))


@pytest.mark.parametrize("name", FILTERS)
def test_a_directory_that_lies_anywhere_ends_no_run(tmp_path: Path, name: str) -> None:
    body, directory = plain(FILTERS[name])
    draw = random.Random(name)
    odd = (0, 1, 2, 4, 7, 0x10, 0x11, 0x21, 0x7F, 0x80, 0xFF)
    for number in range(120):
        lying = bytearray(directory)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(lying))
            if draw.random() < 0.7:
                lying[at] = draw.choice(odd)
            else:
                lying[at:at] = b"\xff" * draw.randint(1, 9)
        read_all(tmp_path / f"{number}.7z", sealed(body, bytes(lying)))
