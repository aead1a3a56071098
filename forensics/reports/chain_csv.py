"""chain.csv: the proxy chain."""

from __future__ import annotations

from forensics.answers import CHAIN
from forensics.reports._cells import csv_report

REPORT = csv_report("chain.csv", "The proxy chain", "chain", CHAIN, "operator_id, since, session_uid, source_ip")
