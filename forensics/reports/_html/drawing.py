"""The timeline as a still drawing: for paper and for browsers without script. The numbers of its flags are those of the milestones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from forensics.instants import DAY_US, iso, microseconds
from forensics.reports._html.listing import Known, count, cut, instant, rows_of
from forensics.reports._html.opening import one

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

WIDTH: Final = 1200
LEFT: Final = 150
_RIGHT: Final = WIDTH - 16
_MILESTONES: Final = 60
SESSIONS: Final = 2_000
_SESSION_LANES: Final = 14
_LANE: Final = 24
_TICKS: Final = 10

LANES: Final = {"operator": "Operator's acts", "implant": "Implants", "other": "Others", "noise": "Noise"}

LANE_OF: Final = (
    "CASE WHEN act LIKE 'noise%' THEN 'noise' WHEN session_uid IS NOT NULL OR role IN ('operator', 'relay') THEN 'operator' "
    "WHEN role = 'implant' THEN 'implant' ELSE 'other' END"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a lane."""

    x: float
    width: float
    y: int
    rare: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Text at a place."""

    x: float
    y: int
    text: str
    rare: bool = False


@dataclass(slots=True)
class Drawing:
    """Everything that is drawn, in units of WIDTH."""

    width: int = WIDTH
    left: int = LEFT
    height: int = 0
    ticks: list[Label] = field(default_factory=list)
    flags: list[Label] = field(default_factory=list)
    flags_bottom: int = 0
    legend: list[tuple[str, str, bool]] = field(default_factory=list)
    lanes: list[Label] = field(default_factory=list)
    spans: list[Bar] = field(default_factory=list)
    stays: list[Bar] = field(default_factory=list)
    open: list[Label] = field(default_factory=list)
    """Where sessions go on whose end is not in evidence."""
    names: list[Label] = field(default_factory=list)
    marks: list[tuple[str, str]] = field(default_factory=list)
    rare: list[Label] = field(default_factory=list)
    sessions_left: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that is shown first: from the operator's first act to the last, a little around."""

    start: int
    stop: int

    def x(self, us: int) -> float:
        """Return where an instant stands, at one decimal."""
        share = (us - self.start) / (self.stop - self.start)
        return round(LEFT + min(1.0, max(0.0, share)) * (_RIGHT - LEFT), 1)


