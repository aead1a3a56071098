"""Timesketch: the operator timeline as its importer takes it, the same bytes as timeline.jsonl in the case."""

from __future__ import annotations

from forensics.model import Report
from forensics.reports import timeline_jsonl

EXPORT = Report(
    "timesketch",
    "timesketch.jsonl",
    "the operator timeline, as Timesketch imports it",
    timeline_jsonl.REPORT.needs,
    timeline_jsonl.REPORT.write,
)
