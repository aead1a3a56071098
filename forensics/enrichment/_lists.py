"""Lists of networks that an analyst brings: plain addresses and CIDR, FireHOL netsets, ranges, CSV with or without days.

A line that is none of that is kept as a reject with its number. Host bits are cleared and counted: `10.0.0.1/24` means the /24.
Names are not resolved, since that would ask somebody about them.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from forensics.errors import DatabaseError, UsageError
from forensics.limits import MAX_LIST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KINDS: Final = ("tor_exit", "vpn", "proxy", "hosting", "relay_service", "scanner")
"""What a list can say of an address."""

GRADES: Final = ("A", "B", "C")
"""What a watch list can say, as the table of rare origins does: held, assigned, reported."""

_NETWORK: Final = ("network", "address", "cidr", "ip", "prefix", "range", "ip_range", "subnet")
_FIRST: Final = ("start", "first", "start_ip", "from_ip")
_LAST: Final = ("end", "last", "end_ip", "to_ip")
_SINCE: Final = ("first_day", "first_snapshot", "first_seen", "valid_from", "since", "from")
_UNTIL: Final = ("last_day", "last_snapshot", "last_seen", "valid_to", "until", "to")
_LABEL: Final = ("label", "provider", "name", "list", "description")
_WORDS: Final = {
    "tor": "tor_exit",
    "tor-exit": "tor_exit",
    "exit": "tor_exit",
    "datacenter": "hosting",
    "vpn_or_hosting": "hosting",
    "cdn": "hosting",
    "anonymous_proxy": "proxy",
    "public_proxy": "proxy",
}


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """One range and the days on which the list has it; `word` is one of KINDS, a watch list's is its grade."""

    first: int
    last: int
    version: int
    word: str
    since: date
    until: date
    label: str = ""
    source: str = ""


@dataclass(slots=True)
class Listed:
    """What a list holds, and the lines that could not be read as (number, text, why)."""

    intervals: list[Interval] = field(default_factory=list)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    host_bits: int = 0
    dated: bool = False


def read_list(path: Path, kind: str | None, day: date | None) -> Listed:
    """Read a list. `kind` and `day` serve lines that have none of their own; DatabaseError if it cannot be read at all."""
    text = _text(path)
    lines = text.splitlines()
    header = next((n for n, line in enumerate(lines) if line.strip() and line.lstrip()[0] not in "#;"), None)
    names = _names(lines[header]) if header is not None else {}
    out = Listed(dated=bool(names.get("since")))
    if header is None:
        return out
    if names:
        _from_csv(out, lines, header, names, kind, day)
    else:
        _from_lines(out, lines, kind, day)
    out.intervals.sort()
    return out


