"""zones.csv: time zones that the working hours would fit."""

from __future__ import annotations

from forensics.answers import ZONES
from forensics.reports._cells import csv_report

REPORT = csv_report(
    "zones.csv", "Time zones that the working hours would fit", "zones", ZONES, "fit DESC, offset_minutes"
)
