"""Evidence in, a case out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from forensics.cli._options import (
    AskAbout,
    AskPassword,
    Engine,
    EngineName,
    Force,
    Geo,
    Online,
    Out,
    PasswordFile,
    Patterns,
    Scheduler,
    Shadows,
    Watch,
    Workers,
    Yes,
    Zone,
)
from forensics.cli._running import draw_timeline, online_as_typed, orderly, password_in
from forensics.errors import EvidenceError, UsageError


def analyze(
    evidence: Annotated[
        list[str], typer.Argument(help="Log files, folders or archives of them; or s3://bucket/prefix.")
    ],
    out: Out = "c2trail-case",
    zone: Zone = None,
    pattern: Patterns = None,
    geo: Geo = None,
    watch: Watch = None,
    as_of: Annotated[str, typer.Option("--as-of", help="event, or a date: place addresses as of that day.")] = "event",
    workers: Workers = None,
    engine: Engine = EngineName.LOCAL,
    scheduler: Scheduler = None,
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
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Replace the case of that name, and take over what is unchanged: the result is the same."
        ),
    ] = False,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    shadow_copies: Shadows = False,
    online: Online = False,
    yes: Yes = False,
    ask_about: AskAbout = None,
) -> None:
    """Analyse seized logs and publish a case folder.

    Example: c2trail analyze /mnt/seized/Windows /mnt/seized/Tomcat -o case
    """
    from forensics.model import Options

    with orderly():
        if (engine is EngineName.DASK) != (scheduler is not None):
            raise UsageError("--engine dask and --scheduler tcp://HOST:PORT go together")
        options = Options(
            zone=zone,
            patterns=tuple(pattern or ()),
            as_of=as_of,
            recover=recover,
            strict=strict,
            shadow_copies=shadow_copies,
            trusted_proxies=tuple(dict.fromkeys(trusted_proxy or ())),
        )
        _run(
            evidence,
            out,
            options,
            geo or [],
            workers,
            watch=watch or [],
            scheduler=scheduler,
            force=force,
            update=update,
            password=password_in(password_file, ask=ask_password),
            online=online_as_typed(online, yes, ask_about),
        )


def demo(out: Out = "c2trail-case", workers: Workers = None, force: Force = False) -> None:
    """Analyse the packaged sample logs (synthetic) end to end."""
    from forensics.model import Options
    from forensics.packaged import sample_evidence

    with orderly():
        _run(sample_evidence(), out, Options(), [], workers, force=force)


def _run(
    evidence: Sequence[Path | str],
    out: str,
    options: Any,
    geo: list[Path],
    workers: int | None,
    *,
    scheduler: str | None = None,
    force: bool,
    update: bool = False,
    password: bytes | None = None,
    watch: list[Path] | None = None,
    online: Any = None,
) -> None:
    from forensics import console, pipeline, publishing, query
    from forensics.case import seal
    from forensics.evidence.open import place

    target = place(out)
    for done in publishing.sweep(target) if isinstance(target, Path) else ():
        console.warn(done)
    with console.progress("analysing") as progress:
        case = pipeline.analyze(
            *evidence,
            out=out,
            options=options,
            geo=geo,
            watch=watch or (),
            workers=workers,
            scheduler=scheduler,
            force=force,
            update=update,
            progress=progress.advance,
            password=password,
            online=online,
        )
    draw_timeline(case, None)
    console.draw_findings(query.rows(case, "findings"))
    console.draw_case(case.folder if isinstance(target, Path) else target, case.manifest)
    if not isinstance(target, Path):
        console.say(f"copy     {case.folder} (report.html and all; what commands read)")
    console.say(f"seal     {seal(case)} (note it down: c2trail verify --seal)")
    failed = pipeline.failed(case)
    for problem in failed:
        console.warn(f"{problem.label}: {problem.why}")
    if failed:
        raise EvidenceError(f"{len(failed)} of what was named could not be read; the case holds the rest")


COMMANDS: Final = {"analyze": analyze, "demo": demo}
