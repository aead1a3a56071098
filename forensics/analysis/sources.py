"""Source addresses: what each was to the server, where it lay when it was first seen, and why we say so."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from forensics.analysis._agents import name_crawlers
from forensics.analysis._behaviour import count_behaviour
from forensics.analysis._kinds import kinds
from forensics.analysis._roles import Context, network_of, role_of
from forensics.analysis._words import BEACONS, MANY_FAILURES, because, reason
from forensics.model import CONFIDENCES, Rule
from forensics.schemas import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

_STAYED: Final = timedelta(hours=2)
"""Who calls for longer than this is no test and no look."""
_WITHIN: Final = timedelta(minutes=10)
"""A path that is asked for in the first minutes of a log may be older than the log."""

Person = tuple[str, str, list[dict[str, Any]]]

_BATCH: Final = 10_000
"""Addresses judged at once: a busy server has seen millions, and a row is ten times larger in Python than in a column."""

_TOLD: Final = 6
"""Windows of an address that its reasons name; the table has all."""

_COUNTED: Final = {"rdp_sessions": "sessions", "rdp_failures": "refused", "http_requests": "requests"}
_PLACED: Final = (
    "country_iso_code", "country_as_of", "country_says", "as_number", "as_organization_name", "anonymity",
    "rare_origin", "rare_grade",
)  # fmt: skip
_OWN: Final = ("source_ip", "first_seen", "last_seen")
_LOCATORS: Final = {
    name: f"\N{FIRST STRONG ISOLATE}{name}"
    for name in ("first_locator", "c2_locator", "panel_locator", "manager_locator", "crawl_locator")
}
"""What stands for a locator until the judgement is each address's own; no text of the judgement holds such a character."""
_JUDGED: Final = ("role", "role_confidence", "because", "flags")


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    return pa.concat_tables([SOURCES.empty_table(), *_pieces(db)])


def _pieces(db: duckdb.DuckDBPyConnection) -> Iterator[pa.Table]:
    count_behaviour(db)
    name_crawlers(db)
    context, persons, windows = _context(db), _persons(db), _windows(db)
    found = db.sql(f"""
        WITH places AS ({_PLACES})
        SELECT b.*, {", ".join(f"p.{name}" for name in _PLACED)}, p.flags AS place_flags, p.countries,
               c.crawler, c.crawler_requests, c.monitor, p.anonymity IS NOT NULL AS listed
        FROM _behaviour b LEFT JOIN places p USING (source_ip) LEFT JOIN _crawlers c USING (source_ip) ORDER BY source_ip""")
    for batch in found.to_arrow_reader(_BATCH):
        yield _judged(batch, context, persons, windows)
    db.execute("DROP TABLE _behaviour")


def _context(db: duckdb.DuckDBPyConnection) -> Context:
    found = db.sql(
        "SELECT c2_first, c2_last, c2_bytes, c2, c2_common FROM _behaviour "
        "WHERE c2 > 0 AND sessions = 0 AND NOT loopback AND panel = 0 AND managed = 0"
    ).to_arrow_table()
    clients = found.to_pylist()
    born, begin = db.execute(
        "SELECT (SELECT min(c2_first) FROM _behaviour), (SELECT min(time) FROM events WHERE event_action = 'http_request')"
    ).fetchall()[0]
    back = [r for r in clients if r["c2"] >= BEACONS]
    stayed = [r for r in back if r["c2_last"] - r["c2_first"] >= _STAYED and r["c2_common"]]
    context = Context(
        min((r["c2_first"] for r in stayed or back), default=None),
        # Of two clients the one that gets less is usual: a relay is what stands out.
        statistics.median_low([r["c2_bytes"] for r in clients]) if clients else 0.0,
        sum(r["c2_common"] for r in clients) / max(1, sum(r["c2"] for r in clients)),
        statistics.median_low([r["c2_last"] - r["c2_first"] for r in back]) if back else timedelta(),
        max((r["c2_last"] for r in clients), default=None),
        born if born is not None and begin is not None and born - begin >= _WITHIN else None,
    )
    return replace(context, networks=_networks(db, context))


