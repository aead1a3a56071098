"""What lies inside a file: archives walked by their content, each member found with the layers that lead to it.

Names are labels and nothing else; links are listed and never followed; what cannot be read is passed over with its reason.
Members come in their stored order, which is the order in which they are cheap to read.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from forensics.errors import EvidenceError
from forensics.evidence import _image, _seven, _tar, _zip
from forensics.evidence._decoders import CODECS
from forensics.evidence._decrypt import NOT_OPENED
from forensics.evidence._layers import (
    forget,
    hold,
    open_layers,
    seven_directory,
    zip_member,
)
from forensics.evidence._raw import Peeked, Slice, damage_of, seekable, take
from forensics.evidence._store import open_place
from forensics.evidence.inflate import Inflating
from forensics.limits import (
    ARCHIVE_RATIO_FREE,
    MAX_ARCHIVE_INFLATED,
    MAX_MEMBERS,
    MAX_NAME,
    MAX_NESTING,
    MAX_RATIO,
)
from forensics.model import Evidence, Layer, PassedOver, StoredObject
from forensics.text import decode

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.evidence._raw import Seekable
    from forensics.stream import Readable

    Layers = tuple[Layer, ...]
    Modified = tuple[int | None, str]

_PEEK: Final = _tar.BLOCK
_ZIP_MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08PK\x03\x04")
_LOCAL_HEADER: Final = 30
_CLOSED: Final = (b"META-INF/", b"[Content_Types].xml", b"mimetype", b"AndroidManifest.xml")
"""What the first member of a jar or war, an Office or OpenDocument file, an app is called; they hold no logs."""


def kind_of(start: bytes) -> str:
    """Return what the first 512 bytes say: a compression, `zip`, `tar`, `7z`, or `none`."""
    if start.startswith(_ZIP_MAGICS):
        return "zip"
    if start.startswith(_seven.MAGIC):
        return "7z"
    if start[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if start[:3] == b"BZh" and start[4:10] in {b"1AY&SY", b"\x17rE8P\x90"}:
        return "bzip2"
    if start.startswith(CODECS["xz"].magics):
        return "xz"
    if start.startswith(CODECS["zstd"].magics):
        return "zstd"
    return "tar" if _tar.is_header(start) else "none"


def look_into(
    label: str, path: Path | StoredObject, password: bytes | None = None, *, shadows: bool = False
) -> tuple[list[Evidence], list[PassedOver]]:
    """Return the file itself and, if it is an archive or image, what it holds (ids still empty); and what was passed over.

    EvidenceError if the file cannot be read at all.
    """
    raw, (size, written, _) = open_place(path)
    # When an object was put into a store says nothing of the server that it came from.
    modified = (None, "") if isinstance(path, StoredObject) else (written // 1000, "unix_utc")
    try:
        walk = _Walk(path, size, password, shadows=shadows)
        walk.file(label, raw, (), size, modified, 0)
    except OSError as error:
        raise EvidenceError(f"cannot be read ({error.strerror or error})") from error
    finally:
        raw.close()
        forget()
    return walk.found, walk.passed


class _Walk:
    """One walk through one file on disk: what was found so far, and how much of its limits is used."""

    def __init__(self, path: Path | StoredObject, size: int, password: bytes | None, *, shadows: bool) -> None:
        self.found: list[Evidence] = []
        self.passed: list[PassedOver] = []
        self._path = path
        self._size = size
        self._password = password
        self._shadows = shadows
        self._labels: dict[str, int] = {}
        self._members = 0
        self._inflated = 0

    def file(self, label: str, source: Readable, layers: Layers, size: int, modified: Modified, depth: int) -> None:
        """Take up one file: as it is, or as an archive with all that it holds."""
        start = take(source, _PEEK)
        kind = kind_of(start)
        stored = Evidence("", label, self._path, size, "none", layers, None, None, *modified, self._password)
        here = Peeked(start, source)
        if kind in CODECS:
            inflating = Inflating(
                here, CODECS[kind], lambda: open_layers(self._path, layers, self._password), MAX_ARCHIVE_INFLATED
            )
            start = take(inflating, _PEEK)
            inner = kind_of(start)
            if inner not in {"tar", "zip", "7z"}:
                self.found.append(replace(stored, wrapping=kind))
                return
            within = (*layers, Layer(kind))
            self._archive(inner, replace(stored, wrapping=f"{kind}+{inner}"), Peeked(start, inflating), within, depth)
        elif kind in {"tar", "zip", "7z"}:
            whole = seekable(source)
            if whole is not None:
                whole.seek(0)
            self._archive(kind, replace(stored, wrapping=kind), whole or here, layers, depth)
        else:
            whole = seekable(source)
            image = _image.kind_of(whole) if whole is not None and not layers else None
            if image is not None:
                self._image(replace(stored, wrapping="image"), *image)
                return
            self.found.append(stored)
            # An archive can hang behind any file: both are read, lest the one hides the other.
            if not layers and whole is not None and _zip.directory_at_end(whole):
                self._archive("zip", stored, whole, layers, depth, behind=True)

    def _archive(
        self, kind: str, container: Evidence, source: Readable, layers: Layers, depth: int, *, behind: bool = False
    ) -> None:
        label = container.label
        if depth >= MAX_NESTING:
            self._pass(label, f"lies more than {MAX_NESTING} archives deep")
            return
        if not behind:
            self.found.append(container)
        index, before = len(self.found) - 1, len(self.found) + len(self.passed)
        damages: list[tuple[str, str]] = []
        try:
            if kind == "tar":
                self._tar(label, source, layers, depth, damages)
            elif kind == "zip":
                self._zip(label, self._sought(source, layers), layers, depth, damages)
            else:
                self._seven(label, self._sought(source, layers), layers, depth)
        except EvidenceError as error:
            self._pass(label, str(error))
        held = len(self.found) + len(self.passed) - before
        damages = list(filter(None, [damage_of(source)])) + damages
        if not held and kind == "zip" and damages and not layers:
            # It begins like an archive and holds nothing of one: a file like any other.
            self.found[index] = replace(container, wrapping="none")
            return
        for _, detail in damages[:1]:
            self._pass(label, f"is damaged: {detail}; what can be read of it is")
        self.found[index] = replace(container, holds=held, damage=damages[0] if damages else None)

    def _tar(self, label: str, source: Readable, layers: Layers, depth: int, damages: list[tuple[str, str]]) -> None:
        forward = _tar.Forward(source)
        end = None
        whole = seekable(source)
        if whole is not None:
            end = whole.seek(0, os.SEEK_END)
            whole.seek(0)
        for member in _tar.members(forward, damages):
            if member.kind == "folder":
                continue
            name = self._label(label, member.name)
            if not self._room(label, member.size):
                return
            if member.kind != "file":
                target = f" to {decode(member.target)}" if member.target else ""
                why = (
                    f"is a {member.kind}{target} and was not followed"
                    if "link" in member.kind
                    else f"is a {member.kind} and was not read"
                )
                self._pass(name, why, failed=member.kind == "sparse")
                continue
            size = member.size if end is None else max(0, min(member.size, end - member.place))
            layer = Layer("tar", member.place, size)
            view = _View(forward, size) if whole is None else Slice(whole, member.place, size, lent=True)
            self._member(
                name, view, (*layers, layer), size, (member.modified, "unix_utc" if member.modified else ""), depth
            )

    def _zip(self, label: str, source: Seekable, layers: Layers, depth: int, damages: list[tuple[str, str]]) -> None:
        source = Slice(source, 0, source.seek(0, os.SEEK_END), lent=True)
        listed: list[_zip.ZipMember] = []
        for member in _zip.members(source, damages):
            if len(listed) >= MAX_MEMBERS:
                self._pass(label, f"holds more than {MAX_MEMBERS:,} members; the rest was not read")
                break
            listed.append(member)
        if listed and listed[0].name.startswith(_CLOSED):
            self._pass(label, "is a program or a document in zip form and was not looked into", failed=False)
            return
        behind = 0
        for member in sorted(listed, key=lambda one: one.layer.place):
            layer = member.layer
            if member.folder:
                continue
            name = self._label(label, member.name)
            if layer.place < behind:
                self._pass(name, "overlaps another member of its archive and was not read")
                continue
            behind = max(behind, layer.place + _LOCAL_HEADER + max(0, layer.stored))
            if not self._room(label, max(0, layer.size)):
                return
            try:
                opened = zip_member(source, layer, self._password)
                if member.link:
                    target = decode(take(opened, MAX_NAME))
                    self._pass(name, f"is a link to {target} and was not followed", failed=False)
                    continue
                size = max(0, layer.size)
                self._member(name, opened, (*layers, layer), size, (member.modified, member.modified_basis), depth)
            except EvidenceError as error:
                self._pass(name, str(error))

    def _seven(self, label: str, source: Seekable, layers: Layers, depth: int) -> None:
        folders, members = seven_directory(source, self._password)
        refused: dict[int, str] = {}
        for member in members:
            if member.is_folder:
                continue
            name = self._label(label, member.name.encode("utf-8", "backslashreplace"))
            if not self._room(label, member.size):
                return
            if member.is_link:
                self._pass(name, "is a link and was not followed", failed=False)
                continue
            if member.folder in refused:
                self._pass(name, refused[member.folder])
                continue
            layer = Layer("7z", member.place, member.size, -1, member.folder, member.crc)
            try:
                opened = open_layers(self._path, (*layers, layer), self._password)
            except EvidenceError as error:
                refused[member.folder] = str(error)
                self._pass(name, str(error))
                continue
            modified = (member.modified, "filetime_utc" if member.modified else "")
            first = take(opened, _PEEK)
            if not first and member.size and folders[member.folder].encrypted:
                refused[member.folder] = NOT_OPENED
                self._pass(name, NOT_OPENED)
            else:
                self._member(name, Peeked(first, opened), (*layers, layer), member.size, modified, depth)
            opened.close()

    def _image(self, container: Evidence, kind: str, first: bool) -> None:  # noqa: FBT001
        label = container.label
        if not first:
            self.found.append(replace(container, wrapping="none"))
            self._pass(label, f"is a further segment of a disk image ({kind}) and is read with its first", failed=False)
            return
        self.found.append(container)
        index, before = len(self.found) - 1, len(self.found) + len(self.passed)
        problems: list[tuple[str, str]] = []
        try:
            self._path, members = _image.look_into(self._path, problems, shadows=self._shadows)
            for member in members:
                name = self._label(label, member.name)
                if not self._room(label, member.size):
                    break
                layer = Layer("image", size=member.size, spec=member.spec)
                try:
                    opened = _image.open_member(self._path, member.spec)
                except EvidenceError as error:
                    self._pass(name, str(error))
                    continue
                self._member(name, opened, (layer,), member.size, (member.modified, member.modified_basis), 0)
        except EvidenceError as error:
            self._pass(label, str(error))
        for place, why in problems:
            self._pass(f"{label}{place}", why)
        holds = len(self.found) + len(self.passed) - before
        self.found[index] = replace(container, path=self._path, holds=holds)

    def _sought(self, source: Readable, layers: Layers) -> Seekable:
        """Return the source so that it can be sought in; EvidenceError if it is too large to be held."""
        return seekable(source) or hold(source, (self._path, layers))

    def _member(self, name: str, source: Readable, layers: Layers, size: int, modified: Modified, depth: int) -> None:
        self.file(name, source, layers, size, modified, depth + 1)

    def _room(self, label: str, size: int) -> bool:
        """Count one more member; False, once said, when that is more than one file on disk may hold."""
        self._members += 1
        self._inflated += size
        if self._members > MAX_MEMBERS:
            self._pass(label, f"holds more than {MAX_MEMBERS:,} members; the rest was not read")
            return False
        free = max(ARCHIVE_RATIO_FREE, MAX_RATIO * self._size)
        if self._inflated > min(free, MAX_ARCHIVE_INFLATED):
            self._pass(
                label, f"is a bomb: its members would inflate to over {self._inflated:,} bytes; the rest was not read"
            )
            return False
        return True

    def _label(self, label: str, name: bytes) -> str:
        """Return the label of a member: its name under its archive's, numbered if another has it already."""
        text = decode(name[:MAX_NAME]) + ("…" if len(name) > MAX_NAME else "")
        whole = f"{label}/{text}"
        self._labels[whole] = self._labels.get(whole, 0) + 1
        return whole if self._labels[whole] == 1 else f"{whole}~{self._labels[whole]}"

    def _pass(self, label: str, why: str, *, failed: bool = True) -> None:
        self.passed.append(PassedOver(label, why, failed))


class _View:
    """The next bytes of a stream that goes on behind them."""

    def __init__(self, forward: _tar.Forward, size: int) -> None:
        self._forward = forward
        self._left = size

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        got = self._forward.readinto(buffer[: min(len(buffer), self._left)]) if self._left else 0
        self._left -= got
        return got

    def close(self) -> None:
        """Leave the stream to its owner."""
