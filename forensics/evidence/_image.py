"""Disk images by dfvfs (the extra `images`): volumes found, NTFS and ext file systems walked, logs picked by their path.

Nothing is mounted and nothing is written: dfvfs reads the file systems' own structures.
"""

from __future__ import annotations

import json
import os
import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from forensics.errors import EvidenceError
from forensics.evidence._dfvfs import dfvfs_here
from forensics.evidence._raw import Slice, take
from forensics.limits import MAX_PATH_DEPTH, MAX_WALKED, TIME_MAX_US, TIME_MIN_US
from forensics.model import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from forensics.evidence._dfvfs import Dfvfs
    from forensics.evidence._raw import Seekable

_LOOKED_AT: Final = 2048
_FILE_SYSTEMS: Final = {"NTFS": "filetime_utc", "EXT": "unix_utc"}
"""What is walked, and how each writes its times (`MODIFIED_BASES`)."""

_EWF: Final = (b"EVF\x09\x0d\x0a\xff\x00", b"LVF\x09\x0d\x0a\xff\x00")
_MAGICS: Final = {
    b"EVF2\x0d\x0a\x81\x00": "Ex01",
    b"KDMV": "VMDK",
    b"# Disk DescriptorFile": "VMDK",
    b"vhdxfile": "VHDX",
    b"conectix": "VHD",
    b"QFI\xfb": "QCOW2",
}
_FILETIME_1970: Final = 116_444_736_000_000_000

_EVENT_LOG: Final = re.compile(r"\.evtx?$", re.IGNORECASE)
_OF_TOMCAT: Final = re.compile(
    r"(?:^|/)[^/]*(?:tomcat|catalina)[^/]*/(?:.*/)?(?:logs?|conf|webapps|work)/", re.IGNORECASE
)
_ITS_LOGS: Final = re.compile(r"^/var/(?:log|lib)/[^/]*tomcat", re.IGNORECASE)
_BY_NAME: Final = re.compile(
    r"(?:^|/)(?:(?:localhost_|host-?manager|manager|localhost|catalina|[^/]*access_?log|[^/]*_access\b|commons-daemon|tomcat\d*-std(?:out|err))"
    r"[^/]*\.(?:log|txt|out|json|gz|xz|zst|bz2)|catalina\.out[^/]*|service-install\.log|server\.xml|tomcat-users\.xml)$",
    re.IGNORECASE,
)


def wanted(path: str) -> bool:
    """Return whether a file of a volume is one that c2trail reads, by its path from the root, with `/` between names."""
    return bool(_EVENT_LOG.search(path) or _OF_TOMCAT.search(path) or _ITS_LOGS.search(path) or _BY_NAME.search(path))


def kind_of(source: Seekable) -> tuple[str, bool] | None:
    """Return what image a file is by its first bytes and whether it is the first of its segments; None if it is none.

    Raw images have no magic: a partition table (MBR, GPT) or the start of an NTFS or ext volume tells them.
    """
    source.seek(0)
    start = take(source, _LOOKED_AT)
    source.seek(0)
    if start.startswith(_EWF):
        return "E01", start[9:11] == b"\x01\x00"
    for magic, name in _MAGICS.items():
        if start.startswith(magic):
            return name, True
    raw = len(start) == _LOOKED_AT and (_is_boot_sector(start) or start[512:520] == b"EFI PART" or _is_ext(start))
    return ("raw", True) if raw else None


def _is_boot_sector(start: bytes) -> bool:
    if start[510:512] != b"\x55\xaa":
        return False
    if start[3:11] == b"NTFS    ":
        return True
    entries = [start[446 + 16 * n : 462 + 16 * n] for n in range(4)]
    used = [entry for entry in entries if entry[4] and struct.unpack("<I", entry[12:16])[0]]
    return bool(used) and all(entry[0] in {0, 0x80} for entry in entries)


def _is_ext(start: bytes) -> bool:
    size, magic = struct.unpack("<I", start[1048:1052])[0], start[1080:1082]
    return magic == b"\x53\xef" and size <= 6


@dataclass(frozen=True, slots=True)
class ImageMember:
    """One file of a volume: its name under the image, how dfvfs finds it again, and what the file system says of it."""

    name: bytes
    spec: str
    size: int
    modified: int | None
    modified_basis: str


