"""The terminal timeline as lines of rich Text: one line an act, a heading a session, a rule a day.

Everything from evidence passes `visible` here and stands in a Text, never in markup. Readable without colour: rare origins
carry `!!`, milestones a diamond, sessions their number in the margin.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from forensics.instants import iso, microseconds
from forensics.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

Row = dict[str, Any]

_STYLES: Final = {
    "logon": "bold green",
    "reconnect": "green",
    "disconnect": "yellow",
    "logoff": "yellow",
    "rdp_connect": "green",
    "service_install": "magenta",
    "tomcat_start": "magenta",
    "tomcat_stop": "magenta",
    "deploy": "magenta",
    "undeploy": "magenta",
    "manager_act": "magenta",
    "realm_lockout": "yellow",
    "request_parse_error": "dim",
    "log_cleared": "bold red",
    "clock_changed": "bold red",
    "system_crash": "bold red",
    "system_start": "magenta",
    "system_stop": "magenta",
    "implant_contact": "blue",
    "relay_contact": "blue",
    "researcher_contact": "cyan",
    "noise_rdp": "dim",
    "noise_http": "dim",
}
_NOISE: Final = {
    "noise_rdp": "refused logons and bare connections",
    "noise_http": "requests by scanners, visitors and strangers",
}
_RARE: Final = "bold white on red"
_MARGIN: Final = 6
_ADDRESS: Final = 15
_LEAST_SENTENCE: Final = 12
_LEAST_MESSAGE: Final = 34
"""With less room than this beside the address, the message goes to a line of its own."""


def lines(rows: Iterable[Row], sessions: Iterable[Row], width: int) -> Iterator[Text]:
    """Yield the timeline for a screen of `width` columns; no address is ever cut, and only a word that is wider than it makes a line so."""
    known = {row["session_uid"]: row for row in sessions}
    headed: set[str] = set()
    held: list[Row] = []
    day = current = None
    for row in rows:
        if row["act"] in _NOISE and not row["milestone"] and not row["rare_grade"]:
            held.append(row)
            continue
        yield from _noise(held, width)
        held = []
        when: datetime = row["time"]
        if when.date() != day:
            day = when.date()
            yield Text()
            yield _rule(f"{when:%A} {when:%Y-%m-%d}, UTC", width)
        uid = row["session_uid"]
        if uid is not None and uid != current and uid in known:
            if uid not in headed:
                yield from _heading(known[uid], width)
            headed.add(uid)
            current = uid
        yield from _act(row, width)
    yield from _noise(held, width)


def _noise(held: list[Row], width: int) -> Iterator[Text]:
    """One dim line for the noise between two acts; each day's own row stands in timeline.csv."""
    if not held:
        return
    first, last = held[0]["time"], held[-1]["time_end"] or held[-1]["time"]
    counts = {act: sum(row["count"] for row in held if row["act"] == act) for act in _NOISE}
    parts = [f"{count:,} {_NOISE[act]}" for act, count in counts.items() if count]
    until = f" to {last:%Y-%m-%d}" if last.date() != first.date() else ""
    line = Text(" " * _MARGIN + f"noise {first:%Y-%m-%d}{until}: {', '.join(parts)}", style="dim")
    yield from _fitted(line, width)


def _rule(title: str, width: int) -> Text:
    return Text(f"── {title} ".ljust(min(width, 100), "─")[:width], style="bold")


def _heading(session: Row, width: int) -> Iterator[Text]:
    """Two lines: who with what machine, when to when; and by which addresses."""
    who = "\\".join(filter(None, [shown(session["user_domain"]), shown(session["user_name"])])) or "an unnamed account"
    first = Text(f"{session['session_uid']:<{_MARGIN}}", style="bold green")
    first.append(who, style="bold")
    if session["client_name"] or session["client_zone"]:
        first.append(f"  client {shown(session['client_name']) or '?'}{_comma(session['client_zone'])}")
    yield from _fitted(first, width)
    second = Text(" " * _MARGIN)
    end = _clock(session["end"], session["start"]) if session["end"] else "open"
    second.append(f"{session['start']:%Y-%m-%d %H:%M:%S} → {end} ({shown(session['end_basis']).replace('_', ' ')})")
    second.append(f", {session['http_requests']} web requests, {session['events']} log records", style="dim")
    yield from _fitted(second, width)
    path = Text(" " * _MARGIN)
    path.append(" → ".join(shown(ip) for ip in session["source_ips"].split(";")))
    yield from _fitted(path, width)


