"""A second analysis of more evidence: what is unchanged is not read again, and the case is the one from scratch, byte for byte."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from case_contents import contents
from typer.testing import CliRunner

import forensics
from forensics import parse
from forensics.cli import app
from forensics.errors import EvidenceChangedError
from forensics.model import Options

LINE = b'192.0.2.%d - - [%02d/Jan/2017:10:%02d:%02d +0100] "GET /%d.jsp HTTP/1.1" 200 %d\n'


def log(day: int, lines: int = 600) -> bytes:
    return b"".join(LINE % (n % 200, day, n // 60 % 60, n % 60, n % 9, n) for n in range(lines)) + b"junk\n"


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("forensics.evidence.spans.SPAN_BYTES", 10_000)
    monkeypatch.setattr("forensics.reading.PART_BYTES", 10_000)
    folder = tmp_path / "seized"
    folder.mkdir()
    for day in range(10, 14):
        (folder / f"access_log.2017-01-{day}.txt").write_bytes(log(day))
    (folder / "access_log.2017-01-14.txt.gz").write_bytes(gzip.compress(log(14), mtime=0))
    (folder / "access_log.2017-01-15.txt").write_bytes(log(15, 20))
    (folder / "access_log.2017-01-16.txt").write_bytes(b"no log at all\n")
    return folder


def audit(case: forensics.Case, action: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (case.folder / "audit.jsonl").read_bytes().splitlines()]
    return [line for line in lines if line["action"] == action]


def updated(evidence: Path, tmp_path: Path, **more: object) -> tuple[forensics.Case, list[str]]:
    """Update the case; it must be what one from scratch is. Return it and the labels of what was parsed for it."""
    parsed: list[str] = []
    plain = parse._read

    def watching(span: object, *rest: object) -> object:
        parsed.append(span.evidence.label.rpartition("/")[2])  # type: ignore[attr-defined]
        return plain(span, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "_read", watching)
        case = forensics.analyze(evidence, out=tmp_path / "case", workers=1, update=True, **more)  # type: ignore[arg-type]
    shutil.rmtree(tmp_path / "scratch", ignore_errors=True)
    scratch = forensics.analyze(evidence, out=tmp_path / "scratch", workers=1, **more)  # type: ignore[arg-type]
    assert contents(case.folder) == contents(scratch.folder)
    return case, sorted(set(parsed))


@pytest.mark.parametrize("name", ["aaa", "access_log.2017-01-14.txt.h"])
def test_only_what_was_added_is_read_wherever_it_stands(evidence: Path, tmp_path: Path, name: str) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    (evidence / f"{name}.txt").write_bytes(log(17, 40))
    case, parsed = updated(evidence, tmp_path)
    assert parsed == [f"{name}.txt"]
    assert sum(1 for line in audit(case, "evidence_read") if line.get("unchanged")) == 6
    (evidence / "access_log.2017-01-10a.txt").write_bytes(log(18))
    _, again = updated(evidence, tmp_path)
    assert again == ["access_log.2017-01-10a.txt"]


def test_small_files_that_share_a_part_are_not_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "seized"
    folder.mkdir()
    for day in range(10, 20):
        (folder / f"access_log.2017-01-{day}.txt").write_bytes(log(day, 30))
    forensics.analyze(folder, out=tmp_path / "case", workers=1)
    (folder / "access_log.2017-01-01.txt").write_bytes(log(1, 30))
    case, parsed = updated(folder, tmp_path)
    assert parsed == ["access_log.2017-01-01.txt"]
    assert len(list((case.folder / "tables" / "events").iterdir())) == 1


def test_only_what_changed_is_read_again(evidence: Path, tmp_path: Path) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    changed = evidence / "access_log.2017-01-12.txt"
    changed.write_bytes(changed.read_bytes().replace(b"/3.jsp", b"/8.jsp"))
    _, parsed = updated(evidence, tmp_path)
    assert parsed == ["access_log.2017-01-12.txt"]


def test_nothing_changed_is_nothing_read(evidence: Path, tmp_path: Path) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    _, parsed = updated(evidence, tmp_path)
    assert parsed == []


def test_a_file_whose_time_is_the_evidence_is_read_again_when_it_was_touched(evidence: Path, tmp_path: Path) -> None:
    script = evidence / "webapps" / "x" / "c.jsp"
    script.parent.mkdir(parents=True)
    script.write_bytes(b"<%@ page %>")
    os.utime(script, (1_484_700_000, 1_484_700_000))
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    os.utime(script, (1_484_800_000, 1_484_800_000))
    os.utime(evidence / "access_log.2017-01-12.txt", (1_484_800_000, 1_484_800_000))
    _, parsed = updated(evidence, tmp_path)
    assert parsed == ["c.jsp"]


def test_other_workers_take_over_the_same_bytes(evidence: Path, tmp_path: Path) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    (evidence / "access_log.2017-01-10a.txt").write_bytes(log(9))
    case = forensics.analyze(evidence, out=tmp_path / "case", workers=2, update=True)
    scratch = forensics.analyze(evidence, out=tmp_path / "scratch", workers=1)
    assert contents(case.folder) == contents(scratch.folder)


def test_what_was_taken_away_is_gone(evidence: Path, tmp_path: Path) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    (evidence / "access_log.2017-01-11.txt").unlink()
    _, parsed = updated(evidence, tmp_path)
    assert parsed == []


def test_other_options_or_other_code_take_nothing_over(
    evidence: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    _, parsed = updated(evidence, tmp_path, options=Options(zone="Asia/Seoul"))
    assert len(parsed) == 6
    monkeypatch.setattr("forensics.earlier.identity", lambda: {"code": "other"})
    _, parsed = updated(evidence, tmp_path, options=Options(zone="Asia/Seoul"))
    assert len(parsed) == 6


def test_a_case_that_was_tampered_with_gives_nothing_and_stands(evidence: Path, tmp_path: Path) -> None:
    case = forensics.analyze(evidence, out=tmp_path / "case", workers=1)
    part = next((case.folder / "tables" / "events").iterdir())
    part.write_bytes(part.read_bytes()[:-1] + b"X")
    before = contents(case.folder)
    with pytest.raises(EvidenceChangedError, match="nothing is taken from such a case"):
        forensics.analyze(evidence, out=tmp_path / "case", workers=1, update=True)
    assert contents(case.folder) == before


def test_an_update_of_no_case_is_an_analysis(evidence: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["analyze", str(evidence), "-o", str(tmp_path / "case"), "--update", "--workers", "1"]
    )
    assert done.exit_code == 0, done.output
