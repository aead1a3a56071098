"""c2trail: who operated a seized command-and-control server, from where, and when.

import forensics
case = forensics.analyze("seized/", out="case")
case.timeline          # pandas; also case.sessions, case.sources, case.frame("events"), case.database()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.case import Case
    from forensics.comparing import compare
    from forensics.errors import ForensicsError
    from forensics.evidence.find import find
    from forensics.exports import export
    from forensics.identify import identify
    from forensics.model import Locator, Options
    from forensics.pipeline import analyze
    from forensics.places import enrich, lookup
    from forensics.pseudonyms import pseudonymise
    from forensics.stored_cases import open_case
    from forensics.verifying import verify

__version__ = "0.1.0"

__all__ = [
    "Case",
    "ForensicsError",
    "Locator",
    "Options",
    "__version__",
    "analyze",
    "compare",
    "enrich",
    "export",
    "find",
    "identify",
    "lookup",
    "open_case",
    "pseudonymise",
    "verify",
]

# Loaded when first asked for: `c2trail --help` should not wait for Arrow, pandas and DuckDB.
_HOMES = {
    "Case": "forensics.case",
    "ForensicsError": "forensics.errors",
    "Locator": "forensics.model",
    "Options": "forensics.model",
    "analyze": "forensics.pipeline",
    "compare": "forensics.comparing",
    "enrich": "forensics.places",
    "export": "forensics.exports",
    "find": "forensics.evidence.find",
    "identify": "forensics.identify",
    "lookup": "forensics.places",
    "open_case": "forensics.stored_cases",
    "pseudonymise": "forensics.pseudonyms",
    "verify": "forensics.verifying",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # what it returns is declared above for type checkers
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'forensics' has no attribute '{name}'")
