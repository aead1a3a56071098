"""milestones.csv: what happened first and when; what is not in evidence stands last."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import MILESTONE_ROWS

REPORT = csv_report(
    "milestones.csv", "Milestones", "milestones", MILESTONE_ROWS, "time NULLS LAST, milestone, locators"
)
