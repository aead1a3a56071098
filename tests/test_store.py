"""Evidence in an object store: a real S3-compatible server on loopback gives the same case as the same files on disk."""

from __future__ import annotations

import gzip
import io
import random
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from case_contents import contents
from cluster import Cluster
from object_store import SECRET, Server, bucket, point_to
from typer.testing import CliRunner

import forensics
from forensics.cli import app
from forensics.errors import EvidenceChangedError, EvidenceError, StoreError, UsageError
from forensics.evidence._store import _Blocks, forget, open_place, place, state, told
from forensics.evidence.find import find
from forensics.evidence.open import drain, open_span
from forensics.model import Span, StoredObject

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

LINE = b'192.0.2.%d - - [18/Jan/2017:10:%02d:%02d +0100] "GET /%d.jsp HTTP/1.1" 200 %d\n'
LINES = [LINE % (n % 200, n // 60 % 60, n % 60, n % 9, n) for n in range(3000)]


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with bucket("evidence", server.url, monkeypatch) as made:
        yield made


@pytest.fixture
def seized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some parts of work: a plain log, a compressed one, an archive, and a file that is no log."""
    monkeypatch.setattr("forensics.evidence.spans.SPAN_BYTES", 10_000)
    monkeypatch.setattr("forensics.reading.PART_BYTES", 10_000)
    monkeypatch.setattr("forensics.evidence._store.STORE_BLOCK_BYTES", 30_000)
    folder = tmp_path / "seized"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "access_log.2017-01-18.txt").write_bytes(b"".join(LINES) + b"junk\n")
    (folder / "access_log.2017-01-19.txt.gz").write_bytes(gzip.compress(b"".join(LINES[:500]), mtime=0))
    with zipfile.ZipFile(folder / "triage.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("C/access_log.2017-01-20.txt"), b"".join(LINES[500:900]))
        archive.writestr(zipfile.ZipInfo("C/notes.txt"), b"no log")
    (folder / "notes.txt").write_bytes(b"no log\n")
    return folder


@pytest.fixture
def put(store: Any, seized: Path) -> Any:
    store.put(str(seized), "evidence/seized", recursive=True)
    return store


def test_the_case_is_that_of_the_same_files_on_disk_and_no_secret_enters_it(
    put: Any, seized: Path, tmp_path: Path
) -> None:
    here = forensics.analyze(seized, out=tmp_path / "disk", workers=1)
    there = forensics.analyze("s3://evidence/seized/", out=tmp_path / "store", workers=2)
    assert contents(there.folder) == contents(here.folder)
    audit = (there.folder / "audit.jsonl").read_text()
    assert '"path": "s3://evidence/seized/logs/access_log.2017-01-18.txt"' in audit
    assert put.info("evidence/seized/notes.txt")["ETag"].strip('"') in audit
    for path in there.folder.rglob("*"):
        assert not path.is_file() or (SECRET.encode() not in path.read_bytes() and b"tester" not in path.read_bytes())


def test_workers_of_a_cluster_open_the_store_themselves_and_one_may_be_killed(
    put: Any, seized: Path, cluster: Cluster, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    assert put.exists("evidence/seized/notes.txt")
    here = forensics.analyze(seized, out=tmp_path / "disk", workers=1)
    address = cluster.scheduler()
    first, _ = cluster.worker(), cluster.worker()
    told: list[int] = []
    progress = cluster.killing(first, told)
    there = forensics.analyze("s3://evidence/seized", out=tmp_path / "dask", scheduler=address, progress=progress)
    assert first.returncode == -signal.SIGKILL
    assert contents(there.folder) == contents(here.folder)
    assert SECRET not in "".join(log.read_text() for log in cluster.folder.glob("log*"))


def test_objects_are_found_in_the_order_of_their_labels_and_odd_names_are_read_as_they_are(store: Any) -> None:
    for key, data in {
        "case/b/2.log": b"2", "case/b/1.log": b"1", "case/a//x.log": b"x", "case/../up.log": b"u", "case/ü?*[1].log": b"o",
        "case2/other.log": b"", "case": b"itself",
    }.items():  # fmt: skip
        store.pipe_file(f"evidence/{key}", data)
    found = find(["s3://evidence/case", "s3://evidence/case/b/", "s3://evidence/case"])
    assert [e.label for e in found.evidence] == [
        "case", "case/../up.log", "case/a//x.log", "case/b/1.log", "case/b/2.log", "case/ü?*[1].log",
    ]  # fmt: skip
    assert not found.passed_over
    assert [e.label for e in find(["s3://evidence/case/b/1.log"]).evidence] == ["1.log"]
    assert "evidence/case2/other.log" in [e.label for e in find(["s3://evidence"]).evidence]


def test_folder_markers_are_nothing_and_data_under_such_a_name_is_told(store: Any) -> None:
    import asyncio

    async def put(key: str, data: bytes) -> None:
        await store._call_s3("put_object", Bucket="evidence", Key=key, Body=data)

    for key, data in {"case/": b"", "case/sub/": b"data", "case/a.log": b"a"}.items():
        asyncio.run_coroutine_threadsafe(put(key, data), store.loop).result()
    found = find(["s3://evidence/case"])
    assert [e.label for e in found.evidence] == ["case/a.log"]
    assert [(p.label, p.failed) for p in found.passed_over] == [("case/sub/", True)]


def test_any_byte_can_be_gone_to_and_few_are_held(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.evidence._store.STORE_BLOCK_BYTES", 1000)
    data = random.Random(7).randbytes(10_500)
    store.pipe_file("evidence/x", data)
    (item,) = find(["s3://evidence/x"]).evidence
    handle, _ = open_place(item.path)
    kept, order = io.BytesIO(data), random.Random(8)
    for _ in range(60):
        at, size = order.randrange(11_000), order.randrange(1, 3000)
        handle.seek(at)
        kept.seek(at)
        buffer = memoryview(bytearray(size))
        got = handle.readinto(buffer)
        assert bytes(buffer[:got]) == kept.read(size)
    handle.close()


def test_nothing_behind_the_end_of_a_span_is_fetched(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.evidence._store.STORE_BLOCK_BYTES", 1000)
    store.pipe_file("evidence/x", b"0123456789" * 1000)
    (item,) = find(["s3://evidence/x"]).evidence
    forget()
    asked: list[int] = []
    monkeypatch.setattr(_Blocks, "_get", lambda self, number: [asked.append(number), self._fetch(0, 1000)][1])
    stream = open_span(Span(item, "none", 2500, 5000, 1))
    drain(stream)
    assert stream.position == 5000
    assert sorted(asked) == [2, 3, 4]


def test_an_object_that_changes_or_goes_after_it_was_listed_is_told(store: Any) -> None:
    store.pipe_file("evidence/x", b"one")
    (item,) = find(["s3://evidence/x"]).evidence
    handle, _ = open_place(item.path)
    store.pipe_file("evidence/x", b"two")
    with pytest.raises(EvidenceChangedError, match=r"s3://evidence/x changed after it was listed"):
        handle.readinto(memoryview(bytearray(3)))
    for look in (state, lambda where: [forget(), open_place(where)]):
        with pytest.raises(EvidenceChangedError):
            look(item.path)
    store.rm("evidence/x")
    with pytest.raises(EvidenceError, match="is not in the store"):
        state(item.path)


def test_evidence_that_is_replaced_during_the_run_ends_it_and_leaves_nothing(put: Any, tmp_path: Path) -> None:
    def replace(stage: str, done: int) -> None:
        del done
        if stage == "placing":
            put.pipe_file("evidence/seized/notes.txt", b"no log?")

    with pytest.raises(EvidenceChangedError):
        forensics.analyze("s3://evidence/seized", out=tmp_path / "case", workers=1, progress=replace)
    assert not list(tmp_path.glob("*case*"))


def test_a_store_that_vanishes_during_the_run_is_one_line_and_leaves_nothing(
    seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(tmp_path)
    point_to(server.url, monkeypatch).mkdir("evidence")
    point_to(server.url, monkeypatch).put(str(seized), "evidence/seized", recursive=True)

    def vanish(stage: str, done: int) -> None:
        del done
        if stage == "reading":
            server.stop()

    try:
        with pytest.raises(StoreError, match=r"^s3://evidence/seized/\S+: the store cannot be read .*[^\n]*$"):
            forensics.analyze("s3://evidence/seized", out=tmp_path / "case", workers=1, progress=vanish)
    finally:
        server.stop()
    assert not list(tmp_path.glob("*case*"))


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, " ".join(done.output.split())


def test_what_is_wrong_with_a_store_is_one_line_and_its_exit_code(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "case")
    code, said = run("analyze", "s3://nowhere/x", "-o", out)
    assert code == 3
    assert "s3://nowhere/x is not in the store" in said
    code, said = run("analyze", "s3://evidence/nothing", "-o", out)
    assert code == 3
    assert "s3://evidence/nothing is not in the store" in said
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    type(store).clear_instance_cache()
    code, said = run("identify", "s3://evidence")
    assert code == 3
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    point_to("http://127.0.0.1:9", monkeypatch)
    code, said = run("identify", "s3://evidence")
    assert code == 3
    assert "s3://evidence: the store cannot be read (Could not connect" in said
    assert not list(tmp_path.iterdir())


def test_a_refusal_of_one_object_is_told_apart_from_a_refusal_of_whoever_asks() -> None:
    def refused(code: str) -> PermissionError:
        error, cause = PermissionError("said so"), Exception()
        cause.response = {"Error": {"Code": code}}  # type: ignore[attr-defined]
        error.__cause__ = cause
        return error

    for code, whole, kind in (
        ("InvalidObjectState", False, EvidenceError), ("403", False, EvidenceError), ("403", True, StoreError),
        ("ExpiredToken", False, StoreError),
    ):  # fmt: skip
        with pytest.raises(kind, match=r"s3://b/x.*said so"), told("s3://b/x", whole=whole):
            raise refused(code)


def test_a_url_of_another_kind_or_with_a_password_in_it_is_refused(tmp_path: Path) -> None:
    for url in ("gs://bucket/x", "http://host/x", "s3://", f"s3://key:{SECRET}@bucket/x", "s3:///x"):
        code, said = run("analyze", url, "-o", str(tmp_path / "case"))
        assert code == UsageError.exit_code
        assert SECRET not in said
    assert place("file:///mnt/x") == Path("/mnt/x")
    assert place("s3://bucket/a/") == place("s3://bucket/a") == "s3://bucket/a"


def test_without_the_extra_a_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    code, said = run("identify", "s3://bucket/x")
    assert code == UsageError.exit_code
    assert "pip install 'c2trail[s3]'" in said


def test_a_path_on_disk_loads_nothing_of_stores(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"x")
    asked = (
        "import sys; from pathlib import Path; from forensics.evidence.find import find; "
        f"found = find([Path({str(tmp_path)!r})]); assert len(found.evidence) == 1; "
        "assert not {'fsspec', 's3fs', 'botocore', 'aiohttp', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", asked], check=True)


def test_the_bytes_behind_a_row_are_fetched_only_from_a_store_that_is_typed(put: Any, tmp_path: Path) -> None:
    case = forensics.analyze("s3://evidence/seized", out=tmp_path / "case", workers=1)
    row = case.frame("events").iloc[0]
    locator = f"{row.evidence_id}:{row.log_offset}+{row.log_length}"
    code, said = run("show", str(case.folder), locator)
    assert code == 3
    assert "type --evidence s3://evidence/seized/" in said
    code, said = run("show", str(case.folder), locator, "--evidence", "s3://evidence/seized")
    assert code == 0
    assert "GET /" in said
    assert run("verify", str(case.folder), "s3://evidence/seized")[0] == 0
    put.pipe_file("evidence/seized/notes.txt", b"other")
    assert run("verify", str(case.folder), "s3://evidence/seized")[0] == 4


def test_an_object_sent_with_a_content_encoding_is_read_as_it_is_stored(store: Any) -> None:
    data = gzip.compress(b"x" * 1000, mtime=0)
    store.pipe_file("evidence/x.gz", data, ContentEncoding="gzip")
    (item,) = find(["s3://evidence/x.gz"]).evidence
    assert isinstance(item.path, StoredObject)
    assert (item.size, item.wrapping) == (len(data), "gzip")
    handle, _ = open_place(item.path)
    buffer = memoryview(bytearray(len(data)))
    assert bytes(buffer[: handle.readinto(buffer)]) == data
    handle.close()
