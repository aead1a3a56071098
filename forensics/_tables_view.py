"""Tables of a case as rich shows them: sources by role, sessions as trees, findings as sentences, any other as columns that fit.

Everything from evidence passes `visible` here and stands in a Text, never in markup. Meaning never rests on colour alone: rare
origins carry `!!`, roles and confidence are words.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from forensics import _timeline_view
from forensics.model import ROLES
from forensics.text import counted, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

Row = dict[str, Any]


class Note(str):
    """Something to say beside a table, which is no part of it."""

    __slots__ = ()


COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "sources": ("source_ip", "role", "country_iso_code", "rare_grade", "first_seen", "last_seen", "rdp_sessions", "http_requests", "as_organization_name", "role_confidence"),
    "sessions": ("session_uid", "source_ips", "user_name", "start", "end", "end_basis", "client_name", "client_zone", "http_requests"),
    "findings": ("rank", "sentence", "confidence", "locators"),
    "endpoints": ("path", "kind", "first_seen", "first_source_ip", "sources", "requests"),
    "links": ("operator_id", "relation", "a", "b", "since", "until", "confidence"),
    "chain": ("operator_id", "session_uid", "source_ip", "country_iso_code", "rare_grade", "since", "until", "next_source_ip", "gap_s", "flags"),
    "witnesses": ("file", "kind", "from", "to", "licence", "name"),
    "people": ("session_uid", "person", "held_to_be", "confidence"),
    "source_windows": ("source_ip", "since", "until", "hours", "role", "confidence"),
    "hops": ("kind", "start", "end", "source_ip", "target", "target_ip", "user_name", "user_basis", "duration_s", "session_uid", "confidence"),
    "beacons": ("source_ip", "path", "category", "score", "period_s", "jitter_s", "requests", "days", "clients_estimate", "first_seen", "last_seen"),
    "victims": ("source_ip", "country_iso_code", "as_organization_name", "first_seen", "last_seen", "requests", "bytes", "clients_estimate", "confidence"),
    "rarities": ("kind", "value", "source_ip", "role", "first_seen", "among", "because"),
    "zones": ("offset", "clock", "fit", "candidate", "active_days", "lunch_dip", "rest_days", "client_sessions", "zones"),
    "gaps": ("kind", "since", "until", "evidence_id", "detail", "cannot_know"),
    "coverage": ("log", "evidence_id", "first_seen", "last_seen", "events", "notes", "cannot_know"),
    "milestones": ("milestone", "time", "source_ip", "detail", "confidence", "locators"),
}  # fmt: skip
"""What a screen shows of a table; csv and jsonl give all of it."""

_WHOLE: Final = frozenset(
    {"source_ip", "session_uid", "address", "time", "first_seen", "last_seen", "start", "end", "milestone", "role"}
)
_FINDING_STYLES: Final = {"rare_origin": "bold red", "opsec_slip": "bold red", "limit": "dim"}
_LEAST_COLUMN: Final = 10
_BETWEEN: Final = 3


_RARE: Final = "bold white on red"
_ROLE_STYLES: Final = {"operator": "bold green", "implant": "blue", "relay": "magenta", "researcher": "cyan"}
_QUIET: Final = frozenset({"scanner", "visitor", "unknown"})
_QUIET_SHOWN: Final = 10
_HEADS: Final = {
    "source_ip": "address",
    "country_iso_code": "country",
    "rare_grade": "rare",
    "rdp_sessions": "RDP",
    "http_requests": "web",
    "as_organization_name": "organization",
    "role_confidence": "sure",
}
"""Shorter words for a screen; csv and jsonl have the columns' own names."""
_ROLE_MEANS: Final = {
    "operator": "came to run the server",
    "implant": "victims: came back to a command path by a timer",
    "relay": "passed others' requests on",
    "researcher": "looked at the command path and left",
    "scanner": "noise",
    "visitor": "noise",
    "local": "the server itself",
}


