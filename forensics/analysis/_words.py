"""What all rules share: locators, reasons, and the thresholds with why they are what they are."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCATOR: Final = "evidence_id || ':' || log_offset || '+' || log_length || '#' || coalesce(log_ordinal, 0)"
"""SQL for the text form of a row's locator."""


def locator_of(alias: str) -> str:
    """Return LOCATOR for the rows of a table with an alias."""
    return f"{alias}.evidence_id || ':' || {alias}.log_offset || '+' || {alias}.log_length || '#' || coalesce({alias}.log_ordinal, 0)"


LOOPBACK: Final = ("127.0.0.1", "::1")

SAME_MOMENT: Final = timedelta(seconds=10)
"""Logs of one act are written by different services; on the real servers seen they are at most three seconds apart."""

LOGON_LEAD: Final = timedelta(seconds=90)
"""From the connection to the session's start: network authentication, the logon screen, a slow profile."""

TRAILING: Final = timedelta(seconds=30)
"""A disconnect and the end of the connection are written shortly after a logoff."""

CLOCK_STEP: Final = timedelta(seconds=5)
"""Time services correct the clock by less all the time; a step over it is told."""

TOMCAT_INSTALLED: Final = "event_action = 'service_install' AND (unmapped ILIKE '%tomcat%' OR unmapped LIKE '%//RS//%')"
"""SQL: a service was installed that is Tomcat's by its name, or by the switch with which procrun starts one."""

HIDDEN: Final = (
    "len([x for x in string_split(coalesce(anonymity, ''), '; ') if x <> '' AND NOT ends_with(x, 'on the day')]) > 0"
)
"""SQL: some list had the address on the day; reasons of other days are told, and counted nowhere."""

FOLD: Final = timedelta(minutes=10)
"""Like requests closer than this are one row of the timeline, with their count."""

BEACONS: Final = 4
"""RITA's least number of connections for a beacon; fewer say nothing of a period."""

MANY_FAILURES: Final = 20
"""So many refused logons before the first that succeeds look like guessing."""


_JSON: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, check_circular=False).encode


def reason(sentence: str, weight: int, locators: Iterable[str] = ()) -> dict[str, Any]:
    """Return one entry of a `because`: what was seen, how much it weighs (1 hint to 10 proof), where."""
    return {"sentence": sentence, "weight": weight, "locators": [one for one in locators if one][:5]}


def because(reasons: Iterable[Mapping[str, Any]]) -> str:
    """Return reasons as JSON text, the weightiest first."""
    ordered = sorted(reasons, key=lambda r: (-r["weight"], r["sentence"]))
    return _JSON(ordered)
