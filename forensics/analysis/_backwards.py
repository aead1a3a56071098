"""Records whose time lies before that of the record before them, counted in one pass over all events.

A window over a hundred million events would sort all of them. But a case holds its events nearly in order already: each file's
parts follow each other, and inside a part only the rows of one block or span (64 MiB at most) can stand in another order. So
more rows are held back and sorted than lie in a span, and the rest is done with. Should a row come later than that, the
database sorts after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator

    import duckdb
    import pyarrow as pa
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Rows = tuple[Ints, Ints, Ints, Ints, Ints]

HELD: Final = 1 << 20
"""Events in a span of 64 MiB, were each of 64 bytes; the shortest there are have more."""
_READ: Final = 1 << 20
_LAST: Final = np.iinfo(np.int64).max
_ASKED: Final = (
    "evidence_id, log_format IN ('evtx', 'evt') AS windows, epoch_us(time) AS us, "
    # A legacy log is a ring: its records stand in the order of their numbers, not of their places.
    "CASE WHEN log_format = 'evt' THEN event_sequence ELSE log_ordinal END AS log_ordinal, log_offset "
    "FROM events WHERE time IS NOT NULL AND coalesce(flags, '') NOT LIKE '%recovered%'"
)


class Back(NamedTuple):
    """How often times go back in a log, and its largest step: the time before it, the time after it, and where that record lies."""

    times: int = 0
    before_us: int = 0
    after_us: int = 0
    offset: int = 0

    def joined(self, other: Back) -> Back:
        """Return both as one: all counted, the larger step kept, of equal ones the first."""
        if not self.times:
            return other
        larger = self if self.before_us - self.after_us >= other.before_us - other.after_us else other
        return larger._replace(times=self.times + other.times)


def times_back(db: duckdb.DuckDBPyConnection, windows_s: int, other_s: int) -> dict[str, Back]:
    """Return, for each piece of evidence with events, how its times go back by more than the seconds of their kind."""
    found: dict[int, Back] = {}
    last: Rows | None = None
    stream = _in_order(db)
    for rows in stream:
        if rows is None:
            stream.close()
            return _sorted(db, windows_s, other_s)
        whole = rows if last is None else _joined([last, rows])
        evidence, _, offsets, us, windows = whole
        late = (us[:-1] - us[1:] > np.where(windows[1:] == 1, windows_s, other_s) * 1_000_000) & (
            evidence[1:] == evidence[:-1]
        )
        for number in np.unique(rows[0]).tolist():
            found.setdefault(number, Back())
        places = np.flatnonzero(late) + 1
        for number in np.unique(evidence[places]).tolist():
            mine = places[evidence[places] == number]
            at = int(mine[np.argmax(us[mine - 1] - us[mine])])
            found[number] = found[number].joined(Back(len(mine), int(us[at - 1]), int(us[at]), int(offsets[at])))
        last = _cut(rows, len(rows[0]) - 1, None)
    return {f"E{number:04d}": back for number, back in found.items()}


def _in_order(db: duckdb.DuckDBPyConnection) -> Generator[Rows | None]:
    """Yield all rows by evidence, number and place, some at a time; None where they are too far out of order."""
    held: list[Rows] = []
    done: tuple[int, int, int] | None = None
    found = db.sql(f"SELECT {_ASKED}").to_arrow_reader(_READ)
    try:
        for batch in found:
            held.append(_columns(batch))
            if sum(len(part[0]) for part in held) < 2 * HELD:
                continue
            rows = _ordered(held)
            if done is not None and _key(rows, 0) < done:
                yield None
                return
            cut = len(rows[0]) - HELD
            yield _cut(rows, 0, cut)
            done = _key(rows, cut - 1)
            held = [_cut(rows, cut, None)]
    finally:
        # The database takes no other question while an answer is half read.
        found.close()
    if held and len((rows := _ordered(held))[0]):
        yield None if done is not None and _key(rows, 0) < done else rows


def _columns(batch: pa.RecordBatch) -> Rows:
    ids = batch.column("evidence_id").dictionary_encode()
    numbers = np.array([int(text[1:]) for text in ids.dictionary.to_pylist()], np.int64)
    return (
        numbers[ids.indices.to_numpy()],
        batch.column("log_ordinal").fill_null(_LAST).to_numpy(),
        batch.column("log_offset").to_numpy(),
        batch.column("us").to_numpy(),
        batch.column("windows").to_numpy(zero_copy_only=False).astype(np.int64),
    )


def _joined(parts: list[Rows]) -> Rows:
    one, two, three, four, five = (np.concatenate([part[place] for part in parts]) for place in range(5))
    return one, two, three, four, five


def _ordered(parts: list[Rows]) -> Rows:
    rows = _joined(parts)
    order = np.lexsort((rows[2], rows[1], rows[0]))
    one, two, three, four, five = (column[order] for column in rows)
    return one, two, three, four, five


def _cut(rows: Rows, start: int, stop: int | None) -> Rows:
    one, two, three, four, five = (column[start:stop] for column in rows)
    return one, two, three, four, five


def _key(rows: Rows, place: int) -> tuple[int, int, int]:
    return int(rows[0][place]), int(rows[1][place]), int(rows[2][place])


def _sorted(db: duckdb.DuckDBPyConnection, windows_s: int, other_s: int) -> dict[str, Back]:
    """Count by a window over all events."""
    found = db.sql(f"""
        WITH rows AS (SELECT {_ASKED}),
        follow AS (SELECT evidence_id, windows, us, log_ordinal, log_offset,
                          lag(us) OVER (PARTITION BY evidence_id ORDER BY log_ordinal, log_offset) AS before FROM rows),
        back AS (SELECT *, before - us > CASE WHEN windows THEN {windows_s} ELSE {other_s} END * 1000000 AS late FROM follow)
        SELECT evidence_id, count(*) FILTER (WHERE late), arg_max(struct_pack(before, us, log_offset), (before - us, -coalesce(log_ordinal, 1 << 62), -log_offset)) FILTER (WHERE late)
        FROM back GROUP BY evidence_id""").fetchall()
    return {name: Back(count, *(step.values() if step else ())) for name, count, step in found}
