"""The measured accuracy in words: docs/accuracy.md, and the failures by cause."""

from __future__ import annotations

import statistics
from collections import Counter

from scenarios.measure import MILESTONES, Score

_HEAD = """# Accuracy

How often the analysis is right, on servers that `tests/scenarios/` invents: other Windows versions, subsets of the logs, patterns with and
without User-Agent, operators with one or several addresses, with owners, with no C2 at all, with victims, researchers, scanners, guessers.
The servers are synthetic, so these figures say how the rules hold up under other habits; they are no promise about a real server. An
address or a moment that none of the seized logs shows is not asked for. Written by `python benchmarks/accuracy.py {count} {first} --write`
(seeds {first} to {last}); three other seeds run in the tests with floors.
"""


def page(score: Score, first: int, count: int) -> str:
    """The page, in Markdown."""
    lines = [_HEAD.format(first=first, count=count, last=first + count - 1)]
    lines += ["| measured | result | aim |", "|---|---|---|"]
    lines += [
        f"| macro-F1 of roles | {score.macro_f1:.3f} | 0.95 |",
        f"| session precision | {score.session_precision:.3f} ({score.sessions_right} of {score.sessions_found}) | 0.98 |",
        f"| session recall | {score.session_recall:.3f} ({score.sessions_right} of {score.sessions_true}) | 0.98 |",
        f"| session ends within two minutes | {score.ends_right} of {score.sessions_right} | |",
        f"| rare origins marked | {score.rare_found} of {score.rare_true} | all |",
        f"| an operator's slip is the first finding | {score.rare_first} of {score.slips} | all |",
        f"| scanners called operator | {score.false_operators} | 0 |",
        f"| command paths named | {score.commands['right']} of {score.commands['true']}, {score.commands['invented']} wrongly | |",
    ]
    lines += ["", "## Roles", "", "| role | precision | recall | F1 | addresses |", "|---|---|---|---|---|"]
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
    lines += [
        "",
        "## Milestones",
        "",
        "Right is within ten seconds. Off: told, at another time. Missed: not told though a log shows it. Invented: told",
        "though no log shows it.",
    ]
    lines += [
        "",
        "| milestone | right | off | missed | invented | rightly absent | median error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in MILESTONES:
        n, off = score.milestones.get(name, Counter()), score.off_s.get(name, [])
        middle = f"{statistics.median(off):.1f} s" if off else ""
        lines.append(
            f"| {name} | {n['right']} | {n['off']} | {n['missed']} | {n['invented']} | {n['absent']} | {middle} |"
        )
    causes = Counter(cause for cause, _ in score.failures)
    lines += ["", "## Failures", "", "| cause | times | for example |", "|---|---|---|"]
    for cause, times in causes.most_common():
        example = next(what for other, what in score.failures if other == cause)
        lines.append(f"| {cause} | {times} | {example.split(',')[0].replace('|', '/')[:90]} |")
    return "\n".join(lines) + "\n"


def failures(score: Score, each: int = 6) -> str:
    """Every cause with some of its cases."""
    out = []
    for cause, times in Counter(cause for cause, _ in score.failures).most_common():
        out.append(f"## {cause} ({times})")
        out += [f"- {what}" for other, what in score.failures if other == cause][:each]
    return "\n".join(out)
