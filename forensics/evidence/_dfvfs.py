"""dfvfs, loaded when the first disk image is met, and taught to open files as all evidence is opened.

By itself it leaves raw and EWF segments to native code, which changes their access times. Here every byte of an image comes
through `open_raw`: read-only, regular files alone, no link followed; or out of a store, by `_stored_image`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from forensics.errors import EvidenceError
from forensics.evidence._raw import open_raw

_MISSING: Final = "is a disk image; install c2trail[images] to look inside, or mount it read-only and give the folder"


class Dfvfs:
    """The parts of dfvfs that are used, with a context of this process: its caches must not cross a fork."""

    def __init__(self) -> None:
        """Load it; ImportError where the extra is not installed."""
        from dfvfs.helpers import source_scanner  # noqa: PLC0415  # an optional extra
        from dfvfs.lib import errors  # noqa: PLC0415
        from dfvfs.resolver import context, resolver  # noqa: PLC0415
        from dfvfs.serializer import json_serializer  # noqa: PLC0415

        from forensics.evidence import _stored_image  # noqa: PLC0415  # it needs dfvfs

        self.stored = _stored_image
        self.errors = errors
        self.scanner = source_scanner
        self.resolver = resolver.Resolver
        self.serializer = json_serializer.JsonPathSpecSerializer
        self.context = context.Context()
        self.process = os.getpid()


_LOADED: Final[list[Dfvfs]] = []


def dfvfs_here() -> Dfvfs:
    """Return dfvfs for this process; EvidenceError if it is not installed."""
    if not _LOADED or _LOADED[0].process != os.getpid():
        try:
            loaded = Dfvfs()
            if not _LOADED:
                _open_by_us()
        except ImportError as error:
            raise EvidenceError(_MISSING) from error
        _LOADED[:] = [loaded]
    return _LOADED[0]


def _open_by_us() -> None:
    import pyewf  # noqa: PLC0415  # they come with dfvfs
    import pysmraw  # noqa: PLC0415
    from dfvfs.file_io import ewf_file_io, os_file_io, raw_file_io  # noqa: PLC0415
    from dfvfs.lib import ewf_helper, raw_helper  # noqa: PLC0415
    from dfvfs.resolver_helpers import (  # noqa: PLC0415
        ewf_resolver_helper,
        os_resolver_helper,
        raw_resolver_helper,
    )

    class PlainFile(os_file_io.OSFile):  # type: ignore[misc]
        def _Open(self) -> None:  # noqa: N802  # dfvfs' names, here and below
            self._file_object = open_raw(Path(self._path_spec.location))
            self._size = os.fstat(self._file_object.fileno()).st_size

    class RawFile(raw_file_io.RawFile):  # type: ignore[misc]
        def _OpenFileObject(self, path_spec: Any) -> Any:  # noqa: ANN401, N802
            return _segments(pysmraw, raw_helper.RawGlobPathSpec, path_spec, self)

        def _Close(self) -> None:  # noqa: N802
            held = self._file_objects
            super()._Close()
            _close_all(held)

    class EwfFile(ewf_file_io.EWFFile):  # type: ignore[misc]
        def _OpenFileObject(self, path_spec: Any) -> Any:  # noqa: ANN401, N802
            return _segments(pyewf, ewf_helper.EWFGlobPathSpec, path_spec, self)

        def _Close(self) -> None:  # noqa: N802
            held = self._file_objects
            super()._Close()
            _close_all(held)

    _replace(os_resolver_helper.OSResolverHelper, PlainFile)
    _replace(raw_resolver_helper.RawResolverHelper, RawFile)
    _replace(ewf_resolver_helper.EWFResolverHelper, EwfFile)


def _segments(library: Any, globbed: Any, spec: Any, file: Any) -> Any:  # noqa: ANN401
    """Return a handle of the library on all segments of an image: files on disk, or objects in a store.

    One whose name tells of no segments is its only one.
    """
    held, loaded = file._file_objects, _LOADED[0]  # noqa: SLF001  # what it closes
    if spec.parent.type_indicator == "OS":
        first = spec.parent.location
        try:
            places = library.glob(first)
        except (OSError, MemoryError):
            # MemoryError is what libewf says of a name without an extension.
            places = []
        held += [open_raw(Path(place)) for place in places or [first]]
    else:
        try:
            parts = globbed(loaded.resolver.OpenFileSystem(spec.parent, resolver_context=loaded.context), spec)
        except loaded.errors.PathSpecError:
            parts = []
        parts = parts or [spec.parent]
        held += [loaded.resolver.OpenFileObject(part, resolver_context=loaded.context) for part in parts]
    handle = library.handle()
    try:
        handle.open_file_objects(held)
    except OSError:
        _close_all(held)
        raise
    return handle


def _close_all(held: list[Any]) -> None:
    while held:
        held.pop().close()


def _replace(helper: Any, file: Any) -> None:  # noqa: ANN401
    """Have dfvfs open a kind of file by our class."""
    from dfvfs.resolver_helpers import manager  # noqa: PLC0415

    class Helper(helper):  # type: ignore[misc]
        def NewFileObject(self, resolver_context: Any, path_spec: Any) -> Any:  # noqa: ANN401, N802
            return file(resolver_context, path_spec)

    helpers = manager.ResolverHelperManager
    helpers.DeregisterHelper(helpers.GetHelper(helper.TYPE_INDICATOR))
    helpers.RegisterHelper(Helper())
