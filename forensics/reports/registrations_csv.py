"""registrations.csv: what registries said of the networks of the case's addresses; empty unless --online was typed."""

from __future__ import annotations

from forensics.answers import REGISTRATIONS
from forensics.reports._cells import csv_report

REPORT = csv_report(
    "registrations.csv", "Registrations", "registrations", REGISTRATIONS, "network NULLS LAST, asked_for"
)
