"""A case in an object store: whole from the moment it is named there, until another is; read from a checked copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from case_contents import contents
from cluster import Cluster
from object_store import Server, bucket, point_to
from typer.testing import CliRunner

import forensics
import forensics.fleet
from forensics import stored_cases
from forensics.cli import app
from forensics.errors import EvidenceChangedError, OutputError, UsageError

pytest.importorskip("s3fs")
pytest.importorskip("moto")
pytest.importorskip("flask_cors")

LINE = b'192.0.2.%d - - [18/Jan/2017:10:00:%02d +0100] "GET /%d.jsp HTTP/1.1" 200 5\n'
URL = "s3://cases/2017/server-1"
AT = "cases/2017/server-1"


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with bucket("cases", server.url, monkeypatch) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    made = tmp_path / "access_log"
    made.write_bytes(b"".join(LINE % (n, n, n) for n in range(50)))
    return made


def objects(store: Any, at: str = AT) -> dict[str, bytes]:
    return {key[len(at) + 1 :]: store.cat_file(key) for key in store.find(at)}


def standing(store: Any, at: str = AT) -> str:
    """Return where the objects of a case lie."""
    return f"{at}/{store.cat_file(f'{at}/current').decode().strip()}"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, " ".join(done.output.split())


def test_what_lies_in_the_store_is_the_case_that_a_disk_would_hold(store: Any, log: Path, tmp_path: Path) -> None:
    code, said = run("analyze", str(log), "-o", URL, "--workers", "1")
    assert code == 0
    assert f"case {URL}" in said
    here = forensics.analyze(log, out=tmp_path / "here", workers=1)
    there = objects(store, standing(store))
    assert len(objects(store)) == len(there) + 1
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
    store.pipe_file(f"{standing(store)}/sources.csv", b"changed")
    store.pipe_file(f"{standing(store)}/more.csv", b"more")
    store.pipe_file(f"{AT}/report-of-another.html", b"more")
    code, said = run("verify", URL)
    assert code == 4
    assert "sources.csv: has 7 bytes" in said
    assert "more.csv: is not in the manifest" in said
    assert "report-of-another.html: is not in the manifest" in said
    assert not list((tmp_path / "cache").rglob("*.as-found"))
    assert run("sources", URL)[0] == 0  # the copy that was checked when it was made
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    code, said = run("sessions", URL)
    assert code == EvidenceChangedError.exit_code
    assert f"{URL}/sources.csv is not what was written" in said
    store.pipe_file(f"{standing(store)}/manifest.json", b"{}")
    assert f"{URL}/manifest.json is not what was written" in run("sessions", URL)[1]
    store.pipe_file(f"{AT}/current", b"../../other")
    assert f"{URL}/current is not what was written" in run("sessions", URL)[1]
    assert not list((tmp_path / "another").rglob("*.parquet"))


def test_an_existing_case_is_replaced_with_force_alone_and_nothing_of_it_stays(store: Any, log: Path) -> None:
    forensics.analyze(log, out=URL, workers=1)
    before = objects(store)
    told: list[str] = []
    with pytest.raises(OutputError, match="exists; choose another name with -o, or --force"):
        forensics.analyze(log, out=URL, workers=1, progress=lambda stage, _: told.append(stage))
    assert objects(store) == before
    assert not told
    store.pipe_file(f"{standing(store)}/tables/old.parquet", b"old")
    log.write_bytes(log.read_bytes() * 2)
    case = forensics.analyze(log, out=URL, workers=1, force=True)
    assert case.manifest["ledger"]["events"]["records"] == 100
    assert len(objects(store)) == len(before)
    there = objects(store, standing(store))
    assert there.keys() == {name.partition("/")[2] for name in before} - {""}
    assert there["manifest.json"] == (case.folder / "manifest.json").read_bytes()


def test_whoever_reads_while_a_case_is_replaced_finds_the_one_or_the_other_whole(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    found: list[int] = []

    def reading() -> None:
        with monkeypatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path / f"reader{len(found)}"))
            found.append(len(forensics.open_case(URL).frame("events")))

    put, get = store.put, stored_cases._get

    def slow(*arguments: Any) -> None:
        reading()
        put(*arguments)
        reading()

    log.write_bytes(log.read_bytes() * 2)
    with monkeypatch.context() as patch:
        patch.setattr(store, "put", slow)
        forensics.analyze(log, out=URL, workers=1, force=True)
    reading()
    assert found == [50, 50, 100]

    def overtaken(*arguments: Any) -> None:
        monkeypatch.setattr(stored_cases, "_get", get)
        log.write_bytes(log.read_bytes() * 2)
        forensics.analyze(log, out=URL, workers=1, force=True)
        get(*arguments)

    monkeypatch.setattr(stored_cases, "_get", overtaken)
    reading()
    assert found[3:] == [200]
    assert run("verify", URL)[0] == 0


def test_a_case_folder_that_was_copied_there_is_a_case_and_is_replaced_like_one(
    store: Any, log: Path, tmp_path: Path
) -> None:
    here = forensics.analyze(log, out=tmp_path / "here", workers=1)
    store.put(str(here.folder), AT, recursive=True)
    assert run("verify", URL)[0] == 0
    assert len(forensics.open_case(URL).sources) == 50
    with pytest.raises(OutputError, match="exists; choose another name"):
        forensics.analyze(log, out=URL, workers=1)
    log.write_bytes(log.read_bytes() * 2)
    forensics.analyze(log, out=URL, workers=1, force=True)
    assert len(objects(store)) == len(objects(store, standing(store))) + 1
    assert len(forensics.open_case(URL).frame("events")) == 100


def test_an_update_takes_over_what_the_stored_case_has_read(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(log, out=URL, workers=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    more = tmp_path / "access_log.2"
    more.write_bytes(LINE % (99, 1, 2))
    case = forensics.analyze(log, more, out=URL, workers=1, update=True)
    assert case.manifest["ledger"]["events"]["records"] == 51
    assert b'"unchanged": true' in objects(store, standing(store))["audit.jsonl"]


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


def test_an_upload_that_breaks_leaves_the_older_case_there_the_new_one_here_and_room_for_the_next(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = type(store)._put_file, []

    async def breaks(self: Any, *arguments: Any, **named: Any) -> None:
        count.append(1)
        if len(count) > 20:
            raise OSError("the line is dead")
        await put(self, *arguments, **named)

    def broken(*options: str) -> Path:
        count.clear()
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "_put_file", breaks)
            code, said = run("analyze", str(log), "-o", URL, "--workers", "1", *options)
        assert code == OutputError.exit_code
        assert "the line is dead" in said
        return Path(said.rpartition("the case lies whole at ")[2].replace(" ", ""))

    kept = broken()
    assert list(forensics.verify(forensics.open_case(kept))) == []
    assert "current" not in objects(store)
    code, said = run("sessions", URL)
    assert code == UsageError.exit_code
    assert "its upload goes on, or broke: wait, or analyse again" in said
    forensics.analyze(log, out=URL, workers=1)
    whole = objects(store)
    assert ".unfinished" not in whole
    log.write_bytes(log.read_bytes() * 2)
    broken("--force")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert run("verify", URL)[0] == 0
    assert len(forensics.open_case(URL).frame("events")) == 50
    forensics.analyze(log, out=URL, workers=1, update=True)
    assert len(objects(store)) == len(whole)
    assert run("verify", URL)[0] == 0


def test_what_is_no_case_is_told_and_a_hostile_name_is_not_followed(
    store: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run("sessions", URL)
    assert code == UsageError.exit_code
    assert f"{URL} is no case (there is none of that name)" in said
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


@pytest.fixture
def seized(log: Path, tmp_path: Path) -> Path:
    """Two servers of one evidence, one of another, and one without any log."""
    folder = tmp_path / "fleet"
    for name, data in (("alpha", log.read_bytes()), ("beta", log.read_bytes()), ("gamma", LINE % (7, 1, 2))):
        (folder / name).mkdir(parents=True)
        (folder / name / "access_log").write_bytes(data)
    (folder / "omega").mkdir()
    (folder / "omega" / "notes.txt").write_bytes(b"no log")
    return folder


FLEET = "s3://cases/2017"


def stored(store: Any, tmp_path: Path) -> dict[str, bytes]:
    """Return the bytes of a fleet in the store, as `contents` does for one on disk."""
    copy = tmp_path / "copied"
    store.get("cases/2017/", str(copy), recursive=True)
    for current in copy.glob("*/current"):
        (case,) = [one for one in current.parent.iterdir() if one != current]
        assert case.name == current.read_text().strip()
        current.unlink()
        for one in case.iterdir():
            one.rename(current.parent / one.name)
        case.rmdir()
    return contents(copy)


def test_a_fleet_in_a_store_is_that_of_the_same_folder_on_disk(store: Any, seized: Path, tmp_path: Path) -> None:
    store.put(str(seized), "cases/fleet", recursive=True)
    store.pipe_file("cases/fleet/../access_log", b"x")
    forensics.fleet.fleet(seized, tmp_path / "disk", workers=1)
    found = forensics.fleet.fleet("s3://cases/fleet/", tmp_path / "store", workers=1)
    assert [(one.server, one.status) for one in found] == [
        ("alpha", "done"), ("beta", "done"), ("gamma", "done"), ("omega", "failed"),
    ]  # fmt: skip
    assert contents(tmp_path / "store") == contents(tmp_path / "disk")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_cases_of_a_fleet_lie_in_the_store_as_they_would_on_disk_and_no_copy_stays_here(
    store: Any, seized: Path, tmp_path: Path, workers: str
) -> None:
    forensics.fleet.fleet(seized, tmp_path / "disk", workers=1)
    code, said = run("fleet", str(seized), "-o", f"{FLEET}/", "--workers", workers)
    assert code == 3
    assert f"1 of 4 servers could not be read, or not whole; see {FLEET}/fleet.csv" in said
    assert stored(store, tmp_path) == contents(tmp_path / "disk")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert run("verify", f"{FLEET}/alpha", str(seized / "alpha"))[0] == 0
    assert run("sql", f"{FLEET}/beta", "SELECT count(*) AS n FROM events", "--format", "jsonl") == (0, '{"n": 50}')


def test_a_fleet_in_a_store_is_not_written_over_and_goes_on_where_it_was(
    store: Any, seized: Path, tmp_path: Path
) -> None:
    forensics.fleet.fleet(seized, FLEET, workers=1)
    before = {key: store.info(key)["LastModified"] for key in store.find("cases/2017/alpha")}
    with pytest.raises(OutputError, match=f"{FLEET} holds a fleet; choose another name"):
        forensics.fleet.fleet(seized, FLEET, workers=1)
    (seized / "gamma" / "access_log").write_bytes(LINE % (9, 3, 4) * 2)
    store.rm_file("cases/2017/gamma/current")
    store.pipe_file("cases/2017/gamma/.unfinished", b"")
    store.pipe_file(f"{standing(store, 'cases/2017/beta')}/tables/sources.parquet", b"changed")
    found = forensics.fleet.fleet(seized, FLEET, workers=1, resume=True)
    assert [one.status for one in found] == ["kept", "done", "done", "failed"]
    assert {key: store.info(key)["LastModified"] for key in store.find("cases/2017/alpha")} == before
    forensics.fleet.fleet(seized, tmp_path / "disk", workers=1)
    here = contents(tmp_path / "disk")
    here["fleet.csv"] = here["fleet.csv"].replace(b'"alpha","done"', b'"alpha","kept"')
    assert stored(store, tmp_path) == here


def test_servers_may_have_any_names(store: Any, tmp_path: Path) -> None:
    names = ["current", "0123456789abcdef", "a b+c%41?x#y[1]*", "manifest.json"]
    for name in [*names, "?versionId=q"]:
        (tmp_path / "seized" / name).mkdir(parents=True)
        (tmp_path / "seized" / name / "access_log").write_bytes(LINE % (1, 2, 3))
    forensics.fleet.fleet(tmp_path / "seized", FLEET, workers=1)
    found = {one.server: one for one in forensics.fleet.fleet(tmp_path / "seized", FLEET, workers=1, resume=True)}
    assert {name for name, one in found.items() if one.status == "kept"} == set(names)
    assert "a name with ?versionId= in it is not read" in found["?versionId=q"].error
    for name in names:
        assert len(forensics.open_case(f"{FLEET}/{name}").frame("events")) == 1
    assert {key.split("/")[2] for key in store.find("cases/2017")} == {*names, "fleet.csv", "comparison.csv"}


def test_a_fleet_that_cannot_be_put_is_told_before_any_work(store: Any, seized: Path, log: Path) -> None:
    told: list[str] = []

    def refused(out: str, source: Path | str = seized) -> str:
        with pytest.raises(OutputError) as caught:
            forensics.fleet.fleet(source, out, workers=1, progress=lambda server, _: told.append(server))
        return str(caught.value)

    assert refused("s3://no-such-bucket/x") == (
        "no fleet was put there: s3://no-such-bucket/x is not in the store; check the name"
    )
    forensics.analyze(log, out=f"{FLEET}/case", workers=1)
    assert "s3://cases/2017/case is a case" in refused(f"{FLEET}/case")
    assert "lies inside the evidence s3://cases/2017" in refused(f"{FLEET}/case/fleet", FLEET)
    with pytest.raises(OutputError, match="s3://cases/2017 holds cases, and is none"):
        forensics.analyze(log, out=FLEET, workers=1, force=True)
    assert run("sessions", f"{FLEET}/case")[0] == 0
    assert not store.exists("cases/2017/.fleet-unfinished")
    assert not told


def test_a_store_that_vanishes_ends_the_fleet_and_the_next_run_goes_on_with_what_is_whole(
    server: Server, store: Any, seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(*_: object) -> None:
        point_to("http://127.0.0.1:9", monkeypatch)

    with pytest.raises(OutputError) as caught:
        forensics.fleet.fleet(seized, FLEET, workers=1, progress=vanish)
    assert str(caught.value).startswith("the fleet is not whole: s3://cases/2017: the store cannot be read (Could not")
    assert str(caught.value).endswith("; the cases that were put there are whole: go on with --resume")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    point_to(server.url, monkeypatch)
    assert {key.split("/")[2] for key in store.find("cases/2017")} == {"alpha", ".fleet-unfinished"}
    assert run("verify", f"{FLEET}/alpha")[0] == 0
    found = forensics.fleet.fleet(seized, FLEET, workers=1, resume=True)
    assert [one.status for one in found] == ["kept", "done", "done", "failed"]
    assert {key.split("/")[2] for key in store.find("cases/2017")} == {
        "alpha", "beta", "gamma", "fleet.csv", "comparison.csv",
    }  # fmt: skip


def test_workers_of_a_cluster_put_the_cases_of_a_fleet_themselves_share_no_folder_and_one_may_be_killed(
    store: Any, seized: Path, cluster: Cluster, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    forensics.fleet.fleet(seized, tmp_path / "disk", workers=1)
    address = cluster.scheduler()
    first, _ = (cluster.worker(XDG_CACHE_HOME=str(tmp_path / name)) for name in ("one", "two"))
    told: list[str] = []

    def kill(server: str, _: int) -> None:
        told.append(server)
        if len(told) == 1:
            first.kill()
            first.wait()

    forensics.fleet.fleet(seized, FLEET, scheduler=address, progress=kill)
    assert stored(store, tmp_path) == contents(tmp_path / "disk")
    assert list((tmp_path / "two").rglob("cases"))
    assert not [path for path in (tmp_path / "two").rglob("*") if path.is_file()]
