"""The databases and lists that place addresses: those that come along, and those that the analyst adds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from forensics.cli._options import Format, Geo, Show
from forensics.cli._running import orderly, print_rows

group = typer.Typer(
    no_args_is_help=True, help="The databases and lists that place addresses: list, add, remove, verify."
)


@group.command("list")
def listed(geo: Geo = None, show: Show = Format.TABLE) -> None:
    """List every witness that is loaded: what it is, of which dates, under which licence."""
    from forensics import enrichment

    with orderly():
        rows = (
            {
                "name": one["name"], "kind": one["kind"], "from": one["dates"][0] if one["dates"] else None,
                "to": one["dates"][-1] if one["dates"] else None, "licence": one["licence"],
                "attribution": one["attribution"], "file": one["file"], "sha256": one["sha256"],
            }
            for one in enrichment.load(geo or []).describe()
        )  # fmt: skip
        print_rows(rows, "witnesses", show)


@group.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(help="A list of networks (plain, netset, CSV, gz), a watch list, or an mmdb.")
    ],
    kind: Annotated[
        str, typer.Option("--kind", help="tor_exit, vpn, proxy, hosting, relay_service, scanner, watch or mmdb.")
    ],
    date: Annotated[
        str | None, typer.Option("--date", help="The day that the list speaks of, where its lines have none.")
    ] = None,
    days: Annotated[
        Path | None,
        typer.Option("--days", help="The days on which the list was looked at, one a line: of others it says nothing."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call it; else its file name.")] = None,
    licence: Annotated[str, typer.Option("--licence", help="Its licence, to be told in reports.")] = "",
) -> None:
    """Add a database or list of your own; it is copied, hashed, and used from then on.

    Example: c2trail geo add tor-exits.csv --kind tor_exit --date 2019-05-04
    """
    from forensics import console
    from forensics.enrichment import added
    from forensics.instants import typed_date

    with orderly():
        entry, found = added.add(
            file, kind, day=typed_date(date) if date else None, name=name, licence=licence, days=days
        )
        span = f", {entry.covers[0]} to {entry.covers[1]}" if entry.covers else ""
        console.say(f"added {entry.name}: {entry.kind}{span}{f', {entry.rows:,} networks' if entry.rows else ''}")
        if found is not None and found.host_bits:
            console.say(f"{found.host_bits:,} networks had host bits, which were cleared")
        for number, line, why in (found.rejects if found else [])[:20]:
            console.warn(f"line {number} was not understood: {why}: {line[:80]}")
        if found is not None and len(found.rejects) > 20:
            console.warn(f"and {len(found.rejects) - 20:,} more lines")


@group.command("remove")
def remove(name: Annotated[str, typer.Argument(help="As geo list shows it.")]) -> None:
    """Forget a database or list that was added."""
    from forensics import console
    from forensics.enrichment import added

    with orderly():
        added.remove(name)
        console.say(f"removed {name}")


@group.command("verify")
def verify() -> None:
    """Hash every embedded and added database again and name what is not as it was."""
    from forensics import console, enrichment
    from forensics.errors import DatabaseError

    with orderly():
        wrong = [*enrichment.verify(), *enrichment.added.verify()]
        for sentence in wrong:
            console.warn(sentence)
        if wrong:
            raise DatabaseError(
                f"{len(wrong)} databases are not what they were; install c2trail again, or add them anew"
            )
        console.say("whole: every database has the SHA-256 that it was listed with")


COMMANDS: Final = {"geo": group}
