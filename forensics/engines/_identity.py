"""What must be the same on two machines for the same bytes to come out: this package's code, and what writes the tables."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import forensics

_PACKAGES: Final = ("evtx", "numpy", "orjson", "pyarrow")


@cache
def identity() -> dict[str, str]:
    """Return the versions by name; `code` is a hash over the package's sources."""
    code = hashlib.sha256()
    folder = Path(forensics.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if "_data" not in path.parts:
            code.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            code.update(path.read_bytes())
    return {
        "c2trail": forensics.__version__,
        "code": code.hexdigest()[:16],
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: version(name) for name in _PACKAGES},
    }


def differences(other: dict[str, str]) -> str:
    """Say how another identity differs from this one; nothing if it does not."""
    mine = identity()
    return ", ".join(
        f"{name} ({other.get(name, 'none')}, here {mine[name]})" for name in mine if other.get(name) != mine[name]
    )
