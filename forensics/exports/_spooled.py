"""Formats that are not written from front to back: made in a file without a name, handed on in pieces."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK: Final = 1 << 20


@contextmanager
def spool() -> Iterator[IO[bytes]]:
    """Give a file that goes when the block ends."""
    with tempfile.TemporaryFile() as file:
        yield file


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file from its start."""
    file.seek(0)
    while block := file.read(_BLOCK):
        yield block
