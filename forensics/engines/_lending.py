"""Bytes that a job brings to another process of this machine: lent as memory, where a pipe would copy them four times."""

from __future__ import annotations

from multiprocessing.reduction import DupFd, ForkingPickler
from typing import TYPE_CHECKING, Any, Protocol

from forensics.evidence.held import Memory

if TYPE_CHECKING:
    from collections.abc import Callable


class _Descriptor(Protocol):
    """A file descriptor on its way to another process."""

    def detach(self) -> int:
        """Return it as one of the process that asks."""
        ...


def lend() -> None:
    """Have multiprocessing lend the memory of jobs from now on; what else pickles it copies its bytes as before."""
    ForkingPickler.register(Memory, _reduced)


def _reduced(memory: Memory) -> tuple[Callable[..., Memory], tuple[Any, ...]]:
    return _taken, (DupFd(memory.descriptor), len(memory))


def _taken(lent: _Descriptor, size: int) -> Memory:
    return Memory(lent.detach(), size)
