"""people.csv: whose each RDP session is held to be, an operator's or the rightful owner's."""

from __future__ import annotations

from forensics.answers import PEOPLE
from forensics.reports._cells import csv_report

REPORT = csv_report("people.csv", "People", "people", PEOPLE, "session_uid")
