"""analyze(): the one page that knows all stages. Evidence in, a published case out."""

from __future__ import annotations

import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics import __version__, enrichment, stored_cases
from forensics.analysis import rules
from forensics.beside import beside
from forensics.case import Case, Draft, bind, draft, open_case, roomy
from forensics.copies import copies
from forensics.earlier import unchanged
from forensics.engines import dask, local
from forensics.engines._identity import identity
from forensics.errors import EvidenceError, RejectsError
from forensics.evidence.find import Found, find
from forensics.evidence.ledger import REJECT, Tally
from forensics.evidence.open import Url, place
from forensics.identify import Identified, identify
from forensics.instants import day_of, typed_date
from forensics.model import Options, PassedOver
from forensics.reading import ReadFile, accounts, check_unchanged, hashing_again, read, worth_workers
from forensics.reports import reports
from forensics.schemas import RUN, TABLES, WITNESSES, table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from datetime import date

    import duckdb
    import pyarrow as pa

    from forensics.beside import Beside
    from forensics.model import Report, Rule

_PACKAGES: Final = (
    "crawler-user-agents",
    "cryptography",
    "duckdb",
    "evtx",
    "inflate64",
    "jinja2",
    "maxminddb",
    "numpy",
    "pandas",
    "pyarrow",
)


def analyze(
    *paths: Path | str,
    out: Path | str = "c2trail-case",
    options: Options = Options(),  # noqa: B008  # frozen
    geo: Sequence[Path] = (),
    watch: Sequence[Path] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    update: bool = False,
    progress: Callable[[str, int], None] = lambda _stage, _done: None,
    password: bytes | None = None,
    online: enrichment.Online | None = None,
) -> Case:
    """Read evidence, account for every byte, place and stitch, and publish the case folder `out`.

    Args:
        paths: files and folders, on disk or as `s3://bucket/prefix`; their order does not matter.
        out: the case folder; it appears whole or not at all. It may be `s3://bucket/case`: the case is built on disk then
            and put there when it is whole; what is returned reads the copy on disk.
        options: what changes the result; see `Options`.
        geo: more databases, beside the embedded ones and those of `geo add`.
        watch: lists of networks to watch for (network, label, grade, from, to, source).
        workers: processes; None is one a processor. The result does not depend on it.
        scheduler: address of a Dask scheduler whose workers read the evidence in place of this machine's processes; they
            must see the evidence at the same paths, not the case. The result does not depend on it.
        force: replace an older case of that name.
        update: the same, and take over what it read of evidence that is unchanged; the result is as without it.
        progress: told how the work goes on.
        password: what opens encrypted members of archives; it enters no output.
        online: how registries may be asked about addresses; None opens no socket.

    Raises:
        ForensicsError: one of its kinds, each with what, where and what to do.
    """
    places = [place(path) for path in paths]
    on_disk = [path for path in places if isinstance(path, Path)]
    witnesses = enrichment.load(geo, watch)
    found = find(places, password, shadows=options.shadow_copies)
    processes = local.cores() if workers is None else max(1, workers)
    if scheduler is None and not update and worth_workers(found.evidence):
        local.begin(processes)
    plan = identify(found.evidence, options)
    if not any(item.parser for item in plan):
        raise EvidenceError(_nothing(found, plan))
    engine = partial(dask.run, scheduler=scheduler) if scheduler else partial(local.run, workers=processes)
    target = place(out)
    folder = stored_cases.home(target, evidence=places, force=force, update=update)
    known = unchanged(folder, plan, _options(options)) if update and folder.exists() else {}
    with draft(folder, force=force or update or isinstance(target, Url), evidence=on_disk) as building:
        building.audit(
            "start",
            version=__version__,
            identity=identity(),
            options=_options(options),
            paths=[str(p.absolute() if isinstance(p, Path) else p) for p in places],
        )
        files = read(
            plan,
            building.parts,
            engine=engine,
            away=scheduler is not None,
            audit=building.audit,
            progress=progress,
            unchanged=known,
        )
        for name, rows in {**accounts(plan, files), **_circumstances(found, witnesses, options)}.items():
            building.write_table(name, rows)
        with hashing_again(plan) as hashes:
            with building.database() as db:
                copied = _ask(db, building, witnesses, options, online, progress)
            after = hashes()
        check_unchanged(plan, files, after)
        building.audit("finish", evidence_unchanged=len(after))
        building.write_manifest({**_facts(found, plan, files, after, witnesses, options), "duplicates": copied})
    case = open_case(folder)
    if isinstance(target, Url):
        stored_cases.upload(case, target)
    rejects = case.manifest["ledger"]["rejects"]["records"]
    if options.strict and rejects:
        raise RejectsError(f"--strict: {rejects:,} records could not be read; see {case.folder / 'rejects.csv'}")
    return case


