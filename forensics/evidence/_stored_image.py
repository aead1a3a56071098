"""Disk images in a store: dfvfs reads their objects by ranges, through a kind of path of our own, and nothing is put on disk.

An image may have several objects (segments, extents, parents), which lie under one prefix. Whoever looks into it first asks the
store for those that the image names; from then on each is kept to what it was then (`StoredObject.beside`).

What a store raises is kept until `raise_trouble`: native code between it and whoever asked would take it for damage of the image.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from dfvfs.file_io import file_io
from dfvfs.lib import definitions
from dfvfs.path import factory, location_path_spec
from dfvfs.resolver_helpers import manager, resolver_helper
from dfvfs.vfs import file_system, root_only_file_entry

from forensics.errors import ForensicsError
from forensics.evidence._raw import take
from forensics.evidence._store import neighbour, open_image

if TYPE_CHECKING:
    from forensics.model import StoredObject

KIND: Final = "C2TRAIL_STORE"


class StoredPathSpec(location_path_spec.LocationPathSpec):  # type: ignore[misc]
    """An object by its name (`location`, behind a slash) beside that of the image (`identifier`, its URL and ETag)."""

    _IS_SYSTEM_LEVEL = True
    TYPE_INDICATOR = KIND

    def __init__(self, location: str | None = None, identifier: str = "", parent: None = None) -> None:
        """Take what the serializer kept."""
        super().__init__(location=location, parent=parent)
        self.identifier = identifier

    @property
    def comparable(self) -> str:
        """What dfvfs keeps open objects by."""
        return str(
            self._GetComparable(sub_comparable_string=f"identifier: {self.identifier}, location: {self.location}")
        )


class _Image:
    """The objects of one image by their names; None where the store has none."""

    def __init__(self, first: StoredObject, *, looking: bool) -> None:
        self.first = first
        self.looking = looking
        self.known: dict[str, StoredObject | None] = {one.url.rpartition("/")[2]: one for one in (*first.beside, first)}

    def named(self, name: str) -> StoredObject | None:
        if name not in self.known:
            self.known[name] = neighbour(self.first, name) if self.looking and "/" not in name else None
        return self.known[name]


_IMAGES: Final[dict[str, _Image]] = {}
_TROUBLE: Final[list[ForensicsError]] = []


def begin(stored: StoredObject, *, looking: bool = False) -> dict[str, str]:
    """Make an image known to dfvfs and return its properties as a path; with `looking` the store is asked for its further objects."""
    _TROUBLE.clear()
    held = _IMAGES.get(_identifier(stored))
    if held is None or looking or held.first.beside != stored.beside:
        _IMAGES.clear()
        _IMAGES[_identifier(stored)] = _Image(stored, looking=looking)
    return {"location": f"/{stored.url.rpartition('/')[2]}", "identifier": _identifier(stored)}


def beside(stored: StoredObject) -> tuple[StoredObject, ...]:
    """Return the further objects that were asked for since `begin`, in the order of their names; no more are looked for."""
    image = _IMAGES[_identifier(stored)]
    image.looking = False
    return tuple(sorted(one for one in image.known.values() if one is not None and one != stored))


def raise_trouble() -> None:
    """Raise what the store raised, if it did."""
    if _TROUBLE:
        raise _TROUBLE.pop()


def _identifier(stored: StoredObject) -> str:
    return f"{stored.url} {stored.etag}"


def _object(spec: Any) -> StoredObject | None:  # noqa: ANN401  # dfvfs has no types
    image = _IMAGES.get(spec.identifier)
    try:
        return image.named(spec.location[1:]) if image is not None and not _TROUBLE else None
    except ForensicsError as error:
        _TROUBLE.append(error)
        return None


class _File(file_io.FileIO):  # type: ignore[misc]
    """An object as dfvfs and the libraries below it read a file."""

    def _Open(self) -> None:  # noqa: N802  # dfvfs' names, here and below
        stored = _object(self._path_spec)
        if stored is None:
            raise OSError("no such object")
        try:
            self._source = open_image(stored)
        except ForensicsError as error:
            _TROUBLE.append(error)
            raise OSError(str(error)) from error
        self._size = stored.size
        self._at = 0

    def _Close(self) -> None:  # noqa: N802
        self._source.close()

    def read(self, size: int | None = None) -> bytes:
        """Return the next bytes, up to `size`."""
        if _TROUBLE:
            raise OSError("the store failed")
        left = max(0, self._size - self._at)
        try:
            self._source.seek(self._at)
            data = take(self._source, left if size is None else min(size, left))
        except ForensicsError as error:
            _TROUBLE.append(error)
            raise OSError(str(error)) from error
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        """Go to a byte."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError("before the start")
        self._at = base + offset

    def get_offset(self) -> int:
        """Return where the next byte comes from."""
        return self._at

    def get_size(self) -> int:
        """Return the size of the object."""
        return self._size


class _Entry(root_only_file_entry.RootOnlyFileEntry):  # type: ignore[misc]
    """An object as dfvfs asks whether it is a file."""

    TYPE_INDICATOR = KIND

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments)
        self.entry_type = definitions.FILE_ENTRY_TYPE_FILE


class _Prefix(file_system.FileSystem):  # type: ignore[misc]
    """What lies beside an image. dfvfs has one for all images: each question names its own."""

    TYPE_INDICATOR = KIND

    def _Open(self, mode: str = "rb") -> None:  # noqa: N802
        """There is nothing to open."""

    def _Close(self) -> None:  # noqa: N802
        """There is nothing to close."""

    def FileEntryExistsByPathSpec(self, path_spec: Any) -> bool:  # noqa: ANN401, N802
        """Say whether an object of that name lies beside the image."""
        return _object(path_spec) is not None

    def GetFileEntryByPathSpec(self, path_spec: Any) -> _Entry | None:  # noqa: ANN401, N802
        """Return the object of that name."""
        return None if _object(path_spec) is None else _Entry(self._resolver_context, self, path_spec)

    def GetRootFileEntry(self) -> None:  # noqa: N802
        """Return none: a prefix is never walked."""


class _Helper(resolver_helper.ResolverHelper):  # type: ignore[misc]
    TYPE_INDICATOR = KIND

    def NewFileObject(self, resolver_context: Any, path_spec: Any) -> _File:  # noqa: ANN401, N802
        return _File(resolver_context, path_spec)

    def NewFileSystem(self, resolver_context: Any, path_spec: Any) -> _Prefix:  # noqa: ANN401, N802
        return _Prefix(resolver_context, path_spec)


factory.Factory.RegisterPathSpec(StoredPathSpec)
manager.ResolverHelperManager.RegisterHelper(_Helper())
