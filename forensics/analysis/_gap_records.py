"""Gaps inside a log: record numbers that are missing, times that step back, lines and records that are torn."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._backwards import times_back
from forensics.analysis._spoken import rows
from forensics.analysis._words import CLOCK_STEP
from forensics.instants import moment
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

Row = dict[str, Any]

_LATE_S: Final = 60
"""Lines of an access log stand in the order in which requests ended, and carry that time to the second."""
_HOLES: Final = 20
"""Holes of one log that have a row of their own, the largest; the rest are counted in one."""

_RUNS: Final = """
    SELECT evidence_id, log_ordinal AS low, log_ordinal AS high FROM events
    WHERE log_format = 'evtx' AND log_ordinal IS NOT NULL AND coalesce(flags, '') NOT LIKE '%recovered%'
    UNION ALL SELECT evidence_id, log_ordinal, log_ordinal + records - 1 FROM skips
    WHERE log_ordinal IS NOT NULL AND records > 0 AND reason NOT LIKE 'slack%'
    UNION ALL SELECT evidence_id, log_ordinal, log_ordinal FROM rejects
    WHERE log_ordinal IS NOT NULL AND evidence_id IN (SELECT evidence_id FROM events WHERE log_format = 'evtx')"""
"""Runs of record numbers that are in evidence; slack is older than what stands before it and does not count. Unwanted records of
legacy logs (.evt) come without their numbers, so nothing is said of those logs' holes."""


def numbers(db: duckdb.DuckDBPyConnection) -> dict[str, Row]:
    """Return, by evidence, the first and last record number of each event log and how many between them are missing."""
    found = rows(
        db,
        f"""WITH runs AS ({_RUNS}),
        reached AS (SELECT *, max(high) OVER (PARTITION BY evidence_id ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                    FROM runs)
        SELECT evidence_id, min(low) AS first_number, max(high) AS last_number,
               coalesce(sum(low - before - 1) FILTER (WHERE low > before + 1), 0)::BIGINT AS numbers_missing,
               arg_max(before + 1, low - before) FILTER (WHERE low > before + 1) AS gap_low,
               arg_max(low - 1, low - before) FILTER (WHERE low > before + 1) AS gap_high
        FROM reached GROUP BY evidence_id ORDER BY evidence_id""",
    )
    for row in found:
        low, high = row.pop("gap_low"), row.pop("gap_high")
        row["largest_gap"] = None if low is None else f"{low} to {high}, {counted(high - low + 1, 'record')}"
    return {row["evidence_id"]: row for row in found}


