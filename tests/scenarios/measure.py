"""Hold an analysed scenario against its truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import forensics
from scenarios.truth import Scenario, Stay

OWNER: Final = "owner"
"""Rightful owners have no role of their own in the tables; the flag `rightful_owner` says so."""

_SAME_START: Final = timedelta(seconds=120)
_SAME_MOMENT: Final = timedelta(seconds=10)
MILESTONES: Final = (
    "first_logon", "tomcat_installed", "tomcat_started", "c2_deployed", "first_browser_test", "first_backdoor_test",
    "first_implant", "log_cleared", "clock_changed", "crash", "last_operator_act",
)  # fmt: skip


@dataclass(slots=True)
class Score:
    """What was counted over one or many scenarios."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    sessions_true: int = 0
    sessions_found: int = 0
    sessions_right: int = 0
    ends_right: int = 0
    milestones: dict[str, Counter[str]] = field(default_factory=dict)
    off_s: dict[str, list[float]] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    rare_true: int = 0
    rare_found: int = 0
    rare_first: int = 0
    slips: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: Score) -> None:
        self.pairs += other.pairs
        self.commands += other.commands
        for name in ("sessions_true", "sessions_found", "sessions_right", "ends_right", "rare_true", "rare_found"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.rare_first += other.rare_first
        self.slips += other.slips
        for name, counted in other.milestones.items():
            self.milestones[name] = self.milestones.get(name, Counter()) + counted
        for name, off in other.off_s.items():
            self.off_s.setdefault(name, []).extend(off)
        self.failures += other.failures

    def f1(self) -> dict[str, tuple[float, float, float, int]]:
        """Role to precision, recall, F1 and the number of addresses that have it in truth."""
        out = {}
        for role in sorted({true for true, _ in self.pairs}):
            right = self.pairs[role, role]
            true = sum(n for (t, _), n in self.pairs.items() if t == role)
            said = sum(n for (_, f), n in self.pairs.items() if f == role)
            precision, recall = right / said if said else 0.0, right / true
            both = precision + recall
            out[role] = (precision, recall, 2 * precision * recall / both if both else 0.0, true)
        return out

    @property
    def macro_f1(self) -> float:
        scores = [f1 for _, _, f1, _ in self.f1().values()]
        return sum(scores) / len(scores) if scores else 0.0

    @property
    def false_operators(self) -> int:
        """Scanners, guessers and crawlers that were called operators."""
        return self.pairs["scanner", "operator"]

    @property
    def session_precision(self) -> float:
        return self.sessions_right / self.sessions_found if self.sessions_found else 1.0

    @property
    def session_recall(self) -> float:
        return self.sessions_right / self.sessions_true if self.sessions_true else 1.0


def measure(scenario: Scenario, folder: Path) -> Score:
    """Write the scenario's files into the folder, analyse them, and count what is right."""
    seized = folder / "seized"
    for name, content in scenario.files.items():
        (seized / name).parent.mkdir(parents=True, exist_ok=True)
        (seized / name).write_bytes(content)
    case = forensics.analyze(seized, out=folder / "case", workers=1)
    score = Score()
    told = _Told(scenario, score)
    _roles(told, case.sources.to_dict("records"))
    _sessions(told, case.sessions.to_dict("records"))
    _milestones(told, case.milestones.to_dict("records"))
    _commands(told, case.frame("endpoints").to_dict("records"))
    _rare(told, case.sources.to_dict("records"), case.findings.to_dict("records"))
    return score


@dataclass(slots=True)
class _Told:
    scenario: Scenario
    score: Score

    def failed(self, cause: str, what: str) -> None:
        self.score.failures.append((cause, f"seed {self.scenario.seed}: {what}"))


def _said(row: dict[str, Any]) -> str:
    return OWNER if "rightful_owner" in str(row["flags"]).split(";") else str(row["role"])


def _roles(told: _Told, rows: list[dict[str, Any]]) -> None:
    found = {row["source_ip"]: row for row in rows}
    for source, true in sorted(told.scenario.truth.roles.items()):
        row = found.get(source)
        said = "absent" if row is None else _said(row)
        if true == "local" and row is None:
            said = next((_said(found[ip]) for ip in ("127.0.0.1", "::1") if ip in found), "absent")
        told.score.pairs[true, said] += 1
        if said != true:
            why = (
                ""
                if row is None
                else f", {row['http_requests']} requests, {row['rdp_sessions']} sessions: {str(row['because'])[:200]}"
            )
            told.failed(f"role: {true} called {said}", f"{source}{why}")


def _fits(stay: Stay, row: dict[str, Any]) -> bool:
    if abs(row["start"].to_pydatetime() - stay.start) > _SAME_START:
        return False
    user = row["user_name"]
    if isinstance(user, str) and user and user.lower() != stay.user.lower():
        return False
    return str(row["source_ips"]).split(";") == stay.sources


def _sessions(told: _Told, rows: list[dict[str, Any]]) -> None:
    score, left = told.score, list(rows)
    score.sessions_true += len(told.scenario.truth.sessions)
    score.sessions_found += len(rows)
    for stay in told.scenario.truth.sessions:
        match = next((row for row in left if _fits(stay, row)), None)
        if match is None:
            told.failed("session missed", f"{stay.whose} {stay.start:%Y-%m-%d %H:%M:%S} {stay.sources} {stay.ends}")
            continue
        left.remove(match)
        score.sessions_right += 1
        end = _time(match["end"])
        if _ends(stay, end, str(match["end_basis"])):
            score.ends_right += 1
        else:
            told.failed(
                "session end",
                f"{stay.whose} {stay.ends} {stay.end:%Y-%m-%d %H:%M:%S}, found {end} {match['end_basis']}",
            )
    for row in [row for row in left if any(_within(stay, row) for stay in told.scenario.truth.partial)]:
        left.remove(row)
        score.sessions_found -= 1
    for row in left:
        told.failed("session invented", f"{row['start']} {row['source_ips']} {row['start_basis']} {row['end_basis']}")


def _within(stay: Stay, row: dict[str, Any]) -> bool:
    start = row["start"].to_pydatetime()
    return stay.start - _SAME_START <= start <= stay.end + _SAME_START


def _ends(stay: Stay, end: datetime | None, basis: str) -> bool:
    """A session left open ends with the evidence, or with the next stop of the server."""
    if stay.ends == "open" and (end is None or basis in {"server_stopped", "crash"}):
        return True
    if stay.ends == "disconnect" and basis in {"server_stopped", "crash"}:
        return True
    if stay.ends == "crash" and basis == "crash":  # no log tells the moment itself
        return True
    return end is not None and abs(end - stay.end) <= _SAME_START


def _time(value: Any) -> datetime | None:
    found = getattr(value, "to_pydatetime", lambda: value)()
    return found if isinstance(found, datetime) and found == found else None  # noqa: PLR0124  # NaT is not itself


def _milestones(told: _Told, rows: list[dict[str, Any]]) -> None:
    for name in MILESTONES:
        if name in told.scenario.truth.unasked:
            continue
        true = told.scenario.truth.milestones.get(name)
        mine = [
            row for row in rows if row["milestone"] == name and (true or "not in evidence" not in str(row["detail"]))
        ]
        times = [time for row in mine if (time := _time(row["time"])) is not None]
        counted = told.score.milestones.setdefault(name, Counter())
        if true is None or not times:
            kind = "absent" if true is None and not times else "missed" if not times else "invented"
            counted[kind] += 1
            if kind != "absent":
                told.failed(f"milestone {name} {kind}", f"{true or times[0]}")
            continue
        off = min(abs(time - true) for time in times)
        between = any(_between(row, true) for row in mine)
        counted["right" if off <= _SAME_MOMENT else "between" if between else "off"] += 1
        told.score.off_s.setdefault(name, []).append(off.total_seconds())
        if off > _SAME_MOMENT and not between:
            told.failed(f"milestone {name} off", f"true {true}, found {times[0]}, off by {off}")


def _between(row: dict[str, Any], true: datetime) -> bool:
    """Whether the row says that it was between two moments of one day, and it was."""
    since, until = _time(row.get("not_before")), _time(row["time"])
    return since is not None and until is not None and since <= true <= until <= since + timedelta(days=1)


def _commands(told: _Told, rows: list[dict[str, Any]]) -> None:
    true, found = told.scenario.truth.commands, {row["path"] for row in rows if row["kind"] == "c2"}
    told.score.commands["true"] += len(true)
    told.score.commands["right"] += len(true & found)
    told.score.commands["invented"] += len(found - true)
    for path in sorted(true - found):
        told.failed("command path missed", f"{path} ({told.scenario.truth.habits})")
    for path in sorted(found - true):
        told.failed("command path invented", f"{path} ({told.scenario.truth.habits})")


def _rare(told: _Told, sources: list[dict[str, Any]], findings: list[dict[str, Any]]) -> None:
    marked = {row["source_ip"] for row in sources if isinstance(row["rare_origin"], str)}
    first = _first(findings)
    for source in sorted(told.scenario.truth.rare):
        told.score.rare_true += 1
        told.score.rare_found += source in marked
        slip = source in told.scenario.truth.slips
        told.score.slips += slip
        told.score.rare_first += slip and first == "rare_origin"
        if source not in marked or (slip and first != "rare_origin"):
            told.failed("rare origin", f"{source}, first finding {first}")


def _first(findings: Iterable[dict[str, Any]]) -> str:
    return next((str(row["kind"]) for row in sorted(findings, key=lambda row: row["rank"])), "none")
