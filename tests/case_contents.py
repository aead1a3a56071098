"""The bytes of a case, to hold against another's. It imports nothing of the tests: workers of a cluster load it too."""

from __future__ import annotations

from pathlib import Path


def contents(case: Path) -> dict[str, bytes]:
    """Return the bytes of every file of a case by its name, but of the audit log, which tells the time of day."""
    return {
        path.relative_to(case).as_posix(): path.read_bytes()
        for path in sorted(case.rglob("*"))
        if path.is_file() and path.name != "audit.jsonl"
    }
