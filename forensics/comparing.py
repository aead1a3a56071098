"""Several cases side by side: what seized servers share, and what is new between two runs over one server.

Two cases are runs over one server when they have evidence in common, file by file (SHA-256): then what one has and the other
lacks is told. Otherwise they are two servers, and what both have is told: operators, machines, accounts, addresses, paths,
implants. Shared noise says nothing: an address counts only where at least one case has it as an operator's, a relay's, a
researcher's or an implant's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

from forensics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from forensics.case import Case

Row = dict[str, Any]

COLUMNS: Final = ("relation", "kind", "value", "cases", "detail", "first_seen", "last_seen", "locators")
"""What a row says: `relation` is `same_evidence`, `shared`, `new` (only in the later case) or `gone` (only in the earlier)."""

_KINDS: Final = ("machine", "account", "address", "implant", "path", "network", "evidence")
_RUN_KINDS: Final = ("evidence", "finding", "milestone", "session", "source", "path", "reject")
_TELLING: Final = frozenset({"operator", "relay", "researcher"})
_LOCATORS: Final = 3
_COMMON_ACCOUNTS: Final = frozenset({"administrator", "admin", "guest", "user", "root", "test"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing in one case: what is said of it, when it was seen, and records that show it."""

    detail: str
    first: datetime | None
    last: datetime | None
    locators: tuple[str, ...] = ()


def compare(case: Case, *cases: Case) -> list[Row]:
    """Return what cases have in common, and of runs over one server what is new, as rows of `COLUMNS` in a total order.

    Cases go by their folders' names, in the order given; UsageError for fewer than two, or for one that is given twice.
    """
    every = (case, *cases)
    if len(every) < 2:
        raise UsageError("there is nothing to compare: name two cases or more")
    folders = [one.folder.resolve() for one in every]
    if len(set(folders)) < len(folders):
        raise UsageError("a case is named twice: there is nothing to learn from comparing it with itself")
    names = _names([folder.name for folder in folders])
    rows = list(_shared(every, names))
    for (a, first), (b, second) in combinations(list(zip(names, every, strict=True)), 2):
        if _hashes(first) & _hashes(second):
            rows += _between(a, first, b, second)
    return rows


def _names(folders: Sequence[str]) -> list[str]:
    """Return names that tell the cases apart: those of the folders, numbered where two are alike."""
    return [name if folders.count(name) == 1 else f"{name}#{at}" for at, name in enumerate(folders, 1)]


def _hashes(case: Case) -> set[str]:
    return {entry["sha256"] for entry in case.manifest["evidence"] if entry["parser"] is not None}


def _shared(cases: Sequence[Case], names: Sequence[str]) -> Iterator[Row]:
    held = [_things(case) for case in cases]
    yield from _operators(held, names)
    for kind in _KINDS:
        values = sorted({value for things in held for value in things.get(kind, {})})
        for value in values:
            having = [
                (name, things[kind][value]) for name, things in zip(names, held, strict=True) if value in things[kind]
            ]
            telling = kind != "address" or any(seen.detail in _TELLING for _, seen in having)
            if len(having) > 1 and telling:
                yield _row("same_evidence" if kind == "evidence" else "shared", kind, value, having)


def _row(relation: str, kind: str, value: str, having: Sequence[tuple[str, Seen]]) -> Row:
    alike = len({seen.detail for _, seen in having}) == 1
    details = dict.fromkeys(seen.detail if alike else f"{name}: {seen.detail}" for name, seen in having if seen.detail)
    return {
        "relation": relation,
        "kind": kind,
        "value": value,
        "cases": ";".join(name for name, _ in having),
        "detail": "; ".join(details),
        "first_seen": min((seen.first for _, seen in having if seen.first), default=None),
        "last_seen": max((seen.last for _, seen in having if seen.last), default=None),
        "locators": ";".join(f"{name}/{locator}" for name, seen in having for locator in seen.locators[:_LOCATORS]),
    }


_QUERIES: Final[Mapping[str, str]] = {
    "machine": """SELECT client_name, 'client of ' || count(*) || ' RDP sessions', min(start), max(coalesce("end", start)),
        list(because ORDER BY session_uid) FROM sessions WHERE client_name IS NOT NULL GROUP BY 1""",
    "account": """SELECT lower(user_name), count(*) || ' RDP sessions', min(start), max(coalesce("end", start)),
        list(because ORDER BY session_uid) FROM sessions WHERE user_name IS NOT NULL GROUP BY 1""",
    "address": """SELECT source_ip, role, first_seen, last_seen, [because] FROM sources
        WHERE role NOT IN ('local', 'implant')""",
    "implant": """SELECT source_ip, 'implant', first_seen, last_seen, [because] FROM sources WHERE role = 'implant'""",
    "path": """SELECT path, kind, first_seen, first_seen, [because] FROM endpoints
        WHERE kind IN ('c2', 'panel', 'application')""",
    "network": """SELECT 'AS' || as_number || ' ' || coalesce(max(as_organization_name), ''),
        count(*) || ' addresses of operators', min(first_seen), max(last_seen), list(because ORDER BY source_ip)
        FROM sources WHERE role = 'operator' AND as_number IS NOT NULL GROUP BY as_number""",
}
"""Of each kind: value, what is said of it, first and last seen, and the reasons whose locators are told."""


