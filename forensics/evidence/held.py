"""The bytes of a span that were inflated already, on their way to whoever parses them.

Many of them lie in memory that has a file descriptor (memfd_create, Linux): written once, read once, and lent to another
process where a pipe would copy them four times. Few, and all of them elsewhere, are plain bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY: Final = 4 * MIB
"""From here on bytes are worth a descriptor, of which a process has a thousand."""


class _Shelf:
    """Descriptors that nobody uses now. Memory that was written once costs no page faults when it is written again."""

    def __init__(self) -> None:
        self.descriptors: list[int] = []

    def __del__(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)


class Memory:
    """Bytes behind a descriptor. When nobody holds them, it goes back to its shelf, or is closed. Pickled they are bytes."""

    def __init__(self, descriptor: int, size: int = 0, shelf: _Shelf | None = None) -> None:
        self.descriptor = descriptor
        self._size = size
        self._shelf = shelf

    def __len__(self) -> int:
        return self._size

    def __del__(self) -> None:
        if self._shelf is None:
            os.close(self.descriptor)
        else:
            self._shelf.descriptors.append(self.descriptor)

    def __reduce__(self) -> tuple[Callable[..., bytes], tuple[bytes]]:
        return bytes, (self.cut(0),)

    def append(self, block: bytes | bytearray | memoryview) -> None:
        """Write behind what is there."""
        view = memoryview(block)
        while view:
            written = os.pwrite(self.descriptor, view, self._size)
            self._size += written
            view = view[written:]

    def readinto(self, buffer: memoryview, at: int) -> int:
        """Fill a part of `buffer` with the bytes from `at` on; 0 behind the last."""
        return os.preadv(self.descriptor, [buffer[: max(0, self._size - at)]], at)

    def cut(self, at: int) -> bytes:
        """Take off and return the bytes from `at` on."""
        rest = bytearray(self._size - at)
        got = 0
        while more := self.readinto(memoryview(rest)[got:], at + got):
            got += more
        self._size = at
        return bytes(rest)


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes of a span, and the damage that its stream broke off with behind them."""

    data: bytes | Memory
    damage: tuple[str, str] | None = None


class Passing:
    """The inflated bytes that passed and are not yet in a span."""

    def __init__(self) -> None:
        self._few = bytearray()
        self._many: Memory | None = None
        self._shelf = _Shelf()

    def feed(self, block: memoryview) -> None:
        """Keep a block."""
        if self._many is None and len(self._few) + len(block) >= _MANY:
            self._many = self._memory()
            if self._many is not None:
                self._many.append(self._few)
                self._few.clear()
        if self._many is None:
            self._few += block
        else:
            self._many.append(block)

    def take(self, size: int, damage: tuple[str, str] | None) -> Held:
        """Take the first `size` bytes."""
        data: bytes | Memory
        if self._many is None:
            data = bytes(memoryview(self._few)[:size])
            del self._few[:size]
        else:
            data, self._many = self._many, None
            self._few += data.cut(size)
        return Held(data, damage)

    def _memory(self) -> Memory | None:
        """Return memory to write to; None where the system has none to lend, or no descriptor left."""
        if self._shelf.descriptors:
            return Memory(self._shelf.descriptors.pop(), 0, self._shelf)
        try:
            return Memory(os.memfd_create("c2trail"), 0, self._shelf)
        except (AttributeError, OSError):
            return None


class HeldBytes:
    """Held bytes as what a stream reads from."""

    def __init__(self, held: Held) -> None:
        self.damage = held.damage
        self._data = held.data if isinstance(held.data, Memory) else memoryview(held.data)
        self._at = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        if isinstance(self._data, Memory):
            count = self._data.readinto(buffer, self._at)
        else:
            count = min(len(buffer), len(self._data) - self._at)
            buffer[:count] = self._data[self._at : self._at + count]
        self._at += count
        return count

    def close(self) -> None:
        """Let go of them."""
        self._data = memoryview(b"")
