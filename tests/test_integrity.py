"""A case is whole or not there, whatever kills its making; and whatever is changed afterwards is named."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import forensics
from forensics.__main__ import main
from forensics.case import AUDIT, MANIFEST, Case, seal
from forensics.errors import EvidenceChangedError, UsageError
from forensics.publishing import sweep
from forensics.verifying import verify

LINE = b'51.254.1.2 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 5\n'


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "access_log").write_bytes(LINE * 50)
    return forensics.analyze(tmp_path / "access_log", out=tmp_path / "case", workers=1)


def start(*arguments: str | Path, cwd: Path, prepare: Callable[[], object] | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "forensics", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,  # noqa: PLW1509  # this process starts no thread
    )


def test_the_manifest_has_the_hash_of_the_evidence_before_and_after(case: Case) -> None:
    entry = case.manifest["evidence"][0]
    assert entry["sha256_after"] == entry["sha256"]


def test_evidence_that_changes_while_the_case_is_made_is_named_and_no_case_appears(tmp_path: Path) -> None:
    log = tmp_path / "access_log"
    log.write_bytes(LINE * 50)
    before = log.stat()

    def alter(stage: str, _: int) -> None:
        if stage == "reading":
            log.write_bytes(LINE * 49 + LINE.replace(b"200", b"404"))
            os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(EvidenceChangedError, match="access_log changed"):
        forensics.analyze(log, out=tmp_path / "case", workers=1, progress=alter)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["access_log"]


def test_a_whole_case_has_no_differences_and_its_seal_is_the_same_every_time(case: Case, tmp_path: Path) -> None:
    assert list(verify(case, [tmp_path / "access_log"], sealed=seal(case))) == []


def test_the_first_line_of_a_chain_that_was_cut_is_named(case: Case) -> None:
    lines = (case.folder / AUDIT).read_bytes().splitlines(keepends=True)
    (case.folder / AUDIT).write_bytes(b"".join(lines[:1] + lines[2:]))
    assert (AUDIT, "its chain of hashes breaks at line 2") in list(verify(case))
    (case.folder / AUDIT).write_bytes(b"".join(lines[:-1]))
    assert (AUDIT, "does not end with the hash of the manifest") in list(verify(case))


def test_a_manifest_that_was_rewritten_with_new_hashes_is_named(case: Case) -> None:
    sources = case.folder / "sources.csv"
    sources.write_bytes(sources.read_bytes().replace(b"51.254.1.2", b"51.254.1.3"))
    manifest = json.loads((case.folder / MANIFEST).read_bytes())
    import hashlib

    manifest["files"]["sources.csv"]["sha256"] = hashlib.sha256(sources.read_bytes()).hexdigest()
    (case.folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True, indent=1) + "\n")
    assert list(verify(case)) == [(MANIFEST, "differs from its SHA-256 in the audit log")]


def test_a_case_made_anew_around_a_lie_fails_its_seal_and_its_reports(case: Case) -> None:
    noted = seal(case)
    import hashlib

    sources = case.folder / "sources.csv"
    sources.write_bytes(sources.read_bytes().replace(b"51.254.1.2", b"51.254.1.3"))
    manifest = json.loads((case.folder / MANIFEST).read_bytes())
    manifest["files"]["sources.csv"]["sha256"] = hashlib.sha256(sources.read_bytes()).hexdigest()
    (case.folder / MANIFEST).write_text(json.dumps(manifest, sort_keys=True, indent=1) + "\n")
    lines = (case.folder / AUDIT).read_bytes().splitlines()
    last = json.loads(lines[-1])
    last["sha256"] = hashlib.sha256((case.folder / MANIFEST).read_bytes()).hexdigest()
    (case.folder / AUDIT).write_bytes(b"\n".join([*lines[:-1], json.dumps(last, sort_keys=True).encode()]) + b"\n")
    assert list(verify(case)) == [("sources.csv", "is not what its tables give")]
    assert next(iter(verify(case, sealed=noted)))[0] == AUDIT


def test_every_file_that_is_changed_added_or_gone_is_named(case: Case, tmp_path: Path) -> None:
    names = [p.relative_to(case.folder) for p in case.folder.rglob("*") if p.is_file()]
    assert len(names) > 30
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(case.folder, copy)
        raw = bytearray((copy / name).read_bytes())
        raw[len(raw) // 2] ^= 1
        (copy / name).write_bytes(raw)
        try:
            found = [what for what, _ in verify(Case(copy))]
        except EvidenceChangedError:
            found = [MANIFEST]
        assert found, name
        shutil.rmtree(copy)
    (case.folder / "note.txt").write_text("x")
    (case.folder / "sources.csv").unlink()
    assert dict(verify(case)) == {"note.txt": "is not in the manifest", "sources.csv": "is missing"}


def test_a_case_with_copies_of_events_is_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "access_log").write_bytes(LINE * 5)
    made = forensics.analyze(tmp_path / "a", tmp_path / "b", out=tmp_path / "case", workers=1)
    assert list(verify(made)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_case_and_the_next_clears_what_kill_left(
    tmp_path: Path, samples: Path, number: signal.Signals
) -> None:
    for delay in (1.2, 2.1):
        process = start(
            "analyze", samples / "Tomcat", samples / "Windows", "-o", "case", "--workers", "1", cwd=tmp_path
        )
        time.sleep(delay)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        left = [p.name for p in tmp_path.iterdir()]
        if process.returncode == 0:
            assert left == ["case"]
            shutil.rmtree(tmp_path / "case")
            continue
        assert "case" not in left
        if number is signal.SIGKILL:
            assert all(name.startswith(".case.") and name.endswith(".partial") for name in left)
        else:
            assert left == []
            assert process.returncode in {128 + number, -number}, said
            assert b"Traceback" not in said
    sweep(tmp_path / "case")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_was_stopped_leaves_with_its_code_whatever_python_remembers(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    left: list[int] = []
    handled = signal.getsignal(signal.SIGINT)

    def stopped() -> None:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL, "what comes before a command has no handler to say it"
        sys.stdout.write("said before")
        raise SystemExit(143)

    monkeypatch.setattr("forensics.cli.app", stopped)
    monkeypatch.setattr("forensics.without_pandas.keep_out", lambda: None)
    monkeypatch.setattr(os, "_exit", left.append)
    try:
        with pytest.raises(SystemExit):
            main()
    finally:
        signal.signal(signal.SIGINT, handled)
    assert left == [143]
    assert "said before" in capfd.readouterr().out


def test_a_draft_that_a_run_still_holds_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "access_log").write_bytes(LINE)
    seen: list[list[str]] = []

    def look(_stage: str, _done: int) -> None:
        # Another process, since a lock is the process's own.
        code = f"from pathlib import Path; from forensics.publishing import sweep; print(sweep(Path({str(tmp_path / 'case')!r})))"
        if not seen:
            seen.append(
                [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout]
            )

    forensics.analyze(tmp_path / "access_log", out=tmp_path / "case", workers=1, progress=look)
    assert seen == [["[]\n"]]


def test_a_stale_draft_is_removed_and_said_by_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "access_log").write_bytes(LINE)
    (tmp_path / ".case.0123abcd.partial" / "tables").mkdir(parents=True)
    (tmp_path / ".other.0123abcd.partial").mkdir()
    process = start("analyze", "access_log", "-o", "case", cwd=tmp_path)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 0
    assert "removed .case.0123abcd.partial" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.0123abcd.partial", "access_log", "case"]


def test_a_case_that_stepped_aside_for_one_that_never_came_is_put_back(case: Case, tmp_path: Path) -> None:
    case.folder.rename(tmp_path / ".case.0123abcd.replaced")
    with pytest.raises(UsageError, match=r"case lies in .*\.case\.0123abcd\.replaced"):
        forensics.open_case(case.folder)
    assert sweep(case.folder) == ["put case back, which a killed run had moved to .case.0123abcd.replaced"]
    assert list(verify(case)) == []


@pytest.mark.parametrize(("size", "workers"), [(1_000, "1"), (60_000, "2"), (200_000, "1"), (600_000, "1")])
def test_a_full_disk_is_told_with_the_output_exit_code_and_leaves_nothing(
    tmp_path: Path, samples: Path, size: int, workers: str
) -> None:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    arguments = ("analyze", samples / "Tomcat", samples / "Windows", "-o", "case", "--workers", workers)
    process = start(*arguments, cwd=tmp_path, prepare=bound)
    said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == 6, said
    assert "cannot write" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_export_to_a_full_disk_is_told_and_leaves_nothing(demo_case: Case, tmp_path: Path) -> None:
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    for form in ("ecs", "xlsx"):
        process = start("export", demo_case.folder, "--format", form, "-o", "out", cwd=tmp_path, prepare=bound)
        said = process.communicate(timeout=120)[1].decode()
        assert process.returncode == 6, said
        assert "Traceback" not in said
        assert list(tmp_path.iterdir()) == []
