"""Many seized servers in one call: a case each, and one table over all of them. One server's failure stops no other."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics import comparing
from forensics.comparing import compare
from forensics.engines import dask, local
from forensics.errors import EvidenceError, ForensicsError, LedgerError, OutputError
from forensics.evidence.open import Url, entries, place
from forensics.limits import LARGE_SERVER
from forensics.model import Options
from forensics.pipeline import analyze, failed
from forensics.reports._cells import csv_lines
from forensics.shelves import TABLE, Shelf, shelf_at
from forensics.stored_cases import passing
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from forensics.case import Case

COMPARISON: Final = "comparison.csv"
"""What the servers share: operators, machines, accounts, addresses, paths, implants (columns of `comparing`)."""
COLUMNS: Final = (
    "server", "status", "exit_code", "error", "files", "bytes", "events", "rejects", "first_seen", "last_seen", "sources",
    "sessions", "operators", "rare_origins", "client_names", "c2_paths", "victims", "finding",
)  # fmt: skip
"""Of fleet.csv. `operators` are addresses, `rare_origins` addresses with their grade (A, B); several are joined by `;`."""


@dataclass(frozen=True, slots=True)
class Seized:
    """One server of the fleet: a folder, an archive or an image, and where its case goes."""

    name: str
    evidence: Path | Url
    size: int
    case: Path | Url
    options: Options
    geo: tuple[Path, ...] = ()
    force: bool = False
    password: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a server: `done`, `kept` or `failed`, and what its case says in short."""

    server: str
    status: str
    error: str = ""
    exit_code: int = 0
    summary: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the row of fleet.csv."""
        told = {name: value for name, value in asdict(self).items() if name != "summary"}
        return {**told, **self.summary}


def fleet(
    folder: Path | str,
    out: Path | str = "c2trail-fleet",
    *,
    options: Options = Options(),  # noqa: B008  # frozen
    geo: Sequence[Path] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    resume: bool = False,
    password: bytes | None = None,
    progress: Callable[[str, int], None] = lambda _stage, _done: None,
) -> list[Outcome]:
    """Analyse every entry of `folder`, on disk or `s3://bucket/prefix`, as a server of its own; return what became of each, in the order of their names.

    `out`, a folder or `s3://bucket/prefix`, gets a case a server, fleet.csv, and last of all comparison.csv with what the
    servers share. Small servers are analysed side by side, one process each; a large one alone, by all `workers`. With
    `scheduler` the workers of a Dask cluster take a server each. `resume` keeps the cases that are in `out` and were made
    with the same version and options; `force` makes all of them again.

    Raises:
        EvidenceError: `folder` is none, or holds nothing.
        OutputError: `out` holds a fleet and neither `force` nor `resume` was given, or it cannot be written.
    """
    source = place(folder)
    with shelf_at(place(out), source) as shelf:
        servers = _servers(source, shelf, options, tuple(geo), password, force=force)
        shelf.begin(over=force or resume)
        outcomes = {one.name: found for one in servers if resume and (found := _kept(one, shelf)) is not None}
        waiting = [one for one in servers if one.name not in outcomes]
        for outcome in _analysed(waiting, workers, scheduler):
            outcomes[outcome.server] = outcome
            if outcome.exit_code == OutputError.exit_code:
                shelf.still_there()
            progress(outcome.server, 1)
        ordered = [outcomes[one.name] for one in servers]
        shelf.publish(TABLE, csv_lines(COLUMNS, [one.row() for one in ordered]))
        cases = [case for one in ordered if one.summary and (case := shelf.case(one.server)) is not None]
        shared = compare(*cases) if len(cases) > 1 else []
        shelf.publish(COMPARISON, csv_lines(comparing.COLUMNS, shared))
        shelf.end()
    return ordered


def _servers(
    source: Path | Url, shelf: Shelf, options: Options, geo: tuple[Path, ...], password: bytes | None, *, force: bool
) -> list[Seized]:
    found = entries(source) if isinstance(source, Url) else _on_disk(source)
    if not found:
        raise EvidenceError(f"{source} holds no server; give a folder with one folder, archive or image a server")
    # A name on disk need not be text; that of a case is.
    named = [(decode(os.fsencode(one.name)), one, size) for one, size in found]
    if taken := {TABLE, COMPARISON} & {name for name, _, _ in named}:
        raise OutputError(
            f"{source}: {min(taken)} would be a case and a table over the fleet; rename it, or leave it out"
        )
    return [Seized(name, one, size, shelf.place(name), options, geo, force, password) for name, one, size in named]


def _on_disk(source: Path) -> list[tuple[Path, int]]:
    try:
        listed = sorted(source.iterdir())
    except OSError as error:
        raise EvidenceError(
            f"{source} cannot be listed ({error.strerror}); give a folder with one entry a server"
        ) from error
    return [(one, _size(one)) for one in listed if not one.is_symlink() and (one.is_dir() or one.is_file())]


def _analysed(servers: list[Seized], workers: int | None, scheduler: str | None) -> Iterator[Outcome]:
    """Yield what becomes of each server, small ones first."""
    count = local.cores() if workers is None else max(1, workers)
    if scheduler is not None:
        yield from dask.run(_alone, iter(servers), scheduler=scheduler)
        return
    large = [one for one in servers if one.size >= LARGE_SERVER]
    small = [one for one in servers if one not in large]
    yield from _side_by_side(small, count)
    for one in large:
        yield _analyse(one, workers=count)


def _side_by_side(servers: list[Seized], count: int) -> Iterator[Outcome]:
    """Analyse servers in a process each; where one takes the processes down with it, each of the others in one of its own."""
    left = list(servers)
    try:
        for outcome in local.run(_alone, servers, workers=count):
            left.pop(0)
            yield outcome
    except ForensicsError:
        for one in left:
            try:
                yield from local.run(_alone, [one], workers=1, apart=True)
            except ForensicsError as error:
                yield Outcome(one.name, "failed", str(error), error.exit_code)


def _alone(server: Seized) -> Outcome:
    return _analyse(server, workers=1)


def _analyse(server: Seized, *, workers: int) -> Outcome:
    try:
        with passing(server.case) as folder:
            case = analyze(
                server.evidence,
                out=folder,
                options=server.options,
                geo=server.geo,
                workers=workers,
                force=server.force or folder.exists(),
                password=server.password,
            )
            left = failed(case)
            summary = _summary(case)
    except ForensicsError as error:
        return Outcome(server.name, "failed", str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001  # a bug that one server shows must not take the others' cases
        return Outcome(
            server.name, "failed", f"{type(error).__name__}: {error}. This is a bug of c2trail.", LedgerError.exit_code
        )
    if left:
        told = "; ".join(f"{one.label}: {one.why}" for one in left)
        return Outcome(server.name, "done", told, EvidenceError.exit_code, summary)
    return Outcome(server.name, "done", summary=summary)


def _kept(server: Seized, shelf: Shelf) -> Outcome | None:
    """Return the outcome of an earlier run, None if there is none of the same version and options."""
    try:
        case = shelf.case(server.name)
        if case is None or not _same(case.manifest, server):
            return None
        return Outcome(server.name, "kept", summary=_summary(case))
    except OutputError:
        raise
    except ForensicsError:
        return None


def _same(manifest: Any, server: Seized) -> bool:  # noqa: ANN401  # JSON
    from forensics import __version__  # noqa: PLC0415  # the package imports this module

    made = {**manifest["options"]}
    asked = {name: getattr(server.options, name) for name in Options.__slots__}
    return bool(manifest["tool"]["version"] == __version__) and made == {
        name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()
    }


def _size(path: Path) -> int:
    """Return the bytes below a path; what cannot be read counts nothing, and is told when it is analysed."""
    total = 0
    for one in [path, *(Path(folder, name) for folder, _, names in os.walk(path) for name in names)]:
        with suppress(OSError):
            total += one.lstat().st_size
    return total


def _summary(case: Case) -> dict[str, Any]:
    """Return what the table over the fleet says of a case."""
    ledger = case.manifest["ledger"]
    with case.database() as db:
        (told,) = (
            db.sql("""
            SELECT (SELECT min(first_seen) FROM coverage) AS first_seen, (SELECT max(last_seen) FROM coverage) AS last_seen,
                   (SELECT count(*) FROM sources) AS sources, (SELECT count(*) FROM sessions) AS sessions,
                   (SELECT string_agg(source_ip, ';' ORDER BY source_ip) FROM sources WHERE role = 'operator') AS operators,
                   (SELECT string_agg(source_ip || ' ' || rare_grade, ';' ORDER BY rare_grade, source_ip) FROM sources
                    WHERE rare_grade IN ('A', 'B')) AS rare_origins,
                   (SELECT string_agg(DISTINCT client_name, ';' ORDER BY client_name) FROM sessions) AS client_names,
                   (SELECT string_agg(path, ';' ORDER BY path) FROM endpoints WHERE kind = 'c2') AS c2_paths,
                   (SELECT count(*) FROM victims) AS victims,
                   (SELECT arg_min(sentence, rank) FROM findings) AS finding""")
            .to_arrow_table()
            .to_pylist()
        )
    return {
        "files": len(case.manifest["evidence"]),
        "bytes": sum(part["bytes"] for part in ledger.values()),
        **{name: ledger[name]["records"] for name in ("events", "rejects")},
        **told,
    }