def look_into(
    path: Path | StoredObject, problems: list[tuple[str, str]], *, shadows: bool
) -> tuple[Path | StoredObject, Iterator[ImageMember]]:
    """Return an image with all objects that it has in its store, and its files that are wanted, as they are found.

    What could not be read goes to `problems` as (place, why). With `shadows` the volume shadow copies are walked too.
    EvidenceError if dfvfs is missing or the image cannot be read.
    """
    dfvfs = dfvfs_here()
    try:
        roots = list(_roots(dfvfs, path, problems, shadows=shadows))
    except (dfvfs.errors.Error, OSError, RuntimeError, ValueError, KeyError) as error:
        dfvfs.stored.raise_trouble()
        raise EvidenceError(f"is a disk image that cannot be read ({_first_line(error)})") from error
    dfvfs.stored.raise_trouble()
    if not roots:
        raise EvidenceError("is a disk image in which no NTFS or ext file system was found")
    if isinstance(path, StoredObject):
        path = replace(path, beside=dfvfs.stored.beside(path))
    return path, _members(dfvfs, roots, problems)


def _members(dfvfs: Dfvfs, roots: list[tuple[str, Any]], problems: list[tuple[str, str]]) -> Iterator[ImageMember]:
    seen = 0
    for label, spec in roots:
        for entry, name in _walk(dfvfs, spec, label, problems):
            seen += 1
            if seen > MAX_WALKED:
                problems.append((label, f"holds more than {MAX_WALKED:,} files; the rest was not looked at"))
                return
            inside = name if not label else name[len(label) :]
            if not wanted(inside):
                continue
            try:
                member = _member(dfvfs, entry, name.lstrip("/"))
            except (dfvfs.errors.Error, OSError, RuntimeError) as error:
                problems.append((name, f"has a damaged entry ({_first_line(error)}) and was not read"))
                continue
            dfvfs.stored.raise_trouble()
            yield member
        dfvfs.stored.raise_trouble()


def _member(dfvfs: Dfvfs, entry: Any, name: str) -> ImageMember:  # noqa: ANN401  # dfvfs has no types
    written = entry.modification_time
    instant = None
    if written is not None:
        seconds, fraction = written.CopyToPosixTimestampWithFractionOfSecond()
        digits = str(fraction or 0).rjust(7 if entry.type_indicator == "NTFS" else 9, "0")[:6]
        instant = None if seconds is None else seconds * 1_000_000 + int(digits)
        instant = instant if instant is not None and TIME_MIN_US <= instant < TIME_MAX_US else None
    basis = _FILE_SYSTEMS[entry.type_indicator] if instant is not None else ""
    spec = dfvfs.serializer.WriteSerialized(entry.path_spec)
    return ImageMember(name.encode("utf-8", "backslashreplace"), spec, int(entry.size or 0), instant, basis)


def _roots(
    dfvfs: Dfvfs, path: Path | StoredObject, problems: list[tuple[str, str]], *, shadows: bool
) -> Iterator[tuple[str, Any]]:
    """Yield (label, path specification of the root) of each file system that is walked, in the order of the volumes."""
    scanner = dfvfs.scanner.SourceScanner(resolver_context=dfvfs.context)
    found = dfvfs.scanner.SourceScannerContext()
    if isinstance(path, StoredObject):
        # What native code holds on to after a failure of the store must not be met again.
        dfvfs.context.Empty()
        found.AddScanNode(dfvfs.stored.StoredPathSpec(**dfvfs.stored.begin(path, looking=True)), None)
    else:
        found.OpenSourcePath(str(path))
    scanner.Scan(found)
    problems += [
        (_label(node.path_spec), "is an encrypted volume and was not opened") for node in found.locked_scan_nodes
    ]
    waiting = [found.GetRootScanNode()]
    while waiting:
        node = waiting.pop(0)
        kind = node.type_indicator
        if kind == "VSHADOW" and not node.sub_nodes:
            if shadows:
                scanner.Scan(found, scan_path_spec=node.path_spec)
        elif kind in _FILE_SYSTEMS:
            yield _label(node.path_spec), node.path_spec
        elif node.IsFileSystem() and kind != "OS":
            problems.append((_label(node.path_spec), f"is a volume of {kind}, which is not looked into"))
        waiting[:0] = list(node.sub_nodes)


def _label(spec: Any) -> str:  # noqa: ANN401
    """Return where a volume lies in its image, such as `/p1/vss2`; empty for an image that is one volume."""
    names: list[str] = []
    while spec is not None:
        if spec.type_indicator in {"TSK_PARTITION", "GPT", "LVM", "APM", "MBR", "VSHADOW"}:
            names.insert(0, (getattr(spec, "location", "") or "").strip("/"))
        spec = spec.parent if spec.HasParent() else None
    return "".join(f"/{name}" for name in names if name)