def _ask(
    db: duckdb.DuckDBPyConnection,
    building: Draft,
    witnesses: enrichment.Witnesses,
    options: Options,
    online: enrichment.Online | None,
    progress: Callable[[str, int], None],
) -> int:
    """Name the copies, place the addresses, run the rules in the order of their needs, write the reports; return how many copies."""
    for name in ("run", "witnesses", "evidence", "ledger", "events", "rejects", "skips"):
        bind(db, building.folder, name, TABLES[name])
    copied = copies(db)
    building.write_table("duplicates", copied)
    bind(db, building.folder, "duplicates", TABLES["duplicates"])
    with beside(db) as other:
        as_of = None if options.as_of == "event" else typed_date(options.as_of)
        placing = other.do(partial(_place, building=building, witnesses=witnesses, as_of=as_of, other=other))
        writing: dict[str, Future[None]] = {}
        there = {*TABLES} - {"addresses", "registrations", *rules()}
        for rule in rules().values():
            if "addresses" in rule.needs and "addresses" not in there:
                placing.result()
                bind(db, building.folder, "addresses", TABLES["addresses"])
                there.add("addresses")
                progress("placing", 1)
            roomy(db, partial(answer, rule, db, building))
            bind(db, building.folder, rule.name, rule.schema)
            there.add(rule.name)
            progress(f"asking {rule.name}", 1)
            _write(there, building, other, writing)
        _register(db, building, online)
        _write({*TABLES}, building, other, writing)
        for name, written in writing.items():
            written.result()
            progress(f"writing {name}", 1)
    return len(copied)


def _place(
    db: duckdb.DuckDBPyConnection,
    building: Draft,
    witnesses: enrichment.Witnesses,
    as_of: date | None,
    other: Beside,
) -> None:
    """Place every address on every day that it was seen."""
    pairs = db.sql(
        f"SELECT DISTINCT source_ip, {day_of('time')} AS day FROM events "  # noqa: S608
        "WHERE source_ip IS NOT NULL AND time IS NOT NULL ORDER BY source_ip, day"
    ).to_arrow_reader(enrichment.BLOCK)
    building.write_pieces("addresses", TABLES["addresses"], other.checked(witnesses.place(pairs, as_of=as_of)))


def _write(there: set[str], building: Draft, other: Beside, writing: dict[str, Future[None]]) -> None:
    """Let the reports be written whose tables are all there, each once."""
    for report in reports().values():
        if report.filename not in writing and there.issuperset(report.needs):
            writing[report.filename] = other.do(partial(_write_one, report=report, building=building, other=other))


def _write_one(db: duckdb.DuckDBPyConnection, report: Report, building: Draft, other: Beside) -> None:
    building.write(report.filename, other.checked(report.write(db)))


def answer(rule: Rule, db: duckdb.DuckDBPyConnection, building: Draft) -> None:
    """Ask one rule and write its table into the case that is being built."""
    if rule.pieces is None:
        building.write_table(rule.name, rule.run(db))
    else:
        building.write_pieces(rule.name, rule.schema, rule.pieces(db))


