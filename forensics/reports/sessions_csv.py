"""sessions.csv: the RDP sessions from logon to end."""

from __future__ import annotations

from forensics.reports._cells import csv_report
from forensics.schemas import SESSIONS

REPORT = csv_report("sessions.csv", "RDP sessions", "sessions", SESSIONS, "session_uid")
