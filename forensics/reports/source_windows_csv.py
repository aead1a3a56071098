"""source_windows.csv: the roles of addresses that played several, by time."""

from __future__ import annotations

from forensics.answers import SOURCE_WINDOWS
from forensics.reports._cells import csv_report

REPORT = csv_report("source_windows.csv", "Roles by time", "source_windows", SOURCE_WINDOWS, "source_ip, since, role")
