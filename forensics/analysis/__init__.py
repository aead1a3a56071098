"""Analysis: questions asked of a case. One module is one question; `RULE` is all that others see of it."""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from forensics.registry import listing

if TYPE_CHECKING:
    from forensics.model import Rule


@cache
def rules() -> dict[str, Rule]:
    """Return every rule by its name, each after the rules whose tables it needs."""
    found: dict[str, Rule] = listing(__path__, __name__, "RULE")
    order = TopologicalSorter({name: [n for n in sorted(rule.needs) if n in found] for name, rule in found.items()})
    return {name: found[name] for name in order.static_order()}
