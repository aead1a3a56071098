"""Free questions to a case, the bytes behind a row, and whether all is as it was."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from forensics.cli._options import AskPassword, CaseFolder, Format, PasswordFile, Show
from forensics.cli._running import open_folder, orderly, password_in, print_rows


def sql(
    case: CaseFolder,
    query: Annotated[str, typer.Argument(help="DuckDB SQL over the tables of the case.")],
    show: Show = Format.TABLE,
) -> None:
    """Ask the tables of a case in SQL.

    Example: c2trail sql case "SELECT source_ip, count(*) AS n FROM events GROUP BY ALL ORDER BY n DESC LIMIT 10"
    """
    from forensics import query as questions

    with orderly():
        print_rows(questions.sql(open_folder(case), query), "rows", show)


def show(
    case: CaseFolder,
    locator: Annotated[str, typer.Argument(help="As in every output, such as E0001:4096+312#17.")],
    evidence: Annotated[
        list[str] | None, typer.Option("--evidence", help="Where the evidence lies now; a path, or s3://bucket/prefix.")
    ] = None,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
) -> None:
    """Print the raw bytes behind a row, made visible, and how they were read."""
    from forensics import console, query
    from forensics.model import Locator

    with orderly():
        found = query.show(
            open_folder(case), Locator.parse(locator), evidence or [], password_in(password_file, ask=ask_password)
        )
        console.draw_shown(found, locator)


def verify(
    case: CaseFolder,
    evidence: Annotated[list[str] | None, typer.Argument(help="The evidence, to be hashed again.")] = None,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    seal: Annotated[
        str | None, typer.Option("--seal", help="The seal that analyze told: proves that nothing was made anew.")
    ] = None,
) -> None:
    """Hash a case (and its evidence) again, recompute sums and reports, name every difference."""
    from forensics import console, verifying
    from forensics.case import seal as seal_of
    from forensics.errors import EvidenceChangedError
    from forensics.stored_cases import as_found

    with orderly():
        password = password_in(password_file, ask=ask_password)
        with as_found(case) as opened:
            differences = list(verifying.verify(opened, evidence or [], password, sealed=seal))
            sealed = None if differences else seal_of(opened)
        for what, difference in differences:
            console.warn(f"{what}: {difference}")
        if differences:
            raise EvidenceChangedError(
                f"{len(differences)} differences, the first in {differences[0][0]}; the case or its evidence is not what it was"
            )
        console.say("whole: every file, sum, report and hash is as the manifest says")
        console.say(f"seal     {sealed}")


COMMANDS: Final = {"sql": sql, "show": show, "verify": verify}
