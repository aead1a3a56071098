"""A real scheduler and real workers on this machine: the same case comes out as from local processes, whatever happens to them."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from case_contents import contents
from cluster import Cluster
from typer.testing import CliRunner

import forensics
from forensics.cli import app
from forensics.engines import dask
from forensics.errors import ClusterError, EvidenceError, OutputError, UsageError
from forensics.evidence.find import find
from forensics.identify import identify
from forensics.parse import Job, JobDone, run
from forensics.reading import read

pytest.importorskip("distributed")

LINE = b'192.0.2.%d - - [18/Jan/2017:10:%02d:%02d +0100] "GET /%d.jsp HTTP/1.1" 200 %d\n'


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some fifty parts of work: a plain log, a compressed one, and a file that is none."""
    monkeypatch.setattr("forensics.evidence.spans.SPAN_BYTES", 10_000)
    monkeypatch.setattr("forensics.reading.PART_BYTES", 10_000)
    folder = tmp_path / "seized"
    folder.mkdir()
    lines = [LINE % (n % 200, n // 60 % 60, n % 60, n % 9, n) for n in range(3000)]
    (folder / "access_log.2017-01-18.txt").write_bytes(b"".join(lines) + b"junk\n")
    (folder / "access_log.2017-01-19.txt.gz").write_bytes(gzip.compress(b"".join(lines), mtime=0))
    (folder / "notes.txt").write_bytes(b"no log\n")
    return folder


def test_a_worker_killed_in_mid_run_costs_nothing_and_doubles_nothing(
    cluster: Cluster, evidence: Path, tmp_path: Path
) -> None:
    here = forensics.analyze(evidence, out=tmp_path / "local", workers=1)
    address = cluster.scheduler()
    first, _ = cluster.worker(), cluster.worker()
    told: list[int] = []
    progress = cluster.killing(first, told)
    there = forensics.analyze(evidence, out=tmp_path / "dask", scheduler=address, progress=progress)
    assert first.returncode == -signal.SIGKILL
    assert contents(there.folder) == contents(here.folder)
    assert len(told) == len(list((here.folder / "tables" / "events").iterdir()))
    assert sum(told) == sum(row["stream_size"] for row in here.table("evidence").to_pylist() if row["parser"])


def test_rows_of_an_earlier_case_are_taken_here_while_workers_read_what_was_added(
    cluster: Cluster, evidence: Path, tmp_path: Path
) -> None:
    address = cluster.scheduler()
    cluster.worker()
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    (evidence / "access_log.2017-01-17.txt").write_bytes(LINE % (1, 2, 3, 4, 5) * 3000)
    there = forensics.analyze(evidence, out=tmp_path / "case", scheduler=address, update=True)
    here = forensics.analyze(evidence, out=tmp_path / "local", workers=1)
    assert contents(there.folder) == contents(here.folder)
    assert '"unchanged": true' in (there.folder / "audit.jsonl").read_text()


def test_no_scheduler_is_one_clear_line_and_the_older_case_stands(evidence: Path, tmp_path: Path) -> None:
    case = forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    before = contents(case.folder)
    command = ["analyze", str(evidence), "-o", str(case.folder), "--force", "--engine", "dask"]
    done = CliRunner().invoke(app, [*command, "--scheduler", "tcp://127.0.0.1:9"])
    assert done.exit_code == ClusterError.exit_code
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.output
    assert contents(case.folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case", "seized"]


def test_a_scheduler_without_workers_and_one_with_a_worker_of_another_version_are_told(
    cluster: Cluster, evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster.scheduler()
    monkeypatch.setattr(dask, "_WORKERS_S", 1)
    with pytest.raises(ClusterError, match="has no worker"):
        forensics.analyze(evidence, out=tmp_path / "case", scheduler=address)
    monkeypatch.setattr(dask, "_WORKERS_S", 60)
    other = shutil.copytree(Path(forensics.__file__).parent, tmp_path / "other" / "forensics")
    (other / "columns.py").write_text((other / "columns.py").read_text() + "# changed\n")
    cluster.worker(PYTHONPATH=str(other.parent))
    with pytest.raises(
        ClusterError, match=r"worker tcp://.* differs from this machine in code \([0-9a-f]+, here [0-9a-f]+\)"
    ):
        forensics.analyze(evidence, out=tmp_path / "case", scheduler=address)
    assert not (tmp_path / "case").exists()


def test_a_part_made_without_a_folder_is_handed_back_as_the_bytes_that_a_folder_would_hold(
    evidence: Path, tmp_path: Path
) -> None:
    jobs: list[Job] = []

    def engine(work: Callable[[Job], JobDone], given: Iterator[Job]) -> Iterator[JobDone]:
        for job in given:
            jobs.append(job)
            yield work(job)

    (tmp_path / "again").mkdir()
    plan = identify(find([evidence]).evidence)
    read(plan, tmp_path, engine=engine, away=True, audit=lambda *_, **__: None, progress=lambda *_: None)
    assert len(jobs) > 40
    for job in jobs[::10]:
        assert job.folder is None
        done = run(replace(job, folder=tmp_path / "again"))
        assert not done.contents
        for name in done.parts:
            assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("what", ["", "/tables/events"])
def test_a_case_that_vanishes_while_it_is_built_ends_the_run_and_leaves_nothing(
    what: str, evidence: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()

    def vanish(stage: str, done: int) -> None:
        del done
        if stage == "reading":
            for path in out.glob(f".case.*{what}"):
                path.rename(tmp_path / f"gone{time.monotonic_ns()}")

    with pytest.raises(OutputError, match=r"something else writes to the folder|cannot write the case"):
        forensics.analyze(evidence, out=out / "case", workers=1, progress=vanish)
    assert not list(out.iterdir())


def test_evidence_that_workers_do_not_see_or_that_vanishes_ends_the_run_and_leaves_nothing(
    cluster: Cluster, evidence: Path, tmp_path: Path
) -> None:
    address = cluster.scheduler()
    cluster.worker()

    def vanish(stage: str, done: int) -> None:
        del done
        if stage == "reading" and evidence.exists():
            evidence.rename(tmp_path / "gone")

    with pytest.raises(EvidenceError, match="cannot be opened"):
        forensics.analyze(evidence, out=tmp_path / "case", scheduler=address, progress=vanish)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone"]


def test_an_engine_and_its_scheduler_go_together(evidence: Path, tmp_path: Path) -> None:
    for options in (["--engine", "dask"], ["--scheduler", "tcp://127.0.0.1:9"]):
        done = CliRunner().invoke(app, ["analyze", str(evidence), "-o", str(tmp_path / "case"), *options])
        assert done.exit_code == UsageError.exit_code
        assert "go together" in done.output


def _slow_once(job: Path) -> str:
    """Work that hangs the first time it is done."""
    marker = job / "begun"
    if not marker.exists():
        marker.touch()
        time.sleep(60)
        return "late"
    return "done"


def _end(job: Path) -> str:
    os._exit(9)
    return str(job)


def test_a_part_that_takes_too_long_is_given_to_another_worker(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "_SPAN_S", 8)
    here = str(Path(__file__).parent)
    address = cluster.scheduler(PYTHONPATH=here)
    cluster.worker(PYTHONPATH=here), cluster.worker(PYTHONPATH=here)
    assert list(dask.run(_slow_once, [tmp_path], scheduler=address)) == ["done"]


def test_a_part_that_ends_every_worker_is_told_and_not_tried_for_ever(cluster: Cluster, tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    address = cluster.scheduler(PYTHONPATH=here)
    for _ in range(5):
        cluster.worker(PYTHONPATH=here)
    with pytest.raises(ClusterError, match="ended 4 workers"):
        list(dask.run(_end, [tmp_path], scheduler=address))


def test_a_scheduler_that_cannot_load_the_work_is_told(cluster: Cluster, tmp_path: Path) -> None:
    address = cluster.scheduler()
    cluster.worker()
    with pytest.raises(ClusterError, match="cannot load c2trail"):
        list(dask.run(_end, [tmp_path], scheduler=address))
