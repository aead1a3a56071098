"""links.csv: what ties addresses, machines and accounts to one operator."""

from __future__ import annotations

from forensics.answers import LINKS
from forensics.reports._cells import csv_report

REPORT = csv_report(
    "links.csv",
    "What ties addresses, machines and accounts to one operator",
    "links",
    LINKS,
    "operator_id, confidence, relation, a, b, since",
)
