"""What is known of an address."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from forensics.cli._options import Format, Geo, Online, Show, Watch, Yes
from forensics.cli._running import online_as_typed, orderly, print_rows


def lookup(
    addresses: Annotated[list[str], typer.Argument(metavar="IP...", help="Addresses.")],
    at: Annotated[str | None, typer.Option("--at", help="The day of the event, YYYY-MM-DD.")] = None,
    geo: Geo = None,
    watch: Watch = None,
    show: Show = Format.TABLE,
    online: Online = False,
    yes: Yes = False,
) -> None:
    """Say what every witness says of an address on a day.

    Example: c2trail lookup 175.45.178.19 --at 2017-01-18
    """
    from forensics import console, enrichment
    from forensics.instants import typed_date

    with orderly():
        day = typed_date(at) if at else None
        witnesses = enrichment.load(geo or [], watch or [])
        told = [fact for ip in addresses for fact in witnesses.lookup(ip, day)]
        asked = online_as_typed(online, yes)
        answers = enrichment.ask(addresses, asked) if asked else []
        print_rows(iter([*told, *enrichment.registered(addresses, answers, day)]), "facts", show)
        console.credit()


COMMANDS: Final = {"lookup": lookup}
