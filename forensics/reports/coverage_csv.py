"""coverage.csv: what each log covers, where it has holes, and what is not in evidence."""

from __future__ import annotations

from forensics.answers import COVERAGE
from forensics.reports._cells import csv_report

REPORT = csv_report("coverage.csv", "Coverage and gaps", "coverage", COVERAGE, "evidence_id NULLS LAST, log")
