"""Reports: a case's tables in, bytes out. One module is one output file; `REPORT` is all that others see of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from forensics.registry import listing

if TYPE_CHECKING:
    from forensics.model import Report


@cache
def reports() -> dict[str, Report]:
    """Return every report by its name."""
    return listing(__path__, __name__, "REPORT")
