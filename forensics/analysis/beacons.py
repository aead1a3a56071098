"""Beacons: which addresses come back to a path by a timer, how often, and with how much jitter.

The score is RITA v5's, over the whole log and over each day, since an implant may sleep at night; the higher of the two
counts and the row says which. Series are read in portions of bounded size, so memory does not grow with the log.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.analysis._places import locator_at
from forensics.analysis._rita import LEAST_TIMES, STROBE, Scores, scores, spreads
from forensics.analysis._segments import spread
from forensics.analysis._traffic import count_traffic, path_of
from forensics.analysis._words import because, reason
from forensics.answers import BEACONS
from forensics.model import Rule
from forensics.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb
    from numpy.typing import NDArray

    from forensics.analysis._segments import Spread

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Requests = tuple[Ints, Ints, Ints]

_PORTION: Final = 1_000_000
"""Requests held at once: about 200 MB with all that is derived from them, more only where one pair has more."""
_RANGE: Final = 8_000_000
"""Requests that the database sorts at once; the pairs of so many are held beside them."""
_READ: Final = 1 << 18
_DAY: Final = 86_400
_CATEGORIES: Final = ((0.9, "high"), (0.7, "medium"), (0.5, "low"))
"""RITA's thresholds."""
_MOST_BYTES: Final = 1 << 42
"""4 TiB to one client on one path: a forged size cannot make a sum overflow."""
_MOST_CLIENTS: Final = 8
_UNSTEADY: Final = 0.25
_STEADY: Final = 0.1
"""Gaps whose quartiles lie farther apart than the one share of their median are no single timer's. If those from each request to
the k-th after it have a median deviation below the other share, they are those of k timers of one period: several victims
behind one address look like that."""


def _run(db: duckdb.DuckDBPyConnection) -> pa.Table:
    return pa.concat_tables([BEACONS.empty_table(), *_pieces(db)])


def _pieces(db: duckdb.DuckDBPyConnection) -> Iterator[pa.Table]:
    (ends,) = db.sql(
        "SELECT CAST(floor(epoch(min(time))) AS BIGINT) AS since, CAST(floor(epoch(max(time))) AS BIGINT) AS until "
        "FROM events WHERE event_action = 'http_request'"
    ).fetchall()
    for low, high in _ranges(db):
        pairs = db.sql(f"SELECT * FROM _pairs WHERE pair BETWEEN {low} AND {high} ORDER BY pair").to_arrow_table()
        for start, requests in _portions(db, low, high):
            yield _scored(pairs, start - low, requests, *ends)


