"""gaps.csv: each hole in the logs, from when to when, and what it keeps from everybody."""

from __future__ import annotations

from forensics.answers import GAPS
from forensics.reports._cells import csv_report

REPORT = csv_report(
    "gaps.csv", "Holes in the logs", "gaps", GAPS, "evidence_id NULLS LAST, kind, since NULLS FIRST, until, detail"
)