def _walk(dfvfs: Dfvfs, root: Any, label: str, problems: list[tuple[str, str]]) -> Iterator[tuple[Any, str]]:  # noqa: ANN401
    """Yield (file entry, name from the image on) of every plain file below a root, in the order of their names."""
    try:
        entry = dfvfs.resolver.OpenFileEntry(root, resolver_context=dfvfs.context)
    except (dfvfs.errors.Error, OSError, RuntimeError) as error:
        problems.append((label, f"has a damaged root folder ({_first_line(error)}); no file of it was read"))
        return
    if entry is None:
        problems.append((label, "has no root folder; no file of it was read"))
        return
    waiting: list[tuple[Any, str, int]] = [(entry, label, 0)]
    while waiting:
        folder, name, depth = waiting.pop()
        if depth > MAX_PATH_DEPTH:
            problems.append((name, f"lies more than {MAX_PATH_DEPTH} folders deep"))
            continue
        listed = []
        try:
            for inside in folder.sub_file_entries:
                listed.append((inside.name or "", inside))  # noqa: PERF401  # what stands before a damage is kept
        except (dfvfs.errors.Error, OSError, RuntimeError) as error:
            problems.append((name or "/", f"is a damaged folder ({_first_line(error)}); what can be read of it is"))
        folders = []
        for text, inside in sorted(listed, key=lambda one: one[0]):
            # A junction or symbolic link would be walked twice, or for ever.
            if inside.IsLink():
                continue
            if inside.IsDirectory():
                folders.append((inside, f"{name}/{text}", depth + 1))
            elif inside.IsFile():
                yield inside, f"{name}/{text}"
        waiting += reversed(folders)


class ImageFile(Slice):
    """A file of a volume, read as if it lay on disk. `damage` says where the image stopped giving its bytes."""

    def __init__(self, handle: Any, size: int) -> None:  # noqa: ANN401
        super().__init__(_Handle(handle), 0, size)

    @property
    def damage(self) -> tuple[str, str] | None:
        """Why it ends early, if it does."""
        return self._source.damage  # type: ignore[attr-defined,no-any-return]


class _Handle:
    """dfvfs' file object in the shape of a seekable. Closing leaves it to dfvfs, whose context owns it."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401
        self._handle = handle
        self._at = 0
        self._raise_trouble = dfvfs_here().stored.raise_trouble
        self.damage: tuple[str, str] | None = None

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            self._handle.seek(self._at, os.SEEK_SET)
            made = self._handle.read(len(buffer))
            self._raise_trouble()
        except (OSError, RuntimeError) as error:
            self._raise_trouble()
            self.damage = ("image_unreadable", f"the image gives no byte from {self._at} on: {_first_line(error)}")
            return 0
        buffer[: len(made)] = made
        self._at += len(made)
        return len(made)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = offset + (self._handle.get_size() if whence == os.SEEK_END else 0)
        return self._at

    def close(self) -> None:
        self._handle = None


_OPENED_LAST: Final[list[Any]] = []
"""A file of an image in a store: while it lives dfvfs keeps the image open, whose tables are dear to fetch again."""


def forget() -> None:
    """Close what is kept open."""
    _OPENED_LAST.clear()


def open_member(path: Path | StoredObject, spec: str) -> ImageFile:
    """Open a file of an image again; EvidenceError if it is not there."""
    dfvfs = dfvfs_here()
    try:
        place = dfvfs.serializer.ReadSerialized(_moved(dfvfs, spec, path))
        handle = dfvfs.resolver.OpenFileObject(place, resolver_context=dfvfs.context)
        dfvfs.stored.raise_trouble()
        if handle is None:
            raise EvidenceError("is not where its image had it")
        _OPENED_LAST[:] = [handle] if isinstance(path, StoredObject) else []
        return ImageFile(handle, int(handle.get_size()))
    except (dfvfs.errors.Error, OSError, RuntimeError, ValueError, KeyError) as error:
        dfvfs.stored.raise_trouble()
        raise EvidenceError(f"cannot be read from its image ({_first_line(error)})") from error


def _moved(dfvfs: Dfvfs, spec: str, path: Path | StoredObject) -> str:
    """Return the specification with the image where it lies now."""
    whole = json.loads(spec)
    part = whole
    while "parent" in part:
        part = part["parent"]
    if isinstance(path, StoredObject):
        part.update(dfvfs.stored.begin(path), type_indicator=dfvfs.stored.KIND)
    else:
        part["location"] = str(path)
    return json.dumps(whole)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
