"""User agents of known scanners and crawlers, by the list of crawler-user-agents (MIT). An agent is the client's own word.

The list has tags: `http-library` (curl, Go-http-client) says only that no browser asked, which an implant or an operator does not
use either, and is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

_AGENTS: Final = 50_000
"""Agents looked up, those of most requests first: a client that sends a new one with each request is not on the list."""
_CUT: Final = 512
"""Characters of an agent that are compared."""
_NO_CRAWLER: Final = frozenset({"http-library", "browser-automation"})


def name_crawlers(db: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `_crawlers`: source_ip, crawler (what the list calls it), its requests, whether it is a monitor.

    A monitor asks whether a page still answers because somebody who runs the server told it to: no stranger that looks round.
    """
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA, matching_crawlers  # noqa: PLC0415  # 1,500 patterns, read when needed

    listed = db.sql(f"""
        SELECT user_agent_original AS agent FROM events WHERE user_agent_original IS NOT NULL AND source_ip IS NOT NULL
        GROUP BY ALL ORDER BY count(*) DESC, agent LIMIT {_AGENTS}""").to_arrow_table()
    known: dict[str, tuple[str, bool]] = {}
    for agent in listed.column("agent").to_pylist():
        for number in matching_crawlers(agent[:_CUT]):
            entry = CRAWLER_USER_AGENTS_DATA[number]
            if not _NO_CRAWLER & set(entry.get("tags", ())):
                known[agent] = entry["pattern"].replace("\\", ""), "monitoring" in entry.get("tags", ())
                break
    named = pa.table(
        {
            "agent": pa.array(list(known), pa.string()),
            "crawler": pa.array([name for name, _ in known.values()], pa.string()),
            "monitor": pa.array([monitor for _, monitor in known.values()], pa.bool_()),
        }
    )
    db.register("_known_agents", named)
    db.execute("""
        CREATE OR REPLACE TEMP TABLE _crawlers AS
        SELECT e.source_ip, min(k.crawler) AS crawler, count(*) AS crawler_requests, bool_and(k.monitor) AS monitor
        FROM events e JOIN _known_agents k ON k.agent = e.user_agent_original WHERE e.source_ip IS NOT NULL GROUP BY ALL""")
