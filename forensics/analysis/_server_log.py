"""What Tomcat's own logs and its service wrapper's tell, record by record put together: starts, stops, deployments.

One start is a hundred records in several files (banner, connectors, stock applications, start-up time; the same once more
in catalina.out): here it is one `Start`. Deployments during a start belong to it; any later one stands for itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import LOCATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

Row = dict[str, Any]

_PAUSE: Final = timedelta(minutes=5)
"""Records of one start follow each other within this; a large application takes minutes to deploy."""

_ENDS: Final = ("started", "failed")
_STOCK: Final = frozenset({"/docs", "/examples", "/host-manager", "/manager", ""})
"""Applications that come with Tomcat; the empty name is ROOT."""

_NAME: Final = re.compile(r"([^/\\]{1,255}?)(\.war|\.xml)?[/\\]?$", re.IGNORECASE)


@dataclass(slots=True)
class Start:
    """One start of Tomcat: its records in order, the deployments among them, and the record that ended it, if any."""

    records: list[Row]
    deployments: list[Row] = field(default_factory=list)
    end: Row | None = None

    @property
    def told(self) -> Row:
        """The record that stands for the start: the one that says it is done, else the first."""
        return self.end or self.records[0]

    @property
    def version(self) -> str | None:
        """Which Tomcat it was, as it said itself."""
        return next((row["rest"]["version"] for row in self.records if row["rest"].get("version")), None)


def records(db: duckdb.DuckDBPyConnection, actions: Iterable[str]) -> list[Row]:
    """Return the events of these actions in order, with `rest`; what two files tell alike is told once."""
    listed = ", ".join(f"'{action}'" for action in actions)
    found = db.sql(f"""
        SELECT *, {LOCATOR} AS locator FROM events
        WHERE log_format IN ('juli', 'procrun') AND event_action IN ({listed}) AND time IS NOT NULL
              AND event_action <> 'http_request'
        QUALIFY evidence_id = min(evidence_id) OVER (PARTITION BY time, event_action, event_code, unmapped)
        ORDER BY time, evidence_id, log_offset""")
    rows: list[Row] = found.to_arrow_table().to_pylist()
    return [{**row, "rest": json.loads(row["unmapped"] or "{}")} for row in rows]


def starts(db: duckdb.DuckDBPyConnection) -> tuple[list[Start], list[Row]]:
    """Return the starts of Tomcat, and the deployments that belong to none."""
    found: list[Start] = []
    alone: list[Row] = []
    last = None
    for row in records(db, ("tomcat_start", "tomcat_stop", "deploy")):
        near = last is not None and row["time"] - last <= _PAUSE
        going = found[-1] if found and near and found[-1].end is None else None
        if row["event_action"] == "tomcat_stop":
            last = None
        elif row["event_action"] == "deploy":
            (alone if going is None else going.deployments).append(row)
            last = row["time"] if going else last
        else:
            if going is None and near and _echoes(found[-1], row):
                going = found[-1]
            if going is None:
                going = Start([])
                found.append(going)
            going.records.append(row)
            if row["rest"]["step"] in _ENDS and going.end is None:
                going.end = row
            last = row["time"]
    return found, alone


def _echoes(start: Start, row: Row) -> bool:
    """Say whether a record tells once more of a start that has ended: the wrapper, or another file of coarser times."""
    if row["rest"]["step"] == "service started":
        return True
    return start.end is not None and row["rest"]["step"] == "started" and row["duration_us"] == start.end["duration_us"]


def finished(deployments: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Pair the record that begins a deployment with the one that ends it; itself where there is no other."""
    pairs: list[tuple[Row, Row]] = []
    open_at: dict[str, int] = {}
    for row in deployments:
        name = application(row) or row["rest"].get("message", "")
        at = open_at.pop(name, None)
        if (
            row["rest"]["step"] in ("finished", "failed")
            and at is not None
            and row["time"] - pairs[at][0]["time"] <= _PAUSE
        ):
            pairs[at] = (pairs[at][0], row)
        else:
            if row["rest"]["step"] == "begun":
                open_at[name] = len(pairs)
            pairs.append((row, row))
    return pairs


def application(row: Row) -> str | None:
    """Return the context path of what a record names, by Tomcat's rule for archives: `a#b##2.war` is /a/b, ROOT is empty."""
    context = row["rest"].get("context") if row["url_path"] is None else row["url_path"]
    if context is not None:
        return str(context)
    found = _NAME.search(row["rest"].get("archive") or "")
    if found is None:
        return None
    name = found[1].partition("##")[0]
    return "" if name == "ROOT" else "/" + name.replace("#", "/")


def is_stock(name: str | None) -> bool:
    """Say whether an application came with Tomcat."""
    return name in _STOCK


def shown_name(name: str | None) -> str:
    """Return an application's name for a sentence."""
    return "an application" if name is None else name or "ROOT"
