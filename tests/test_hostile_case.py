"""Whatever names the adversary chose, no output acts on a terminal, a spreadsheet or a reader, and nothing is lost."""

from __future__ import annotations

import json

import pytest
from hostile_case import LONE, LONG_AGENT
from output_scan import forbidden, formulas, json_lines

from forensics.case import Case
from forensics.reports import reports

FILES = sorted({report.filename for report in reports().values()} | {"manifest.json", "audit.jsonl"})


def test_the_hostile_case_is_a_story_and_nothing_of_it_is_lost(hostile: Case) -> None:
    assert hostile.manifest["ledger"]["rejects"]["records"] == 0
    assert hostile.table("sessions").num_rows > 3
    assert hostile.table("findings").num_rows > 5
    assert "operator" in hostile.table("sources")["role"].to_pylist()
    with hostile.database() as db:
        longest = db.sql("SELECT max(length(user_agent_original)) FROM events").fetchall()[0][0]
    assert longest == len(LONG_AGENT)


@pytest.mark.parametrize("name", FILES)
def test_no_control_or_format_character_reaches_a_file_of_the_case(hostile: Case, name: str) -> None:
    assert not forbidden((hostile.folder / name).read_bytes().decode("utf-8"))


@pytest.mark.parametrize("name", [n for n in FILES if n.endswith(".csv")])
def test_no_cell_of_a_csv_is_a_formula(hostile: Case, name: str) -> None:
    assert formulas((hostile.folder / name).read_text(encoding="utf-8")) == []


def test_json_is_json_to_a_strict_reader(hostile: Case) -> None:
    assert json_lines((hostile.folder / "timeline.jsonl").read_text(encoding="ascii"))
    assert json_lines((hostile.folder / "audit.jsonl").read_text(encoding="ascii"))
    assert json.loads((hostile.folder / "manifest.json").read_text(encoding="ascii"))


def test_half_a_surrogate_pair_is_kept_in_words(hostile: Case) -> None:
    with hostile.database() as db:
        names = {row[0] for row in db.sql("SELECT DISTINCT user_name FROM events").fetchall() if row[0]}
    assert any("name" in name and name != LONE for name in names)