def _comma(text: str | None) -> str:
    return f", zone {shown(text)}" if text else ""


def _clock(when: datetime, beside: datetime) -> str:
    return f"{when:%H:%M:%S}" if when.date() == beside.date() else f"{when:%Y-%m-%d %H:%M:%S}"


def _act(row: Row, width: int) -> Iterator[Text]:
    rare = bool(row["rare_grade"])
    style = _RARE if rare else _STYLES.get(row["act"], "")
    line = Text(f"{row['session_uid'] or '':<{_MARGIN}}", style="green")
    line.append(f"{row['time']:%H:%M:%S} ", style="" if not row["act"].startswith("noise") else "dim")
    line.append(f"{shown(row['country_iso_code']) or '':>2} ", style=_RARE if rare else "bold")
    address = shown(row["source_ip"])
    line.append(f"{address:<{_ADDRESS}} ", style=_RARE if rare else "")
    head, tail = _head(row, rare=rare), _tail(row)
    message = Text(_message(row), style=style)
    room = width - line.cell_len
    if room < min(_LEAST_MESSAGE, head.cell_len + message.cell_len + tail.cell_len):
        line.rstrip()
        yield from _fitted(line, width)
        line = Text(" " * min(_MARGIN + 9, max(0, width - _LEAST_MESSAGE)))
        room = width - line.cell_len
    # The sentence gives way; what marks the row, and how often, does not.
    message.truncate(max(_LEAST_SENTENCE, room - head.cell_len - tail.cell_len), overflow="ellipsis")
    line.append_text(head)
    line.append_text(message)
    line.append_text(tail)
    yield from _fitted(line, width)


def _head(row: Row, *, rare: bool) -> Text:
    """What stands beside the address: rare origin, milestone, the ways it is known to hide."""
    head = Text()
    if rare:
        head.append(f"!! rare origin {shown(row['rare_grade'])} !! ", style=_RARE)
    flags = [word for word in (row["origin_flags"] or "").split(";") if word and word != "tunnel_end"]
    if flags:
        head.append(f"[{shown(', '.join(flags))}] ", style="dim")
    if row["milestone"]:
        names = row["milestone"].replace(";", ", ").replace("_", " ")
        head.append(f"◆ {shown(names)} ", style="bold cyan")
    return head


def _tail(row: Row) -> Text:
    tail = Text()
    if row["count"] and row["count"] > 1 and row["act"] == "http_request":
        until = f" to {_clock(row['time_end'], row['time'])}" if row["time_end"] else ""
        tail.append(f" \u00d7{row['count']:,}{until}", style="dim")
    if row["flags"]:
        tail.append(f"  ({shown(row['flags'].replace(';', ', '))})", style="yellow")
    return tail


def _message(row: Row) -> str:
    """Return the sentence without the address that stands beside it already."""
    message = shown(row["message"])
    address = shown(row["source_ip"])
    if address:
        # Whole addresses only: 10.0.0.1 is no part of 10.0.0.12.
        message = re.sub(rf" (?:from|at) {re.escape(address)}(?![\w.:])", "", message)
        message = message.removeprefix(f"{address} ").replace(f" {address}: ", ": ")
    return message


def _fitted(text: Text, width: int) -> Iterator[Text]:
    """Fold a line that is too wide at its blanks, the rest indented; a word that is wider than the screen is kept whole."""
    if text.cell_len <= width:
        yield text
        return
    indent = " " * min(_MARGIN, width // 4)
    line = Text()
    for number, word in enumerate(text.split(" ", allow_blank=True)):
        if number and line.cell_len + 1 + word.cell_len > width:
            yield line
            line = Text(indent)
            line.append_text(word)
        else:
            line.append(" " if number else "")
            line.append_text(word)
    yield line


def moment(when: datetime | None) -> str:
    """Return a time for a table, to the second."""
    return iso(microseconds(when.replace(microsecond=0)))[:-1].replace("T", " ") if when else ""
