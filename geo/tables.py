"""Range tables: how they are made from MaxMind trees and lists, joined over dates, and written the same every time.

A range table has sorted `start` values; row i covers start[i] to start[i+1]-1, the last one to the end of the address
space. Value 0 means unknown. A history table keeps one row a range and one column a snapshot: `hist[i]` is a row of
`table`, whose cells are places in `codes`.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from heapq import heappop, heappush
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, NamedTuple

import maxminddb
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Numbers = NDArray[np.unsignedinteger[Any]]

NO_COUNTRY = frozenset({"", "EU", "AP", "A1", "A2", "O1", "T1", "??", "XX", "ZZ", "-"})
"""What databases put where a country should be and which is none: regions, proxies, satellites, Tor, unknown."""


class Leaves(NamedTuple):
    """The IPv4 part of a MaxMind tree, flattened: networks that have a record, in order of address."""

    start: NDArray[np.uint32]
    length: NDArray[np.uint8]
    record: NDArray[np.int64]


class Snapshot(NamedTuple):
    """One dated build: its ranges with a country each, and the networks it flags."""

    day: date
    series: str
    start: NDArray[np.uint32]
    country: list[str]
    flagged: set[tuple[str, str]]


class Build(NamedTuple):
    """What one mmdb says: where networks are, and, of those it places nowhere, where they are registered."""

    located: Snapshot
    registered: Snapshot


def ipv4_leaves(raw: bytes, nodes: int, record_size: int, *, six: bool) -> Leaves:
    """Walk a search tree level by level with numpy (MaxMind DB format 2.0, record sizes 24, 28 and 32 bits)."""
    left, right = _records(raw, nodes, record_size)
    root = 0
    for _ in range(96 if six else 0):
        root = int(left[root])
        if root >= nodes:
            raise SystemExit("the tree holds no IPv4 part")
    node, prefix = np.array([root], np.int64), np.array([0], np.uint64)
    parts: list[tuple[Any, int, Any]] = []
    for depth in range(1, 33):
        children = np.stack([left[node], right[node]], 1).reshape(-1)
        prefix = np.stack([prefix, prefix | np.uint64(1 << (32 - depth))], 1).reshape(-1)
        done = children > nodes
        parts.append((prefix[done], depth, children[done]))
        node, prefix = children[children < nodes], prefix[children < nodes]
    start = np.concatenate([p for p, _, _ in parts]).astype(np.uint32)
    length = np.concatenate([np.full(len(p), depth, np.uint8) for p, depth, _ in parts])
    order = np.argsort(start, kind="stable")
    return Leaves(start[order], length[order], np.concatenate([c for _, _, c in parts])[order])


def _records(raw: bytes, nodes: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = np.frombuffer(raw, np.uint8, nodes * size // 4).reshape(nodes, size // 4).astype(np.int64)
    if size == 24:
        return rows[:, 0] << 16 | rows[:, 1] << 8 | rows[:, 2], rows[:, 3] << 16 | rows[:, 4] << 8 | rows[:, 5]
    if size == 28:
        return (
            (rows[:, 3] >> 4) << 24 | rows[:, 0] << 16 | rows[:, 1] << 8 | rows[:, 2],
            (rows[:, 3] & 15) << 24 | rows[:, 4] << 16 | rows[:, 5] << 8 | rows[:, 6],
        )
    return (
        rows[:, 0] << 24 | rows[:, 1] << 16 | rows[:, 2] << 8 | rows[:, 3],
        rows[:, 4] << 24 | rows[:, 5] << 16 | rows[:, 6] << 8 | rows[:, 7],
    )


def read_mmdb(path: Path, series: str, day: date | None = None) -> Build:
    """Read the countries of an mmdb, MaxMind's nested schema or the flat `country_code`; flags of either.

    Proxies and satellites often have a registered country only. It is where the holder signed up, not where anybody is:
    it becomes a series of its own.
    """
    with maxminddb.open_database(path) as reader:
        about = reader.metadata()
        leaves = ipv4_leaves(path.read_bytes(), about.node_count, about.record_size, six=about.ip_version == 6)
        _, first, place = np.unique(leaves.record, return_index=True, return_inverse=True)
        said = [reader.get(str(IPv4Address(int(leaves.start[i])))) for i in first]
    built = day or datetime.fromtimestamp(about.build_epoch, UTC).date()
    country = [_country(record) for record in said]
    registered = ["" if code else _registered(record) for code, record in zip(country, said, strict=True)]
    flagged: set[tuple[str, str]] = set()
    for number in (i for i, record in enumerate(said) if _flags(record)):
        for leaf in np.flatnonzero(place == number):
            network = str(IPv4Network((int(leaves.start[leaf]), int(leaves.length[leaf]))))
            flagged |= {(kind, network) for kind in _flags(said[number])}
    start, value = _with_gaps(leaves.start, leaves.length, place.astype(np.int64))
    located, signed = ([told[v] if v >= 0 else "" for v in value] for told in (country, registered))
    return Build(
        _joined(Snapshot(built, series, start, located, flagged)),
        _joined(Snapshot(built, f"{series}-reg", start, signed, set())),
    )


def _joined(snapshot: Snapshot) -> Snapshot:
    """Join neighbours of one country."""
    said = snapshot.country
    first = [i for i, code in enumerate(said) if i == 0 or code != said[i - 1]]
    return snapshot._replace(start=snapshot.start[first], country=[said[i] for i in first])


def _country(record: Any) -> str:  # noqa: ANN401  # whatever a database holds
    country = record.get("country")
    code = country.get("iso_code", "") if isinstance(country, dict) else record.get("country_code", "")
    return "" if code in NO_COUNTRY else str(code)


def _registered(record: Any) -> str:  # noqa: ANN401
    code = record.get("registered_country", {}).get("iso_code", "")
    return "" if code in NO_COUNTRY else str(code)


def _flags(record: Any) -> list[str]:  # noqa: ANN401
    traits = record.get("traits", {})
    flags = (("anonymous_proxy", "is_anonymous_proxy"), ("satellite_provider", "is_satellite_provider"))
    return [kind for kind, key in flags if traits.get(key)]


def _with_gaps(
    start: NDArray[np.uint32], length: NDArray[np.uint8], value: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Give the space between networks rows of its own, with -1."""
    first = start.astype(np.int64)
    stop = first + (np.int64(1) << (32 - length.astype(np.int64)))
    after = np.append(first[1:], 1 << 32)
    gap = np.flatnonzero(stop < after)
    starts = np.concatenate([first, stop[gap], [] if len(first) and first[0] == 0 else [0]]).astype(np.int64)
    values = np.concatenate([value, np.full(len(starts) - len(value), -1)])
    order = np.argsort(starts, kind="stable")
    return starts[order].astype(np.uint32), values[order]


