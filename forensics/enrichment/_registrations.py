"""The registrations table: what registries said of the networks of a case's addresses, beside when the case saw them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

from forensics.answers import REGISTRATIONS
from forensics.enrichment._rdap import facts
from forensics.schemas import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from forensics.enrichment._rdap import Answer


_PRINTED: Final = (
    "network",
    "name",
    "holder",
    "country_iso_code",
    "abuse_contact",
    "registered",
    "last_changed",
    "refused",
)


def registrations(answers: Sequence[Answer], first_seen: Mapping[str, datetime | None]) -> pa.Table:
    """Return REGISTRATIONS: one row an answer that speaks of an address of the case, or that was refused for one."""
    rows = []
    for answer in answers:
        inside = answer.concerns(first_seen)
        if not inside and not answer.refused:
            continue
        told = facts(answer)
        days = [seen.date().isoformat() for text in inside if (seen := first_seen[text]) is not None]
        changed = told.get("last_changed")
        since = bool(changed and days and str(changed)[:10] > min(days))
        rows.append({**told, "source_ips": ";".join(inside) or None, "changed_since": since})
    return table(sorted(rows, key=lambda row: (str(row.get("network") or "~"), row["asked_for"])), REGISTRATIONS)


def registered(addresses: Sequence[str], answers: Sequence[Answer], day: date | None) -> Iterator[dict[str, Any]]:
    """Yield what registries say of each address, in the form in which all witnesses are printed."""
    for text in addresses:
        for answer in answers:
            if not answer.concerns([text]):
                continue
            told = facts(answer)
            asked_on = date.fromisoformat(answer.asked_on)
            for name in _PRINTED:
                if told.get(name):
                    yield {
                        "address": text, "witness": f"RDAP {answer.registry}", "fact": f"registration_{name}",
                        "value": told[name], "date": asked_on, "distance_days": (day - asked_on).days if day else None,
                    }  # fmt: skip
