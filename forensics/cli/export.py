"""A case for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from forensics.cli._options import CaseFolder
from forensics.cli._running import open_folder, orderly


def export(
    case: CaseFolder,
    form: Annotated[
        str,
        typer.Option("--format", help="timesketch, ecs, stix, navigator, xlsx, l2tcsv or parquet."),
    ],
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The file; - is stdout. Without it, a file named after the case.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
) -> None:
    """Write a case for another tool: Timesketch, Elasticsearch, STIX, ATT&CK Navigator, Excel, log2timeline, Parquet.

    Example: c2trail export case --format xlsx -o case.xlsx
    """
    from forensics import console, exports

    with orderly():
        opened = open_folder(case)
        if out == "-":
            console.write_bytes(exports.pieces(opened, form))
        else:
            console.say(f"wrote {exports.export(opened, form, Path(out) if out else None, force=force)}")


COMMANDS: Final = {"export": export}
