"""A case for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forensics.cli._options import CaseFolder
from forensics.cli._running import open_folder, orderly
from forensics.errors import UsageError

if TYPE_CHECKING:
    from forensics.case import Case


def export(
    case: CaseFolder,
    form: Annotated[
        str | None,
        typer.Option("--format", help="timesketch, ecs, stix, navigator, xlsx, l2tcsv or parquet."),
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", help="The file; - is stdout. Without it, a file named after the case.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file or copy of that name.")] = False,
    pseudonymise: Annotated[
        str | None,
        typer.Option(
            "--pseudonymise", metavar="victims", help="Publish a copy of the case without the addresses of victims."
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="With --pseudonymise: the file of the key; made where there is none (COPY.key)."),
    ] = None,
) -> None:
    """Write a case for another tool: Timesketch, Elasticsearch, STIX, ATT&CK Navigator, Excel, log2timeline, Parquet.

    Examples:
      c2trail export case --format xlsx -o case.xlsx

      c2trail export case --pseudonymise victims -o for-partners
    """
    from forensics import console, exports

    with orderly():
        opened = open_folder(case)
        if (form is None) == (pseudonymise is None):
            raise UsageError("say what to make: --format FORMAT, or --pseudonymise victims")
        if pseudonymise is not None:
            _copy(opened, pseudonymise, out, key, force=force)
        elif out == "-":
            console.write_bytes(exports.pieces(opened, str(form)))
        else:
            console.say(f"wrote {exports.export(opened, str(form), Path(out) if out else None, force=force)}")


def _copy(case: Case, whom: str, out: str | None, key: Path | None, *, force: bool) -> None:
    from forensics import console, pseudonyms

    if whom != "victims":
        raise UsageError(f"--pseudonymise knows victims alone, not '{whom}'; operators stay in clear")
    if out in {None, "-"}:
        raise UsageError("--pseudonymise makes a case folder: name it with -o")
    target = Path(str(out))
    kept = key or target.with_name(target.name + ".key")
    copy = pseudonyms.pseudonymise(case, target, kept, force=force)
    count = copy.manifest["pseudonymised"]["addresses"]
    console.say(
        f"wrote {copy.folder}: {count:,} addresses of victims are pseudonyms in 2001:db8::/32; the key is {kept}"
    )


COMMANDS: Final = {"export": export}
