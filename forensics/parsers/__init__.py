"""Parsers: bytes in, batches out. One module is one log format; `PARSER` is all that others see of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from forensics.registry import listing

if TYPE_CHECKING:
    from forensics.model import Parser


@cache
def parsers() -> dict[str, Parser]:
    """Return every parser by its name."""
    return listing(__path__, __name__, "PARSER")
