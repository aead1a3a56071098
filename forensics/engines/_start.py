"""What a worker process does first: keep out what it does not need, and keep the memory it frees.

Arrow imports pandas at its first conversion, only to ask whether what it was given is a Series. That is half of a worker's
start and 60 MB of its memory, and workers hold no frames.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Final

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


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT: Final = 128 << 20
_FROM_THE_HEAP: Final = 32 << 20


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: given back at once, each temporary of a block costs its page faults again and again.

    Other C libraries have no such knob, and no such habit.
    """
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return
    adjust(_TRIM_THRESHOLD, _KEPT)
    adjust(_MMAP_THRESHOLD, _FROM_THE_HEAP)


keep_freed_memory()
if "pandas" not in sys.modules:
    ready()
