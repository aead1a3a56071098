"""rejects.csv: what could not be read, where and why, so that the defence can see it too."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import REJECTS

REPORT = csv_report("rejects.csv", "Rejects", "rejects", REJECTS, "evidence_id, log_offset")
