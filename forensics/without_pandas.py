"""Arrow without pandas, for processes that hold no frames: workers, and the command line.

Arrow imports pandas at its first conversion, only to ask whether what it was given is a Series. That is half of a worker's
start, a third of a second of each command's, and 60 MB. Where the import fails, Arrow does not ask again.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class WithoutPandas(MetaPathFinder):
    """Finds no pandas; nobody behind it is asked."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Say that there is no pandas."""
        del path, target
        if fullname == "pandas":
            raise ImportError(fullname)
        return None


def keep_out() -> None:
    """Let nothing in this process import pandas from now on."""
    sys.meta_path.insert(0, WithoutPandas())
