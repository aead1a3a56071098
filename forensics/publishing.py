"""One file, published whole or not at all: written under a hidden name beside its place, made durable, renamed."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from forensics.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def publish_file(target: Path, pieces: Iterable[bytes], *, force: bool, outside: Path) -> None:
    """Write `pieces` to `target`; a file of that name is replaced with `force` alone, and only when the new one is whole.

    OutputError if it exists, cannot be written, or lies inside `outside`: what is in a case stands in its manifest.
    """
    target = target.absolute()
    if (target.parent.resolve() / target.name).is_relative_to(outside.resolve()):
        raise OutputError(f"{target} lies inside the case, which its manifest describes; choose another place with -o")
    if target.is_dir():
        raise OutputError(f"{target} is a folder; name a file with -o")
    if target.exists() and not force:
        raise OutputError(f"{target} exists; choose another name with -o, or --force to replace it")
    hidden = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    try:
        try:
            with hidden.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(target)
        except BaseException:
            hidden.unlink(missing_ok=True)
            raise
    except OSError as error:
        where = error.filename or target
        raise OutputError(f"cannot write {where} ({error.strerror or error}); choose another place with -o") from error
