"""beacons.csv: who comes back to a path by a timer, how often, and how sure."""

from __future__ import annotations

from forensics.answers import BEACONS
from forensics.reports._cells import csv_report

REPORT = csv_report("beacons.csv", "Beacons", "beacons", BEACONS, "score DESC, source_ip, path")
