"""chain.csv: the proxy chain."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import CHAIN

REPORT = csv_report("chain.csv", "The proxy chain", "chain", CHAIN, "operator_id, since, session_uid, source_ip")
