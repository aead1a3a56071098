"""Evidence in every wrapping it arrives in: read whole, never onto the disk, and nothing hostile in it does harm."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import archive_makers as make
import py7zr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forensics
from forensics import query, verifying
from forensics.evidence import _layers
from forensics.evidence.find import Found, find
from forensics.evidence.open import digest, drain, open_stored, open_stream
from forensics.model import Evidence, Locator

LINE = b'51.254.1.2 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 5\n'
NOISE = random.Random(7).randbytes(300_000)
FILES = {
    "C/Windows/System32/winevt/Logs/Security.evtx": NOISE,
    "C/Tomcat/logs/access.log": LINE * 3000,
    "C/empty.log": b"",
    "C/Tomcat/logs/access.log.gz": gzip.compress(LINE * 50, mtime=0),
}
PASSWORD = "kor\u00e9a 2017"

KINDS: dict[str, Callable[[make.Files], bytes]] = {
    "zip deflate": make.zipped,
    "zip stored": lambda files: make.zipped(files, zipfile.ZIP_STORED),
    "zip bzip2": lambda files: make.zipped(files, zipfile.ZIP_BZIP2),
    "zip lzma": lambda files: make.zipped(files, zipfile.ZIP_LZMA),
    "zip64": make.zipped64,
    "zip as a stream": make.zipped_as_a_stream,
    "zip behind other bytes": lambda files: b"MZ" + bytes(5000) + make.zipped(files),
    "zip without its directory": lambda files: make.zipped(files).partition(b"PK\x01\x02")[0],
    "streamed zip without its directory": lambda files: make.zipped_as_a_stream(files).partition(b"PK\x01\x02")[0],
    "tar pax": make.tarred,
    "tar gnu": lambda files: make.tarred(files, tarfile.GNU_FORMAT),
    "tar ustar": lambda files: make.tarred(files, tarfile.USTAR_FORMAT),
    "tar.gz": lambda files: make.COMPRESS["gzip"](make.tarred(files)),
    "tar.xz": lambda files: make.COMPRESS["xz"](make.tarred(files)),
    "tar.zst": lambda files: make.COMPRESS["zstd"](make.tarred(files)),
    "tar.bz2": lambda files: make.COMPRESS["bzip2"](make.tarred(files)),
    "7z": make.sevened,
    "7z lzma1": lambda files: make.sevened(files, filters=[{"id": py7zr.FILTER_LZMA}]),
    "7z deflate": lambda files: make.sevened(files, filters=[{"id": py7zr.FILTER_DEFLATE}]),
    "7z bzip2": lambda files: make.sevened(files, filters=[{"id": py7zr.FILTER_BZIP2}]),
    "7z zstd": lambda files: make.sevened(files, filters=[{"id": py7zr.FILTER_ZSTD, "level": 3}]),
    "7z copy": lambda files: make.sevened(files, filters=[{"id": py7zr.FILTER_COPY}]),
    "zip in tar.xz": lambda files: lzma.compress(make.tarred({"case/inner.zip": make.zipped(files)})),
    "7z in zip": lambda files: make.zipped({"inner.7z": make.sevened(files)}),
    "tar.gz in zip": lambda files: make.zipped({"inner.tar.gz": gzip.compress(make.tarred(files))}),
    "tar.gz in 7z": lambda files: make.sevened({"inner": gzip.compress(make.tarred(files))}),
    "zip in tar": lambda files: make.tarred({"inner": make.zipped(files)}),
    "zip in tar.gz in zip": lambda files: make.zipped({"a": gzip.compress(make.tarred({"b": make.zipped(files)}))}),
}


@pytest.fixture(autouse=True)
def nothing_kept():
    _layers.forget()
    yield
    _layers.forget()


def look(tmp_path: Path, data: bytes, name: str = "evidence.bin", password: str | None = None) -> Found:
    path = tmp_path / name
    path.write_bytes(data)
    return find([path], password.encode() if password else None)


def read(evidence: Evidence) -> tuple[bytes, tuple[str, str] | None]:
    out = bytearray()
    stream = open_stored(evidence, out.extend)
    drain(stream)
    damage = stream.damage
    stream.close()
    return bytes(out), damage


def members(found: Found) -> dict[str, Evidence]:
    """Return what is no container by its label below the innermost archive."""
    return {item.label: item for item in found.evidence if item.layers and not item.container}


def whys(found: Found) -> dict[str, str]:
    return {p.label: p.why for p in found.passed_over}


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_of_every_kind_of_archive_is_read_as_it_was_put_in(tmp_path: Path, kind: str) -> None:
    found = look(tmp_path, KINDS[kind](FILES))
    inside = members(found)
    for name, data in FILES.items():
        (item,) = [item for label, item in inside.items() if label.endswith("/" + name)]
        assert read(item) == (data, None), name
        assert item.size == len(data)
    assert len(inside) == len(FILES)
    if "without" not in kind:
        assert not found.passed_over
    assert [p.name for p in tmp_path.iterdir()] == ["evidence.bin"]


@pytest.mark.parametrize("kind", KINDS)
def test_members_read_in_any_order_and_by_another_process_are_the_same(tmp_path: Path, kind: str) -> None:
    inside = list(members(look(tmp_path, KINDS[kind](FILES))).values())
    there = pickle.loads(pickle.dumps(inside))  # noqa: S301  # our own
    assert there == inside
    forwards = [read(item) for item in inside]
    assert [read(item) for item in reversed(there)] == forwards[::-1]


@pytest.mark.parametrize("data", [make.zip_deflate64("a.log", LINE * 999), make.zip_zstd("a.log", LINE * 999)])
def test_methods_of_newer_zips_are_read(tmp_path: Path, data: bytes) -> None:
    (item,) = members(look(tmp_path, data)).values()
    assert read(item) == (LINE * 999, None)


def test_a_method_nobody_reads_is_passed_over_by_its_number(tmp_path: Path) -> None:
    found = look(tmp_path, make.one_zip(b"a.log", LINE, LINE, 98))
    assert "method 98" in whys(found)["evidence.bin/a.log"]


def test_an_archive_of_70000_members_is_listed_whole(tmp_path: Path) -> None:
    found = look(tmp_path, make.zipped({f"{n:05}.log": b"" for n in range(70_000)}, zipfile.ZIP_STORED))
    assert found.evidence[0].holds == 70_000
    assert len(members(found)) == 70_000


# Single compressed files


@pytest.mark.parametrize("word", make.COMPRESS)
def test_a_compressed_log_is_known_by_its_bytes(tmp_path: Path, word: str) -> None:
    (item,) = look(tmp_path, make.COMPRESS[word](LINE * 500) + make.COMPRESS[word](LINE), "access_log.2017").evidence
    assert item.wrapping == word
    assert not item.container
    assert inflated(item) == (LINE * 501, None)


def inflated(item: Evidence) -> tuple[bytes, tuple[str, str] | None]:
    out = bytearray()
    stream = open_stream(item, out.extend)
    drain(stream)
    damage = stream.damage
    stream.close()
    return bytes(out), damage


@pytest.mark.parametrize("word", make.COMPRESS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_compressed_log_cut_anywhere_gives_what_came_before(tmp_path: Path, word: str, part: float) -> None:
    lines = b"".join(b"%d %s" % (n, LINE) for n in range(20_000))
    whole = make.COMPRESS[word](lines)
    (item,) = look(tmp_path, whole[: int(len(whole) * part)]).evidence
    data, damage = inflated(item)
    assert damage is not None
    assert damage[0] == f"{word}_truncated"
    assert lines.startswith(data)


@pytest.mark.parametrize("word", make.COMPRESS)
def test_a_damage_in_the_middle_costs_nothing_before_it(tmp_path: Path, word: str) -> None:
    noise = random.Random(9).randbytes(900_000)
    raw = bytearray(make.COMPRESS[word](noise))
    raw[len(raw) // 2 : len(raw) // 2 + 40] = b"\xff" * 40
    (item,) = look(tmp_path, bytes(raw)).evidence
    data, damage = inflated(item)
    assert damage is not None
    assert damage[0].startswith(word)
    # bzip2 gives a block out while it works, and knows at its end only that it was damaged.
    assert data[:440_000] == noise[:440_000] or word == "bzip2"


@pytest.mark.parametrize("word", make.COMPRESS)
def test_bytes_behind_a_compressed_log_are_told_and_zeros_are_not(tmp_path: Path, word: str) -> None:
    (item,) = look(tmp_path, make.COMPRESS[word](LINE) + b"junk").evidence
    data, damage = inflated(item)
    assert data == LINE
    assert damage is not None
    assert damage[0] == f"{word}_trailing_bytes"
    (item,) = look(tmp_path, make.COMPRESS[word](LINE) + bytes(512)).evidence
    assert inflated(item) == (LINE, None)


def test_a_compressed_log_in_an_archive_is_hashed_as_it_lies_there_and_read_inflated(tmp_path: Path) -> None:
    packed = gzip.compress(LINE * 9, mtime=0)
    (item,) = members(look(tmp_path, make.zipped({"a.log.gz": packed}))).values()
    assert item.wrapping == "gzip"
    assert digest(item) == hashlib.sha256(packed).hexdigest()
    assert inflated(item) == (LINE * 9, None)


def test_an_xz_that_asks_for_too_much_memory_is_not_given_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = lzma.compress(LINE, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}])
    monkeypatch.setattr("forensics.evidence._decoders.MAX_WINDOW", 1 << 16)
    found = look(tmp_path, make.sevened({"a.log": LINE}))
    assert raw
    assert "dictionary" in " ".join(whys(found).values())


# Names


def test_names_are_labels_and_nothing_else(tmp_path: Path) -> None:
    names = ["../../etc/passwd", "/abs/olute", "C:\\Windows\\x.log", "a\x1b[2Jb", "\u202eevil", "con\nfetti"]
    found = look(tmp_path, make.tarred(dict.fromkeys(names, b"x")), "t.tar")
    assert [item.label for item in found.evidence[1:]] == [f"t.tar/{name}" for name in names]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.tar"]
    done = run("identify", "t.tar", cwd=tmp_path)
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout + done.stderr


def test_backslashes_of_a_windows_zip_are_slashes(tmp_path: Path) -> None:
    found = look(tmp_path, make.one_zip(rb"C\Windows\a.log", LINE, LINE, 0), "triage.zip")
    assert [item.label for item in found.evidence] == ["triage.zip", "triage.zip/C/Windows/a.log"]


def test_a_name_that_is_no_utf8_is_spelt_out(tmp_path: Path) -> None:
    found = look(tmp_path, make.one_zip(b"\xb7\xce\xb1\xd7.log", LINE, LINE, 0), "z")
    assert found.evidence[1].label == r"z/\xb7α\xd7.log" or "\\xb7" in found.evidence[1].label


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_both_read(tmp_path: Path) -> None:
    one, two = make.zip_member(b"a.log", b"one", b"one", 0), make.zip_member(b"a.log", b"two", b"two", 0)
    found = look(tmp_path, make.zip_of(one, two, names=[(b"a.log", b"")] * 2), "z")
    assert {item.label: read(item)[0] for item in found.evidence[1:]} == {"z/a.log": b"one", "z/a.log~2": b"two"}


def test_a_folder_of_the_name_of_an_archive_keeps_apart_from_it(tmp_path: Path) -> None:
    for place, data in (("x/a.zip", make.zipped({"b": b"1"})), ("y/a.zip/b", b"2")):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(data)
    found = find([tmp_path / "x" / "a.zip", tmp_path / "y" / "a.zip"])
    assert sorted(item.label for item in found.evidence) == ["a.zip", "a.zip/b", "a.zip/b~2"]
    assert len({item.id for item in found.evidence}) == 3


# What is not read


def test_links_and_devices_in_a_tar_are_named_with_their_target_and_not_followed(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, target in (
            ("link", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "../up"),
            ("null", tarfile.CHRTYPE, ""),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("folder", tarfile.DIRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("real.log"))
    found = look(tmp_path, out.getvalue(), "t")
    assert list(members(found)) == ["t/real.log"]
    assert whys(found) == {
        "t/link": "is a link to /etc/passwd and was not followed",
        "t/hard": "is a hard link to ../up and was not followed",
        "t/null": "is a device and was not read",
        "t/pipe": "is a pipe and was not read",
    }
    assert not any(p.failed for p in found.passed_over)


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert whys(look(tmp_path, out.getvalue(), "z")) == {"z/link": "is a link to /etc/passwd and was not followed"}


def test_a_java_archive_is_one_file_and_is_said_to_be(tmp_path: Path) -> None:
    found = look(tmp_path, make.zipped({"META-INF/MANIFEST.MF": b"x", "A.class": b"y"}), "a.war")
    assert [item.label for item in found.evidence] == ["a.war"]
    assert "not looked into" in whys(found)["a.war"]


def test_archives_inside_archives_end_at_the_limit(tmp_path: Path) -> None:
    data = make.zipped({"a.log": LINE})
    for depth in range(6):
        data = make.zipped({f"{depth}.zip": data})
    found = look(tmp_path, data)
    assert any("archives deep" in why for why in whys(found).values())
    assert len(found.evidence) == 3


def test_an_inner_zip_too_large_to_be_held_is_passed_over_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_layers, "MAX_HELD", 100_000)
    found = look(tmp_path, gzip.compress(make.tarred({"in.zip": make.zipped(FILES), "a.log": LINE})))
    assert "must be sought in" in whys(found)["evidence.bin/in.zip"]
    assert read(members(found)["evidence.bin/a.log"]) == (LINE, None)


# Encryption

LOCKED = {
    "zip traditional": lambda: make.zip_traditional("a.log", LINE * 99, PASSWORD.encode()),
    "zip aes": lambda: make.zip_aes("a.log", LINE * 99, PASSWORD.encode()),
    "7z": lambda: make.sevened({"a.log": LINE * 99}, PASSWORD),
    "7z with its directory": lambda: make.sevened({"a.log": LINE * 99}, PASSWORD, hidden=True),
}


@pytest.mark.parametrize("kind", LOCKED)
def test_an_encrypted_member_is_read_with_its_password_and_passed_over_without(tmp_path: Path, kind: str) -> None:
    data = LOCKED[kind]()
    (item,) = members(look(tmp_path, data, password=PASSWORD)).values()
    assert read(item) == (LINE * 99, None)
    assert PASSWORD not in repr(item)
    for typed in (None, "wrong"):
        found = look(tmp_path, data, password=typed)
        assert not members(found)
        assert all("encrypted" in p.why and p.failed for p in found.passed_over)
        assert found.passed_over


def test_an_aes_member_that_was_changed_is_told(tmp_path: Path) -> None:
    raw = bytearray(LOCKED["zip aes"]())
    at = raw.index(b"PK\x01\x02") - 12
    raw[at] ^= 1
    (item,) = members(look(tmp_path, bytes(raw), password=PASSWORD)).values()
    assert read(item)[1] is not None


def test_a_password_enters_no_output(tmp_path: Path) -> None:
    (tmp_path / "t.zip").write_bytes(make.zip_aes("access_log", LINE * 99, PASSWORD.encode()))
    (tmp_path / "secret").write_text(PASSWORD + "\n", encoding="utf-8")
    without = run("analyze", "t.zip", "-o", "none", cwd=tmp_path)
    assert without.returncode == 3
    assert "--password-file" in without.stderr
    done = run("analyze", "t.zip", "-o", "case", "--password-file", "secret", "--workers", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    case = forensics.open_case(tmp_path / "case")
    assert case.manifest["ledger"]["events"]["records"] == 99
    for path in case.folder.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes()
            assert json_spelling(PASSWORD) not in path.read_bytes()
    told = run("show", "case", f"E0002:{len(LINE)}+{len(LINE)}", "--password-file", "secret", cwd=tmp_path)
    assert "GET /a.jsp" in told.stdout
    assert run("verify", "case", "t.zip", "--password-file", "secret", cwd=tmp_path).returncode == 0


def json_spelling(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace")


# Bombs


def test_a_bomb_in_a_zip_is_cut_and_what_came_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.evidence.inflate.RATIO_FREE", 100_000)
    monkeypatch.setattr("forensics.evidence.inflate.MAX_RATIO", 100)
    data = LINE * 100 + bytes(30_000_000)
    (item,) = members(look(tmp_path, make.zipped({"a.log": data}))).values()
    out, damage = read(item)
    assert damage is not None
    assert damage[0] == "bomb"
    assert out.startswith(LINE * 100)
    assert len(out) < 10_000_000


def test_many_small_bombs_together_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.evidence.archives.ARCHIVE_RATIO_FREE", 1_000_000)
    monkeypatch.setattr("forensics.evidence.archives.MAX_RATIO", 10)
    found = look(tmp_path, make.zipped({f"{n}": bytes(100_000) for n in range(50)}), "z")
    assert 5 <= len(members(found)) < 50
    assert "bomb" in whys(found)["z"]


def test_overlapping_members_are_read_once(tmp_path: Path) -> None:
    local, central = make.zip_member(b"a", LINE, LINE, 0)
    directory = (central + struct.pack("<I", 0) + b"a") * 30
    data = local + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 30, 30, len(directory), len(local), 0)
    found = look(tmp_path, data)
    assert len(members(found)) == 1
    assert sum("overlaps" in p.why for p in found.passed_over) == 29


def test_too_many_members_end_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.evidence.archives.MAX_MEMBERS", 10)
    for pack in (make.zipped, make.tarred, make.sevened):
        found = look(tmp_path, pack({f"{n}": b"x" for n in range(50)}), "z")
        assert len(members(found)) == 10
        assert "more than 10 members" in whys(found)["z"]


def test_a_member_larger_than_its_archive_says_is_cut_there_and_told(tmp_path: Path) -> None:
    stored = zlib.compress(LINE * 100, wbits=-15)
    (item,) = members(look(tmp_path, make.one_zip(b"a", LINE, stored, 8))).values()
    assert read(item) == (LINE, ("archive_size", read(item)[1][1]))  # type: ignore[index]


# Damage


def test_a_wrong_checksum_is_told_and_the_bytes_are_read(tmp_path: Path) -> None:
    (item,) = members(look(tmp_path, make.one_zip(b"a", LINE, LINE, 0, crc=1))).values()
    data, damage = read(item)
    assert data == LINE
    assert damage is not None
    assert damage[0] == "zip_crc"


def test_a_wrong_checksum_in_a_7z_is_told(tmp_path: Path) -> None:
    raw = bytearray(make.sevened({"a": NOISE}, filters=[{"id": py7zr.FILTER_COPY}]))
    raw[1000] ^= 1
    (item,) = members(look(tmp_path, bytes(raw))).values()
    data, damage = read(item)
    assert len(data) == len(NOISE)
    assert damage is not None
    assert damage[0] == "7z_crc"


@pytest.mark.parametrize(
    "kind", ["zip deflate", "zip as a stream", "tar pax", "tar.gz", "tar.xz", "tar.zst", "tar.bz2"]
)
@pytest.mark.parametrize("part", [0.4, 0.7, 0.95])
def test_an_archive_cut_short_gives_all_that_came_before(tmp_path: Path, kind: str, part: float) -> None:
    files = {f"{n:02}.log": random.Random(n).randbytes(20_000) for n in range(20)}
    # A block of bzip2 is all or nothing, and at level 9 larger than the whole.
    whole = bz2.compress(make.tarred(files), 1) if kind == "tar.bz2" else KINDS[kind](files)
    found = look(tmp_path, whole[: int(len(whole) * part)], "cut")
    inside = members(found)
    assert len(inside) >= 20 * (part - 0.25)
    complete = 0
    for label, item in inside.items():
        data, damage = read(item)
        original = files[label.removeprefix("cut/")]
        assert original.startswith(data)
        complete += data == original
        assert data == original or damage or kind == "tar pax"
    assert complete >= 20 * (part - 0.25) - 1
    assert any(p.failed and "damaged" in p.why for p in found.passed_over)


def test_a_zip_cut_behind_a_zip_stored_in_it_is_not_taken_for_that_one(tmp_path: Path) -> None:
    inner = make.zipped({"in.log": LINE})
    whole = make.zipped({"before.log": NOISE[:500], "in.zip": inner, "after.log": NOISE}, zipfile.ZIP_STORED)
    found = look(tmp_path, whole[: whole.index(inner) + len(inner)], "z")
    assert list(members(found)) == ["z/before.log", "z/in.zip/in.log"]
    assert "directory is missing" in whys(found)["z"]


def test_a_directory_damaged_halfway_costs_no_member_and_doubles_none(tmp_path: Path) -> None:
    raw = bytearray(make.zipped({f"{n}.log": b"%d" % n for n in range(10)}))
    at = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 200)
    raw[at] = 0
    found = look(tmp_path, bytes(raw), "z")
    assert sorted(read(item)[0] for item in members(found).values()) == [b"%d" % n for n in range(10)]
    assert "no directory entry at byte" in whys(found)["z"]
    assert len(found.passed_over) == 1


def test_a_streamed_zip_whose_descriptors_lack_their_signature_is_read_without_its_directory(tmp_path: Path) -> None:
    raw = make.zipped_as_a_stream({"a.log": LINE * 50, "b.log": LINE * 9})
    raw = raw.replace(b"PK\x07\x08", b"").partition(b"PK\x01\x02")[0]
    inside = members(look(tmp_path, raw, "z"))
    assert {label: read(item)[0] for label, item in inside.items()} == {"z/a.log": LINE * 50, "z/b.log": LINE * 9}


def test_a_7z_cut_short_has_lost_its_directory_and_says_so(tmp_path: Path) -> None:
    found = look(tmp_path, make.sevened(FILES)[:-50], "a.7z")
    assert "cut off" in whys(found)["a.7z"]


def test_behind_a_damaged_tar_header_the_next_one_is_found(tmp_path: Path) -> None:
    raw = bytearray(make.tarred({"a": b"1" * 600, "b": b"2" * 600, "c": b"3" * 600}, tarfile.USTAR_FORMAT))
    at = raw.index(b"b\0\0\0")
    raw[at + 148 : at + 156] = b"XXXXXXXX"
    found = look(tmp_path, bytes(raw), "t")
    assert list(members(found)) == ["t/a", "t/c"]
    assert "no tar header at byte" in whys(found)["t"]


def test_a_log_with_an_archive_behind_it_is_read_and_so_is_the_archive(tmp_path: Path) -> None:
    found = look(tmp_path, LINE * 100 + make.zipped({"hidden.log": LINE}), "access_log")
    assert [(item.label, item.container) for item in found.evidence] == [
        ("access_log", False),
        ("access_log/hidden.log", False),
    ]
    assert read(found.evidence[1]) == (LINE, None)


def test_what_begins_like_a_zip_and_is_none_is_a_file_like_any_other(tmp_path: Path) -> None:
    found = look(tmp_path, b"PK\x03\x04" + b"nothing of the kind" * 3)
    assert [item.wrapping for item in found.evidence] == ["none"]


def test_a_pax_header_of_eight_gigabytes_is_not_read_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    tracemalloc.start()
    found = look(tmp_path, info.tobuf(tarfile.GNU_FORMAT) + b"30 path=a\n" * 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any("damaged" in why for why in whys(found).values())
    assert peak < 20_000_000


SMALL = {"C/a.log": LINE * 40, "C/b.bin": NOISE[:3000], "C/c.gz": gzip.compress(LINE * 9, mtime=0)}
WHOLE = {kind: KINDS[kind](SMALL) for kind in KINDS}


@settings(max_examples=400)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 2**32), st.integers(1, 12))
def test_no_mutation_of_an_archive_is_more_than_damage(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int, changes: int
) -> None:
    rng = random.Random(seed)
    raw = bytearray(WHOLE[kind])
    for _ in range(changes):
        at = rng.randrange(len(raw))
        if rng.random() < 0.2:
            del raw[at : at + rng.choice([1, 9, 500])]
            raw = raw or bytearray(b"x")
        else:
            raw[at] = rng.choice([0, 0xFF, rng.randrange(256)])
    folder = tmp_path_factory.mktemp("mutant")
    for item in look(folder, bytes(raw)).evidence:
        inflated(item)
    _layers.forget()


# Cost


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "7z", "tar.gz in zip"])
def test_members_of_a_solid_archive_read_in_order_inflate_it_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{n:03}.log": LINE * 50 for n in range(200)}
    found = look(tmp_path, KINDS[kind](files))
    opened: list[object] = []
    first = _layers._Cursor
    monkeypatch.setattr(_layers, "_Cursor", lambda *a: opened.append(a) or first(*a))
    for item in members(found).values():
        assert read(item) == (LINE * 50, None)
    assert len(opened) == 1


@pytest.mark.parametrize(
    "kind", ["zip deflate", "zip bzip2", "zip lzma", "tar.gz", "tar.xz", "tar.zst", "7z", "7z deflate", "7z zstd"]
)
def test_a_large_member_is_never_held(tmp_path: Path, kind: str) -> None:
    rng = random.Random(1)
    blocks = [rng.randbytes(700) for _ in range(64)]
    large = b"".join(rng.choice(blocks) for _ in range(60_000))
    data = KINDS[kind]({"a": b"", "large.log": large})
    size_of_it = len(large)
    del large
    tracemalloc.start()
    found = look(tmp_path, data)
    item = next(item for item in members(found).values() if item.size)
    size = 0

    def count(part: memoryview) -> None:
        nonlocal size
        size += len(part)

    stream = open_stored(item, count)
    drain(stream)
    stream.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == size_of_it
    assert stream.damage is None
    # The dictionary of a 7z alone is 16 MiB.
    assert peak < size_of_it * 0.6


# Times


def test_members_carry_the_best_time_that_their_archive_has(tmp_path: Path) -> None:
    ntfs = struct.pack("<HHI2H3Q", 0x000A, 32, 0, 1, 24, *[131_291_946_091_234_567] * 3)
    unix = struct.pack("<HHBi", 0x5455, 5, 1, 1484733789)
    for extra, expected in (
        (ntfs, (1484721009123456, "filetime_utc")),
        (unix, (1484733789000000, "unix_utc")),
        (ntfs + unix, (1484721009123456, "filetime_utc")),
        (b"", (1484740800000000, "dos_local")),
    ):
        found = look(tmp_path, make.one_zip(b"a", LINE, LINE, 0, extra=extra))
        item = found.evidence[1]
        assert (item.modified, item.modified_basis) == expected
    item = look(tmp_path, make.tarred({"a": LINE}, mtime=1484733789.25)).evidence[1]
    assert (item.modified, item.modified_basis) == (1484733789250000, "unix_utc")
    os.utime(tmp_path / "evidence.bin", ns=(0, 1484733789123456789))
    assert find([tmp_path]).evidence[0].modified == 1484733789123456


# The case


def run(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_case_accounts_for_the_archive_and_for_its_members(tmp_path: Path) -> None:
    data = lzma.compress(make.tarred({"in.zip": make.zipped({"logs/access_log": LINE * 20, "x.bin": NOISE})}))
    (tmp_path / "t.tar.xz").write_bytes(data)
    case = forensics.analyze(tmp_path / "t.tar.xz", out=tmp_path / "case", workers=1)
    rows = {row["label"]: row for row in case.table("evidence").to_pylist()}
    assert list(rows) == ["t.tar.xz", "t.tar.xz/in.zip", "t.tar.xz/in.zip/logs/access_log", "t.tar.xz/in.zip/x.bin"]
    assert rows["t.tar.xz"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert rows["t.tar.xz/in.zip/x.bin"]["sha256"] == hashlib.sha256(NOISE).hexdigest()
    ledger = {(r["label"], r["outcome"], r["reason"]): r["bytes"] for r in case.table("ledger").to_pylist()}
    assert ledger["t.tar.xz", "skip", "container"] == len(data)
    assert ledger["t.tar.xz/in.zip/logs/access_log", "event", "tomcat_access"] == 20 * len(LINE)
    assert ledger["t.tar.xz/in.zip/x.bin", "skip", "unclaimed"] == len(NOISE)
    locator = Locator("E0003", len(LINE), len(LINE), 2)
    assert query.show(case, locator).raw == LINE
    assert not list(verifying.verify(case, [tmp_path / "t.tar.xz"]))
    (tmp_path / "out").mkdir()
    for name, content in (("access_log", LINE * 20), ("x.bin", NOISE)):
        (tmp_path / "out" / name).write_bytes(content)
    assert query.show(case, locator, [tmp_path / "out"]).raw == LINE
    left = dict(verifying.verify(case, [tmp_path / "out"]))
    assert list(left) == ["t.tar.xz", "t.tar.xz/in.zip"]


def test_a_changed_archive_is_named_by_verify(tmp_path: Path) -> None:
    (tmp_path / "t.zip").write_bytes(make.zipped({"access_log": LINE * 20}))
    case = forensics.analyze(tmp_path / "t.zip", out=tmp_path / "case", workers=1)
    (tmp_path / "t.zip").write_bytes(make.zipped({"access_log": LINE * 21}))
    assert {label for label, _ in verifying.verify(case, [tmp_path / "t.zip"])} == {"t.zip", "t.zip/access_log"}


def test_the_damage_of_a_member_is_a_reject_of_the_case(tmp_path: Path) -> None:
    noise = b"".join(LINE.replace(b"a.jsp", b"%x.jsp" % random.Random(n).getrandbits(64)) for n in range(5000))
    whole = gzip.compress(make.tarred({"access_log": noise, "b.bin": NOISE}))
    (tmp_path / "t.tgz").write_bytes(whole[: len(whole) // 8])
    done = run("analyze", "t.tgz", "-o", "case", cwd=tmp_path)
    assert done.returncode == 3
    assert "damaged" in done.stderr
    case = forensics.open_case(tmp_path / "case")
    assert case.manifest["ledger"]["events"]["records"] > 500
    rejects = {(r["evidence_id"], r["reason"]) for r in case.table("rejects").to_pylist()}
    assert {("E0001", "gzip_truncated"), ("E0002", "gzip_truncated")} <= rejects
    assert not list(verifying.verify(case, [tmp_path / "t.tgz"]))


def test_identify_names_archives_and_their_members(tmp_path: Path) -> None:
    (tmp_path / "t.zip").write_bytes(make.zipped({"access_log": LINE * 20}))
    done = run("identify", "t.zip", cwd=tmp_path)
    assert done.returncode == 0
    assert "container" in done.stdout
    assert "t.zip/access_log" in done.stdout
    assert "tomcat_access" in done.stdout


@pytest.fixture(scope="module")
def told(samples: Path) -> dict[str, bytes]:
    files = sorted(p for part in ("Tomcat", "Windows") for p in (samples / part).rglob("*") if p.is_file())
    return {p.relative_to(samples).as_posix(): p.read_bytes() for p in files}


@pytest.mark.parametrize("kind", ["zip deflate", "tar.gz", "7z", "zip in tar.xz"])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_sample_case_is_the_same_from_an_archive_as_from_a_folder(
    tmp_path: Path, demo_case: forensics.Case, told: dict[str, bytes], kind: str, workers: int
) -> None:
    (tmp_path / "seized").write_bytes(KINDS[kind](told))
    case = forensics.analyze(tmp_path / "seized", out=tmp_path / "case", workers=workers)

    def rows(of: forensics.Case, name: str, without: list[str]) -> list[dict[str, object]]:
        return of.table(name).drop_columns(without).to_pylist()

    assert rows(case, "events", ["evidence_id"]) == rows(demo_case, "events", ["evidence_id"])
    for name, without in (("sessions", ["because", "stays"]), ("sources", ["because"]), ("timeline", ["locator"])):
        assert rows(case, name, without) == rows(demo_case, name, without)


def test_a_password_can_be_typed_and_is_not_shown(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from forensics.cli import app

    (tmp_path / "a.7z").write_bytes(make.sevened({"access.log": LINE * 99}, PASSWORD, hidden=True))
    typed = CliRunner().invoke(app, ["identify", str(tmp_path / "a.7z"), "--ask-password"], input=PASSWORD + "\n")
    assert typed.exit_code == 0, typed.output
    assert "access.log" in typed.output
    assert PASSWORD not in typed.output
