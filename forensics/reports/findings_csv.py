"""findings.csv: what the report opens with, and what the logs cannot show."""

from __future__ import annotations

from forensics.answers import FINDINGS
from forensics.reports._cells import csv_report

REPORT = csv_report("findings.csv", "Findings", "findings", FINDINGS, "rank")