def _networks(db: duckdb.DuckDBPyConnection, context: Context) -> frozenset[str]:
    """Return the /24 networks of addresses that are operators' by their own acts, rightful owners' left out."""
    found = db.sql(f"""
        SELECT b.*, NULL AS rare_grade, NULL AS rare_origin, false AS listed, false AS near FROM _behaviour b
        WHERE (panel > 0 OR managed > 0 OR c2 >= {BEACONS} OR sessions > 0) AND (c2 > 0 OR panel > 0 OR sessions > 0) AND source_ip NOT IN (
            SELECT unnest(string_split(source_ips, ';')) FROM sessions JOIN people USING (session_uid) WHERE held_to_be <> 'operator')
        ORDER BY source_ip""")
    out: set[str | None] = set()
    for batch in found.to_arrow_reader(_BATCH):
        out |= {network_of(row["source_ip"]) for row in batch.to_pylist() if role_of(row, context)[0] == "operator"}
    return frozenset(out - {None})  # type: ignore[arg-type]


_PLACES: Final = """
    SELECT source_ip, arg_min(country_iso_code, day) AS country_iso_code, arg_min(country_as_of, day) AS country_as_of,
           arg_min(country_says, day) AS country_says, arg_min(as_number, day) AS as_number,
           arg_min(as_organization_name, day) AS as_organization_name, arg_min(anonymity, day) AS anonymity,
           min(rare_origin) AS rare_origin, min(rare_grade) AS rare_grade, arg_min(flags, day) AS flags,
           count(DISTINCT country_iso_code) AS countries
    FROM addresses GROUP BY source_ip"""
"""Where each address lay on the first day it was seen; a rare origin on any day is kept."""


def _judged(batch: pa.RecordBatch, context: Context, persons: dict[str, Person], windows: dict[str, str]) -> pa.Table:
    """Return the rows of SOURCES of some addresses: what was counted as it stands, and the judgement on it.

    Of millions of scanners most did the same: addresses that differ in nothing but names, times and places in the log are
    judged once, and each gets its own locators.
    """
    asked = batch.drop_columns([name for name in _PLACED if name not in {"rare_origin", "rare_grade"}])
    known = [ip if ip in persons or ip in windows else None for ip in asked.column("source_ip").to_pylist()]
    near = pa.array([network_of(ip) in context.networks for ip in asked.column("source_ip").to_pylist()], pa.bool_())
    asked = asked.append_column("near", near)
    alike = asked.drop_columns([*_OWN, *_LOCATORS]).append_column("known", pa.array(known, pa.string()))
    for name in _LOCATORS:
        alike = alike.append_column(name, asked.column(name).is_null())
    first, kind = kinds(alike)
    verdicts = []
    for row in _rows(asked.drop_columns(["first_seen", "last_seen"]).take(pa.array(first))):
        ip = row["source_ip"]
        if ip not in persons and ip not in windows:
            row |= {name: token for name, token in _LOCATORS.items() if row[name] is not None}
        verdicts.append(_verdict(row, context, persons.get(ip), windows.get(ip)))
    columns = {name: [verdicts[one][place] for one in kind] for place, name in enumerate(_JUDGED)}
    texts = columns["because"]
    for name, token in _LOCATORS.items():
        locators = asked.column(name)
        places = np.flatnonzero(locators.is_valid().to_numpy(zero_copy_only=False))
        for place, locator in zip(places.tolist(), locators.drop_null().to_pylist(), strict=True):
            texts[place] = texts[place].replace(token, locator)
    return pa.table(
        {
            f.name: pa.array(columns[f.name], f.type)
            if f.name in columns
            else batch.column(_COUNTED.get(f.name, f.name)).cast(f.type)
            for f in SOURCES
        },
        schema=SOURCES,
    )


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """Yield what `to_pylist` gives; numbers, which most columns are, by a way that is five times faster."""
    names = batch.schema.names
    return (dict(zip(names, values, strict=True)) for values in zip(*map(_values, batch.columns), strict=True))