def list_snapshot(rows: Iterable[tuple[int, int, str]], series: str, day: date) -> Snapshot:
    """Read (first, last, country) rows, sorted and apart from each other."""
    start, country, at = [], [], 0
    for first, last, code in rows:
        if first < at:
            raise SystemExit(f"{series}: ranges overlap at {IPv4Address(first)}")
        if first > at:
            start.append(at)
            country.append("")
        start.append(first)
        country.append("" if code in NO_COUNTRY else code)
        at = last + 1
    if at < 1 << 32:
        start.append(at)
        country.append("")
    return _joined(Snapshot(day, series, np.array(start, np.uint32), country, set()))


def refuse_short_snapshots(snapshots: Sequence[Snapshot], share: float = 0.9) -> list[Snapshot]:
    """Leave out builds with under 90 % of the ranges of both neighbours: GeoLite2 of 2016-09-06 lost 11 % of them."""
    kept = []
    for before, here, after in zip([None, *snapshots[:-1]], snapshots, [*snapshots[1:], None], strict=True):
        sizes = [len(other.start) for other in (before, after) if other is not None]
        if len(sizes) == 2 and len(here.start) < share * min(sizes):
            print(f"  refused: {here.series} {here.day} has {len(here.start)} ranges, its neighbours {sizes}")
            continue
        kept.append(here)
    return kept


def history(snapshots: Sequence[Snapshot]) -> dict[str, NDArray[Any]]:
    """Join snapshots into one history table."""
    codes = sorted({code for snapshot in snapshots for code in snapshot.country} | {""})
    if len(codes) > 256:
        raise SystemExit("more codes than fit in a byte")
    place = {code: number for number, code in enumerate(codes)}
    start = np.unique(np.concatenate([snapshot.start for snapshot in snapshots]))
    cells = np.empty((len(start), len(snapshots)), np.uint8)
    for column, snapshot in enumerate(snapshots):
        value = np.array([place[code] for code in snapshot.country], np.uint8)
        cells[:, column] = value[np.searchsorted(snapshot.start, start, "right") - 1]
    changed = np.append(True, (cells[1:] != cells[:-1]).any(axis=1))
    start, cells = start[changed], cells[changed]
    table, hist = np.unique(cells, axis=0, return_inverse=True)
    if len(table) > 65536:
        raise SystemExit("more histories than fit in 16 bits")
    return {
        "start": start,
        "hist": hist.reshape(-1).astype(np.uint16),
        "table": table,
        "codes": np.array(codes, "<U2"),
        "date": np.array([snapshot.day.isoformat() for snapshot in snapshots], "<U10"),
        "series": np.array([snapshot.series for snapshot in snapshots], "<U16"),
    }


def compact(rows: Iterable[tuple[int, int, int]], bits: int) -> tuple[list[int], list[int]]:
    """Return (starts, values) of (first, last, value) rows: gaps are 0, and where ranges overlap the narrowest speaks."""
    order = sorted(rows)
    bounds = sorted(
        {0, *(first for first, _, _ in order), *(last + 1 for _, last, _ in order if (last + 1) >> bits == 0)}
    )
    starts: list[int] = []
    values: list[int] = []
    open_ranges: list[tuple[int, int, int]] = []
    at = 0
    for bound in bounds:
        while at < len(order) and order[at][0] == bound:
            first, last, value = order[at]
            heappush(open_ranges, (last - first, last, value))
            at += 1
        while open_ranges and open_ranges[0][1] < bound:
            heappop(open_ranges)
        value = open_ranges[0][2] if open_ranges else 0
        if not values or value != values[-1]:
            starts.append(bound)
            values.append(value)
    return starts, values


def halves(starts: Sequence[int]) -> dict[str, NDArray[np.uint64]]:
    """Return 128-bit starts as two columns."""
    low = (1 << 64) - 1
    return {
        "start_hi": np.array([s >> 64 for s in starts], np.uint64),
        "start_lo": np.array([s & low for s in starts], np.uint64),
    }


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays; numpy gives every member the date 1980-01-01, so no clock is in the file."""
    np.savez_compressed(path, allow_pickle=False, **arrays)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with line feeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
