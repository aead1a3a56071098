"""Bytes that a job brings to another process of this machine: lent as memory, where a pipe would copy them four times.

Linux has memory with a file descriptor (memfd_create); elsewhere, and for little, the bytes are pickled like the rest.
"""

from __future__ import annotations

import mmap
import os
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import TYPE_CHECKING, Any, Final, Protocol

from forensics.evidence.open import Held
from forensics.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable


class _Descriptor(Protocol):
    """A file descriptor on its way to another process."""

    def detach(self) -> int:
        """Return it as one of the process that asks."""
        ...


_WORTH_IT: Final = MIB


def lend() -> None:
    """Have multiprocessing lend the bytes of jobs from now on; what else pickles them is as before."""
    if hasattr(os, "memfd_create"):
        ForkingPickler.register(Held, _reduced)


def _reduced(held: Held) -> tuple[Callable[..., Held], tuple[Any, ...]]:
    if len(held.data) < _WORTH_IT:
        return Held, (bytes(held.data), held.damage)
    try:
        descriptor = os.memfd_create("c2trail")
    except OSError:
        return Held, (bytes(held.data), held.damage)
    try:
        written = 0
        view = memoryview(held.data)
        while written < len(view):
            written += os.write(descriptor, view[written:])
        return _taken, (DupFd(descriptor), written, held.damage)
    finally:
        os.close(descriptor)


def _taken(lent: _Descriptor, size: int, damage: tuple[str, str] | None) -> Held:
    descriptor = lent.detach()
    try:
        return Held(mmap.mmap(descriptor, size, access=mmap.ACCESS_READ), damage)
    finally:
        os.close(descriptor)
