"""What a scenario is: its files, and what an analyst with a perfect eye would say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(slots=True)
class Visit:
    """One connection of a session: from where, from when to when."""

    source_ip: str
    start: datetime
    end: datetime


@dataclass(slots=True)
class Stay:
    """One RDP session of the truth. `end` None: still open when the evidence ends."""

    user: str
    client: str
    zone: int
    visits: list[Visit]
    whose: str
    ends: str = "logoff"
    number: int = 2
    logon_id: int = 0

    @property
    def start(self) -> datetime:
        return self.visits[0].start

    @property
    def end(self) -> datetime:
        return self.visits[-1].end

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(visit.source_ip for visit in self.visits))


@dataclass(slots=True)
class Request:
    """One web request as it happened; how it is written is the valve's business."""

    time: datetime
    source_ip: str
    method: str
    target: str
    status: int = 200
    size: int = 0
    agent: str = "-"
    user: str = "-"
    referrer: str = "-"


@dataclass(slots=True)
class Truth:
    """Roles by address; sessions; milestones with their times; command paths; the addresses of rare origin, and those that were slips.

    Only what the scenario's logs can show stands here: an address of no line has no role to find.
    """

    roles: dict[str, str] = field(default_factory=dict)
    sessions: list[Stay] = field(default_factory=list)
    milestones: dict[str, datetime | None] = field(default_factory=dict)
    commands: set[str] = field(default_factory=set)
    rare: set[str] = field(default_factory=set)
    slips: set[str] = field(default_factory=set)
    partial: list[Stay] = field(default_factory=list)
    """Sessions whose beginning no log shows, such as one that a clearing cut in two: neither asked for nor held against the answer."""
    unasked: set[str] = field(default_factory=set)
    """Milestones that these logs leave open."""
    habits: str = ""


@dataclass(slots=True)
class Scenario:
    """Relative file name to content, and the truth."""

    seed: int
    files: dict[str, bytes]
    truth: Truth


def spread(start: datetime, seconds: Iterable[float]) -> Iterable[datetime]:
    """Moments after a start, each so many seconds after the one before."""
    for gap in seconds:
        start += timedelta(seconds=gap)
        yield start
