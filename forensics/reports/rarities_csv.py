"""rarities.csv: the only addresses of their country or network in this case, and those of very small networks."""

from __future__ import annotations

from forensics.answers import RARITIES
from forensics.reports._cells import csv_report

REPORT = csv_report("rarities.csv", "Rare in this case", "rarities", RARITIES, "kind, first_seen, source_ip")
