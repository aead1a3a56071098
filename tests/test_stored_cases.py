"""A case in an object store: whole from the moment its manifest is there, read from a checked copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from object_store import Server, point_to
from typer.testing import CliRunner

import forensics
import forensics.fleet
from forensics.cli import app
from forensics.errors import EvidenceChangedError, OutputError, UsageError

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

LINE = b'192.0.2.%d - - [18/Jan/2017:10:00:%02d +0100] "GET /%d.jsp HTTP/1.1" 200 5\n'
URL = "s3://cases/2017/server-1"
AT = "cases/2017/server-1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("store"))
    yield made
    made.stop()


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = point_to(server.url, monkeypatch)
    made.mkdir("cases")
    yield made
    made.rm("cases", recursive=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "access_log"
    made.write_bytes(b"".join(LINE % (n, n, n) for n in range(50)))
    return made


def objects(store: Any) -> dict[str, bytes]:
    return {key[len(AT) + 1 :]: store.cat_file(key) for key in store.find(AT)}


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, " ".join(done.output.split())


def test_what_lies_in_the_store_is_the_case_that_a_disk_would_hold(store: Any, log: Path, tmp_path: Path) -> None:
    code, said = run("analyze", str(log), "-o", URL, "--workers", "1")
    assert code == 0
    assert f"case {URL}" in said
    here = forensics.analyze(log, out=tmp_path / "here", workers=1)
    there = objects(store)
    assert there.keys() == {p.relative_to(here.folder).as_posix() for p in here.folder.rglob("*") if p.is_file()}
    for name, data in there.items():
        assert name == "audit.jsonl" or data == (here.folder / name).read_bytes()


def test_every_command_reads_it_from_a_checked_copy_that_is_fetched_once(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    counted = ("sql", URL, "SELECT count(*) AS n FROM events", "--format", "jsonl")
    assert run(*counted) == (0, '{"n": 50}')
    monkeypatch.setattr(type(store), "_get_file", None)
    assert run(*counted) == (0, '{"n": 50}')
    assert run("sources", URL, "--format", "jsonl")[0] == 0
    assert run("show", URL, "E0001:0+10")[0] == 0
    assert len(forensics.open_case(URL).sources) == 50


def test_an_object_that_was_changed_is_found_by_every_command_and_named_by_verify(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    assert run("verify", URL, str(log))[0] == 0
    store.pipe_file(f"{AT}/sources.csv", b"changed")
    store.pipe_file(f"{AT}/more.csv", b"more")
    code, said = run("verify", URL)
    assert code == 4
    assert "sources.csv: has 7 bytes" in said
    assert "more.csv: is not in the manifest" in said
    assert not list((tmp_path / "cache").rglob("*.as-found"))
    assert run("sources", URL)[0] == 0  # the copy that was checked when it was made
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    code, said = run("sessions", URL)
    assert code == EvidenceChangedError.exit_code
    assert f"{URL}/sources.csv is not what was written" in said
    assert not list((tmp_path / "another").rglob("*.parquet"))


def test_an_existing_case_is_replaced_with_force_alone_and_nothing_of_it_stays(store: Any, log: Path) -> None:
    forensics.analyze(log, out=URL, workers=1)
    before = objects(store)
    told: list[str] = []
    with pytest.raises(OutputError, match="exists; choose another name with -o, or --force"):
        forensics.analyze(log, out=URL, workers=1, progress=lambda stage, _: told.append(stage))
    assert objects(store) == before
    assert not told
    store.pipe_file(f"{AT}/tables/old.parquet", b"old")
    log.write_bytes(log.read_bytes() * 2)
    case = forensics.analyze(log, out=URL, workers=1, force=True)
    assert case.manifest["ledger"]["events"]["records"] == 100
    assert objects(store).keys() == before.keys()
    assert objects(store)["manifest.json"] == (case.folder / "manifest.json").read_bytes()


def test_an_update_takes_over_what_the_stored_case_has_read(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    more = tmp_path / "access_log.2"
    more.write_bytes(LINE % (99, 1, 2))
    case = forensics.analyze(log, more, out=URL, workers=1, update=True)
    assert case.manifest["ledger"]["events"]["records"] == 51
    assert b'"unchanged": true' in objects(store)["audit.jsonl"]


def test_other_objects_and_evidence_are_never_written_over(store: Any, log: Path) -> None:
    store.pipe_file(f"{AT}/seized.log", b"not ours")
    for force in (False, True):
        with pytest.raises(OutputError, match="exists and is no case of c2trail"):
            forensics.analyze(log, out=URL, workers=1, force=force)
    with pytest.raises(OutputError, match="no case was put there: s3://no-such-bucket/x is not in the store"):
        forensics.analyze(log, out="s3://no-such-bucket/x", workers=1)
    with pytest.raises(OutputError, match="lies inside the evidence s3://cases/2017"):
        forensics.analyze("s3://cases/2017", log, out=f"{URL}/case", workers=1)
    assert objects(store) == {"seized.log": b"not ours"}


def test_an_upload_that_breaks_leaves_no_case_there_a_whole_one_here_and_room_for_the_next(
    store: Any, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    put, count = type(store)._put_file, []

    async def breaks(self: Any, *arguments: Any, **named: Any) -> None:
        count.append(1)
        if len(count) > 20:
            raise OSError("the line is dead")
        await put(self, *arguments, **named)

    monkeypatch.setattr(type(store), "_put_file", breaks)
    code, said = run("analyze", str(log), "-o", URL, "--workers", "1", "--force")
    monkeypatch.setattr(type(store), "_put_file", put)
    assert code == OutputError.exit_code
    assert "the line is dead" in said
    kept = Path(said.rpartition("the case lies whole at ")[2].replace(" ", ""))
    assert list(forensics.verify(forensics.open_case(kept))) == []
    assert "manifest.json" not in objects(store)
    code, said = run("sessions", URL)
    assert code == UsageError.exit_code
    assert "an upload broke: analyse again" in said
    forensics.analyze(log, out=URL, workers=1)
    assert {"manifest.json"} == objects(store).keys() & {"manifest.json", ".unfinished"}
    assert run("verify", URL)[0] == 0


def test_what_is_no_case_is_told_and_a_hostile_name_is_not_followed(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run("sessions", URL)
    assert code == UsageError.exit_code
    assert f"{URL} is no case (it has no manifest.json)" in said
    forensics.analyze(log, out=URL, workers=1)
    store.pipe_file(f"{AT}/../../../../escaped", b"x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    code, said = run("verify", URL)
    assert code == UsageError.exit_code
    assert "it holds an object named '../../../../escaped'" in said
    assert not list(tmp_path.rglob("escaped"))


def test_a_store_that_cannot_be_written_to_is_told_before_any_work(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    told: list[str] = []
    with pytest.raises(OutputError, match="no case was put there: s3://cases/2017/server-1: the store cannot be read"):
        forensics.analyze(log, out=URL, workers=1, progress=lambda stage, _: told.append(stage))
    assert not told


def test_a_fleet_in_a_store_is_that_of_the_same_folder_on_disk(store: Any, log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    for name in ("alpha", "beta"):
        (folder / name).mkdir(parents=True)
        (folder / name / "access_log").write_bytes(log.read_bytes())
    store.put(str(folder), "cases/fleet", recursive=True)
    store.pipe_file("cases/fleet/../access_log", b"x")
    forensics.fleet.fleet(folder, tmp_path / "disk", workers=1)
    found = forensics.fleet.fleet("s3://cases/fleet/", tmp_path / "store", workers=1)
    assert [(one.server, one.status) for one in found] == [("alpha", "done"), ("beta", "done")]
    for name in ("fleet.csv", "comparison.csv", "alpha/manifest.json", "beta/timeline.csv"):
        assert (tmp_path / "store" / name).read_bytes() == (tmp_path / "disk" / name).read_bytes()
