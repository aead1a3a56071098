"""A file or a folder, published whole or not at all: made under a hidden name beside its place, made durable, renamed.

What a killed run leaves is hidden, `.NAME.xxxxxxxx.partial`, and held by nobody's lock: the next run of that name removes it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from forensics.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HIDDEN: Final = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?P<kind>partial|replaced)", re.DOTALL)


def publish_file(target: Path, pieces: Iterable[bytes], *, force: bool, outside: Path | None) -> None:
    """Write `pieces` to `target`; a file of that name is replaced with `force` alone, and only when the new one is whole.

    OutputError if it exists, cannot be written, or lies inside `outside`: what is in a case stands in its manifest.
    """
    target = target.absolute()
    if outside is not None and (target.parent.resolve() / target.name).is_relative_to(outside.resolve()):
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


@contextmanager
def folder_draft(target: Path) -> Iterator[Path]:
    """Give a hidden folder to fill; publish it as `target`, replacing what is there, when the block ends well, else remove it."""
    with scratch(target) as hidden:
        yield hidden
        _publish(hidden, target)


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside `target` that goes with the block, unless it was moved."""
    hidden = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden.mkdir(mode=0o700)
    lock = _held(hidden)
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep(target: Path) -> list[str]:
    """Clear away what killed runs left beside `target`, and say in words what was done.

    An unfinished draft that no run holds is removed. A case that stepped aside for one that never came is put back.
    """
    target = target.absolute()
    done = []
    with suppress(OSError):
        for path in sorted(target.parent.iterdir()):
            match = _HIDDEN.fullmatch(path.name)
            if match is None or match["name"] != target.name or not path.is_dir() or path.is_symlink():
                continue
            lock = _held(path)
            if lock is None:
                continue
            try:
                if match["kind"] == "replaced" and not target.exists():
                    path.rename(target)
                    done.append(f"put {target.name} back, which a killed run had moved to {path.name}")
                else:
                    shutil.rmtree(path)
                    done.append(f"removed {path.name}, which a killed run had left")
            finally:
                os.close(lock)
    return done


def _held(folder: Path) -> int | None:
    """Return a handle that locks a folder as long as this process lives; None where another has it, or locks are not to be had."""
    try:
        import fcntl  # noqa: PLC0415  # not on Windows, where drafts are never taken for stale
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _publish(hidden: Path, target: Path) -> None:
    """Make the draft durable, then visible by one rename; an old case steps aside first and goes afterwards."""
    for path in sorted(hidden.rglob("*"), reverse=True):
        _sync(path)
    _sync(hidden)
    aside = None
    if target.exists():
        aside = target.parent / f".{target.name}.{secrets.token_hex(4)}.replaced"
        target.rename(aside)
    try:
        hidden.rename(target)
    except OSError:
        if aside is not None:
            aside.rename(target)
        raise
    _sync(target.parent)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