def findings(rows: Iterable[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Yield the findings as numbered sentences with how sure they are and where they stand; limits last."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        mark = "limit" if row["kind"] == "limit" else row["confidence"]
        sentence = Text(shown(row["sentence"]), style=_FINDING_STYLES.get(row["kind"], ""))
        grid.add_row(str(row["rank"]), Text(shown(mark), style="dim"), sentence)
        places = [place for place in (row["locators"] or "").split(";") if place]
        if places:
            more = f" and {len(places) - 1} more" if len(places) > 1 else ""
            grid.add_row("", "", Text(f"{shown(places[0])}{more}", style="dim"))
    yield Text("── Findings ──", style="bold")
    yield grid


def sources(rows: Iterable[Row], width: int, *, whole: bool) -> Iterator[RenderableType]:
    """Yield the sources by role, the weightiest first; of noise the busiest ten unless `whole`."""
    weight = {role: at for at, role in enumerate(ROLES)}
    listed = sorted(rows, key=lambda row: (weight.get(row["role"], len(weight)), not row["rare_grade"]))
    for role, group in groupby(listed, key=lambda row: row["role"]):
        every = list(group)
        kept = every
        if role in _QUIET and not whole:
            kept = sorted(every, key=lambda row: (not row["rare_grade"], -row["http_requests"], row["source_ip"]))[
                :_QUIET_SHOWN
            ]
        yield Text()
        head = Text(f"── {shown(role)}: {len(every):,} ", style=_ROLE_STYLES.get(role, "bold"))
        head.append(f"{_ROLE_MEANS.get(role, '')} ", style="dim")
        yield head
        names = [name for name in COLUMNS["sources"] if name != "role"]
        yield from columns(names, kept, width)
        if len(kept) < len(every):
            yield Text(f"   and {len(every) - len(kept):,} more: --role {shown(role)} shows all", style="dim")


def sessions(rows: Iterable[Row], chain: Iterable[Row]) -> Iterator[RenderableType]:
    """Yield each session as a tree: who with what machine, when to when and how that is known; below it each stay at an address."""
    stays: dict[str, list[Row]] = {}
    for stay in chain:
        stays.setdefault(stay["session_uid"], []).append(stay)
    for row in rows:
        who = "\\".join(filter(None, (shown(row["user_domain"]), shown(row["user_name"])))) or "an unnamed account"
        head = Text(f"{row['session_uid']} ", style="bold green")
        head.append(who, style="bold")
        machine = ", ".join(filter(None, (shown(row["client_name"]), shown(row["client_zone"]))))
        head.append(f"  client {machine}" if machine else "")
        tree = Tree(head, guide_style="dim")
        until = _timeline_view.moment(row["end"]) if row["end"] else "open"
        basis = shown(row["end_basis"]).replace("_", " ")
        said = Text(f"{_timeline_view.moment(row['start'])} → {until} ({basis}), {_lasted(row['duration_s'])}")
        said.append(
            f", {counted(row['http_requests'], 'web request')}, {counted(row['events'], 'record')}, {shown(row['confidence'])}",
            style="dim",
        )
        tree.add(said)
        for stay in stays.get(row["session_uid"], ()):
            tree.add(_stay(stay))
        if row["session_uid"] not in stays:
            tree.add(Text(shown(row["source_ips"])))
        yield tree


def _stay(stay: Row) -> Text:
    rare = stay["rare_grade"]
    line = Text(f"{_timeline_view.moment(stay['since'])} → {_timeline_view.moment(stay['until']) or '?':<19} ")
    line.append(
        f"{shown(stay['country_iso_code']) or '--'} {shown(stay['source_ip'])}", style=_RARE if rare else "bold"
    )
    if rare:
        line.append(f" !! rare origin {shown(rare)} !!", style=_RARE)
    for text in (stay["as_organization_name"], stay["anonymity"], (stay["flags"] or "").replace("_", " ")):
        if text:
            line.append(f"  {shown(text)}", style="dim")
    line.append(f"  {shown(stay['locator'])}", style="dim")
    return line


def _lasted(seconds: int | None) -> str:
    if seconds is None:
        return "length unknown"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"


def columns(names: Sequence[str], rows: Sequence[Row], width: int) -> Iterator[RenderableType]:
    """Yield rows as columns that fit, and what was left out for want of room."""
    cells = [[_marked(name, row) for name in names] for row in rows]
    yield from grid(names, cells, width, [_RARE if row.get("rare_grade") else "" for row in rows])


def _marked(name: str, row: Row) -> str:
    if name == "because":
        return "; ".join(shown(one["sentence"]) for one in json.loads(row[name] or "[]"))
    text = cell_text(row[name])
    if name == "log":
        return text.removeprefix("Microsoft-Windows-").removesuffix("/Operational")
    return f"!! {text}" if name == "rare_grade" and text else text


def grid(
    names: Sequence[str], cells: Sequence[Sequence[str]], width: int, styles: Sequence[str] = ()
) -> Iterator[RenderableType]:
    """Yield cells under their names, columns from the right left out until the rest fit, and a line that says so."""
    kept = _fitting(names, cells, width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number in kept:
        table.add_column(
            Text(_HEADS.get(names[number], shown(names[number]).replace("_", " "))),
            no_wrap=names[number] in _WHOLE,
            overflow="fold",
        )
    for number, row in enumerate(cells):
        table.add_row(*(Text(row[place]) for place in kept), style=styles[number] if styles else "")
    yield table
    left = [names[number] for number in range(len(names)) if number not in kept]
    if left:
        yield Note(f"left out for want of room: {', '.join(left)} (a wider terminal or --format csv shows all)")


def _fitting(names: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return the columns that fit: the last ones go first, and none is cut; what may wrap needs a few characters."""

    def least(number: int) -> int:
        longest = max((len(row[number]) for row in cells), default=0)
        return longest if names[number] in _WHOLE else min(longest, _LEAST_COLUMN)

    kept = list(range(len(names)))
    while len(kept) > 1 and sum(least(number) + _BETWEEN for number in kept) > width:
        kept.pop()
    return kept


def cell_text(value: object) -> str:
    """Return one value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _timeline_view.moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, date):
        return value.isoformat()
    return shown(str(value))