def _values(column: pa.Array) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(column)
    if not column.null_count and (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        numbers: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return numbers
    values: list[Any] = column.to_pylist()
    return values


def _persons(db: duckdb.DuckDBPyConnection) -> dict[str, Person]:
    """Return, by address of a session, whom it is laid to and why; an address that an operator used too is an operator's."""
    found = db.sql("""
        WITH stays AS (SELECT unnest(string_split(source_ips, ';')) AS source_ip, session_uid FROM sessions)
        SELECT source_ip, held_to_be, confidence, because FROM stays JOIN people USING (session_uid)
        QUALIFY row_number() OVER (PARTITION BY source_ip ORDER BY held_to_be, session_uid) = 1 ORDER BY source_ip""")
    return {
        row["source_ip"]: (row["held_to_be"], row["confidence"], json.loads(row["because"]))
        for row in found.to_arrow_table().to_pylist()
    }


def _windows(db: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return, by address, in words which roles it played when, where it played several."""
    found = db.sql("SELECT source_ip, role, since FROM source_windows ORDER BY source_ip, since, role").to_arrow_table()
    out: dict[str, list[str]] = {}
    for row in found.to_pylist():
        out.setdefault(row["source_ip"], []).append(f"{row['role']} from {row['since']:%Y-%m-%d %H:%MZ}")
    return {address: ", ".join(told[:_TOLD]) + (" …" if len(told) > _TOLD else "") for address, told in out.items()}


def _verdict(
    row: dict[str, Any], context: Context, person: Person | None, windows: str | None
) -> tuple[str, str, str, str | None]:
    role, confidence, reasons = role_of(row, context)
    flags = set((row["place_flags"] or "").split(";")) - {""}
    if person is not None and role == "operator":
        held, sure, why = person
        if held == "rightful_owner":
            # A guest of the command path, not its master: the list of roles has no nearer word.
            role, confidence = "visitor", sure
            reasons = [reason("its RDP sessions are held to be the rightful owner's", 8), *why]
            flags.add("rightful_owner")
        else:
            confidence = CONFIDENCES[max(CONFIDENCES.index(confidence), CONFIDENCES.index(sure))]
            reasons = [*reasons, *why]
    if (
        row["monitor"]
        and role in ("visitor", "unknown", "scanner")
        and not row["refused"]
        and row["answered"] * 2 > row["requests"]
    ):
        said = f"its agent is that of a monitor, which asks whether a page still answers: {row['crawler']}"
        role, confidence, reasons = "visitor", "likely", [reason(said, 6, [row["first_locator"]])]
    elif row["crawler"] is not None and role in ("visitor", "unknown", "scanner"):
        said = f"{row['crawler_requests']} of its requests name a known crawler or scanner by their agent: {row['crawler']}"
        reasons = [reason(said, 6, [row["first_locator"]]), *(reasons if role == "scanner" else ())]
        role, confidence = "scanner", "likely"
    if windows is not None:
        reasons = [*reasons, reason(f"not all of it at all times: {windows}", 6)]
        flags.add("role_changes")
    if (row["countries"] or 0) > 1:
        flags.add("country_changed")
    if row["sessions"] and row["refused"] >= MANY_FAILURES:
        flags.add("success_after_guessing")
    return role, confidence, because(reasons), ";".join(sorted(flags)) or None


RULE = Rule(
    "sources",
    "Who came, from where, as what",
    ("events", "addresses", "sessions", "people", "endpoints", "source_windows"),
    SOURCES,
    _run,
    _pieces,
)
