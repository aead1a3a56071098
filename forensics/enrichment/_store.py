"""Where the analyst's own databases lie: a folder with a catalogue that says of each what it is, of when, and its SHA-256.

`c2trail geo add` copies a file into it. The folder is the platform's place for user data; C2TRAIL_GEO names another.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics.enrichment._database import Mmdb, sha256
from forensics.enrichment._lists import KINDS, Listed, read_days, read_list, read_watch
from forensics.errors import DatabaseError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

CATALOGUE: Final = "catalogue.json"
MMDB: Final = "mmdb"
WATCH: Final = "watch"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One added database. `covers` are the days that the list speaks of, first and last; an mmdb's is the day it was built.

    `observed` is the SHA-256 of the list of days on which somebody looked, kept as NAME.days; empty where none was given.
    """

    name: str
    kind: str
    file: str
    sha256: str
    licence: str
    covers: tuple[str, ...] = ()
    day: str = ""
    rows: int = 0
    rejects: int = 0
    observed: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if the entry names a file that is not its own: a catalogue may come from somebody else."""
        if not _NAME.fullmatch(self.name) or self.file != f"{self.name}.data":
            raise ValueError("an entry names a file that is not its own")

    @property
    def days_file(self) -> str:
        """Where the days lie on which somebody looked."""
        return f"{self.name}.days"


def folder() -> Path:
    """Return the folder of the analyst's databases, which need not exist."""
    typed = os.environ.get("C2TRAIL_GEO")
    if typed:
        return Path(typed)
    from platformdirs import user_data_path  # noqa: PLC0415  # only where nothing was typed

    return user_data_path("c2trail") / "geo"


def entries(place: Path | None = None) -> list[Entry]:
    """Return what the catalogue of a folder names, by name; DatabaseError if it is damaged."""
    path = (place or folder()) / CATALOGUE
    if not path.is_file():
        return []
    try:
        found = [Entry(**{**one, "covers": tuple(one.get("covers", ()))}) for one in json.loads(path.read_bytes())]
    except (ValueError, TypeError, OSError) as error:
        raise DatabaseError(f"{path}: the catalogue of added databases is damaged ({error}); remove it") from error
    return sorted(found, key=lambda entry: entry.name)


def add(
    source: Path,
    kind: str,
    *,
    day: date | None = None,
    name: str | None = None,
    licence: str = "",
    days: Path | None = None,
) -> tuple[Entry, Listed | None]:
    """Copy a database into the folder; return its entry, and what a list held with the lines that were not understood.

    `kind` is one of the list kinds, `mmdb` or `watch`; `days` names the days on which the list was looked at, one a line: of any
    other it says nothing. UsageError if it holds nothing; DatabaseError if it is damaged.
    """
    if kind not in (*KINDS, MMDB, WATCH):
        raise UsageError(f"no kind is called '{kind}'; kinds are {', '.join((*KINDS, MMDB, WATCH))}")
    called = name or re.sub(r"[^A-Za-z0-9._-]+", "-", source.name)[:64].strip("-.") or "list"
    if not _NAME.fullmatch(called):
        raise UsageError(f"'{called}' is no name: letters, digits, dot, dash and underscore, at most 64")
    if called in {entry.name for entry in entries()}:
        raise UsageError(f"a database called {called} was added before; give --name, or remove it first")
    if days is not None and kind not in KINDS:
        raise UsageError("--days belongs to a list of tor_exit, vpn, proxy, hosting, relay_service or scanner")
    for path in (source, days):
        # A device or a pipe has no end: reading one would take all memory, or wait for ever.
        if path is not None and path.exists() and not path.is_file():
            raise DatabaseError(f"{path.name}: is no regular file and was not read")
    observed = read_days(days) if days is not None else ()
    listed = None
    covers: tuple[str, ...] = ()
    if kind == MMDB:
        covers = (Mmdb(source).built().isoformat(),) * 2
    else:
        listed = read_watch(source) if kind == WATCH else read_list(source, kind, day)
        if not listed.intervals:
            why = f": line {listed.rejects[0][0]}: {listed.rejects[0][2]}" if listed.rejects else ""
            raise UsageError(f"{source.name} holds no network{why}")
        covers = _covers(listed)
    entry = Entry(
        called, kind, f"{called}.data", sha256(source), licence, covers, day.isoformat() if day else "",
        len(listed.intervals) if listed else 0, len(listed.rejects) if listed else 0,
        sha256(days) if days is not None and observed else "",
    )  # fmt: skip
    _write(source, entry, days)
    return entry, listed


def _covers(listed: Listed) -> tuple[str, str]:
    return min(i.since for i in listed.intervals).isoformat(), max(i.until for i in listed.intervals).isoformat()


def _write(source: Path, entry: Entry, days: Path | None) -> None:
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / entry.file).write_bytes(source.read_bytes())
        if days is not None:
            (place / entry.days_file).write_bytes(days.read_bytes())
        _save(place, [*entries(place), entry])
    except OSError as error:
        raise OutputError(
            f"{place}: cannot be written ({error.strerror}); set C2TRAIL_GEO to another folder"
        ) from error


def _save(place: Path, kept: list[Entry]) -> None:
    text = json.dumps([asdict(one) for one in sorted(kept, key=lambda one: one.name)], indent=1, sort_keys=True)
    draft = place / f".{CATALOGUE}.{os.getpid()}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(place / CATALOGUE)


def remove(name: str) -> None:
    """Forget an added database and delete its copy; UsageError if there is none of that name."""
    place = folder()
    kept = entries(place)
    gone = [entry for entry in kept if entry.name == name]
    if not gone:
        raise UsageError(f"no database called {name} was added; see: c2trail geo list")
    try:
        _save(place, [entry for entry in kept if entry.name != name])
        (place / gone[0].file).unlink(missing_ok=True)
        (place / gone[0].days_file).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written ({error.strerror})") from error


def verify(place: Path | None = None) -> Iterator[str]:
    """Yield a sentence for each added database that is not what the catalogue says."""
    where = place or folder()
    for entry in entries(where):
        try:
            whole(where, entry)
        except DatabaseError as error:
            yield str(error)


def used(added: Iterable[Path]) -> Iterator[tuple[Path, Entry]]:
    """Yield (folder, entry) of every database of the analyst's folder and of those named with --geo, each folder once."""
    for place in dict.fromkeys([folder(), *(path for path in added if path.is_dir())]):
        yield from ((place, entry) for entry in entries(place))


def whole(place: Path, entry: Entry) -> Path:
    """Return where an added database lies; DatabaseError if it is not the one that was added."""
    parts = [(entry.file, entry.sha256), *([(entry.days_file, entry.observed)] if entry.observed else [])]
    for name, digest in parts:
        if sha256(place / name) != digest:
            raise DatabaseError(
                f"{name}: differs from its SHA-256 in the catalogue; c2trail geo remove {entry.name}, then add it anew"
            )
    return place / entry.file


def described(entry: Entry) -> dict[str, Any]:
    """Return an entry as `geo list` prints it."""
    return {
        "name": entry.name, "kind": entry.kind, "from": entry.covers[0] if entry.covers else None,
        "to": entry.covers[1] if entry.covers else None, "rows": entry.rows or None, "rejects": entry.rejects,
        "licence": entry.licence or "the analyst's", "sha256": entry.sha256,
    }  # fmt: skip
