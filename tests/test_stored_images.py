"""Disk images in a store: the same case as from disk, read by ranges, each object kept to what it was when it was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from case_contents import contents
from disk_images import LINE, LOG, ewf, ext, needs, partitioned, run
from object_store import Server, bucket

import forensics
from forensics import query, verifying
from forensics.errors import EvidenceChangedError, StoreError
from forensics.evidence._store import _Blocks
from forensics.evidence.find import find
from forensics.evidence.open import digest, forget
from forensics.model import Locator, StoredObject

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")
pytest.importorskip("dfvfs")

AT = "images/seized"


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with bucket("images", server.url, monkeypatch) as made:
        yield made


@pytest.fixture
def seized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for images; few and small blocks of them are kept, so that they are fetched again and again."""
    monkeypatch.setattr("forensics.evidence._store.STORE_IMAGE_BLOCK_BYTES", 100_000)
    monkeypatch.setattr("forensics.evidence._store.STORE_IMAGE_BLOCKS", 4)
    made = tmp_path / "seized"
    made.mkdir()
    return made


def make(form: str, folder: Path, scratch: Path) -> None:
    """Put a disk with one log into a folder."""
    disk = partitioned(ext(scratch))
    if form == "E01":
        ewf(disk, folder)
    elif form == "split":
        for number in range(3):
            (folder / f"disk.00{number + 1}").write_bytes(
                disk[number * 4_000_000 :][: 4_000_000 if number < 2 else None]
            )
    else:
        (scratch / "raw").write_bytes(disk)
        name = folder / f"disk.{form}"
        run("qemu-img", "convert", "-f", "raw", "-O", "vpc" if form == "vhd" else form, scratch / "raw", name)
        if form == "vmdk":
            flat = ("-o", "subformat=twoGbMaxExtentFlat")
            run("qemu-img", "convert", "-f", "raw", "-O", form, *flat, scratch / "raw", folder / "flat.vmdk")


@needs("mke2fs", "qemu-img", "ewfacquirestream")
@pytest.mark.parametrize("form", ["raw", "split", "E01", "vmdk", "vhd", "vhdx", "qcow2"])
def test_an_image_in_a_store_gives_the_case_of_the_same_image_on_disk(
    store: Any, seized: Path, tmp_path: Path, form: str
) -> None:
    make(form, seized, tmp_path)
    store.put(str(seized), AT, recursive=True)
    here = forensics.analyze(seized, out=tmp_path / "disk", workers=1)
    there = forensics.analyze(f"s3://{AT}", out=tmp_path / "store", workers=2)
    assert contents(there.folder) == contents(here.folder)
    with there.database() as db:
        logs = 3 if form == "vmdk" else 1  # a flat extent is a raw image too
        assert db.sql("SELECT count(*) FROM events WHERE event_action = 'http_request'").fetchall() == [(3000 * logs,)]


@needs("mke2fs", "ewfacquirestream")
def test_what_stands_behind_a_row_is_read_from_the_image_and_verified(store: Any, seized: Path, tmp_path: Path) -> None:
    make("E01", seized, tmp_path)
    store.put(str(seized), AT, recursive=True)
    case = forensics.analyze(f"s3://{AT}", out=tmp_path / "case", workers=1)
    (entry,) = [one for one in case.manifest["evidence"] if one["parser"] == "tomcat_access"]
    assert entry["label"] == f"seized/disk.E01/p1{LOG}"
    shown = query.show(case, Locator(entry["evidence_id"], 0, len(LINE)), [f"s3://{AT}"])
    assert shown.raw == LINE
    assert not list(verifying.verify(case, [f"s3://{AT}"]))


def log_of(where: str) -> Any:
    """Return the one log of an image."""
    (item,) = [one for one in find([where]).evidence if one.layers]
    return item


@needs("mke2fs", "ewfacquirestream")
def test_the_segments_of_an_image_are_found_though_its_first_alone_is_named_and_are_kept_to_what_they_were(
    store: Any, seized: Path, tmp_path: Path
) -> None:
    make("E01", seized, tmp_path)
    store.put(str(seized), AT, recursive=True)
    item = log_of(f"s3://{AT}/disk.E01")
    assert isinstance(item.path, StoredObject)
    later = [path.name for path in sorted(seized.iterdir())][1:]
    assert len(later) > 1
    assert [one.url.rpartition("/")[2] for one in item.path.beside] == later
    forget()
    whole = digest(item)
    forget()
    store.pipe_file(f"{AT}/{later[-1]}", (seized / later[-1]).read_bytes() + b"x")
    with pytest.raises(EvidenceChangedError, match=f"{later[-1]} changed after it was listed"):
        digest(item)
    store.put_file(str(seized / later[-1]), f"{AT}/{later[-1]}")
    assert digest(log_of(f"s3://{AT}/disk.E01")) == whole


@needs("mke2fs", "qemu-img", "ewfacquirestream")
def test_odd_names_damage_and_images_upon_others_are_told_as_on_disk(store: Any, seized: Path, tmp_path: Path) -> None:
    make("E01", seized, tmp_path)
    first, disk = (seized / "disk.E01").read_bytes(), partitioned(ext(tmp_path))
    for name, data in {
        "odd.ewf": first, "no-extension": first, "gap.E01": first, "gap.E03": (seized / "disk.E03").read_bytes(),
        "cut.E01": first[:100], "sda": disk, "part1": disk, "part2": b"x" * 512, "imgaa": disk, "a b+c%41?.img": disk,
        "z.vmdk": b"KDMV" + bytes(2000), "z.vhd": b"conectix" + bytes(5000), "z.vhdx": b"vhdxfile" + bytes(5000),
    }.items():  # fmt: skip
        (seized / name).write_bytes(data)
    (seized / "flat.vmdk").write_bytes(
        b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 18432 FLAT "../sda" 0\n'
    )
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", seized / "sda", seized / "base.qcow2")
    run("qemu-img", "create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", seized / "child.qcow2")
    names = [path.name for path in sorted(seized.iterdir())]
    store.put([str(seized / name) for name in names], [f"{AT}/{name}" for name in names])
    here, there = find([seized]), find([f"s3://{AT}"])
    assert there.passed_over == here.passed_over
    assert [(one.label, digest(one)) for one in there.evidence] == [(one.label, digest(one)) for one in here.evidence]
    assert f"seized/child.qcow2/p1{LOG}" in [one.label for one in there.evidence]


@needs("mke2fs", "ewfacquirestream")
def test_a_store_that_fails_at_any_request_is_never_taken_for_damage_of_the_image(
    store: Any, seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("E01", seized, tmp_path)
    store.put(str(seized), AT, recursive=True)
    get, asked = _Blocks._get, []
    left = [1 << 30]

    def failing(self: _Blocks, number: int) -> bytes:
        asked.append(number)
        left[0] -= 1
        if left[0] < 0:
            raise OSError("the line is dead")
        return get(self, number)

    monkeypatch.setattr(_Blocks, "_get", failing)
    whole = digest(log_of(f"s3://{AT}"))
    told = []
    for count in range(0, len(asked), max(1, len(asked) // 25)):
        left[0] = count
        forget()
        try:
            # A block that was fetched ahead and is not needed may fail.
            assert digest(log_of(f"s3://{AT}")) == whole
        except StoreError as error:
            told.append(str(error))
    assert len(told) > 15
    assert all("the store cannot be read (the line is dead)" in said for said in told)
    left[0] = 1 << 30
    forget()
    assert digest(log_of(f"s3://{AT}")) == whole
