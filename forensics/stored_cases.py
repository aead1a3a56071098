"""A case in an object store: built on disk, put there whole with its manifest last; read from a copy on disk that was checked.

A store has no rename. So what stands below a name is a case from the moment its manifest is there, and no case before; until
then an object `.unfinished` says that it is one of ours on its way.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager, suppress
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Final

from platformdirs import user_cache_path

from forensics.case import AUDIT, MANIFEST, Case, digest
from forensics.case import open_case as open_on_disk
from forensics.errors import EvidenceChangedError, EvidenceError, OutputError, StoreError, UsageError
from forensics.evidence.open import Url, connect, place, told
from forensics.publishing import folder_draft

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_UNFINISHED: Final = ".unfinished"


def open_case(where: Path | str) -> Case:
    """Return the case at a path, or at `s3://bucket/case` by a copy on disk; UsageError if there is none.

    The copy is kept as long as the manifest in the store is the same. EvidenceChangedError if an object is not what the
    manifest says.
    """
    found = place(where)
    return open_on_disk(_fetched(found) if isinstance(found, Url) else found)


@contextmanager
def as_found(where: Path | str) -> Iterator[Case]:
    """Give a case for as long as the block runs, from a store fetched anew and unchecked: `verify` finds what differs."""
    found = place(where)
    if not isinstance(found, Url):
        yield open_on_disk(found)
        return
    folder = _fetched(found, fresh=True)
    try:
        yield open_on_disk(folder)
    finally:
        rmtree(folder, ignore_errors=True)


def home(target: Path | Url, *, evidence: Iterable[Path | Url], force: bool, update: bool) -> Path:
    """Return where a case is built: the path itself, or for a store the place of its copy on disk.

    OutputError if it lies among the evidence, or the store has objects of that name, unless they are a case and `force` or
    `update` was given, or what is left of an upload that broke. For `update` the older case is fetched.
    """
    if not isinstance(target, Url):
        return target
    for one in evidence:
        if isinstance(one, Url) and f"{target}/".startswith(f"{one}/"):
            raise OutputError(
                f"{target} lies inside the evidence {one}; nothing is ever written there: choose another place with -o"
            )
    with _writing(target):
        held = _objects(target)
    if MANIFEST in held:
        if not (force or update):
            raise OutputError(f"{target} exists; choose another name with -o, or --force to replace a case")
        if update:
            _fetched(target)
    elif held and _UNFINISHED not in held:
        raise OutputError(f"{target} exists and is no case of c2trail; --force replaces cases only")
    copy = _copy_of(target)
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return copy


def upload(case: Case, target: Url) -> None:
    """Put a case where nothing is, or an older one: its manifest goes first, the new one comes last.

    OutputError if the store fails; the case on disk stays whole, and what reached the store is no case.
    """
    store = connect()
    names = [path.relative_to(case.folder).as_posix() for path in sorted(case.folder.rglob("*")) if path.is_file()]
    others = [name for name in names if name != MANIFEST]
    with _writing(target, f"; the case lies whole at {case.folder}"):
        held = _objects(target)
        store.pipe_file(f"{target.path}/{_UNFINISHED}", b"")
        if MANIFEST in held:
            store.rm_file(f"{target.path}/{MANIFEST}")
        store.put([str(case.folder / name) for name in others], [f"{target.path}/{name}" for name in others])
        for name in sorted(held.keys() - set(names) - {_UNFINISHED}):
            store.rm_file(f"{target.path}/{name}")
        there = _objects(target)
        for name in others:
            if there.get(name) != (size := (case.folder / name).stat().st_size):
                raise OSError(f"{name} has {size} bytes here, {there.get(name, 'none')} there")
        store.put_file(str(case.folder / MANIFEST), f"{target.path}/{MANIFEST}")
    with suppress(Exception):
        # It says nothing beside a manifest.
        store.rm_file(f"{target.path}/{_UNFINISHED}")


def _fetched(source: Url, *, fresh: bool = False) -> Path:
    """Return a copy on disk of the case in a store."""
    store = connect()
    try:
        with told(source):
            manifest: bytes = store.cat_file(f"{source.path}/{MANIFEST}")
    except EvidenceError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        with told(source, whole=True):
            broken = store.exists(f"{source.path}/{_UNFINISHED}")
        why = "an upload broke: analyse again" if broken else f"it has no {MANIFEST}"
        raise UsageError(f"{source} is no case ({why})") from error
    copy = _copy_of(source)
    with suppress(OSError):
        if not fresh and (copy / MANIFEST).read_bytes() == manifest:
            return copy
    folder = copy.with_name(f"{copy.name}.as-found") if fresh else copy
    try:
        with told(source, whole=True):
            names = [name for name in _objects(source) if name != _UNFINISHED]
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with folder_draft(folder) as hidden:
            _get(store, source, names, hidden)
            if not fresh:
                _check(source, manifest, hidden)
    except OSError as error:
        raise OutputError(
            f"{source} cannot be copied to {error.filename or folder} ({error.strerror or error})"
        ) from error
    return folder


def _get(store: Any, source: Url, names: list[str], folder: Path) -> None:  # noqa: ANN401  # fsspec has no types
    for name in names:
        if any(part in {"", ".", ".."} for part in name.split("/")) or "\\" in name or "\0" in name:
            raise UsageError(f"{source} is no case (it holds an object named '{name}')")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with told(source):
        store.get([f"{source.path}/{name}" for name in names], [str(folder / name) for name in names])


def _check(source: Url, manifest: bytes, folder: Path) -> None:
    try:
        files = {name: facts["sha256"] for name, facts in json.loads(manifest)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceChangedError(f"{source}/{MANIFEST} is not what was written ({error}); analyse again") from error
    for name, said in [(MANIFEST, hashlib.sha256(manifest).hexdigest()), *sorted(files.items())]:
        path = folder / name
        # What a manifest names is not looked for outside of what was fetched.
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or digest(path) != said:
            raise EvidenceChangedError(f"{source}/{name} is not what was written; see c2trail verify {source}")
    if not (folder / AUDIT).is_file():
        raise EvidenceChangedError(f"{source}/{AUDIT} is missing; see c2trail verify {source}")


def _objects(url: Url) -> dict[str, int]:
    """Return the size of each object below a name, by its name from there on; the object of that very name is the empty name."""
    found = connect().find(url.path, detail=True)
    return {key[len(url.path) + 1 :]: facts["size"] for key, facts in sorted(found.items()) if facts["type"] == "file"}


def _copy_of(url: Url) -> Path:
    return user_cache_path("c2trail") / "cases" / hashlib.sha256(url.encode()).hexdigest()[:16] / url.name


@contextmanager
def _writing(url: Url, left: str = "") -> Iterator[None]:
    try:
        with told(url, whole=True):
            yield
    except (EvidenceError, StoreError) as error:
        raise OutputError(f"no case was put there: {error}{left}") from error
