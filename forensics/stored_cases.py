"""A case in an object store: built on disk, put there whole and named last; read from a copy on disk that was checked.

A store has no rename. So the case folder lies below a part of its manifest's hash, and an object `current` that is put last
says which one stands: whoever reads finds the case before or the case after, each whole. Until there is one, an object
`.unfinished` says that a case of ours is on its way. A case folder that was copied to a name by other means is a case too.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager, suppress
from shutil import rmtree
from typing import TYPE_CHECKING, Final

from platformdirs import user_cache_path

from forensics.case import AUDIT, MANIFEST, Case, digest
from forensics.case import open_case as open_on_disk
from forensics.errors import EvidenceChangedError, EvidenceError, OutputError, StoreError, UsageError
from forensics.evidence.open import Url, connect, place, told
from forensics.publishing import folder_draft, scratch, sweep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

CURRENT: Final = "current"
_UNFINISHED: Final = ".unfinished"
_STANDS: Final = re.compile(r"[0-9a-f]{16}")
_OF_THIS_CASE: Final = re.compile(rf"(?:{_STANDS.pattern}/)?{re.escape(MANIFEST)}")
_SMALL_TABLE: Final = re.compile(r"tables/[a-z_]+\.parquet")


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
    outside(target, evidence)
    if _replaced(target, force=force or update) and update:
        _fetched(target)
    copy = _copy_of(target)
    copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return copy


@contextmanager
def passing(target: Path | Url) -> Iterator[Path]:
    """Give the folder to build a case in, which may replace one: the path itself, or for a store one that goes with the block.

    When the block ends well the case is put into the store, and no copy stays here. OutputError as `home` and `upload`.
    """
    if not isinstance(target, Url):
        yield target
        return
    _replaced(target, force=True)
    copy = _copy_of(target)
    sweep(copy)
    with scratch(copy) as hidden:
        folder = hidden / target.name
        yield folder
        upload(open_on_disk(folder), target, kept=False)


def small_tables(source: Url, folder: Path) -> Case | None:
    """Fetch the manifest of a case in a store, and its tables that are one file, into `folder`; None if there is no case.

    What was fetched there before is kept as long as the manifest is the same.
    What counts records one by one (events, rejects, skips) seems empty then: no command is to be run on it.
    EvidenceChangedError if an object is not what the manifest says.
    """
    found = _standing(source)
    if found is None:
        return None
    where, manifest = found
    copy = folder / source.name
    with suppress(OSError):
        if (copy / MANIFEST).read_bytes() == manifest:
            return open_on_disk(copy)
    rmtree(copy, ignore_errors=True)
    said = {name: digest for name, digest in _said(source, manifest).items() if _SMALL_TABLE.fullmatch(name)}
    copy.mkdir()
    try:
        _get(where, list(said), copy)
        _check(source, said, copy)
    except (EvidenceError, EvidenceChangedError):
        if _standing(source) == found:
            raise
        return small_tables(source, folder)
    (copy / MANIFEST).write_bytes(manifest)
    return open_on_disk(copy)


def outside(target: Url, evidence: Iterable[Path | Url]) -> None:
    """Raise OutputError if what is to be written lies among the evidence."""
    for one in evidence:
        if isinstance(one, Url) and f"{target}/".startswith(f"{one}/"):
            raise OutputError(
                f"{target} lies inside the evidence {one}; nothing is ever written there: choose another place with -o"
            )


def _replaced(target: Url, *, force: bool) -> bool:
    """Say whether a case of that name is there to be replaced; OutputError if it must not be, or something else is there."""
    place(target)  # a server may have a name that no object can have
    with writing(target):
        held = _objects(target)
    if any(name.endswith(f"/{MANIFEST}") and not _OF_THIS_CASE.fullmatch(name) for name in held):
        raise OutputError(f"{target} holds cases, and is none; give the new one a name of its own with -o")
    if CURRENT in held or MANIFEST in held:
        if not force:
            raise OutputError(f"{target} exists; choose another name with -o, or --force to replace a case")
        return True
    if held and _UNFINISHED not in held:
        raise OutputError(f"{target} exists and is no case of c2trail; --force replaces cases only")
    return False


def upload(case: Case, target: Url, *, kept: bool = True) -> None:
    """Put a case where nothing is, or an older one, which stands until the new one is whole, and goes then.

    OutputError if the store fails; the case on disk stays whole, and the older one in the store. `kept` if the analyst will
    find it on disk.
    """
    store = connect()
    names = [path.relative_to(case.folder).as_posix() for path in sorted(case.folder.rglob("*")) if path.is_file()]
    stands = _name(case.folder / MANIFEST)
    where = Url(f"{target}/{stands}")
    with writing(target, f"; the case lies whole at {case.folder}" if kept else ""):
        held = _objects(target)
        store.pipe_file(f"{target.path}/{_UNFINISHED}", b"")
        store.put([str(case.folder / name) for name in names], [f"{where.path}/{name}" for name in names])
        there = _objects(where)
        for name in names:
            if there.get(name) != (size := (case.folder / name).stat().st_size):
                raise OSError(f"{name} has {size} bytes here, {there.get(name, 'none')} there")
        store.pipe_file(f"{target.path}/{CURRENT}", f"{stands}\n".encode())
    with suppress(Exception):
        # What is left of others says nothing beside `current`.
        for name in [_UNFINISHED, *(held.keys() - {_UNFINISHED, CURRENT} - {f"{stands}/{name}" for name in there})]:
            store.rm_file(f"{target.path}/{name}")


def _name(manifest: Path) -> str:
    return digest(manifest)[:16]


def _standing(source: Url) -> tuple[Url, bytes] | None:
    """Return where the objects of the case of a name lie now, and its manifest; None if there is no case."""
    store, where = connect(), source
    with told(source):
        with suppress(FileNotFoundError):
            stands = store.cat_file(f"{source.path}/{CURRENT}").decode("ascii", "replace").strip()
            if not _STANDS.fullmatch(stands):
                raise EvidenceChangedError(f"{source}/{CURRENT} is not what was written; analyse again")
            where = Url(f"{source}/{stands}")
        with suppress(FileNotFoundError):
            return where, store.cat_file(f"{where.path}/{MANIFEST}")
    return None


def _fetched(source: Url, *, fresh: bool = False) -> Path:
    """Return a copy on disk of the case in a store."""
    found = _standing(source)
    if found is None:
        with told(source, whole=True):
            broken = connect().exists(f"{source.path}/{_UNFINISHED}")
        why = "its upload goes on, or broke: wait, or analyse again" if broken else "there is none of that name"
        raise UsageError(f"{source} is no case ({why})")
    where, manifest = found
    copy = _copy_of(source)
    with suppress(OSError):
        if not fresh and (copy / MANIFEST).read_bytes() == manifest:
            return copy
    folder = copy.with_name(f"{copy.name}.as-found") if fresh else copy
    try:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with folder_draft(folder) as hidden:
            _fill(source, where, hidden, manifest, fresh=fresh)
    except OSError as error:
        raise OutputError(
            f"{source} cannot be copied to {error.filename or folder} ({error.strerror or error})"
        ) from error
    except (EvidenceError, EvidenceChangedError):
        if _standing(source) == found:
            raise
        return _fetched(source, fresh=fresh)
    return folder


def _fill(source: Url, where: Url, folder: Path, manifest: bytes, *, fresh: bool) -> None:
    """Fetch a case, checked; or `fresh` all that lies in it, and below its name beside it, for `verify` to judge."""
    with told(source, whole=True):
        names = [name for name in _objects(where) if name != _UNFINISHED]
        beside = list(_objects(source)) if fresh and where != source else []
    _get(where, names, folder)
    known = {_UNFINISHED, CURRENT}
    _get(
        source, [name for name in beside if name not in known and not _STANDS.fullmatch(name.partition("/")[0])], folder
    )
    if not fresh:
        expected = hashlib.sha256(manifest).hexdigest()
        if where != source and not where.endswith(f"/{expected[:16]}"):
            raise EvidenceChangedError(f"{source}/{MANIFEST} is not what was written; see c2trail verify {source}")
        _check(source, {MANIFEST: expected, **_said(source, manifest)}, folder)
        if not (folder / AUDIT).is_file():
            raise EvidenceChangedError(f"{source}/{AUDIT} is missing; see c2trail verify {source}")


def _get(source: Url, names: list[str], folder: Path) -> None:
    for name in names:
        if any(part in {"", ".", ".."} for part in name.split("/")) or "\\" in name or "\0" in name:
            raise UsageError(f"{source} is no case (it holds an object named '{name}')")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with told(source):
        connect().get([f"{source.path}/{name}" for name in names], [str(folder / name) for name in names])


def _said(source: Url, manifest: bytes) -> dict[str, str]:
    """Return the hash of every file of a case by its name."""
    try:
        return {name: facts["sha256"] for name, facts in json.loads(manifest)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceChangedError(f"{source}/{MANIFEST} is not what was written ({error}); analyse again") from error


def _check(source: Url, said: Mapping[str, str], folder: Path) -> None:
    for name, expected in sorted(said.items()):
        path = folder / name
        # What a manifest names is not looked for outside of what was fetched.
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file() or digest(path) != expected:
            raise EvidenceChangedError(f"{source}/{name} is not what was written; see c2trail verify {source}")


def _objects(url: Url) -> dict[str, int]:
    """Return the size of each object below a name, by its name from there on; the object of that very name is the empty name."""
    found = connect().find(url.path, detail=True)
    return {key[len(url.path) + 1 :]: facts["size"] for key, facts in sorted(found.items()) if facts["type"] == "file"}


def _copy_of(url: Url) -> Path:
    return user_cache_path("c2trail") / "cases" / hashlib.sha256(url.encode()).hexdigest()[:16] / url.name


@contextmanager
def writing(url: Url, left: str = "", said: str = "no case was put there") -> Iterator[None]:
    """Turn whatever a store raises into OutputError, between what it means (`said`) and what is `left` to the analyst."""
    try:
        with told(url, whole=True):
            yield
    except (EvidenceError, StoreError) as error:
        raise OutputError(f"{said}: {error}{left}") from error
