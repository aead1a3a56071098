"""The shape of the code, read from its imports: arrows point down, never up, never sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "forensics"

LAYERS = [
    {
        "model",
        "columns",
        "answers",
        "schemas",
        "stream",
        "errors",
        "limits",
        "text",
        "instants",
        "registry",
        "packaged",
        "without_pandas",
        "_addresses_in_text",
    },
    {"evidence"},
    {"parsers", "enrichment", "analysis", "reports", "engines"},
    {"case", "beside", "copies", "parts", "parse", "identify", "publishing", "exports", "stored_cases"},
    {"reading"},
    {"pipeline", "query", "verifying", "places", "pseudonyms", "comparing", "earlier"},
    {"fleet", "shelves"},
    {"console"},
    {"cli"},
    {"__main__", "__init__"},
]
"""From the bottom up. Folders of one layer never import each other; modules of the lowest and of the case layer may."""

STRANGERS = {"parsers", "enrichment", "analysis", "reports", "engines"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "_data" not in p.parts)


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    name = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    return "console" if name in {"_timeline_view", "_tables_view"} else name


def level(name: str) -> int:
    found = [i for i, layer in enumerate(LAYERS) if name in layer]
    assert found, f"{name} stands in no layer: add it to LAYERS"
    return found[0]


def imported(path: Path) -> set[str]:
    """Return the rooms of this package that a module imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "forensics":
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names if not a.name.startswith("__v")}
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("forensics.")}
    return {"console" if n in {"_timeline_view", "_tables_view"} else n for n in names}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down_only(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    for other in imported(path) - {here}:
        assert level(other) <= level(here), f"{path.name} ({here}) imports {other}, which stands above it"
        assert not ({here, other} <= STRANGERS), f"{path.name} ({here}) imports {other}, its neighbour"


def used_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    imports = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    return (
        calls | imports | {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    )


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_each_effect_has_one_home(path: Path) -> None:
    here, used = room(path), used_names(path)
    assert "print" not in used, "only the console speaks"
    assert "rich" not in used or here == "console"
    assert "typer" not in used or here == "cli"
    assert "open" not in used or here in {"evidence", "case"} or path.name == "_database.py"
    assert not used & {"pickle", "marshal", "shelve", "eval", "exec", "yaml"}, "no code in data"
    assert not used & {"socket", "urllib", "requests", "http"}, "no network"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_is_two_rooms_in_one(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


def test_names_are_nouns_of_the_field() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    assert not {p.stem.strip("_") for p in modules()} & vague