def _things(case: Case) -> dict[str, dict[str, Seen]]:
    found: dict[str, dict[str, Seen]] = {}
    with case.database() as db:
        for kind, query in _QUERIES.items():
            rows = db.execute(query).fetchall()
            found[kind] = {value: Seen(said, first, last, _locators(why)) for value, said, first, last, why in rows}
        links = db.execute("SELECT DISTINCT operator_id, a_kind, a, b_kind, b FROM links ORDER BY ALL").fetchall()
    for value, seen in found["account"].items():
        if value in _COMMON_ACCOUNTS:
            found["account"][value] = Seen(f"{seen.detail}, a common name", seen.first, seen.last, seen.locators)
    found["evidence"] = {
        f"SHA-256 {entry['sha256']}": Seen(entry["label"], None, None)
        for entry in case.manifest["evidence"]
        if entry["parser"]
    }
    found["operator"] = {}
    for operator, a_kind, a, b_kind, b in links:
        for kind, value in ((a_kind, a), (b_kind, b)):
            if kind in {"address", "machine"}:
                found["operator"][f"{operator}\0{kind}\0{value}"] = Seen("", None, None)
    return found


def _locators(reasons: Sequence[str | None]) -> tuple[str, ...]:
    import json  # noqa: PLC0415

    told = (reason for text in reasons for reason in json.loads(text or "[]"))
    return tuple(dict.fromkeys(locator for reason in told for locator in reason.get("locators", ())))


def _operators(held: Sequence[Mapping[str, Mapping[str, Seen]]], names: Sequence[str]) -> Iterator[Row]:
    """Pair the operators of two cases that share an address or a client machine, and say by what."""
    told = []
    for things in held:
        own: dict[str, set[tuple[str, str]]] = {}
        for key in things["operator"]:
            operator, kind, value = key.split("\0")
            own.setdefault(operator, set()).add((kind, value))
        told.append(own)
    for (a, first), (b, second) in combinations(list(zip(names, told, strict=True)), 2):
        for one, values in sorted(first.items()):
            for other, others in sorted(second.items()):
                both = sorted(values & others)
                if both:
                    by = ", ".join(f"{kind} {value}" for kind, value in both)
                    yield {
                        **dict.fromkeys(COLUMNS),
                        "relation": "shared",
                        "kind": "operator",
                        "value": f"{a}/{one} = {b}/{other}",
                        "cases": f"{a};{b}",
                        "detail": f"by {len(both)} shared: {by}",
                    }


_RUNS: Final[Mapping[str, str]] = {
    "finding": "SELECT sentence, kind, time, time, locators FROM findings ORDER BY rank",
    "milestone": """SELECT milestone || coalesce(' ' || strftime(time, '%Y-%m-%dT%H:%M:%SZ'), ': not in evidence'), detail, time, time,
        locators FROM milestones ORDER BY milestone, time""",
    "session": """SELECT coalesce(user_name, '?') || ' ' || strftime(start, '%Y-%m-%dT%H:%M:%SZ') || ' from ' || coalesce(source_ips, '?'),
        'until ' || coalesce(strftime("end", '%Y-%m-%dT%H:%M:%SZ'), 'an unknown time') || ' (' || end_basis || ')', start, "end", NULL
        FROM sessions ORDER BY session_uid""",
    "source": """SELECT source_ip || ' as ' || role, role_confidence, first_seen, last_seen, NULL FROM sources
        WHERE role NOT IN ('scanner', 'visitor') ORDER BY source_ip""",
    "path": "SELECT path || ' as ' || kind, requests || ' requests', first_seen, first_seen, NULL FROM endpoints ORDER BY path",
    "reject": """SELECT label || ': ' || reason, sum(records)::BIGINT || ' records', NULL, NULL, NULL FROM ledger
        WHERE outcome = 'reject' GROUP BY label, reason ORDER BY 1""",
}


def _between(a: str, first: Case, b: str, second: Case) -> Iterator[Row]:
    """Tell what each of two runs over one server has that the other lacks."""
    before, after = _told(first), _told(second)
    for kind in _RUN_KINDS:
        for relation, name, own, other in (("gone", a, before, after), ("new", b, after, before)):
            for value, seen in own[kind].items():
                if value not in other[kind]:
                    yield _row(relation, kind, value, [(name, seen)])


def _told(case: Case) -> dict[str, dict[str, Seen]]:
    found: dict[str, dict[str, Seen]] = {
        "evidence": {
            f"{e['label']} ({e['sha256'][:16]})": Seen(e["parser"] or "nobody", None, None)
            for e in case.manifest["evidence"]
        }
    }
    with case.database() as db:
        for kind, query in _RUNS.items():
            found[kind] = {
                value: Seen(said or "", first, last, tuple(filter(None, (locators or "").split(";"))))
                for value, said, first, last, locators in db.execute(query).fetchall()
            }
    return found
