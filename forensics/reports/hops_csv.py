"""hops.csv: connections through a Remote Desktop Gateway, and RDP from the server to others."""

from __future__ import annotations

from forensics.answers import HOPS
from forensics.reports._cells import csv_report

REPORT = csv_report("hops.csv", "Hops", "hops", HOPS, "start, kind, target, locators")
