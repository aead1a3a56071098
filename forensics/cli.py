"""The command line. Typer lives here, and only here; what a command does lies below, loaded when it is called."""

from __future__ import annotations

import enum
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from forensics import __version__
from forensics.errors import EvidenceError, ForensicsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.case import Case


app = typer.Typer(
    name="c2trail",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Who operated a seized command-and-control server, from where, and when.\n\n"
    "Reads Windows Terminal Services (RDP) event logs and Apache Tomcat logs, accounts for every byte of them, places "
    "every source address as of the day of the event, stitches the operator's sessions and prints a timeline.\n\n"
    "Examples:\n\n"
    "  c2trail demo                            the packaged sample case, end to end\n\n"
    "  c2trail analyze /mnt/seized -o case     analyse a folder of logs\n\n"
    "  c2trail timeline case --from 2017-01-18 look at it again\n\n"
    "  c2trail show case E0001:4096+312        the raw bytes behind a row\n\n"
    "Nothing is written beside the evidence, and the network is never used.",
)


class Format(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"


CaseFolder = Annotated[Path, typer.Argument(metavar="CASE", help="A case folder made by analyze or demo.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The case folder to make.")]
Geo = Annotated[
    list[Path] | None, typer.Option("--geo", help="A MaxMind-compatible database, or a folder of them. Repeatable.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; the result does not depend on it.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an older case of that name.")]
Show = Annotated[Format, typer.Option("--format", help="table for reading; csv and jsonl for pipes.")]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Zone of local times without offset, such as Europe/Paris or +01:00.")
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        help="AccessLogValve pattern of the access logs: common, combined, or as in server.xml. Repeatable.",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file whose first line opens encrypted archives; it is kept nowhere."),
]
From = Annotated[str | None, typer.Option("--from", help="Not before this time (UTC unless it says otherwise).")]
To = Annotated[str | None, typer.Option("--to", help="Before this time.")]
SourceIp = Annotated[str | None, typer.Option("--source", help="Only this source address.")]
Role = Annotated[str | None, typer.Option("--role", help="Only sources of this role.")]


@contextmanager
def _orderly() -> Iterator[None]:
    """Turn what went wrong into one line and the exit code of its kind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    except ForensicsError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("interrupted; nothing was written", 130)
    except BrokenPipeError:
        # The reader of our pipe has seen enough; its end is not our error, and Python's last flush must not meet it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except MemoryError:
        _stop("out of memory; run again with --workers 1, or on fewer files at a time", 71)


def _stop(message: str, code: int) -> NoReturn:
    from forensics import console

    console.fail(message)
    raise typer.Exit(code)


def _version(asked: bool) -> None:  # noqa: FBT001  # typer's callback
    if asked:
        typer.echo(f"c2trail {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def analyze(
    evidence: Annotated[list[Path], typer.Argument(help="Log files, folders or archives of them.")],
    out: Out = Path("c2trail-case"),
    zone: Zone = None,
    pattern: Patterns = None,
    geo: Geo = None,
    as_of: Annotated[str, typer.Option("--as-of", help="event, or a date: place addresses as of that day.")] = "event",
    workers: Workers = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="Also read EVTX slack and damaged places; flagged.")
    ] = False,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trusted-proxy",
            metavar="CIDR",
            help="Network of a proxy whose word on its client (X-Forwarded-For and the like) is believed. Repeatable.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 10 if any record could not be read.")] = False,
    force: Force = False,
    password_file: PasswordFile = None,
) -> None:
    """Analyse seized logs and publish a case folder.

    Example: c2trail analyze /mnt/seized/Windows /mnt/seized/Tomcat -o case
    """
    from forensics.model import Options

    with _orderly():
        options = Options(
            zone=zone,
            patterns=tuple(pattern or ()),
            as_of=as_of,
            recover=recover,
            strict=strict,
            trusted_proxies=tuple(dict.fromkeys(trusted_proxy or ())),
        )
        _run(evidence, out, options, geo or [], workers, force=force, password=_password(password_file))


@app.command()
def demo(out: Out = Path("c2trail-case"), workers: Workers = None, force: Force = False) -> None:
    """Analyse the packaged sample logs (synthetic) end to end."""
    from forensics.model import Options
    from forensics.packaged import sample_evidence

    with _orderly():
        _run(sample_evidence(), out, Options(), [], workers, force=force)


def _run(
    evidence: list[Path],
    out: Path,
    options: Any,
    geo: list[Path],
    workers: int | None,
    *,
    force: bool,
    password: bytes | None = None,
) -> None:
    from forensics import console, pipeline, query

    with console.progress("analysing") as progress:
        case = pipeline.analyze(
            *evidence,
            out=out,
            options=options,
            geo=geo,
            workers=workers,
            force=force,
            progress=progress.advance,
            password=password,
        )
    _draw_timeline(case, None)
    console.draw_findings(query.rows(case, "findings"))
    console.draw_case(case.folder, case.manifest)
    failed = pipeline.failed(case)
    for problem in failed:
        console.warn(f"{problem.label}: {problem.why}")
    if failed:
        raise EvidenceError(f"{len(failed)} of what was named could not be read; the case holds the rest")


@app.command()
def timeline(
    case: CaseFolder,
    since: From = None,
    until: To = None,
    source: SourceIp = None,
    role: Role = None,
    show: Show = Format.TABLE,
) -> None:
    """Print the operator timeline of a case."""
    from forensics import query

    with _orderly():
        opened = _open(case)
        chosen = query.Choice(since, until, source, role)
        if show is Format.TABLE:
            _draw_timeline(opened, chosen)
        else:
            _print_rows(query.rows(opened, "timeline", chosen), "timeline", show)


def _add_table(name: str, says: str) -> None:
    """Add the command that prints one table of a case."""

    def command(
        case: CaseFolder,
        since: From = None,
        until: To = None,
        source: SourceIp = None,
        role: Role = None,
        show: Show = Format.TABLE,
    ) -> None:
        from forensics import query

        with _orderly():
            _print_rows(query.rows(_open(case), name, query.Choice(since, until, source, role)), name, show)

    app.command(name, help=says)(command)


for _name, _says in (
    ("findings", "Print what the report opens with, the weightiest first, and what the logs cannot show."),
    ("sources", "Print who came: every source address with its role, origin and reasons."),
    ("sessions", "Print the RDP sessions, from logon to end."),
    ("milestones", "Print the milestones of the case, each with what proves it."),
    ("endpoints", "Print what each path of the web server was for."),
    ("links", "Print what ties addresses, machines, accounts and paths to one operator."),
    ("chain", "Print the proxy chain: from which address to which, and when."),
    ("beacons", "Print who comes back to a path by a timer."),
    ("victims", "Print the addresses behind which implants ran."),
    ("hours", "Print when operators were at work, by weekday and hour (UTC)."),
    ("zones", "Print which time zones the working hours would fit."),
    ("coverage", "Print what each log covers, where it has holes, and what is not in evidence."),
):
    _add_table(_name, _says)


@app.command()
def sql(
    case: CaseFolder,
    query: Annotated[str, typer.Argument(help="DuckDB SQL over the tables of the case.")],
    show: Show = Format.TABLE,
) -> None:
    """Ask the tables of a case in SQL.

    Example: c2trail sql case "SELECT source_ip, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC LIMIT 10"
    """
    from forensics import query as questions

    with _orderly():
        _print_rows(questions.sql(_open(case), query), "rows", show)


@app.command()
def show(
    case: CaseFolder,
    locator: Annotated[str, typer.Argument(help="As in every output, such as E0001:4096+312#17.")],
    evidence: Annotated[list[Path] | None, typer.Option("--evidence", help="Where the evidence lies now.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Print the raw bytes behind a row, made visible, and how they were read."""
    from forensics import console, query
    from forensics.model import Locator

    with _orderly():
        found = query.show(_open(case), Locator.parse(locator), evidence or [], _password(password_file))
        console.draw_shown(found, locator)


