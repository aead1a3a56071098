"""Lists that the analyst added: Tor exits, VPN, proxy, hosting and scanner networks, by the days on which they were listed.

A list with days answers for its days alone: seen on the day, seen on other days but not on that one, or not covered, which is
never a no. A list of one day says how far from the event it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.enrichment import _store
from forensics.enrichment._lists import KINDS, Interval, read_days, read_list
from forensics.enrichment._placing import apart
from forensics.enrichment._witness import About, Addresses, Countries, Kind, Pairs, Witness

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NOT_THEN: Final = "not on the day"
NOT_COVERED: Final = "not covered on the day"


@dataclass(slots=True)
class AddedList:
    """One list; its intervals may overlap."""

    about: About
    _intervals: list[Interval]
    _dated: bool
    _observed: frozenset[date] = frozenset()

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """A list of services is not a place."""
        del addresses
        return []

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return the reasons for each address that the list ever had."""
        out: list[str | None] = [None] * len(pairs.rows)
        found = covering(self._intervals, pairs.addresses)
        if found:
            days = pairs.days.astype("datetime64[D]").tolist()
            for place in np.flatnonzero(np.isin(pairs.rows, np.array(list(found)))).tolist():
                numbers = found[int(pairs.rows[place])]
                out[place] = "; ".join(self._reasons([self._intervals[n] for n in numbers], days[place]))
        return {"anonymity": out}

    def says(self, ip: str, day: date | None) -> Iterator[tuple[str, str]]:
        """Yield (kind, answer) of one address, `not covered` and `not listed` included."""
        found = covering(self._intervals, Addresses([ip])).get(0, [])
        for word in sorted({interval.word for interval in self._intervals}):
            mine = [self._intervals[n] for n in found if self._intervals[n].word == word]
            if day is None:
                yield from ((word, _seen(i)) for i in mine)
            elif not self._covers(day) and not any(i.since <= day <= i.until for i in mine):
                yield word, f"not covered ({self._spell(day)})" + "".join(f"; {_seen(i)}" for i in mine)
            else:
                hit = [i for i in mine if i.since <= day <= i.until]
                yield (
                    word,
                    f"yes, {_seen(hit[0])}"
                    if hit
                    else "not listed on that day" + "".join(f"; {_seen(i)}" for i in mine),
                )

    def _reasons(self, intervals: Sequence[Interval], day: date) -> Iterator[str]:
        for word in sorted({interval.word for interval in intervals}):
            mine = [interval for interval in intervals if interval.word == word]
            hit = next((i for i in mine if i.since <= day <= i.until), None)
            best = hit or min(mine, key=lambda i: (min(abs((i.since - day).days), abs((i.until - day).days)), i.since))
            name = f"{best.label}, {self.about.name}" if best.label else self.about.name
            if hit or not self._dated:
                yield f"{word}: {name}, {_of(best)}{'' if hit else apart(best.since, day)}"
            else:
                yield f"{word}: {name}, {_of(best)}, {NOT_THEN if self._covers(day) else NOT_COVERED}"

    def _covers(self, day: date) -> bool:
        inside = self.about.dates[0] <= day <= self.about.dates[-1]
        return inside and (not self._observed or day in self._observed)

    def _spell(self, day: date) -> str:
        first, last = self.about.dates[0], self.about.dates[-1]
        hole = ", but nobody looked on that day" if first <= day <= last else ""
        return f"the list speaks of {first}{f' to {last}' if first != last else ''}{hole}"


def _of(interval: Interval) -> str:
    return f"list of {interval.since}" if interval.since == interval.until else f"{interval.since} to {interval.until}"


def _seen(interval: Interval) -> str:
    return f"seen on {interval.since}" if interval.since == interval.until else f"seen {_of(interval)}"


def covering(intervals: Sequence[Interval], addresses: Addresses) -> dict[int, list[int]]:
    """Return the numbers of the intervals around each address that any covers, by the address's row."""
    found: dict[int, list[int]] = defaultdict(list)
    order = np.argsort(addresses.v4, kind="stable")
    values = addresses.v4[order]
    four = [(n, i) for n, i in enumerate(intervals) if i.version == 4]
    if len(values) and four:
        first = np.searchsorted(values, _numbers([i.first for _, i in four]), "left")
        last = np.searchsorted(values, _numbers([i.last for _, i in four]), "right")
        for place in np.flatnonzero(last > first).tolist():
            for row in addresses.rows_v4[order[first[place] : last[place]]].tolist():
                found[row].append(four[place][0])
    six = [(n, i) for n, i in enumerate(intervals) if i.version == 6]
    if six and len(addresses.rows_v6):
        whole = [
            (int(h) << 64) | int(low) for h, low in zip(addresses.high.tolist(), addresses.low.tolist(), strict=True)
        ]
        for row, value in zip(addresses.rows_v6.tolist(), whole, strict=True):
            found[row] += [n for n, i in six if i.first <= value <= i.last]
    return {row: numbers for row, numbers in found.items() if numbers}


def _numbers(values: list[int]) -> NDArray[np.uint32]:
    return np.array(values, np.uint32)


def _open(_folder: Path, _files: Sequence[Mapping[str, str]], added: Sequence[Path]) -> Sequence[Witness]:
    out: list[Witness] = []
    for place, entry in _store.used(added):
        if entry.kind not in KINDS:
            continue
        day = date.fromisoformat(entry.day) if entry.day else None
        listed = read_list(_store.whole(place, entry), entry.kind, day)
        if not listed.intervals:
            continue
        observed = read_days(place / entry.days_file) if entry.observed else ()
        span = min(i.since for i in listed.intervals), max(i.until for i in listed.intervals)
        dates = tuple(sorted({*span, *observed[:1], *observed[-1:]}))
        licence = entry.licence or "the analyst's"
        about = About(entry.name, "list", dates, licence, "", entry.file, entry.sha256)
        out.append(AddedList(about, listed.intervals, listed.dated, frozenset(observed)))
    return out


WITNESS = Kind("lists", "Lists of Tor, VPN, proxy, hosting and scanner networks that were added", (), _open)
