"""endpoints.csv: what each path was for."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import ENDPOINTS

REPORT = csv_report("endpoints.csv", "Endpoints", "endpoints", ENDPOINTS, "first_seen, path")
