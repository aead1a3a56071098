"""Beacons: which addresses come back to a path by a timer, how often, and with how much jitter.

The score is RITA v5's, over the whole log and over each day, since an implant may sleep at night; the higher of the two
counts and the row says which. Series are read in portions of bounded size, so memory does not grow with the log.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.analysis._rita import LEAST_TIMES, STROBE, Scores, scores
from forensics.analysis._segments import spread
from forensics.analysis._words import LOCATOR, because, reason
from forensics.answers import BEACONS
from forensics.model import Rule
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    from forensics.analysis._segments import Spread

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_PORTION: Final = 4_000_000
"""Requests held at once: about 400 MB with all that is derived from them."""
_DAY: Final = 86_400
_CATEGORIES: Final = ((0.9, "high"), (0.7, "medium"), (0.5, "low"))
"""RITA's thresholds."""
_MOST_CLIENTS: Final = 8
_UNSTEADY: Final = 0.25
_STEADY: Final = 0.1
"""Gaps whose quartiles lie farther apart than the one share of their median are no single timer's. If those from each request to
the k-th after it have a median deviation below the other share, they are those of k timers of one period: several victims
behind one address look like that."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    pairs = _pairs(db)
    if not pairs:
        return table([], BEACONS)
    (ends,) = (
        db.sql(
            "SELECT CAST(floor(epoch(min(time))) AS BIGINT) AS since, CAST(floor(epoch(max(time))) AS BIGINT) AS until "
            "FROM events WHERE event_action = 'http_request'"
        )
        .to_arrow_table()
        .to_pylist()
    )
    rows = [row for portion in _portions(pairs) for row in _scored(db, pairs, portion, ends["since"], ends["until"])]
    return table([_row(row) for row in rows], BEACONS)


def _pairs(db: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Number the pairs of address and answered path that have enough requests to be looked at."""
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _pairs AS
        SELECT row_number() OVER (ORDER BY source_ip, path) - 1 AS pair, * FROM (
            SELECT e.source_ip, p.path, any_value(p.kind) AS kind, count(*) AS requests, min(e.time) AS first_seen,
                   max(e.time) AS last_seen, coalesce(sum(e.http_response_bytes), 0) AS bytes,
                   count(*) FILTER (WHERE e.http_request_method = 'POST') AS posts,
                   arg_min({LOCATOR}, (e.time, e.evidence_id, e.log_offset)) AS locator
            FROM events e JOIN endpoints p ON p.path = string_split(e.url_path, ';')[1]
            WHERE e.event_action = 'http_request' AND e.source_ip IS NOT NULL AND e.time IS NOT NULL
                  AND p.kind NOT IN ('probe', 'static')
            GROUP BY e.source_ip, p.path HAVING count(*) >= {LEAST_TIMES})""")
    rows: list[dict[str, Any]] = db.sql("SELECT * FROM _pairs ORDER BY pair").to_arrow_table().to_pylist()
    return rows


def _portions(pairs: list[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yield runs of pairs, first and past the last, that hold about _PORTION requests."""
    start = held = 0
    for number, pair in enumerate(pairs):
        held += pair["requests"]
        if held >= _PORTION:
            yield start, number + 1
            start, held = number + 1, 0
    if start < len(pairs):
        yield start, len(pairs)


def _scored(
    db: duckdb.DuckDBPyConnection, pairs: list[dict[str, Any]], portion: tuple[int, int], since: int, until: int
) -> list[dict[str, Any]]:
    start, stop = portion
    found = db.sql(f"""
        SELECT p.pair - {start} AS pair, CAST(floor(epoch(e.time)) AS BIGINT) AS second, coalesce(e.http_response_bytes, 0) AS size
        FROM events e JOIN _pairs p ON p.source_ip = e.source_ip AND p.path = string_split(e.url_path, ';')[1]
        WHERE e.event_action = 'http_request' AND e.time IS NOT NULL AND p.pair >= {start} AND p.pair < {stop}
        ORDER BY pair, second, size""").to_arrow_table()
    pair, second, size = (found.column(name).to_numpy() for name in ("pair", "second", "size"))
    total = stop - start
    life = scores(pair, second, size, np.full(total, since), np.full(total, until))
    clients, period, jitter = _clients(pair, second, life.gaps)
    by_day, day, day_of = _daily(pair, second, size)
    best, count = _best_days(by_day, day_of, total)
    return [
        {
            **pairs[start + number],
            **_numbers(life, number),
            "clients_estimate": int(clients[number]),
            "period_s": float(period[number]),
            "jitter_s": float(jitter[number]),
            "days": int(count[number]),
            "best_day": _date(int(day[best[number]])) if best[number] >= 0 else None,
            "best_day_score": float(by_day.score[best[number]]) if best[number] >= 0 else 0.0,
        }
        for number in range(total)
        if life.unique[number] >= LEAST_TIMES
    ]


