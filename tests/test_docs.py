"""The documentation says what the code does."""

from __future__ import annotations

from pathlib import Path

from forensics.parsers import parsers

DOCS = Path(__file__).resolve().parents[1] / "docs"


def table() -> str:
    """The formats as a Markdown table, one row a parser."""
    rows = ["| format | what it is | what it cannot know |", "|---|---|---|"]
    rows += [f"| `{one.name}` | {one.title} | {one.cannot_know} |" for one in parsers().values()]
    return "\n".join(rows)


def test_the_table_of_formats_has_every_parser_in_its_own_words() -> None:
    assert table() in (DOCS / "formats.md").read_text()
