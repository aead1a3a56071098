"""What a worker process does first: keep out what it does not need.

Arrow imports pandas at its first conversion, only to ask whether what it was given is a Series. That is half of a worker's
start and 60 MB of its memory, and workers hold no frames.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _WithoutPandas(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say that there is no pandas."""
        del path, target
        if fullname == "pandas":
            raise ImportError(fullname)
        return None


def ready() -> None:
    """Let Arrow ask for pandas once, and find none; it does not ask again."""
    finder = _WithoutPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)


if "pandas" not in sys.modules:
    ready()
