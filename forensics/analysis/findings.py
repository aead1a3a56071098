"""Findings: the sentences a report opens with, the weightiest first, and what these logs cannot show.

A rare origin, however short its contact, stands first. Every sentence rests on rows that it names and says how sure it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis import _sentences as say
from forensics.analysis import _sentences_of_logs as of_logs
from forensics.analysis import _slips as slips
from forensics.analysis._words import because
from forensics.answers import FINDINGS
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import duckdb
    import pyarrow as pa

_MOST: Final = 10
"""Findings beyond the opening ones stay in the tables; limits are always told."""

_QUESTIONS: Final[tuple[Callable[[duckdb.DuckDBPyConnection], Iterable[say.Row]], ...]] = (
    slips.rare_origins,
    slips.slips,
    say.operators,
    say.owners,
    say.installation,
    say.command,
    say.victims,
    say.tests,
    say.machine,
    say.hours,
    of_logs.traces,
    of_logs.crash,
    say.alone,
    of_logs.gaps,
)
"""In the order of their weight in court."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    found = [row for ask in _QUESTIONS for row in ask(db)]
    slips = [row for row in found if row["kind"] in say.NEVER_CUT]
    others = [row for row in found if row["kind"] not in say.NEVER_CUT]
    if not {"rare_origin", "operator", "command"} & {row["kind"] for row in found}:
        others.insert(0, say.nothing())
    opening = [*slips, *others[: max(0, _MOST - len(slips))]]
    limits = list(of_logs.limits(db))
    rows = []
    for rank, row in enumerate([*opening, *limits], 1):
        reasons = row.pop("reasons")
        rows.append(
            {
                **row,
                "rank": rank,
                "because": because(reasons),
                "locators": ";".join(dict.fromkeys(one for r in reasons for one in r["locators"])) or None,
                "confidence": row.get("confidence") or CONFIDENCES[0],
            }
        )
    return table(rows, FINDINGS)


RULE = Rule(
    "findings",
    "What the report opens with",
    (
        "events",
        "sessions",
        "people",
        "endpoints",
        "sources",
        "milestones",
        "links",
        "chain",
        "zones",
        "coverage",
        "gaps",
        "addresses",
        "beacons",
        "ledger",
        "rarities",
    ),
    FINDINGS,
    _run,
)
