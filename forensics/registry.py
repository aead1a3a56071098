"""Registries are plain dicts, filled by listing a folder: a module without a leading underscore is one entry."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


def listing(path: Iterable[str], package: str, constant: str) -> dict[str, Any]:
    """Return {module name: its `constant`} for every public module of the folder, in the order of the names."""
    names = sorted(module.name for module in iter_modules(path) if not module.name.startswith("_"))
    return {name: getattr(import_module(f"{package}.{name}"), constant) for name in names}
