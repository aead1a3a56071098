"""Every row of every output leads to its records, and `show` prints them whole and says how they were read."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys

import pytest

from forensics.case import Case
from forensics.reports import reports

LOCATOR = re.compile(r"E\d{4}:\d+\+\d+")
OF_WHOLE_FILES = {"ledger.csv", "coverage.csv"}
"""Rows about a whole file or log, which name it by its evidence id."""
COUNTS = {"hours.csv", "registrations.csv"}
"""Counts over the whole case, and what others said."""


def rows(case: Case, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((case.folder / name).read_text(encoding="utf-8"))))


@pytest.mark.parametrize("name", sorted(r.filename for r in reports().values() if r.filename.endswith(".csv")))
def test_every_row_leads_to_its_records(demo_case: Case, name: str) -> None:
    for row in rows(demo_case, name):
        told = any(LOCATOR.search(value) for value in row.values())
        nothing = row.get("kind") == "limit" or row.get("detail") == "not in evidence"
        whole = name in OF_WHOLE_FILES and (row["evidence_id"] or "not in evidence" in " ".join(row.values()))
        apart = bool(row.get("evidence_id") and row.get("log_offset") and row.get("log_length"))
        assert told or nothing or whole or apart or name in COUNTS or not row.get("evidence_id", "x"), row


def test_show_prints_the_bytes_their_reader_its_settings_and_the_whole_time(demo_case: Case) -> None:
    def shown(locator: str) -> str:
        arguments = [sys.executable, "-m", "forensics", "show", str(demo_case.folder), locator]
        return subprocess.run(arguments, env=os.environ, capture_output=True, check=True, text=True, timeout=120).stdout

    event = shown("E0014:634992+496")
    assert "2017-01-16T00:03:11.694027Z" in event
    assert "read by evtx as event" in event
    assert "000001d0" in event
    line = shown(rows(demo_case, "milestones.csv")[4]["locators"].split(";")[0])
    assert re.search(r"read by tomcat_access as event; .*pattern %h %l %u %t", line)
