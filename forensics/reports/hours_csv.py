"""hours.csv: working hours by weekday and hour (UTC)."""

from __future__ import annotations

from forensics.answers import HOURS
from forensics.reports._cells import csv_report

REPORT = csv_report("hours.csv", "Working hours by weekday and hour (UTC)", "hours", HOURS, "weekday, hour")
