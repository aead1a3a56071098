"""What a worker process does first: keep out what it does not need, and keep the memory it frees."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import pyarrow as pa

from forensics.without_pandas import WithoutPandas


def ready() -> None:
    """Let Arrow ask for pandas once, and find none: whoever else is in this process may import it later."""
    finder = WithoutPandas()
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