def read_days(path: Path) -> tuple[date, ...]:
    """Return the days of a file with one a line, in order; UsageError names the line that is none."""
    out = set()
    for number, line in enumerate(_text(path).splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        try:
            if text:
                out.add(date.fromisoformat(text))
        except ValueError as error:
            raise UsageError(f"{path.name}: line {number} is no day ({line[:40]!r}); write YYYY-MM-DD") from error
    if not out:
        raise UsageError(f"{path.name} holds no day; write one YYYY-MM-DD a line")
    return tuple(sorted(out))


def read_watch(path: Path) -> Listed:
    """Read a list of networks to watch for: network, label, grade, and if known from, to, source.

    UsageError if a line is not understood: what the analyst watches for must not be missed in silence.
    """
    listed = read_list(path, None, None)
    if listed.rejects or not listed.intervals:
        number, line, why = listed.rejects[0] if listed.rejects else (1, "", "no network stands in it")
        raise UsageError(
            f"{path.name}: line {number} is not understood ({why}): {line[:80]}; write network,label,grade,from,to,source"
        )
    odd = sorted({interval.word for interval in listed.intervals} - set(GRADES))
    if odd:
        raise UsageError(f"{path.name}: '{odd[0]}' is no grade; grades are A (held), B (assigned), C (reported)")
    return listed


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes() if path.stat().st_size <= MAX_LIST else b""
        if not raw and path.stat().st_size:
            raise DatabaseError(f"{path.name}: is larger than the {MAX_LIST:,} bytes that a list may have")
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.GzipFile(fileobj=io.BytesIO(raw)).read(MAX_LIST + 1)
            if len(raw) > MAX_LIST:
                raise DatabaseError(f"{path.name}: inflates to more than {MAX_LIST:,} bytes")
    except (OSError, EOFError) as error:
        raise DatabaseError(f"{path.name}: cannot be read ({error})") from error
    return raw.decode("utf-8-sig", "replace")


def _names(header: str) -> dict[str, int]:
    """Return which column holds what, if the line is a header; nothing if it is data."""
    cells = [cell.strip().lower() for cell in next(csv.reader([header]), [])]
    out: dict[str, int] = {}
    for what, words in (
        ("network", _NETWORK), ("first", _FIRST), ("last", _LAST), ("since", _SINCE), ("until", _UNTIL),
        ("label", _LABEL), ("kind", ("kind", "type")), ("grade", ("grade",)), ("source", ("source", "basis")),
    ):  # fmt: skip
        found = next((word for word in words if word in cells), None)
        if found is not None:
            out[what] = cells.index(found)
    return out if "network" in out or {"first", "last"} <= set(out) else {}


def _from_csv(
    out: Listed, lines: list[str], header: int, names: Mapping[str, int], kind: str | None, day: date | None
) -> None:
    for number, line in enumerate(lines[header + 1 :], header + 2):
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        try:
            cells = next(csv.reader([line]))
            cell = {what: cells[place].strip() if place < len(cells) else "" for what, place in names.items()}
            text = cell["network"] if "network" in cell else f"{cell['first']}-{cell['last']}"
            since, until = _days(cell, day)
            word = cell.get("grade") or _word(cell.get("kind") or kind)
            _keep(out, text, word, since, until, cell.get("label", ""), cell.get("source", ""))
        except (ValueError, csv.Error, KeyError) as error:
            out.rejects.append((number, line[:200], str(error)))


def _days(cell: Mapping[str, str], day: date | None) -> tuple[date, date]:
    since = date.fromisoformat(cell["since"]) if cell.get("since") else day
    until = date.fromisoformat(cell["until"]) if cell.get("until") else day
    if cell.get("grade"):
        return since or date.min, until or date.max
    if since is None or until is None:
        raise ValueError("no day stands in the line, and none was given with --date")
    if until < since:
        raise ValueError("its last day is before its first")
    return since, until


def _word(text: str | None) -> str:
    word = (text or "").strip().lower()
    word = _WORDS.get(word, word)
    if word not in KINDS:
        raise ValueError(f"'{word or 'nothing'}' is no kind; kinds are {', '.join(KINDS)}")
    return word


def _from_lines(out: Listed, lines: list[str], kind: str | None, day: date | None) -> None:
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].split(";", 1)[0].strip()
        if not text:
            continue
        try:
            since, until = _days({}, day)
            _keep(out, text.split(",")[0].strip(), _word(kind), since, until, "", "")
        except ValueError as error:
            out.rejects.append((number, line[:200], str(error)))


def _keep(out: Listed, text: str, word: str, since: date, until: date, label: str, source: str) -> None:
    for first, last in _ranges(out, text):
        out.intervals.append(Interval(int(first), int(last), first.version, word, since, until, label, source))


def _ranges(out: Listed, text: str) -> Iterator[tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]]:
    if "-" in text:
        low, _, high = text.partition("-")
        first, last = ip_address(low.strip()), ip_address(high.strip())
        if first.version != last.version or int(first) > int(last):
            raise ValueError(f"'{text}' is no range")
        yield first, last
        return
    network = ip_network(text, strict=False)
    if "/" in text and str(network.network_address) != str(ip_address(text.split("/", maxsplit=1)[0])):
        out.host_bits += 1
    yield network.network_address, network.broadcast_address