def records_missing(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell each hole in the record numbers of a log, with the events around it, and holes between files of one log."""
    holes = rows(
        db,
        f"""WITH runs AS ({_RUNS}),
        reached AS (SELECT *, max(high) OVER (PARTITION BY evidence_id ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                    FROM runs)
        SELECT evidence_id, before + 1 AS low, low - 1 AS high, low - before - 1 AS lost FROM reached WHERE low > before + 1
        ORDER BY evidence_id, lost DESC, low""",
    )
    by_file: dict[str, list[Row]] = defaultdict(list)
    for hole in holes:
        by_file[hole["evidence_id"]].append(hole)
    for evidence_id, listed in by_file.items():
        for hole in listed[:_HOLES]:
            yield _hole(db, evidence_id, hole["low"], hole["high"])
        if rest := listed[_HOLES:]:
            lost = sum(hole["lost"] for hole in rest)
            yield {
                "evidence_id": evidence_id,
                "count": lost,
                "detail": f"{counted(lost, 'more record')} missing in {counted(len(rest), 'smaller hole')}",
            }
    yield from _between_files(db)


def _hole(db: duckdb.DuckDBPyConnection, evidence_id: str, low: int, high: int) -> Row:
    lost = high - low + 1
    which = f"record {low}" if lost == 1 else f"records {low} to {high} ({lost:,})"
    around = _around(db, evidence_id, low, high)
    return {
        "evidence_id": evidence_id,
        "count": lost,
        "detail": f"{which} {'is' if lost == 1 else 'are'} missing: the log was cut or damaged, or records were taken out",
        **around,
    }


def _around(db: duckdb.DuckDBPyConnection, evidence_id: str, low: int, high: int) -> Row:
    """Return the times and places of the last event before a hole and of the first after it."""
    found = rows(
        db,
        f"""SELECT arg_max(time, log_ordinal) FILTER (WHERE log_ordinal < {low}) AS since,
               arg_min(time, log_ordinal) FILTER (WHERE log_ordinal > {high}) AS until,
               arg_max(locator, log_ordinal) FILTER (WHERE log_ordinal < {low}) AS last,
               arg_min(locator, log_ordinal) FILTER (WHERE log_ordinal > {high}) AS next
        FROM (SELECT time, log_ordinal, evidence_id || ':' || log_offset || '+' || log_length || '#' || log_ordinal AS locator
              FROM events WHERE evidence_id = '{evidence_id}' AND log_ordinal IS NOT NULL AND coalesce(flags, '') NOT LIKE '%recovered%')""",
    )[0]
    return {"since": found["since"], "until": found["until"], "proofs": [found["last"], found["next"]]}


def _between_files(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the numbers that lie between the files of one log, such as a log and its archive."""
    found = rows(
        db,
        f"""WITH runs AS ({_RUNS}), ends AS (SELECT evidence_id, min(low) AS low, max(high) AS high FROM runs GROUP BY ALL),
        logs AS (SELECT evidence_id, mode(log) AS log, mode(host_name) AS host_name, min(first) AS first, max(last) AS last
                 FROM _spoken WHERE log_format = 'evtx' GROUP BY evidence_id),
        own AS (SELECT evidence_id FROM events WHERE log_format = 'evtx' AND coalesce(flags, '') NOT LIKE '%recovered%' GROUP BY evidence_id
                HAVING bool_and(event_sequence = log_ordinal))
        SELECT * FROM ends JOIN logs USING (evidence_id) SEMI JOIN own USING (evidence_id) ORDER BY host_name, log, low, high, evidence_id""",
    )
    reach: Row | None = None
    for row in found:
        if reach is None or (reach["log"], reach["host_name"]) != (row["log"], row["host_name"]):
            reach = row
            continue
        lost = row["low"] - reach["high"] - 1
        if lost > 0 and row["first"] >= reach["last"]:
            which = (
                f"record {row['low'] - 1}"
                if lost == 1
                else f"records {reach['high'] + 1} to {row['low'] - 1} ({lost:,})"
            )
            yield {
                "evidence_id": row["evidence_id"],
                "since": reach["last"],
                "until": row["first"],
                "count": lost,
                "detail": f"{which} {'stands' if lost == 1 else 'stand'} neither in this file nor in {reach['evidence_id']}, "
                "which holds what comes before in the same log",
            }
        if row["high"] > reach["high"]:
            reach = row


def times_stepping_back(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the logs whose times go back by more than clocks and threads explain, with the largest step."""
    for evidence_id, back in sorted(times_back(db, int(CLOCK_STEP.total_seconds()), _LATE_S).items()):
        if back.times:
            step = back.before_us - back.after_us
            yield {
                "evidence_id": evidence_id,
                "since": moment(back.after_us),
                "until": moment(back.before_us),
                "count": back.times,
                "detail": f"times go back {counted(back.times, 'time')}, by {step / 1_000_000:,.0f} s at most: the clock was set, or records were put in",
                "proofs": rows(
                    db,
                    f"SELECT evidence_id || ':' || log_offset || '+' || log_length || '#' || coalesce(log_ordinal, 0) AS locator "
                    f"FROM events WHERE evidence_id = '{evidence_id}' AND log_offset = {back.offset}",
                )[0].values(),
            }


def torn(db: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    """Tell the files that end inside a line or record."""
    found = rows(
        db,
        """SELECT evidence_id, evidence_id || ':' || log_offset || '+' || log_length || '#' || coalesce(log_ordinal, 0) AS locator, time, 'line' AS what
        FROM events WHERE contains(coalesce(flags, ''), 'torn')
        UNION ALL SELECT evidence_id, evidence_id || ':' || log_offset || '+' || log_length || '#' || coalesce(log_ordinal, 0), NULL,
               CASE reason WHEN 'torn_line' THEN 'line' ELSE 'record' END
        FROM rejects WHERE reason IN ('torn_line', 'torn_record', 'truncated_event') ORDER BY ALL""",
    )
    for row in found:
        yield {
            "evidence_id": row["evidence_id"],
            "since": row["time"],
            "detail": f"a {row['what']} is torn: it was being written when writing ended, or the file was cut",
            "proofs": [row["locator"]],
        }