def _ranges(db: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    """Number in `_pairs` the pairs of address and answered path that have enough requests; return runs of them to take at once."""
    count_traffic(db)
    db.execute(f"""
        CREATE OR REPLACE TEMP TABLE _pairs AS
        SELECT row_number() OVER (ORDER BY source_ip, path) - 1 AS pair, * FROM (
            SELECT t.source_ip, t.path, p.kind, t.timed AS requests, t.first AS first_seen, t.last AS last_seen, t.timed_posts AS posts,
                   {locator_at("t.place", "t.mark")} AS locator
            FROM _traffic t JOIN endpoints p ON p.path = t.path
            WHERE t.source_ip IS NOT NULL AND p.kind NOT IN ('probe', 'static') AND t.timed >= {LEAST_TIMES})""")
    found = db.sql(f"""
        SELECT min(pair), max(pair) FROM (SELECT pair, sum(requests) OVER (ORDER BY pair) // {_RANGE} AS run FROM _pairs)
        GROUP BY run ORDER BY 1""").fetchall()
    return [(low, high) for low, high in found]


def _portions(db: duckdb.DuckDBPyConnection, low: int, high: int) -> Iterator[tuple[int, Requests]]:
    """Yield whole pairs of a run, about _PORTION requests at a time: the number of the first pair, and the requests from it on.

    The database sorts once, on disk where they are many, and hands them over as they are asked for.
    """
    found = db.sql(f"""
        SELECT p.pair, CAST(floor(epoch(e.time)) AS BIGINT) AS second, coalesce(e.http_response_bytes, 0) AS size
        FROM events e JOIN (SELECT pair, source_ip, path FROM _pairs WHERE pair BETWEEN {low} AND {high}) p
             ON p.source_ip = e.source_ip AND p.path = {path_of("e.url_path")}
        WHERE e.event_action = 'http_request' AND e.time IS NOT NULL
        ORDER BY pair, second, size""").to_arrow_reader(_READ)
    held: list[Requests] = []
    for batch in found:
        held.append(_columns(batch))
        if sum(len(pair) for pair, _, _ in held) >= _PORTION:
            pair, second, size = _joined(held)
            # The last pair may go on in the next batch.
            cut = int(np.searchsorted(pair, pair[-1]))
            held = [(pair[cut:], second[cut:], size[cut:])]
            if cut:
                yield int(pair[0]), (pair[:cut] - pair[0], second[:cut], size[:cut])
    pair, second, size = _joined(held)
    if len(pair):
        yield int(pair[0]), (pair - pair[0], second, size)


def _columns(batch: pa.RecordBatch) -> Requests:
    pair, second, size = (batch.column(name).to_numpy() for name in ("pair", "second", "size"))
    return pair, second, size


def _joined(held: list[Requests]) -> Requests:
    pair, second, size = (np.concatenate([np.zeros(0, np.int64), *(part[n] for part in held)]) for n in range(3))
    return pair, second, size


def _scored(pairs: pa.Table, start: int, requests: Requests, since: int, until: int) -> pa.Table:
    """Return the rows of BEACONS of the pairs from number `start` on that these requests are of."""
    pair, second, size = requests
    total = int(pair[-1]) + 1
    life = scores(pair, second, size, np.full(total, since), np.full(total, until))
    clients, period, jitter = _clients(pair, second, life.gaps)
    by_day, day, day_of = _daily(pair, second, size, life)
    best, days = _best_days(by_day, day_of, total)
    best_score = by_day.score[best]
    heads = np.searchsorted(pair, np.arange(total))
    keep = np.flatnonzero(life.unique >= LEAST_TIMES)
    columns = {
        "bytes": np.minimum(np.add.reduceat(np.minimum(size, _MOST_BYTES), heads), _MOST_BYTES),
        "score": np.maximum(life.score, best_score),
        "score_of": np.where(best_score > life.score, "day", "life"),
        "times_score": life.times,
        "size_score": life.sizes,
        "duration_score": life.duration,
        "histogram_score": life.histogram,
        "clients_estimate": clients,
        "period_s": period,
        "jitter_s": jitter,
        "days": days,
        "best_day": day[best].astype("datetime64[D]"),
        "best_day_score": best_score,
    }
    about = pairs.slice(start, total).take(pa.array(keep))
    for name, values in columns.items():
        about = about.append_column(name, pa.array(values[keep]))
    about = about.append_column("category", pa.array(_category(about), pa.string()))
    about = about.append_column("because", _because(about))
    return about.select(BEACONS.names).cast(BEACONS)


def _daily(pair: Ints, second: Ints, size: Ints, life: Scores) -> tuple[Scores, Ints, Ints]:
    """Score each day of each pair, of which `life` are the scores of all days; return the scores, the day and the pair of each."""
    day = second // _DAY
    new = np.ones(len(pair), bool)
    new[1:] = (pair[1:] != pair[:-1]) | (day[1:] != day[:-1])
    heads = np.flatnonzero(new)
    since = day[heads] * _DAY
    series, of = np.cumsum(new) - 1, pair[heads]
    several = np.bincount(of)[of] > 1
    asked = several[series]
    gaps, sizes = spreads(series[asked], second[asked], size[asked], len(heads))
    # Of a pair with one day, as most have, the gaps and the sizes of that day are those of its life.
    only = np.flatnonzero(~several)
    gaps, sizes = gaps.filled(only, life.gaps, of[only]), sizes.filled(only, life.bytes, of[only])
    return scores(series, second, size, since, since + _DAY, (gaps, sizes)), day[heads], of


def _best_days(by_day: Scores, pair: Ints, total: int) -> tuple[Ints, Ints]:
    """Return, for each pair, the number of its best day's series (the first of equals; -1 without days), and its days."""
    order = np.lexsort((np.arange(len(pair)), -by_day.score, pair))
    first = np.ones(len(order), bool)
    first[1:] = pair[order][1:] != pair[order][:-1]
    best = np.full(total, -1)
    best[pair[order][first]] = order[first]
    return best, np.bincount(pair, minlength=total)


def _clients(series: Ints, seconds: Ints, alone: Spread) -> tuple[Ints, Floats, Floats]:
    """Return how many timers of one period each series is made of, and the period and jitter of one of them."""
    total = len(alone.count)
    clients, period, jitter = np.ones(total, np.int64), alone.middle.copy(), alone.deviation.copy()
    open_still = alone.high - alone.low > _UNSTEADY * alone.middle
    for lag in range(2, _MOST_CLIENTS + 1):
        asked = open_still[series]
        series, seconds = series[asked], seconds[asked]
        if not len(series):
            break
        same = series[lag:] == series[:-lag]
        apart = spread(series[lag:][same], (seconds[lag:] - seconds[:-lag])[same].astype(np.float64), total)
        hit = open_still & (apart.count >= lag * LEAST_TIMES) & (apart.deviation <= _STEADY * apart.middle)
        clients[hit], period[hit], jitter[hit] = lag, apart.middle[hit], apart.deviation[hit]
        open_still &= ~hit
    return clients, period, jitter


def _category(pairs: pa.Table) -> NDArray[np.str_]:
    score, requests = (pairs.column(name).to_numpy() for name in ("score", "requests"))
    tests = [(requests >= STROBE) & (score == 0), *(score >= least for least, _ in _CATEGORIES)]
    return np.select(tests, ["strobe", *(word for _, word in _CATEGORIES)], "none")


_SAID: Final = because(
    [
        reason("{requests} {clients_estimate}every {period_s} s, median deviation {jitter_s} s", 7, ["{locator}"]),
        reason(
            "score {score} over {score_of}; over the log: times {times_score}, sizes of answers {size_score}, "
            "duration {duration_score}, histogram {histogram_score}",
            5,
            ["{locator}"],
        ),
    ]
)
_SPELT: Final[dict[str, Callable[[Any], str]]] = {
    "requests": lambda number: counted(number, "request"),
    "clients_estimate": lambda number: f"from {number} timers " if number > 1 else "",
    "score_of": lambda of: "its best day" if of == "day" else "the whole log",
    **dict.fromkeys(("period_s", "jitter_s"), "{:g}".format),
    **dict.fromkeys(("score", "times_score", "size_score", "duration_score", "histogram_score"), "{:.3f}".format),
}
"""How the values of a column stand in a sentence."""


def _because(pairs: pa.Table) -> pa.Array:
    """Return the reasons of many pairs as `because` would write them, each distinct value spelt once."""
    parts: list[pa.Scalar | pa.Array] = []
    for place, part in enumerate(re.split(r"\{(\w+)\}", _SAID)):
        if place % 2 == 0:
            parts.append(pa.scalar(part))
            continue
        column = pairs.column(part).combine_chunks()
        if part in _SPELT:
            values = column.dictionary_encode()
            words = [_SPELT[part](value) for value in values.dictionary.to_pylist()]
            column = pa.array(words, pa.string()).take(values.indices)
        parts.append(column)
    return pc.binary_join_element_wise(*parts, "")


RULE = Rule("beacons", "Who comes back by a timer", ("events", "endpoints"), BEACONS, _run, _pieces)
