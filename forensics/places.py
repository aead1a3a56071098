"""Placing addresses from Python: one address by all witnesses, or every row of a DataFrame as of its day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from forensics import enrichment
from forensics.errors import UsageError
from forensics.instants import typed_date

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

_KEYS: Final = ("source_ip", "day")


def lookup(ip: str, at: date | str | None = None, *, geo: Sequence[Path] = ()) -> pd.DataFrame:
    """Return what every witness says of an address on a day: one row a fact, with its witness and date.

    `at` is a date or YYYY-MM-DD; without it all that each witness ever said. UsageError if `ip` is no address.
    """
    day = typed_date(at) if isinstance(at, str) else at
    return pd.DataFrame(list(enrichment.load(geo).lookup(ip, day)))


def enrich(frame: pd.DataFrame, *, at: date | str | None = None, geo: Sequence[Path] = ()) -> pd.DataFrame:
    """Return the frame with the columns of ADDRESSES behind its own: country, network, anonymity, rare origin, and who says so.

    `frame` needs `time` (any datetime; without a zone it counts as UTC) and `source_ip` (text; brackets, zone ids and the IPv4-mapped form are read). Each row is placed as of the
    day of its time, or all as of `at`. Rows, their order and index stay; a row without time or address gets nothing.
    UsageError if a column is missing.
    """
    lacking = {"time", "source_ip"} - set(frame.columns)
    if lacking:
        raise UsageError(f"the frame has no column {' and '.join(sorted(lacking))}; it needs time and source_ip")
    days = pd.to_datetime(frame["time"], utc=True, errors="coerce").dt.date
    known = {text: enrichment.read(text) or text for text in frame["source_ip"].dropna().unique()}
    ips = frame["source_ip"].map(known).astype(object)
    ips = ips.where(ips.notna(), None)
    asked = pa.table(
        {"source_ip": pa.array(ips, pa.string()), "day": pa.array(days.where(days.notna(), None), pa.date32())}
    )
    as_of = typed_date(at) if isinstance(at, str) else at
    placed = enrichment.load(geo).enrich(asked, as_of=as_of).to_pandas()
    keyed = pd.DataFrame({"source_ip": ips.to_numpy(), "day": days.to_numpy()}, index=frame.index)
    told = keyed.reset_index(drop=True).merge(placed, how="left", on=list(_KEYS)).drop(columns=list(_KEYS))
    told.index = frame.index
    return pd.concat([frame, told[[name for name in told.columns if name not in frame.columns]]], axis=1)
