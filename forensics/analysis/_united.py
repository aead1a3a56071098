"""Things tied to each other, step by step, and the groups they so make (union and find)."""

from __future__ import annotations


class United:
    """Names that are tied: what is tied to the same is one group, known by one of its names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def group(self, name: str) -> str:
        """Return the name by which the group of `name` is known until the next tie."""
        while self._parent.setdefault(name, name) != name:
            name = self._parent[name]
        return name

    def tie(self, name: str, other: str) -> None:
        """Make one group of two; it is known as that of `other` was."""
        self._parent[self.group(name)] = self.group(other)