@app.command()
def verify(
    case: CaseFolder,
    evidence: Annotated[list[Path] | None, typer.Argument(help="The evidence, to be hashed again.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Hash a case (and its evidence) again, recompute the sums, name every difference."""
    from forensics import console, query
    from forensics.errors import EvidenceChangedError

    with _orderly():
        differences = list(query.verify(_open(case), evidence or [], _password(password_file)))
        for what, difference in differences:
            console.warn(f"{what}: {difference}")
        if differences:
            raise EvidenceChangedError(f"{len(differences)} differences; the case or its evidence is not what it was")
        console.say("whole: every file, sum and hash is as the manifest says")


@app.command()
def identify(
    evidence: Annotated[list[Path], typer.Argument(help="Files, folders or archives.")],
    pattern: Patterns = None,
    password_file: PasswordFile = None,
) -> None:
    """Say which parser claims which file, and why."""
    from forensics import console
    from forensics.evidence.find import find
    from forensics.identify import identify as claims
    from forensics.model import Options

    with _orderly():
        found = find(evidence, _password(password_file))
        plan = claims(found.evidence, Options(patterns=tuple(pattern or ())))
        console.draw_identified(plan)
        for problem in found.passed_over:
            console.warn(f"{problem.label}: {problem.why}")
        if any(problem.failed for problem in found.passed_over) or not found.evidence:
            raise EvidenceError(
                "not all of what was named could be read" if found.evidence else "no evidence file was found"
            )


@app.command()
def formats() -> None:
    """List the log formats that c2trail reads, and what each cannot know."""
    from forensics import console
    from forensics.parsers import parsers

    with _orderly():
        console.draw_formats(list(parsers().values()))


@app.command()
def lookup(
    addresses: Annotated[list[str], typer.Argument(metavar="IP...", help="Addresses.")],
    at: Annotated[str | None, typer.Option("--at", help="The day of the event, YYYY-MM-DD.")] = None,
    geo: Geo = None,
    show: Show = Format.TABLE,
) -> None:
    """Say what every witness says of an address on a day.

    Example: c2trail lookup 175.45.178.19 --at 2017-01-18
    """
    from forensics import enrichment
    from forensics.instants import typed_date

    with _orderly():
        day = typed_date(at) if at else None
        witnesses = enrichment.load(geo or [])
        _print_rows((fact for ip in addresses for fact in witnesses.lookup(ip, day)), "facts", show)


def _password(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}); --password-file names a file") from error


def _open(folder: Path) -> Case:
    from forensics.case import open_case

    return open_case(folder)


def _print_rows(rows: Iterator[dict[str, Any]], name: str, show: Format) -> None:
    from forensics import console

    console.write_rows(rows, show.value, name)


def _draw_timeline(case: Case, chosen: Any) -> None:
    from forensics import console, query

    choice = chosen or query.EVERYTHING
    console.draw_timeline(query.rows(case, "timeline", choice), list(query.rows(case, "sessions")))
