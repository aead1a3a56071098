"""What every command does around its work: orderly failure, opening a case, printing rows."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from forensics.errors import ForensicsError, UsageError
from forensics.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from forensics.case import Case
    from forensics.cli._options import Format
    from forensics.enrichment import Online, Question


@contextmanager
def orderly() -> Iterator[None]:
    """Turn what went wrong into one line and the exit code of its kind."""
    caught: list[int] = []

    def leave(number: int, _: object) -> NoReturn:
        caught.append(number)
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)
    try:
        try:
            yield
        except Exception as error:
            # A database that is interrupted says so in an error of its own.
            if caught and not isinstance(error, ForensicsError):
                raise KeyboardInterrupt from error
            raise
    except ForensicsError as error:
        stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        stop("interrupted; nothing was written", 128 + (caught[0] if caught else signal.SIGINT))
    except BrokenPipeError:
        # The reader of our pipe has seen enough; its end is not our error, and Python's last flush must not meet it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except MemoryError:
        stop("out of memory; run again with --workers 1, or on fewer files at a time", 71)


def stop(message: str, code: int) -> NoReturn:
    """Say what went wrong and leave with the exit code of its kind."""
    try:
        from forensics import console
    except Exception:  # noqa: BLE001  # a native package whose import was interrupted cannot be imported again
        typer.echo(f"error: {visible(message)}", err=True)
    else:
        console.fail(message)
    raise typer.Exit(code)


def password_in(file: Path | None, *, ask: bool = False) -> bytes | None:
    """Return the first line of a password file, without its line end, or what is typed; None where neither was asked for."""
    if file is None:
        return typer.prompt("Password of the archives", hide_input=True, err=True).encode() if ask else None
    try:
        return file.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r")
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}); --password-file names a file") from error


def online_as_typed(asked: bool, yes: bool, roles: list[str] | None = None) -> Online | None:  # noqa: FBT001
    """Return how registries may be asked, None where --online was not typed; UsageError for a role that is none."""
    if not asked:
        return None
    from datetime import UTC, datetime

    from platformdirs import user_cache_path

    from forensics import console
    from forensics.enrichment import Online
    from forensics.model import ROLES

    for role in roles or ():
        if role not in ROLES:
            raise UsageError(f"no role is called '{role}'; roles are {', '.join(ROLES)}")

    def consent(questions: Sequence[Question]) -> bool:
        console.draw_questions(questions)
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError("--online sends nothing unasked: answer at a terminal, or say --yes")
        return typer.confirm("Send these?", err=True)

    online = Online(consent, datetime.now(UTC).date(), cache=user_cache_path("c2trail") / "rdap.jsonl")
    return replace(online, roles=tuple(roles)) if roles else online


def open_folder(folder: str) -> Case:
    """Open a case folder, or one in a store; UsageError where it is none."""
    from forensics.stored_cases import open_case

    return open_case(folder)


def print_rows(rows: Iterator[dict[str, Any]], name: str, show: Format) -> None:
    """Print rows of the table `name` in the form that was asked for."""
    from forensics import console

    console.write_rows(rows, show.value, name)


def draw_timeline(case: Case, chosen: Any) -> None:
    """Draw the operator timeline of a case, or the part of it that was chosen."""
    from forensics import console, query

    choice = chosen or query.EVERYTHING
    console.draw_timeline(query.rows(case, "timeline", choice), list(query.rows(case, "sessions")))
