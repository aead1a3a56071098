"""Repeatable chance, and addresses that no database calls rare."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

T = TypeVar("T")

_OCTETS: Final = (12, 24, 50, 66, 71, 85, 86, 90, 109, 118, 121, 151, 179, 187, 190, 201, 203, 213, 217)
"""First octets without a range of geo/rare-origins.csv."""


class Chance:
    """A seed's chance: `Random.random` alone, whose sequence Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"scenario {seed}").random
        self._drawn: set[str] = set()

    def real(self, low: float, high: float) -> float:
        return low + (high - low) * self._random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self._random())

    def odds(self, of_one: float) -> bool:
        return self._random() < of_one

    def one(self, items: Sequence[T]) -> T:
        return items[self.whole(0, len(items) - 1)]

    def some(self, items: Sequence[T], least: int, most: int) -> list[T]:
        """Between so many of the items, each once, in chance's order."""
        left = list(items)
        number = min(self.whole(least, most), len(left))
        return [left.pop(self.whole(0, len(left) - 1)) for _ in range(number)]

    def span(self, low: float, high: float) -> timedelta:
        """So many seconds, to the microsecond."""
        return timedelta(microseconds=int(self.real(low, high) * 1_000_000))

    def moment(self, since: datetime, until: datetime) -> datetime:
        return since + self.span(0, max(1.0, (until - since).total_seconds()))

    def address(self, near: str | None = None) -> str:
        """An address nobody else has; `near` another in its /24."""
        while True:
            parts = [self.one(_OCTETS), self.whole(1, 254), self.whole(1, 254), self.whole(2, 250)]
            if near is not None:
                parts[:3] = [int(part) for part in near.split(".")[:3]]
            made = ".".join(str(part) for part in parts)
            if made not in self._drawn:
                self._drawn.add(made)
                return made


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)