def _daily(pair: Ints, second: Ints, size: Ints) -> tuple[Scores, Ints, Ints]:
    """Score each day of each pair; return the scores, the day and the pair of each."""
    day = second // _DAY
    new = np.ones(len(pair), bool)
    new[1:] = (pair[1:] != pair[:-1]) | (day[1:] != day[:-1])
    heads = np.flatnonzero(new)
    since = day[heads] * _DAY
    return scores(np.cumsum(new) - 1, second, size, since, since + _DAY), day[heads], pair[heads]


def _best_days(by_day: Scores, pair: Ints, total: int) -> tuple[Ints, Ints]:
    """Return, for each pair, the number of its best day's series (the first of equals; -1 without days), and its days."""
    order = np.lexsort((np.arange(len(pair)), -by_day.score, pair))
    first = np.ones(len(order), bool)
    first[1:] = pair[order][1:] != pair[order][:-1]
    best = np.full(total, -1)
    best[pair[order][first]] = order[first]
    return best, np.bincount(pair, minlength=total)


def _numbers(of: Scores, number: int) -> dict[str, Any]:
    return {
        "life_score": float(of.score[number]),
        "times_score": float(of.times[number]),
        "size_score": float(of.sizes[number]),
        "duration_score": float(of.duration[number]),
        "histogram_score": float(of.histogram[number]),
    }


def _date(day: int) -> object:
    return datetime.fromtimestamp(day * _DAY, UTC).date()


def _clients(series: Ints, seconds: Ints, alone: Spread) -> tuple[Ints, Floats, Floats]:
    """Return how many timers of one period each series is made of, and the period and jitter of one of them."""
    total = len(alone.count)
    clients, period, jitter = np.ones(total, np.int64), alone.middle.copy(), alone.deviation.copy()
    open_still = alone.high - alone.low > _UNSTEADY * alone.middle
    for lag in range(2, _MOST_CLIENTS + 1):
        if not open_still.any():
            break
        same = series[lag:] == series[:-lag]
        apart = spread(series[lag:][same], (seconds[lag:] - seconds[:-lag])[same].astype(np.float64), total)
        hit = open_still & (apart.count >= lag * LEAST_TIMES) & (apart.deviation <= _STEADY * apart.middle)
        clients[hit], period[hit], jitter[hit] = lag, apart.middle[hit], apart.deviation[hit]
        open_still &= ~hit
    return clients, period, jitter


def _row(row: dict[str, Any]) -> dict[str, Any]:
    by_day = row["best_day_score"] > row["life_score"]
    score = max(row["life_score"], row["best_day_score"])
    strobe = row["requests"] >= STROBE and not score
    first = [row["locator"]]
    each = f"from {row['clients_estimate']} timers " if row["clients_estimate"] > 1 else ""
    reasons = [
        reason(
            f"{row['requests']} requests {each}every {row['period_s']:g} s, median deviation {row['jitter_s']:g} s",
            7,
            first,
        ),
        reason(
            f"score {score:.3f} over {'its best day' if by_day else 'the whole log'}; over the log: times "
            f"{row['times_score']:.3f}, sizes of answers {row['size_score']:.3f}, duration {row['duration_score']:.3f}, "
            f"histogram {row['histogram_score']:.3f}",
            5,
            first,
        ),
    ]
    return {
        **row,
        "score": score,
        "score_of": "day" if by_day else "life",
        "category": "strobe" if strobe else next((word for least, word in _CATEGORIES if score >= least), "none"),
        "because": because(reasons),
    }


RULE = Rule("beacons", "Who comes back by a timer", ("events", "endpoints"), BEACONS, _run)
