"""victims.csv: the addresses behind which implants ran, with times and volumes, for notification."""

from __future__ import annotations

from forensics.answers import VICTIMS
from forensics.reports._cells import csv_report

REPORT = csv_report("victims.csv", "Victims to notify", "victims", VICTIMS, "first_seen, source_ip")
