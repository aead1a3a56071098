"""Where the cases of a fleet stand and the tables over them: a folder, or a name in an object store.

In a store, as on disk, each case is whole or not there. While a fleet is on its way an object `.fleet-unfinished` says so; it
goes when the last table is there.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from platformdirs import user_cache_path

from forensics import stored_cases
from forensics.case import MANIFEST, Case, open_case
from forensics.errors import OutputError
from forensics.evidence.open import Url, connect
from forensics.publishing import publish_file, scratch, sweep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLE: Final = "fleet.csv"
_UNFINISHED: Final = ".fleet-unfinished"
_GO_ON: Final = "; the cases that were put there are whole: go on with --resume"


class Shelf(Protocol):
    """A place for cases, each under its server's name."""

    def begin(self, *, over: bool) -> None:
        """Make ready to write; OutputError if that cannot be, or a fleet is there and `over` does not say to go over it."""
        ...

    def place(self, server: str) -> Path | Url:
        """Return where the case of a server goes."""
        ...

    def case(self, server: str) -> Case | None:
        """Return what is small of a whole case: manifest and tables, but neither events, rejects nor skips; None if there is none."""
        ...

    def still_there(self) -> None:
        """Raise OutputError if nothing could be put here any more."""
        ...

    def publish(self, name: str, pieces: Iterable[bytes]) -> None:
        """Put a table over all servers; OutputError if that cannot be."""
        ...

    def end(self) -> None:
        """Say that the fleet is whole."""
        ...


@contextmanager
def shelf_at(target: Path | Url, source: Path | Url) -> Iterator[Shelf]:
    """Give the place of the cases of `source`; OutputError if it lies among the evidence."""
    if isinstance(target, Path):
        yield _Folder(target.absolute(), source)
        return
    stored_cases.outside(target, [source])
    fetched = user_cache_path("c2trail") / "cases" / "fleet"
    sweep(fetched)
    with scratch(fetched) as held:
        yield _Stored(target, held)


class _Folder:
    def __init__(self, target: Path, source: Path | Url) -> None:
        self._target = target
        self._source = source if isinstance(source, Path) else None
        if self._source is not None and target.resolve().is_relative_to(self._source.resolve()):
            raise OutputError(f"{target} lies inside the evidence {source}; choose another place with -o")

    def begin(self, *, over: bool) -> None:
        if (self._target / TABLE).exists() and not over:
            raise _held(self._target)
        try:
            self._target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {self._target} ({error.strerror}); choose another place with -o") from error

    def place(self, server: str) -> Path:
        return self._target / server

    def case(self, server: str) -> Case | None:
        folder = self.place(server)
        return open_case(folder) if (folder / MANIFEST).is_file() else None

    def still_there(self) -> None:
        """Say nothing: a case that cannot be written may be the only one."""

    def publish(self, name: str, pieces: Iterable[bytes]) -> None:
        publish_file(self._target / name, pieces, force=True, outside=self._source)

    def end(self) -> None:
        """Say nothing: the last table says it."""


class _Stored:
    """A name in a store; what was fetched of its cases goes with the shelf."""

    def __init__(self, target: Url, held: Path) -> None:
        self._target = target
        self._held = held

    def begin(self, *, over: bool) -> None:
        names: set[str] = set()
        with stored_cases.writing(self._target, said="no fleet was put there"):
            with suppress(FileNotFoundError):
                listed = connect().ls(self._target.path, detail=True)
                names = {one["name"].rpartition("/")[2] for one in listed if one["type"] == "file"}
            if names & {MANIFEST, stored_cases.CURRENT}:
                raise OutputError(f"{self._target} is a case; choose another name for the fleet with -o")
            if TABLE in names and not over:
                raise _held(self._target)
            self._mark()

    def place(self, server: str) -> Url:
        return Url(f"{self._target}/{server}")

    def case(self, server: str) -> Case | None:
        with self._going_on():
            return stored_cases.small_tables(self.place(server), self._held)

    def still_there(self) -> None:
        with self._going_on():
            self._mark()

    def publish(self, name: str, pieces: Iterable[bytes]) -> None:
        with self._going_on():
            connect().pipe_file(f"{self._target.path}/{name}", b"".join(pieces))

    def end(self) -> None:
        with suppress(Exception):
            # It says nothing beside the last table.
            connect().rm_file(f"{self._target.path}/{_UNFINISHED}")

    def _mark(self) -> None:
        connect().pipe_file(f"{self._target.path}/{_UNFINISHED}", b"")

    def _going_on(self) -> AbstractContextManager[None]:
        return stored_cases.writing(self._target, _GO_ON, "the fleet is not whole")


def _held(target: Path | Url) -> OutputError:
    return OutputError(f"{target} holds a fleet; choose another name with -o, --resume to go on, or --force")
