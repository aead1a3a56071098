"""Local times without an offset: the zone the analyst gave, what access logs of the same server say of its clock, or UTC.

Tomcat's text logs and the service wrapper's write the server's clock. An access log beside them writes the same clock
with its offset, day by day, so the nearest day says what the offset was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import MONTHS, microseconds
from forensics.instants import zone as zone_named
from forensics.limits import TIME_MAX_US, TIME_MIN_US
from forensics.model import Hint
from forensics.parsers import _day_turns
from forensics.parsers._records import Refused
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.model import Head, Options, Span

HINT: Final = "utc_offset"
"""Kind of a hint whose value is `2017-01-18 +01:00`, and which applies to the folder it names."""

_FAR: Final = timedelta(days=31)
_LINES_ASKED: Final = 8
_MONTH: Final = {name.encode(): number for number, name in enumerate(MONTHS, 1)}
# Fixed width: it cannot backtrack.
_CLF: Final = re.compile(
    rb"\[([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):[0-9]{2}:[0-9]{2}:[0-9]{2} ([+-][0-9]{2})([0-9]{2})\]"
)


def offset_hints(head: Head) -> Sequence[Hint]:
    """Return the UTC offsets that the first and last access-log lines of a head carry, with their days."""
    lines = head.start.split(b"\n")
    asked = lines[:_LINES_ASKED] + lines[_LINES_ASKED:][-_LINES_ASKED:]
    found: dict[str, None] = {}
    for line in asked:
        seen = _CLF.search(line[:1024])
        if seen is None or seen[2] not in _MONTH or int(seen[5]) > 59 or abs(int(seen[4])) > 18:
            continue
        day, year = int(seen[1]), int(seen[3])
        try:
            when = date(year, _MONTH[seen[2]], day)
        except ValueError:
            continue
        found[f"{when.isoformat()} {seen[4].decode()}:{seen[5].decode()}"] = None
    folder = head.label.rpartition("/")[0]
    return [Hint(HINT, value, folder, head.label) for value in found]


def zone_settings(head: Head, hints: Sequence[Hint], options: Options) -> dict[str, str]:
    """Return the settings from which `LocalTime` reads a file's clock, with the sentence that says why."""
    if options.zone:
        return {"zone": options.zone, "zone_basis": "given by --zone"}
    near = _nearest([hint for hint in hints if hint.kind == HINT], head.label)
    if not near:
        return _turns(_nearest([hint for hint in hints if hint.kind == _day_turns.HINT], head.label))
    sources = sorted({hint.source for hint in near})
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    offsets = " ".join(_shortened(sorted({hint.value for hint in near})))
    return {"utc_offsets": offsets, "zone_basis": f"offsets in the lines of {sources[0]}{more}"}


def _turns(near: list[Hint]) -> dict[str, str]:
    """Return what the days of logs say whose lines are in UTC, if that is one offset a day."""
    found = _day_turns.offsets(near)
    if not found:
        return {"zone_basis": "not known: no offset is in evidence, UTC was assumed"}
    first = min(hint.source for hint in near)
    return {
        "utc_offsets": " ".join(_shortened(found)),
        "zone_basis": f"when the days turn in the UTC lines of {first} and {len({hint.source for hint in near}) - 1} more",
    }


def _nearest(hints: list[Hint], label: str) -> list[Hint]:
    """Return the hints of the folder that shares most of its path with the file's; none of a folder that shares nothing."""
    parts = label.split("/")[:-1]

    def shared(folder: str) -> tuple[int, int]:
        other = folder.split("/") if folder else []
        pairs = zip(parts, other, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(parts), len(other)))
        return same, -len(other)

    near = {folder: shared(folder) for folder in {hint.applies_to for hint in hints}}
    best = max(near.values(), default=(0, 0))
    strange = best[0] == 0 and best[1] < 0 and parts
    return [] if strange else [hint for hint in hints if near[hint.applies_to] == best]


def _shortened(values: list[str]) -> list[str]:
    """Keep the first and last day of each run of days with one offset; the days between them say nothing more."""
    pairs = [value.split(" ") for value in values]
    return [
        f"{day}={offset}"
        for i, (day, offset) in enumerate(pairs)
        if not (0 < i < len(pairs) - 1 and pairs[i - 1][1] == offset == pairs[i + 1][1])
    ]


@dataclass(frozen=True, slots=True)
class LocalTime:
    """How the clock of one file is read: one zone, or offsets by day."""

    place: tzinfo | None
    offsets: tuple[tuple[date, timedelta], ...]

    def instant(self, local: datetime) -> tuple[int | None, str, list[str]]:
        """Return (microseconds UTC or None if no possible time, time_basis, flags) of a naive local time."""
        if self.place is not None:
            when, flags = _in_zone(local, self.place)
            return _bounded(when), "zone_given", flags
        if self.offsets:
            offset, flags = self._offset(local.date())
            return _bounded(local.replace(tzinfo=timezone(offset))), "zone_from_evidence", flags
        return _bounded(local.replace(tzinfo=UTC)), "zone_assumed", []

    def _offset(self, day: date) -> tuple[timedelta, list[str]]:
        """The nearest day decides; that is flagged where the days around it differ, or none is near."""
        nearest = min(self.offsets, key=lambda entry: (abs((entry[0] - day).days), entry[0]))
        before = [offset for known, offset in self.offsets if known <= day]
        after = [offset for known, offset in self.offsets if known >= day]
        unsure = bool(before) and bool(after) and before[-1] != after[0]
        unsure = unsure or abs(nearest[0] - day) > _FAR
        return nearest[1], ["offset_unsure"] if unsure else []


def _in_zone(local: datetime, place: tzinfo) -> tuple[datetime, list[str]]:
    """Apply a zone's rules: an hour that comes twice is read as the first, one that never came by the offset before it."""
    early, late = local.replace(tzinfo=place, fold=0), local.replace(tzinfo=place, fold=1)
    one, two = early.utcoffset(), late.utcoffset()
    if one == two or one is None or two is None:
        return early, []
    return early, ["repeated_hour" if one > two else "skipped_hour"]


def _bounded(when: datetime) -> int | None:
    try:
        us = microseconds(when)
    except OverflowError:
        return None
    return us if TIME_MIN_US <= us <= TIME_MAX_US else None


def local_time(span: Span) -> LocalTime:
    """Return how the times of a span are read."""
    return _local_time(span.setting("zone"), span.setting("utc_offsets"))


@lru_cache(maxsize=64)
def _local_time(name: str, offsets: str) -> LocalTime:
    days = []
    for entry in offsets.split():
        day, _, offset = entry.partition("=")
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        days.append((date.fromisoformat(day), timedelta(minutes=-minutes if offset[0] == "-" else minutes)))
    return LocalTime(zone_named(name) if name else None, tuple(days))


def iso_local(stamp: bytes) -> datetime | None:
    """Return the local time of `2017-01-18 10:03:09`, None if there is no such."""
    try:
        return datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None


def timed(row: dict[str, Any], stamp: str, local: datetime | None, span: Span) -> dict[str, Any]:
    """Put a record's time into its row, which has a list of `flags`; Refused as `bad_time` if it is no possible one."""
    if local is None:
        raise Refused("bad_time", visible(stamp))
    us, basis, flags = local_time(span).instant(local)
    if us is None:
        raise Refused("bad_time", visible(stamp))
    row["flags"] += flags
    return {**row, "time": us, "time_original": stamp, "time_basis": basis}
