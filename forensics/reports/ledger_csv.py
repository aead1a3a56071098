"""ledger.csv: what became of every byte."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import LEDGER

REPORT = csv_report("ledger.csv", "Ledger", "ledger", LEDGER, "evidence_id, outcome, reason")
