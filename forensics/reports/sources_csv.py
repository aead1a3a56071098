"""sources.csv: every source address, what it was and why."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import SOURCES

REPORT = csv_report("sources.csv", "Source addresses", "sources", SOURCES, "source_ip")
