"""A folder of seized servers: a case each, as if analysed alone, and one table; what fails for one stops no other."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from case_contents import contents
from typer.testing import CliRunner

import forensics
from forensics import fleet as module
from forensics.cli import app
from forensics.engines import local
from forensics.errors import EvidenceError, ForensicsError, OutputError
from forensics.fleet import COLUMNS, Seized, fleet
from forensics.model import Options

LINE = b'175.45.178.19 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 512\n'


@pytest.fixture
def seized(tmp_path: Path) -> Path:
    """Two servers with a log, one without any, one that is a single file, and a link that is nobody's."""
    folder = tmp_path / "seized"
    for name, lines in (("alpha", 3), ("=beta", 5)):
        (folder / name).mkdir(parents=True)
        (folder / name / "access_log").write_bytes(LINE * lines)
    (folder / "empty").mkdir()
    (folder / "one.log").write_bytes(LINE)
    (folder / "link").symlink_to(folder / "alpha")
    return folder


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((out / "fleet.csv").read_text())))


@pytest.mark.parametrize("workers", [1, 2])
def test_each_server_gets_the_case_it_would_get_alone(seized: Path, tmp_path: Path, workers: int) -> None:
    told: list[str] = []
    outcomes = fleet(seized, tmp_path / "out", workers=workers, progress=lambda name, _: told.append(name))
    assert [(one.server, one.status) for one in outcomes] == [
        ("=beta", "done"), ("alpha", "done"), ("empty", "failed"), ("one.log", "done"),
    ]  # fmt: skip
    assert sorted(told) == [one.server for one in outcomes]
    alone = forensics.analyze(seized / "alpha", out=tmp_path / "alone", workers=1)
    assert contents(tmp_path / "out" / "alpha") == contents(alone.folder)
    rows = table(tmp_path / "out")
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["server"] == "'=beta"
    assert (rows[1]["events"], rows[1]["rare_origins"]) == ("3", "175.45.178.19 A")
    assert rows[2]["exit_code"] == str(EvidenceError.exit_code)
    assert "no evidence file" in rows[2]["error"]


def test_a_large_server_is_analysed_alone_to_the_same_case(
    seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(seized, tmp_path / "small", workers=1)
    monkeypatch.setattr(module, "LARGE_SERVER", len(LINE) * 4)
    fleet(seized, tmp_path / "large", workers=1)
    assert contents(tmp_path / "small") == contents(tmp_path / "large")


def test_a_fleet_is_not_overwritten_and_goes_on_where_it_was(seized: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fleet(seized, out, workers=1)
    with pytest.raises(OutputError, match="--resume"):
        fleet(seized, out, workers=1)
    (seized / "gamma").mkdir()
    (seized / "gamma" / "access_log").write_bytes(LINE)
    outcomes = {one.server: one.status for one in fleet(seized, out, workers=1, resume=True)}
    assert outcomes == {"=beta": "kept", "alpha": "kept", "empty": "failed", "gamma": "done", "one.log": "kept"}
    other = fleet(seized, out, workers=1, resume=True, options=Options(zone="Asia/Seoul"))
    assert {one.status for one in other} == {"done", "failed"}


def test_a_server_that_takes_the_processes_down_costs_no_other_its_case(
    seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = local.run

    def broken(work: object, jobs: list[Seized], *, workers: int, apart: bool = False) -> Iterator[object]:
        for number, job in enumerate(jobs):
            if isinstance(job, Seized) and (job.name == "alpha" or (number and not apart)):
                raise ForensicsError(f"one of {workers} worker processes died")
            yield from plain(work, [job], workers=1)  # type: ignore[arg-type]

    monkeypatch.setattr(module.local, "run", broken)
    outcomes = {one.server: (one.status, one.error) for one in fleet(seized, tmp_path / "out", workers=2)}
    assert outcomes["alpha"] == ("failed", "one of 1 worker processes died")
    assert outcomes["=beta"][0] == outcomes["one.log"][0] == "done"


def test_a_bug_that_one_server_shows_is_told_in_its_row(
    seized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = module.analyze

    def failing(*paths: Path, **options: object) -> object:
        if paths[0].name == "alpha":
            raise IndexError("oops")
        return plain(*paths, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "analyze", failing)
    outcomes = {one.server: one for one in fleet(seized, tmp_path / "out", workers=1)}
    assert outcomes["alpha"].exit_code == 70
    assert "IndexError: oops" in outcomes["alpha"].error
    assert outcomes["=beta"].status == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="names on disk are text here")
def test_a_server_whose_name_is_no_text_has_its_case_under_the_name_spelt_out(seized: Path, tmp_path: Path) -> None:
    (seized / "alpha").rename(seized / os.fsdecode(b"caf\xe9"))
    outcomes = {one.server: one.status for one in fleet(seized, tmp_path / "out", workers=1)}
    assert outcomes["caf\\xe9"] == "done"
    assert forensics.open_case(tmp_path / "out" / "caf\\xe9").manifest["evidence"][0]["label"] == "caf\\xe9/access_log"


def test_what_is_no_fleet_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be listed"):
        fleet(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(EvidenceError, match="holds no server"):
        fleet(tmp_path / "none", tmp_path / "out")
    (tmp_path / "none" / "a").mkdir()
    with pytest.raises(OutputError, match="inside the evidence"):
        fleet(tmp_path / "none", tmp_path / "none" / "out")
    (tmp_path / "none" / "fleet.csv").mkdir()
    with pytest.raises(OutputError, match=r"fleet\.csv would be a case and a table over the fleet"):
        fleet(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table_and_says_how_many_failed(seized: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["fleet", str(seized), "-o", str(tmp_path / "out"), "--workers", "1", "--format", "csv"]
    )
    assert done.exit_code == EvidenceError.exit_code
    assert "warning: empty: no evidence file was found" in done.output
    assert "1 of 4 servers" in done.output
    assert "175.45.178.19 A" in done.output


def test_what_servers_of_a_fleet_share_stands_in_the_comparison(seized: Path, tmp_path: Path) -> None:
    (seized / "gamma").mkdir()
    (seized / "gamma" / "access_log").write_bytes(LINE * 3)
    fleet(seized, tmp_path / "out", workers=1)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "comparison.csv").read_text())))
    same = [row for row in rows if row["relation"] == "same_evidence"]
    assert same
    assert all("alpha" in row["cases"] and "gamma" in row["cases"] for row in same)
