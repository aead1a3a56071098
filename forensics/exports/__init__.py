"""Exports: a published case in, one file for another tool out. One module is one format; `EXPORT` is all that others see of it.

An export is a function of the case alone: same case, same bytes. Its `filename` is what follows the name of the case.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import UsageError
from forensics.publishing import publish_file
from forensics.registry import listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.case import Case
    from forensics.model import Report


@cache
def exports() -> dict[str, Report]:
    """Return every export by the name of its format."""
    return listing(__path__, __name__, "EXPORT")


def pieces(case: Case, form: str) -> Iterator[bytes]:
    """Yield the bytes of a case in the format `form`, a bounded number at a time; UsageError if there is none of that name."""
    if form not in exports():
        raise UsageError(f"no export is called '{form}'; there are {', '.join(exports())}")
    with case.database() as db:
        yield from exports()[form].write(db)


def export(case: Case, form: str, out: Path | str | None = None, *, force: bool = False) -> Path:
    """Write a case in the format `form` to the file `out` and return where it lies.

    Without `out` the file is named after the case and lies where the process runs. Nothing is overwritten without `force`;
    OutputError if it cannot be written, or would lie inside the case.
    """
    made = pieces(case, form)
    target = Path(out) if out is not None else Path(f"{case.folder.resolve().name}.{exports()[form].filename}")
    publish_file(target, made, force=force, outside=case.folder)
    return target