def _register(db: duckdb.DuckDBPyConnection, building: Draft, online: enrichment.Online | None) -> None:
    """Ask registries about the addresses of the roles that were allowed, if any; keep what they said as they said it."""
    seen = {}
    answers: list[enrichment.Answer] = []
    if online is not None:
        seen = dict(
            db.execute(
                "SELECT source_ip, first_seen FROM sources WHERE list_contains(?, role) ORDER BY source_ip",
                [list(online.roles)],
            ).fetchall()
        )
        answers = [answer for answer in enrichment.ask(seen, online) if answer.concerns(seen)]
        building.audit("online", asked=[(a.registry, a.asked_for, a.asked_on) for a in answers])
        building.write("rdap.jsonl", enrichment.lines(answers))
    building.write_table("registrations", enrichment.registrations(answers, seen))
    bind(db, building.folder, "registrations", TABLES["registrations"])


def _facts(
    found: Found,
    plan: Sequence[Identified],
    files: dict[str, ReadFile],
    after: Mapping[str, str],
    witnesses: enrichment.Witnesses,
    options: Options,
) -> dict[str, Any]:
    """Return what the manifest says beside the hashes of the case's files: no clock, no path, no host."""
    totals = Tally()
    for file in files.values():
        totals.merge(file.tally)
    ledger = {
        "events": {"records": 0, "bytes": 0},
        "rejects": {"records": 0, "bytes": 0},
        "skips": {"records": 0, "bytes": 0},
    }
    for outcome, _, records, size in totals.rows():
        ledger[f"{outcome}s"]["records"] += records
        ledger[f"{outcome}s"]["bytes"] += size
    return {
        "tool": {"name": "c2trail", "version": __version__},
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "options": _options(options),
        "evidence": [
            {
                "evidence_id": item.evidence.id,
                "label": item.evidence.label,
                "size": files[item.evidence.id].size,
                "sha256": files[item.evidence.id].sha256,
                "sha256_after": after.get(item.evidence.id),
                "members": item.evidence.holds,
                "parser": item.parser.name if item.parser else None,
                "settings": dict(item.settings),
            }
            for item in plan
        ],
        "passed_over": [{"label": p.label, "why": p.why, "failed": p.failed} for p in found.passed_over],
        "ledger": ledger,
        "rejects_by_reason": {
            reason: n for (outcome, reason), n in sorted(totals.records.items()) if outcome == REJECT
        },
        "witnesses": witnesses.describe(),
    }


def _circumstances(found: Found, witnesses: enrichment.Witnesses, options: Options) -> dict[str, pa.Table]:
    """Return the tables of what decided the result beside the evidence, so that a report can tell it."""
    rows = [("tool", "c2trail", __version__), ("tool", "python", platform.python_version())]
    rows += [("package", name, version(name)) for name in _PACKAGES]
    rows += [("option", name, _said(value)) for name, value in _options(options).items()]
    rows += [("failed" if p.failed else "passed_over", p.label, p.why) for p in found.passed_over]
    return {
        "run": table([dict(zip(RUN.names, row, strict=True)) for row in rows], RUN),
        "witnesses": table(
            [
                {
                    **{name: w[name] for name in ("kind", "name", "licence", "attribution", "file", "sha256")},
                    "first_date": min(w["dates"], default=None),
                    "last_date": max(w["dates"], default=None),
                    "dates": len(w["dates"]),
                }
                for w in witnesses.describe()
            ],
            WITNESSES,
        ),
    }


def _said(value: object) -> str:
    """Return the value of an option as it would be typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, tuple) else str(value or "")


def _options(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in Options.__slots__}


def _nothing(found: Found, plan: Sequence[Identified]) -> str:
    problems = "".join(f"\n  {p.label}: {p.why}" for p in found.passed_over if p.failed)
    if not plan:
        return f"no evidence file was found{problems or '; give files or folders that hold logs'}"
    return f"none of {len(plan)} files is a log that c2trail reads (see: c2trail identify){problems}"


def failed(case: Case) -> list[PassedOver]:
    """Return what was named and could not be read; the case stands without it."""
    return [PassedOver(p["label"], p["why"], failed=True) for p in case.manifest["passed_over"] if p["failed"]]