def window(db: duckdb.DuckDBPyConnection) -> Window | None:
    """Return the stretch of time worth seeing first; None if the timeline is empty."""
    of_note = "session_uid IS NOT NULL OR role = 'operator' OR milestone <> '' OR rare_grade <> ''"
    for where in (of_note, "true"):
        row = one(db, f"SELECT min(time) AS a, max(coalesce(time_end, time)) AS b FROM timeline WHERE {where}")
        if row["a"] is not None:
            first, last = microseconds(row["a"]), microseconds(row["b"])
            around = max(60_000_000, (last - first) // 40)
            return Window(first - around, last + around)
    return None


def drawing(db: duckdb.DuckDBPyConnection, known: Known, shown: Window) -> Drawing:
    """Return the still timeline of a case."""
    out = Drawing()
    _ticks(out, shown)
    y = _flags(out, db, shown) + 14
    y = _sessions(out, db, known, shown, y)
    _marks(out, db, shown, y)
    _rare(out, db, shown)
    return out


def _ticks(out: Drawing, shown: Window) -> None:
    """Set up to a dozen ticks at round hours or days."""
    length = shown.stop - shown.start
    hour = DAY_US // 24
    steps = [hour * n for n in (1, 2, 3, 6, 12)] + [DAY_US * n for n in (1, 2, 7, 14, 30, 90, 180, 365, 1_461)]
    step = next((s for s in steps if length // s <= _TICKS), DAY_US * 3_653)
    at = -(-shown.start // step) * step
    while at <= shown.stop:
        text = iso(at)
        out.ticks.append(Label(shown.x(at), 0, text[:10] if step >= DAY_US else f"{text[5:10]} {text[11:16]}"))
        at += step


def _flags(out: Drawing, db: duckdb.DuckDBPyConnection, shown: Window) -> int:
    """Set the flags of the milestones, one above the other where they crowd; return where they end."""
    ends: list[float] = []
    bottom = 62
    query = "SELECT time, milestone, source_ip FROM milestones WHERE time IS NOT NULL ORDER BY time, milestone, source_ip, locators"
    for number, row in enumerate(rows_of(db, query, _MILESTONES), 1):
        x = shown.x(microseconds(row["time"]))
        level = next((i for i, end in enumerate(ends) if x >= end), len(ends))
        if level == len(ends):
            ends.append(0.0)
        ends[level] = x + 22
        y = 62 + 18 * level
        bottom = max(bottom, y)
        rare = row["milestone"] == "rare_origin"
        out.flags.append(Label(x, y, str(number), rare))
        out.legend.append((instant(row["time"]).text, cut(row["milestone"].replace("_", " ")), rare))
    out.flags_bottom = bottom
    out.lanes.append(Label(0, 62, "Milestones"))
    return bottom


def _sessions(out: Drawing, db: duckdb.DuckDBPyConnection, known: Known, shown: Window, y: int) -> int:
    """Pack the sessions into lanes, with their stays as bars; return where they end."""
    query = 'SELECT session_uid, start, "end", stays FROM sessions WHERE start IS NOT NULL ORDER BY start, session_uid'
    ends: list[float] = []
    for row in rows_of(db, query, SESSIONS):
        start = microseconds(row["start"])
        seen = stays(row["stays"])
        known_until = max((when for stay in seen for when in stay[1:] if when is not None), default=start)
        stop = microseconds(row["end"]) if row["end"] else known_until
        x, end = shown.x(start), shown.x(stop)
        lane = next((i for i, taken in enumerate(ends) if x >= taken), len(ends))
        if lane >= _SESSION_LANES:
            out.sessions_left += 1
            continue
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = max(end, x + 9 * len(row["session_uid"])) + 8
        top = y + lane * (_LANE + 12)
        if row["end"] is None:
            out.open.append(Label(end, top + 19, ""))
        out.spans.append(Bar(x, max(1.0, round(end - x, 1)), top + 12))
        out.names.append(Label(x, top + 8, cut(row["session_uid"], 20)))
        for stay in seen:
            left = shown.x(stay[1])
            right = shown.x(stay[2]) if stay[2] is not None else end
            out.stays.append(Bar(left, max(2.0, round(right - left, 1)), top + 12, stay[0] in known.rare))
    out.sessions_left += max(0, count(db, "SELECT 1 FROM sessions WHERE start IS NOT NULL") - SESSIONS)
    if ends:
        out.lanes.append(Label(0, y + 22, "RDP sessions"))
    return y + len(ends) * (_LANE + 12)


def stays(text: str | None) -> list[tuple[str, int, int | None]]:
    """Return the stays of a session: address, start, end (None where it is not in evidence), in microseconds."""
    found = json.loads(text) if text else []
    return [(one["source_ip"] or "", _us(one["start"]), _us(one["end"]) if one["end"] else None) for one in found]


def _us(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


def _marks(out: Drawing, db: duckdb.DuckDBPyConnection, shown: Window, y: int) -> None:
    """Draw one stroke wherever a lane has an act, at most one a unit of width."""
    units = _RIGHT - LEFT
    query = (
        f"SELECT {LANE_OF} AS lane, (epoch_us(time) - {shown.start}) * {units} // {shown.stop - shown.start} AS x "
        f"FROM timeline WHERE epoch_us(time) BETWEEN {shown.start} AND {shown.stop} GROUP BY ALL ORDER BY ALL"
    )
    strokes: dict[str, list[int]] = {}
    for row in rows_of(db, query, len(LANES) * (units + 1)):
        strokes.setdefault(row["lane"], []).append(int(row["x"]))
    y += 6
    for lane, title in LANES.items():
        if lane in strokes:
            out.lanes.append(Label(0, y + 15, title))
            out.marks.append((lane, "".join(f"M{LEFT + x + 0.5} {y + 2}v16" for x in strokes[lane])))
            y += _LANE + 4
    out.height = y + 8


def _rare(out: Drawing, db: duckdb.DuckDBPyConnection, shown: Window) -> None:
    """Draw a line through everything where a rare origin acted, named at its first place."""
    query = (
        "SELECT source_ip, min(country_iso_code) AS country, min(rare_grade) AS grade, "
        f"(epoch_us(time) - {shown.start}) * {_RIGHT - LEFT} // {shown.stop - shown.start} AS x FROM timeline "
        "WHERE rare_grade <> '' GROUP BY source_ip, x ORDER BY x, source_ip"
    )
    named: set[str] = set()
    rows: Sequence[dict[str, Any]] = list(rows_of(db, query, 400))
    for row in rows:
        code = "" if row["grade"] == "C" or not row["country"] else f"{row['country']} "
        text = "" if row["source_ip"] in named else cut(f"{code}{row['source_ip']}", 60)
        named.add(row["source_ip"])
        out.rare.append(Label(round(LEFT + min(max(int(row["x"]), 0), _RIGHT - LEFT), 1), 34, text, rare=True))
