"""What a witness is: one database or list that says something of an address on a day, and says who it is and of when."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from numpy.typing import NDArray


_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_DOTTED: Final = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"
"""An IPv4 address as the standard library reads one: no leading zeros, nothing around it."""


@dataclass(frozen=True, slots=True)
class About:
    """Who a witness is, as the manifest prints it."""

    name: str
    kind: str
    dates: tuple[date, ...]
    licence: str
    attribution: str
    file: str
    sha256: str


@dataclass(slots=True)
class Addresses:
    """Distinct addresses as numbers: `v4` of the rows `rows_v4`, `high` and `low` halves of the rows `rows_v6`.

    A text that is no address is in neither: nobody knows anything of it.
    """

    texts: list[str]
    rows_v4: NDArray[np.int64] = field(init=False)
    v4: NDArray[np.uint32] = field(init=False)
    rows_v6: NDArray[np.int64] = field(init=False)
    high: NDArray[np.uint64] = field(init=False)
    low: NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        texts = pa.array(self.texts, pa.string())
        dotted = pc.match_substring_regex(texts, _DOTTED).to_numpy(zero_copy_only=False)
        self.rows_v4 = np.flatnonzero(dotted)
        octets = pc.split_pattern(texts.filter(pa.array(dotted)), ".").flatten().cast(pa.uint32()).to_numpy()
        self.v4 = octets.reshape(-1, 4) @ np.array([1 << 24, 1 << 16, 1 << 8, 1], np.uint32)
        six: list[tuple[int, int, int]] = []
        for row in np.flatnonzero(~dotted).tolist():
            with suppress(ValueError):
                number = int(IPv6Address(self.texts[row]))
                six.append((row, number >> 64, number & ((1 << 64) - 1)))
        self.rows_v6 = np.array([row for row, _, _ in six], np.int64)
        self.high = np.array([value for _, value, _ in six], np.uint64)
        self.low = np.array([value for _, _, value in six], np.uint64)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is asked: the address of row `rows[i]` on day `days[i]`."""

    addresses: Addresses
    rows: NDArray[np.int64]
    days: NDArray[np.datetime64]

    @classmethod
    def on(cls, texts: list[str], day: date) -> Pairs:
        """Return each of the addresses on one day."""
        return cls(Addresses(texts), np.arange(len(texts)), np.full(len(texts), day, "datetime64[D]"))

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """Return one value a pair from one value an address."""
        return [values[row] for row in self.rows.tolist()]


@dataclass(frozen=True, slots=True)
class Countries:
    """What one series of country databases says: a code for each address (rows) at each of its dates (columns).

    `codes` are numbers into `names`; names[0] is "", unknown.
    """

    series: str
    dates: tuple[date, ...]
    codes: NDArray[np.int64]
    names: tuple[str, ...]


class Witness(Protocol):
    """One database. Country witnesses answer `countries`; the others fill columns of ADDRESSES."""

    @property
    def about(self) -> About:
        """Who it is."""
        ...

    def countries(self, addresses: Addresses) -> Sequence[Countries]:
        """Return what it says of the country of each address, over all its dates."""
        ...

    def labels(self, pairs: Pairs) -> Mapping[str, Sequence[Any]]:
        """Return columns of ADDRESSES, one value a pair, None where it knows nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of witness. A module of `enrichment` without a leading underscore has one, named WITNESS.

    `open` gets the embedded folder, the listed files of the kinds in `files`, and what the analyst added with --geo.
    """

    name: str
    title: str
    files: tuple[str, ...]
    open: Callable[[Path, Sequence[Mapping[str, str]], Sequence[Path]], Sequence[Witness]]


def range_rows(starts: NDArray[np.uint32], values: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Return, for each value, the number of the range that covers it: the last one that starts at or before it, or -1."""
    return np.searchsorted(starts, values, "right").astype(np.int64) - 1


def range_rows_v6(
    high: NDArray[np.uint64], low: NDArray[np.uint64], value_high: NDArray[np.uint64], value_low: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """The same for IPv6: by the upper half, then by the lower within equal upper halves."""
    first = np.searchsorted(high, value_high, "left")
    last = np.searchsorted(high, value_high, "right")
    out = first.astype(np.int64) - 1
    for row in np.flatnonzero(last > first).tolist():
        a, b = int(first[row]), int(last[row])
        out[row] = a + int(np.searchsorted(low[a:b], value_low[row], "right")) - 1
    return out
