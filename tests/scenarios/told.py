"""The measured accuracy in words: docs/accuracy.md, and the failures by cause."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Final

from scenarios.measure import MILESTONES, Score

_HEAD: Final = """# Accuracy

How often the analysis is right on invented servers. Two generators draw them, each from its own seeds:

- **first** (`tests/scenarios/`) was written together with the rules: what it draws, the rules were made to see;
- **other** (`tests/other_servers/`) was written without knowledge of them, from public reports and Microsoft's and Tomcat's documents: exits that
  change within a session, operators who never use RDP, scripts hidden in a rightful application, victims that sleep, die or share one address,
  monitors and polling customers that look like implants, sandboxes, owners who work on while the operator does. Its figures before any rule
  was changed for what it showed stand below as well; since then it also draws new versions of an application, and some of its truths were
  corrected (shared exits without an act of the operator's, the moment of a crash, which no log tells).

The servers are synthetic, so these figures say how the rules hold up under other habits; they are no promise about a real server. An
address or a moment that none of the seized logs shows is not asked for. Written by `python benchmarks/accuracy.py {count} {first} --write`
(seeds {first} to {last}); three seeds of each run in the tests with floors.
"""
_BEFORE: Final[Mapping[str, str]] = {
    "macro-F1 of roles": "0.862",
    "session precision": "1.000 (697 of 697)",
    "session recall": "1.000 (697 of 697)",
    "session ends within two minutes": "694 of 697",
    "rare origins marked": "11 of 11",
    "an operator's slip is the first finding": "5 of 5",
    "scanners called operator": "0",
    "command paths named": "33 of 35, 3 wrongly",
}
"""What the other generator measured before the rules were changed for what it showed; by the row's name."""


def _rows(score: Score) -> dict[str, tuple[str, str]]:
    """What was measured: the result, and the aim."""
    return {
        "macro-F1 of roles": (f"{score.macro_f1:.3f}", "0.95"),
        "session precision": (
            f"{score.session_precision:.3f} ({score.sessions_right} of {score.sessions_found})",
            "0.98",
        ),
        "session recall": (f"{score.session_recall:.3f} ({score.sessions_right} of {score.sessions_true})", "0.98"),
        "session ends within two minutes": (f"{score.ends_right} of {score.sessions_right}", ""),
        "rare origins marked": (f"{score.rare_found} of {score.rare_true}", "all"),
        "an operator's slip is the first finding": (f"{score.rare_first} of {score.slips}", "all"),
        "scanners called operator": (f"{score.false_operators}", "0"),
        "command paths named": (
            f"{score.commands['right']} of {score.commands['true']}, {score.commands['invented']} wrongly",
            "",
        ),
    }


def page(scores: Mapping[str, Score], first: int, count: int) -> str:
    """The page, in Markdown: both generators side by side, then each with its failures."""
    lines = [_HEAD.format(first=first, count=count, last=first + count - 1)]
    before = " other, before |" if _BEFORE else ""
    lines += [
        f"| measured | {' | '.join(scores)} |{before} aim |",
        f"|---|{'---|' * len(scores)}{'---|' if _BEFORE else ''}---|",
    ]
    rows = {name: _rows(score) for name, score in scores.items()}
    for what, (_, aim) in next(iter(rows.values())).items():
        told = " | ".join(row[what][0] for row in rows.values())
        lines.append(f"| {what} | {told} |{f' {_BEFORE[what]} |' if _BEFORE else ''} {aim} |")
    for name, score in scores.items():
        lines += ["", f"## {name.capitalize()} generator", *_roles(score), *_milestones(score), *_causes(score)]
    return "\n".join(lines) + "\n"


def _roles(score: Score) -> list[str]:
    lines = ["", "### Roles", "", "| role | precision | recall | F1 | addresses |", "|---|---|---|---|---|"]
    lines += [f"| {role} | {p:.3f} | {r:.3f} | {f:.3f} | {n:,} |" for role, (p, r, f, n) in score.f1().items()]
    lines += [
        "",
        "`owner` is an address with RDP sessions flagged `rightful_owner`. Rows below are the truth, columns what was said.",
        "",
    ]
    said = sorted({found for _, found in score.pairs})
    lines += [f"| truth | {' | '.join(said)} |", f"|---|{'---|' * len(said)}"]
    for true in sorted({true for true, _ in score.pairs}):
        lines.append(f"| {true} | {' | '.join(f'{score.pairs[true, one]:,}' for one in said)} |")
    return lines


def _milestones(score: Score) -> list[str]:
    lines = [
        "",
        "### Milestones",
        "",
        "Right is within ten seconds. Between: no log shows the moment; told as between two moments of one day, rightly. Off: told, at",
        "another time. Missed: not told though a log shows it. Invented: told though no log shows it.",
        "",
        "| milestone | right | between | off | missed | invented | rightly absent | median error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in MILESTONES:
        n, off = score.milestones.get(name, Counter()), score.off_s.get(name, [])
        middle = f"{statistics.median(off):.1f} s" if off else ""
        lines.append(
            f"| {name} | {n['right']} | {n['between']} | {n['off']} | {n['missed']} | {n['invented']} | {n['absent']} | {middle} |"
        )
    return lines


def _causes(score: Score) -> list[str]:
    causes = Counter(cause for cause, _ in score.failures)
    lines = ["", "### Failures", "", "| cause | times | for example |", "|---|---|---|"]
    for cause, times in causes.most_common():
        example = next(what for other, what in score.failures if other == cause)
        lines.append(f"| {cause} | {times} | {example.split(',')[0].replace('|', '/')[:90]} |")
    return lines


def failures(score: Score, each: int = 6) -> str:
    """Every cause with some of its cases."""
    out = []
    for cause, times in Counter(cause for cause, _ in score.failures).most_common():
        out.append(f"## {cause} ({times})")
        out += [f"- {what}" for other, what in score.failures if other == cause][:each]
    return "\n".join(out)
