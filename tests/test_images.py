"""Disk images: the logs of a volume are read where they lie, whatever the image is wrapped in."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
from pathlib import Path

import pytest
from disk_images import FILES, LINE, LOG, ewf, ext, needs, partitioned, run

import forensics
from forensics import query, verifying
from forensics.evidence import _dfvfs, _image
from forensics.evidence.find import Found, find
from forensics.evidence.open import digest
from forensics.model import Locator, Options

pytest.importorskip("dfvfs")


def read(path: Path) -> Found:
    return find([path])


def hashes(found: Found) -> dict[str, str]:
    return {item.label: digest(item) for item in found.evidence if item.layers}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("path", "read_it"),
    [
        ("/Windows/System32/winevt/Logs/Security.evtx", True),
        ("/WINDOWS/system32/config/SecEvent.Evt", True),
        ("/Program Files/Apache Software Foundation/Tomcat 8.5/logs/tomcat8-stdout.2017-01-12.log", True),
        ("/Program Files/Apache Software Foundation/Tomcat 8.5/webapps/support/main.jsp", True),
        ("/Program Files/Apache Software Foundation/Tomcat 8.5/bin/tomcat8.exe", False),
        ("/var/log/tomcat9/catalina.out", True),
        ("/srv/logs/localhost_access_log.2017-01-12.txt", True),
        ("/Users/me/Documents/letter.docx", False),
    ],
)
def test_logs_are_picked_by_their_path(path: str, read_it: bool) -> None:
    assert _image.wanted(path) is read_it


@needs("mke2fs")
def test_a_bare_ext_volume_gives_its_logs_and_nothing_else(tmp_path: Path) -> None:
    image = tmp_path / "sda1.img"
    image.write_bytes(ext(tmp_path))
    found = read(image)
    assert hashes(found) == {f"sda1.img{LOG}": sha(FILES[LOG])}
    assert not found.passed_over


@needs("mke2fs")
def test_a_partition_stands_in_the_label(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(partitioned(ext(tmp_path)))
    assert hashes(read(image)) == {f"disk.raw/p1{LOG}": sha(FILES[LOG])}


@needs("mke2fs", "qemu-img")
@pytest.mark.parametrize("form", ["vmdk", "vhdx", "vpc", "qcow2"])
def test_a_virtual_disk_gives_the_same_logs(tmp_path: Path, form: str) -> None:
    raw, image = tmp_path / "raw", tmp_path / f"disk.{form}"
    raw.write_bytes(partitioned(ext(tmp_path)))
    run("qemu-img", "convert", "-f", "raw", "-O", form, raw, image)
    assert hashes(read(image)) == {f"disk.{form}/p1{LOG}": sha(FILES[LOG])}


@needs("mke2fs", "ewfacquirestream")
def test_an_e01_gives_the_same_logs(tmp_path: Path) -> None:
    raw = partitioned(ext(tmp_path))
    ewf(raw, tmp_path)
    found = find([path for path in tmp_path.iterdir() if path.suffix.startswith(".E")])
    assert hashes(found) == {f"disk.E01/p1{LOG}": sha(FILES[LOG])}
    later = [p for p in found.passed_over if "further segment" in p.why]
    assert later
    assert not any(p.failed for p in later)


@needs("mke2fs", "ewfacquirestream")
@pytest.mark.parametrize("name", ["image", "image.ewf"])
def test_an_e01_whose_name_tells_of_no_segments_is_its_only_one(tmp_path: Path, name: str) -> None:
    ewf(partitioned(ext(tmp_path)), tmp_path, "1GiB")
    (tmp_path / "disk.E01").rename(tmp_path / name)
    assert hashes(read(tmp_path / name)) == {f"{name}/p1{LOG}": sha(FILES[LOG])}


@needs("mkntfs", "ntfscp")
def test_an_ntfs_volume_gives_its_event_logs_with_their_times(tmp_path: Path) -> None:
    image, log = tmp_path / "c.img", tmp_path / "Security.evtx"
    image.write_bytes(bytes(8 << 20))
    log.write_bytes((Path(__file__).parents[1] / "sample_logs/Windows/System32/winevt/Logs/Security.evtx").read_bytes())
    run("mkntfs", "-q", "-F", image)
    run("ntfscp", "-q", image, log, "Security.evtx")
    found = read(image)
    assert hashes(found) == {"c.img/Security.evtx": sha(log.read_bytes())}
    (member,) = [item for item in found.evidence if item.layers]
    assert member.modified is not None
    assert member.modified_basis == "filetime_utc"


@needs("mke2fs")
def test_a_case_from_an_image_is_the_case_from_its_files(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(partitioned(ext(tmp_path)))
    case = forensics.analyze(image, out=tmp_path / "case", workers=2)
    with case.database() as db:
        assert db.sql("SELECT count(*) FROM events WHERE event_action = 'http_request'").fetchall() == [(3000,)]
    (entry,) = [one for one in case.manifest["evidence"] if one["parser"] == "tomcat_access"]
    shown = query.show(case, Locator(entry["evidence_id"], 0, len(LINE)))
    assert shown.raw == LINE
    assert not list(verifying.verify(case, [image]))
    altered = bytearray(image.read_bytes())
    altered[-1] ^= 1
    image.write_bytes(altered)
    assert list(verifying.verify(case, [image]))


@needs("mke2fs")
def test_reading_an_image_leaves_it_as_it_was(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(partitioned(ext(tmp_path)))
    image.chmod(0o444)
    os.utime(image, (1_000_000_000, 1_000_000_000))
    before = image.stat()
    hashes(read(image))
    after = image.stat()
    assert (after.st_atime_ns, after.st_mtime_ns) == (before.st_atime_ns, before.st_mtime_ns)


@needs("mke2fs")
@pytest.mark.parametrize("keep", [600, 4096, 1 << 20, (1 << 20) + 3000, 3 << 20])
def test_an_image_cut_short_is_told_and_ends_no_run(tmp_path: Path, keep: int) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(partitioned(ext(tmp_path))[:keep])
    found = read(image)
    for item in found.evidence:
        digest(item)
    assert found.evidence[0].label == "disk.raw"


@needs("mkntfs")
def test_a_volume_without_its_root_folder_is_still_evidence_and_says_so(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(8 << 20))
    run("mkntfs", "-q", "-Q", "-F", image)
    image.write_bytes(image.read_bytes()[:1_000_000])
    found = read(image)
    assert [item.label for item in found.evidence] == ["disk.raw"]
    assert any("damaged root folder" in passed.why for passed in found.passed_over)


@needs("mke2fs")
def test_damage_in_a_volume_ends_no_run(tmp_path: Path) -> None:
    import random

    whole = ext(tmp_path)
    draw = random.Random(3)
    for number in range(40):
        raw = bytearray(whole)
        for _ in range(draw.choice((1, 8, 300))):
            raw[draw.randrange(1024, len(raw) // 4)] = draw.randrange(256)
        image = tmp_path / f"{number}.raw"
        image.write_bytes(raw)
        for item in read(image).evidence:
            digest(item)
        image.unlink()


def test_without_dfvfs_an_image_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 2000)
    raw = bytearray(image.read_bytes())
    raw[446:462] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", 2048, 99)
    image.write_bytes(raw)
    monkeypatch.setattr(_dfvfs, "_LOADED", [])
    for name in [name for name in sys.modules if name.split(".")[0] == "dfvfs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dfvfs", None)
    (problem,) = read(image).passed_over
    assert problem.failed
    assert "c2trail[images]" in problem.why


def test_shadow_copies_are_an_option_of_the_case() -> None:
    assert Options(shadow_copies=True).shadow_copies
