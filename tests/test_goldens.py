"""The sample case, compared byte for byte. After a wanted change: C2TRAIL_WRITE_GOLDENS=1 pytest tests/test_goldens.py, and read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from report_reading import abridged

from forensics.case import Case
from forensics.reports import reports

GOLDENS = Path(__file__).parent / "goldens"
FILES = sorted(report.filename for report in reports().values())


@pytest.mark.parametrize("name", FILES)
def test_the_sample_case_comes_out_byte_for_byte(demo_case: Case, name: str) -> None:
    made = (demo_case.folder / name).read_bytes()
    if name == "report.html":
        made = abridged(made)
    if os.environ.get("C2TRAIL_WRITE_GOLDENS"):
        GOLDENS.mkdir(exist_ok=True)
        (GOLDENS / name).write_bytes(made)
    assert made == (GOLDENS / name).read_bytes()


def test_no_control_or_format_character_reaches_an_output(demo_case: Case) -> None:
    import unicodedata

    for path in demo_case.folder.iterdir():
        if path.suffix in {".csv", ".jsonl", ".json", ".html"}:
            text = path.read_text(encoding="utf-8")
            assert not {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}} - {"\n"}, path.name
