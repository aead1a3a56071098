"""beacons.csv: who comes back to a path by a timer, how often, and how sure."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import BEACONS

REPORT = csv_report("beacons.csv", "Beacons", "beacons", BEACONS, "score DESC, source_ip, path")
