"""Sessions across a change of the server's clock: in which order their events came, and how long they truly lasted.

Record numbers keep the order in which a log was written whatever the clock said. A time that falls back from one record to the next
is taken for a step only where Windows says that the clock was set so; other disorder stays in the order of its times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from forensics.analysis._words import CLOCK_STEP, SAME_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from forensics.analysis._connections import Event

CHANGED: Final = "clock_changed"
_SECURITY: Final = ("Microsoft-Windows-Security-Auditing", "Microsoft-Windows-Eventlog")
"""Providers that write into Security and number its records, apart from those of System (104 alone is of both)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One setting of a host's clock: what it showed before and after, and the record that says so."""

    old: datetime
    new: datetime
    locator: str
    sequence: int | None
    evidence_id: str

    @property
    def by(self) -> timedelta:
        """By how much it was put forward; less than nothing where it was put back."""
        return self.new - self.old


def instant(text: object) -> datetime | None:
    """Return a time as Windows writes it (seven digits of a second), None where it is none."""
    try:
        return datetime.fromisoformat(str(text)[:26].rstrip("Z")).replace(tzinfo=UTC)
    except ValueError:
        return None


def steps(system: Iterable[Event], host: str) -> list[Step]:
    """Return the settings of a host's clock that are more than corrections, one each however many logs tell of it."""
    found: list[Step] = []
    for event in system:
        if event.event_action != CHANGED or (event.host_name or "") != host:
            continue
        old = instant(event.rest.get("OldTime") or event.rest.get("PreviousTime"))
        new = instant(event.rest.get("NewTime"))
        if old is None or new is None or abs(new - old) <= CLOCK_STEP:
            continue
        if not any(abs(old - one.old) <= SAME_MOMENT and abs(new - one.new) <= SAME_MOMENT for one in found):
            found.append(Step(old, new, event.locator, event.event_sequence, event.evidence_id))
    return found


def spells(events: Sequence[Event], known: Sequence[Step]) -> dict[tuple[str, int], int]:
    """Return, for each event of a log, how many times the clock had been put back before it, as far as its times show."""
    back = sorted((one for one in known if one.by < timedelta(0)), key=lambda one: (one.sequence or 0, one.old))
    found: dict[tuple[str, int], int] = {}
    if not back:
        return found
    log: object = None
    number, last = 0, None
    for event in sorted(
        events, key=lambda one: (one.event_provider in _SECURITY, one.event_sequence or 0, one.time, one.key)
    ):
        if log != (log := event.event_provider in _SECURITY):
            number, last = 0, None
        for place, one in enumerate(back[number:], number + 1):
            seen = (
                last is not None
                and event.time < last - CLOCK_STEP
                and one.new - CLOCK_STEP <= event.time
                and last <= one.old + CLOCK_STEP
            )
            if seen or event.locator == one.locator:
                number = place
                break
        found[event.key] = number
        last = event.time
    return found


def inside(
    events: Iterable[Event], spell: Mapping[tuple[str, int], int], known: Sequence[Step], start: datetime, end: datetime
) -> list[Step]:
    """Return the steps that lie between the first and the last event of a session."""
    numbers = [spell[event.key] for event in events if event.key in spell]
    low, high = (min(numbers), max(numbers)) if numbers else (0, 0)
    back = sorted((one for one in known if one.by < timedelta(0)), key=lambda one: (one.sequence or 0, one.old))
    forward = [one for one in known if one.by > timedelta(0) and start <= one.old and one.new <= end]
    return sorted([*back[low:high], *forward], key=lambda one: (one.old, one.new))
