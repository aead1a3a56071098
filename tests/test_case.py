"""The case folder: whole or not there, reproducible, never beside evidence; and what the command line does when things go wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from case_contents import contents

import forensics
from forensics.case import Case
from forensics.errors import EvidenceError, OutputError, RejectsError, UsageError
from forensics.query import sql

LINE = b'51.254.1.2 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 5\n'


def log(path: Path, lines: int = 5, extra: bytes = b"") -> Path:
    path.write_bytes(LINE * lines + extra)
    return path


def run(*arguments: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def events(case: Case) -> int:
    return int(case.manifest["ledger"]["events"]["records"])


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    source = log(tmp_path / "access_log")
    (tmp_path / "case").mkdir()
    with pytest.raises(OutputError, match="exists"):
        forensics.analyze(source, out=tmp_path / "case")
    with pytest.raises(OutputError, match="no case"):
        forensics.analyze(source, out=tmp_path / "case", force=True)


def test_an_equals_sign_in_the_path_of_a_case_is_no_column(tmp_path: Path) -> None:
    """DuckDB would take `year=2017` in the path of a Parquet file for a column of its rows."""
    plain = forensics.analyze(log(tmp_path / "access_log"), out=tmp_path / "plain", workers=1)
    odd = forensics.analyze(tmp_path / "access_log", out=tmp_path / "year=2017" / "case=1", workers=1)
    assert contents(odd.folder) == contents(plain.folder)


def test_force_replaces_a_case_and_nothing_else(tmp_path: Path) -> None:
    forensics.analyze(log(tmp_path / "access_log", 5), out=tmp_path / "case", workers=1)
    case = forensics.analyze(log(tmp_path / "access_log", 7), out=tmp_path / "case", workers=1, force=True)
    assert events(case) == 7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["access_log", "case"]


def test_nothing_is_written_beside_evidence(tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    folder.mkdir()
    log(folder / "access_log")
    with pytest.raises(OutputError, match="inside the evidence"):
        forensics.analyze(folder, out=folder / "case")
    assert [p.name for p in folder.iterdir()] == ["access_log"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = log(tmp_path / "access_log")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("forensics.case.Draft.write_manifest", fail)
    with pytest.raises(OutputError, match="No space left"):
        forensics.analyze(source, out=tmp_path / "case", workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["access_log"]


def test_the_manifest_names_every_file_with_its_hash(demo_case: Case) -> None:
    listed = {name: facts["sha256"] for name, facts in demo_case.manifest["files"].items()}
    present = {name: hashlib.sha256(data).hexdigest() for name, data in contents(demo_case.folder).items()}
    present.pop("manifest.json")
    assert listed == present


def test_each_line_of_the_audit_log_holds_the_hash_of_the_line_before(demo_case: Case) -> None:
    previous = "0" * 64
    for line in (demo_case.folder / "audit.jsonl").read_bytes().splitlines():
        assert json.loads(line)["previous"] == previous
        previous = hashlib.sha256(line).hexdigest()


def test_a_changed_byte_in_a_case_is_named_by_verify(tmp_path: Path) -> None:
    forensics.analyze(log(tmp_path / "access_log"), out=tmp_path / "case", workers=1)
    assert run("verify", "case", "access_log", cwd=tmp_path).returncode == 0
    with (tmp_path / "case" / "sources.csv").open("ab") as file:
        file.write(b"x")
    told = run("verify", "case", cwd=tmp_path)
    assert told.returncode == 4
    assert "sources.csv" in told.stderr


@pytest.mark.parametrize("tail", [b"x", b"\xff"])
def test_a_manifest_that_is_no_json_any_more_is_told_and_is_no_crash(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "access_log").write_bytes(LINE * 5)
    case = forensics.analyze(tmp_path / "access_log", out=tmp_path / "case", workers=1)
    manifest = case.folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + tail)
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "verify", case.folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "manifest.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_changed_evidence_is_named_by_verify(tmp_path: Path) -> None:
    source = log(tmp_path / "access_log")
    forensics.analyze(source, out=tmp_path / "case", workers=1)
    log(source, 6)
    told = run("verify", "case", "access_log", cwd=tmp_path)
    assert told.returncode == 4
    assert "access_log" in told.stderr


def test_the_same_case_comes_out_whatever_the_hash_seed_zone_workers_and_order(tmp_path: Path, samples: Path) -> None:
    folders = [samples / "Tomcat", samples / "Windows"]
    seen = []
    for number, (seed, zone, workers, order) in enumerate([("0", "UTC", "1", 1), ("77", "Asia/Pyongyang", "2", -1)]):
        out = tmp_path / f"case{number}"
        env = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C.UTF-8" if number else "C"}
        done = run("analyze", *folders[::order], "-o", out, "--workers", workers, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        seen.append(contents(out))
    assert seen[0] == seen[1]


def test_parts_of_one_file_read_by_many_workers_are_the_same_as_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forensics.evidence.spans.SPAN_BYTES", 20_000)
    monkeypatch.setattr("forensics.reading.PART_BYTES", 20_000)
    source = tmp_path / "access_log"
    source.write_bytes(b"".join(LINE.replace(b"/a.jsp", b"/%d.jsp" % i) for i in range(3000)))
    one = forensics.analyze(source, out=tmp_path / "one", workers=1)
    two = forensics.analyze(source, out=tmp_path / "two", workers=2)
    assert contents(one.folder) == contents(two.folder)
    assert len(list((one.folder / "tables" / "events").iterdir())) > 5
    table = one.table("events")
    assert table.column("log_ordinal").to_pylist() == list(range(1, 3001))


def test_a_plain_script_without_a_main_guard_can_use_many_workers(tmp_path: Path) -> None:
    (tmp_path / "access_log").write_bytes(LINE * 3000)
    script = tmp_path / "script.py"
    script.write_text(
        "import forensics, forensics.evidence.spans, forensics.reading\n"
        "forensics.evidence.spans.SPAN_BYTES = forensics.reading.PART_BYTES = 20_000\n"
        "print('once')\n"
        "case = forensics.analyze('access_log', out='case', workers=2)\n"
        "print(len(case.frame('events')))\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", "3000"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.log", None, 3),
        ("notes.txt", b"just a text\nnothing else\n", 3),
        ("empty.log", b"", 3),
        ("random.bin", bytes(range(256)) * 10, 3),
    ],
)
def test_what_is_no_log_gets_one_clear_line_and_the_evidence_exit_code(
    tmp_path: Path, name: str, content: bytes | None, code: int
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run("analyze", name, "-o", "case", cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "case").exists()


def test_a_folder_without_logs_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("analyze", "empty", cwd=tmp_path).returncode == 3


def test_a_missing_path_costs_nothing_of_the_other_files(tmp_path: Path) -> None:
    log(tmp_path / "access_log", 5)
    done = run("analyze", "access_log", "nowhere.evtx", "-o", "case", cwd=tmp_path)
    assert done.returncode == 3
    assert "nowhere.evtx" in done.stderr
    assert events(forensics.open_case(tmp_path / "case")) == 5


def test_a_gzip_cut_short_keeps_what_came_before_and_is_a_reject(tmp_path: Path) -> None:
    import random

    rng = random.Random(3)
    lines = b"".join(LINE.replace(b"/a.jsp", b"/%x.jsp" % rng.getrandbits(64)) for _ in range(2000))
    whole = gzip.compress(lines, mtime=0)
    (tmp_path / "access_log.gz").write_bytes(whole[: len(whole) // 2])
    case = forensics.analyze(tmp_path / "access_log.gz", out=tmp_path / "case", workers=1)
    assert events(case) > 500
    assert case.manifest["rejects_by_reason"]["gzip_truncated"] == 0
    assert "gzip_truncated" in (case.folder / "rejects.csv").read_text()


def test_a_file_that_is_no_database_stops_before_any_work(tmp_path: Path) -> None:
    log(tmp_path / "access_log")
    (tmp_path / "city.mmdb").write_bytes(b"not a database")
    done = run("analyze", "access_log", "--geo", "city.mmdb", "-o", "case", cwd=tmp_path)
    assert done.returncode == 5
    assert "city.mmdb" in done.stderr
    assert not (tmp_path / "case").exists()


def test_twenty_five_junk_lines_in_a_row_cost_no_event(tmp_path: Path) -> None:
    source = log(tmp_path / "access_log", 50, b"junk without meaning\n" * 25 + LINE * 50)
    case = forensics.analyze(source, out=tmp_path / "case", workers=1)
    assert events(case) == 100
    assert case.manifest["ledger"]["rejects"]["records"] == 25


def test_a_hundred_megabyte_line_costs_no_other_event(tmp_path: Path) -> None:
    source = log(tmp_path / "access_log", 50, b"A" * 100_000_000 + b"\n" + LINE * 50)
    case = forensics.analyze(source, out=tmp_path / "case", workers=1)
    assert events(case) == 100
    assert case.manifest["rejects_by_reason"] == {"line_too_long": 1}


def test_a_command_reads_evidence_without_pandas_which_only_frames_need(tmp_path: Path) -> None:
    log(tmp_path / "a.txt")
    script = (
        "import sys\nfrom forensics.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'pyarrow' in sys.modules\nassert 'pandas' not in sys.modules\n"
    )
    command = [sys.executable, "-c", script, "analyze", str(tmp_path / "a.txt"), "-o", str(tmp_path / "case")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_strict_says_so_when_a_record_could_not_be_read(tmp_path: Path) -> None:
    source = log(tmp_path / "access_log", 5, b"junk\n" + LINE)
    with pytest.raises(RejectsError):
        forensics.analyze(source, out=tmp_path / "case", options=forensics.Options(strict=True), workers=1)
    assert run("analyze", source, "-o", "again", "--strict", cwd=tmp_path).returncode == 10
    assert (tmp_path / "again" / "manifest.json").is_file()


def test_no_evidence_at_all_is_an_evidence_error(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        forensics.analyze(tmp_path, out=tmp_path.parent / "case")


def test_evidence_folders_cannot_run_code(tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    folder.mkdir()
    log(folder / "access_log")
    for name in ("rich.py", "pandas.py", "duckdb.py", "sitecustomize.py"):
        (folder / name).write_text("open('/dev/stderr','w').write('CANARY')\nraise SystemExit(99)\n")
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "analyze", ".", "-o", tmp_path / "case"],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "CANARY" not in done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{outside}'",
        "COPY (SELECT 1) TO '{tables}/x.csv'",
        "SELECT * FROM read_text('{manifest}')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM 'http://localhost:1/x.csv'",
        "INSTALL httpfs",
        "ATTACH '{outside}'",
        "SET lock_configuration = false",
        "SELECT 1; DROP VIEW events",
        "CREATE TABLE t AS SELECT 1",
        "SELEC",
    ],
)
def test_a_question_in_sql_reads_the_case_and_nothing_else_and_writes_nowhere(
    demo_case: Case, tmp_path: Path, query: str
) -> None:
    places = {
        "outside": tmp_path / "x",
        "tables": demo_case.folder / "tables",
        "manifest": demo_case.folder / "manifest.json",
    }
    before = contents(demo_case.folder)
    with pytest.raises(UsageError):
        list(sql(demo_case, query.format(**places)))
    assert contents(demo_case.folder) == before
    assert not (tmp_path / "x").exists()


def test_a_question_in_sql_may_ask_anything_of_the_tables(demo_case: Case) -> None:
    (row,) = sql(demo_case, "SELECT count(*) AS n, max(time) AS last FROM events JOIN sources USING (source_ip)")
    assert row["n"] > 1000
    assert next(iter(sql(demo_case, "DESCRIBE events")))["column_name"] == "time"
