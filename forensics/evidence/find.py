"""Finding evidence: files and folders as typed, walked in sorted order, links listed and never followed.

A label is a file's name in every output. It starts at the folder that was typed, so that where a case lay on the
analyst's disk never enters a report.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import EvidenceError
from forensics.evidence._store import Url, objects, place
from forensics.evidence.archives import look_into
from forensics.limits import MAX_PATH_DEPTH
from forensics.model import Evidence, PassedOver
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.model import StoredObject


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, and what was passed over. Files stand in the order of their labels, members behind their archive."""

    evidence: tuple[Evidence, ...]
    passed_over: tuple[PassedOver, ...]


def find(paths: Iterable[Path | str], password: bytes | None = None, *, shadows: bool = False) -> Found:
    """Return every regular file that the paths name or hold, and what lies in those that are archives.

    The order and repetition of paths change nothing. `password` opens encrypted members; with `shadows` the volume shadow
    copies of disk images are walked too. Never raises for what lies below
    a path: a missing path, a link, a device, an unreadable folder or member is passed over with its reason. A path may be
    `s3://bucket/prefix` (the extra `s3`); StoreError if its store does not answer.
    """
    files: dict[Path | StoredObject, str] = {}
    passed: set[PassedOver] = set()
    places = {place(path) for path in paths}
    local = sorted(path.absolute() for path in places if isinstance(path, Path))
    stored = sorted(url for url in places if isinstance(url, Url))
    typed: list[Path | Url] = [*dict.fromkeys(local), *stored]
    for start in typed:
        for name, found, why, failed in _walk(start):
            # A name on disk need not be text; a label is.
            label = decode(os.fsencode(name))
            if found is not None:
                files.setdefault(found, label)
            else:
                passed.add(PassedOver(label, why, failed))
    evidence: list[Evidence] = []
    labels: set[str] = set()
    for label, path in _unique(files):
        try:
            inside, left = look_into(label, path, password, shadows=shadows)
        except EvidenceError as error:
            inside, left = [], [PassedOver(label, str(error), failed=True)]
        passed.update(left)
        evidence += [
            replace(item, id=f"E{number:04d}", label=_apart(item.label, labels))
            for number, item in enumerate(inside, len(evidence) + 1)
        ]
    return Found(tuple(evidence), tuple(sorted(passed)))


def _apart(label: str, labels: set[str]) -> str:
    """Return the label, numbered if it is taken: a member of `a.zip` and a file in a folder of that name."""
    number, apart = 1, label
    while apart in labels:
        number += 1
        apart = f"{label}~{number}"
    labels.add(apart)
    return apart


def _walk(path: Path | Url) -> Iterator[tuple[str, Path | StoredObject | None, str, bool]]:
    if isinstance(path, Url):
        try:
            yield from objects(path)
        except EvidenceError as error:
            yield path.name, None, str(error), True
        return
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except OSError as error:
        yield path.name, None, f"cannot be read ({error.strerror or error}); check the path", True
        return
    if stat.S_ISDIR(mode):
        yield from _folder(real, real.name or "root", 0)
    elif stat.S_ISREG(mode):
        yield path.name, real, "", False
    else:
        yield path.name, None, "is no regular file and was not opened; give a file or a folder", True


def _folder(folder: Path, label: str, depth: int) -> Iterator[tuple[str, Path | None, str, bool]]:
    if depth > MAX_PATH_DEPTH:
        yield label, None, f"lies more than {MAX_PATH_DEPTH} folders deep", True
        return
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield label, None, f"cannot be listed ({error.strerror}); give read access", True
        return
    for entry in entries:
        name = f"{label}/{entry.name}"
        if entry.is_symlink():
            yield name, None, "is a link and was not followed; give its target if it is evidence", False
        elif entry.is_dir(follow_symlinks=False):
            yield from _folder(folder / entry.name, name, depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield name, folder / entry.name, "", False
        else:
            yield name, None, "is no regular file and was not opened", False


def _unique(files: dict[Path | StoredObject, str]) -> list[tuple[str, Path | StoredObject]]:
    """Return (label, path) in order; files of one label (same name from two places) are numbered by their paths."""
    out: list[tuple[str, Path | StoredObject]] = []
    taken: dict[str, int] = {}
    for path, label in sorted(files.items(), key=_in_order):
        taken[label] = taken.get(label, 0) + 1
        out.append((label if taken[label] == 1 else f"{label}~{taken[label]}", path))
    return sorted(out, key=lambda item: _in_order((item[1], item[0])))


def _in_order(item: tuple[Path | StoredObject, str]) -> tuple[str, bool, Path | StoredObject]:
    """Order by label; of one label files on disk come before those in stores."""
    where, label = item
    return label, not isinstance(where, Path), where
