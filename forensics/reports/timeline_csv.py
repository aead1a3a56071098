"""timeline.csv: the operator timeline, safe to open in a spreadsheet. The lossless twin is timeline.jsonl."""

from __future__ import annotations

from typing import Final

from forensics.reports._cells import csv_report
from forensics.schemas import TIMELINE

ORDER: Final = "time, locator, act, source_ip, message"

REPORT = csv_report("timeline.csv", "Operator timeline", "timeline", TIMELINE, ORDER)
