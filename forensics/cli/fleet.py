"""Many servers in one call."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from forensics.cli._options import (
    AskPassword,
    Force,
    Format,
    Geo,
    PasswordFile,
    Patterns,
    Scheduler,
    Show,
    Workers,
    Zone,
)
from forensics.cli._running import orderly, password_in, print_rows
from forensics.errors import EvidenceError

_SHOWN: Final = (
    "server", "status", "rare_origins", "events", "sessions", "c2_paths", "victims", "first_seen", "last_seen",
)  # fmt: skip
"""What a screen shows of the table; csv and jsonl give all of it."""


def fleet(
    folder: Annotated[
        str, typer.Argument(help="A folder with one folder, archive or image a server; or s3://bucket/prefix.")
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", help="Where the cases and fleet.csv go; a folder, or s3://bucket/prefix.")
    ] = "c2trail-fleet",
    zone: Zone = None,
    pattern: Patterns = None,
    geo: Geo = None,
    as_of: Annotated[str, typer.Option("--as-of", help="event, or a date: place addresses as of that day.")] = "event",
    workers: Workers = None,
    scheduler: Scheduler = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the cases there that have the same version and options.")
    ] = False,
    force: Force = False,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    show: Show = Format.TABLE,
) -> None:
    """Analyse a folder of seized servers, one case each, and print a table over all of them.

    What fails for one server stops no other: it stands in the table, and the exit code is 3.

    Example: c2trail fleet /mnt/seized-fleet -o cases
    """
    from forensics import console
    from forensics.fleet import COLUMNS
    from forensics.fleet import fleet as analysed
    from forensics.model import Options

    with orderly():
        options = Options(zone=zone, patterns=tuple(pattern or ()), as_of=as_of)
        with console.progress("analysing") as progress:
            found = analysed(
                folder,
                out,
                options=options,
                geo=geo or [],
                workers=workers,
                scheduler=scheduler,
                force=force,
                resume=resume,
                password=password_in(password_file, ask=ask_password),
                progress=progress.advance,
            )
        names = _SHOWN if show is Format.TABLE else COLUMNS
        rows = [{name: one.row().get(name) for name in names} for one in found]
        print_rows(iter(rows), "fleet", show)
        bad = [one for one in found if one.exit_code]
        for one in bad:
            console.warn(f"{one.server}: {one.error}")
        if bad:
            raise EvidenceError(
                f"{len(bad)} of {len(found)} servers could not be read, or not whole; see {out.rstrip('/')}/fleet.csv"
            )


COMMANDS: Final = {"fleet": fleet}
