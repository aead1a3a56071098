"""report.html: the whole case in one file that fetches nothing, for a screen, for paper and for a court."""

from __future__ import annotations

from forensics.model import Report
from forensics.reports._html.page import write
from forensics.reports._html.sections import LISTINGS

_NEEDS = (
    *("run", "witnesses", "evidence", "ledger", "rejects", "sources", "sessions", "timeline", "milestones", "findings"),
    *("chain", "links", "endpoints", "victims", "beacons", "hours", "zones", "coverage", "registrations"),
    *("gaps", "hops", "people", "rarities", "source_windows"),
)

REPORT = Report(
    "report_html", "report.html", f"The case in {len(LISTINGS)} tables, a timeline and a map", _NEEDS, write
)
