"""What no output may hold: control and format characters, formulas, JSON that is none."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
FORMULA = tuple("=+-@\t\r")


def forbidden(text: str) -> set[str]:
    """Return the characters of a text, its line ends apart, that could act on a terminal or hide from a reader."""
    return {c for c in set(text) if unicodedata.category(c) in FORBIDDEN} - {"\n"}


def formulas(text: str) -> list[str]:
    """Return the cells of a CSV that a spreadsheet would calculate; a number below zero is none."""
    csv.field_size_limit(1 << 30)
    cells = (cell for row in csv.reader(io.StringIO(text)) for cell in row)
    return [cell for cell in cells if cell.startswith(FORMULA) and not re.fullmatch(r"-[0-9.]+", cell)]


def json_lines(text: str) -> list[dict[str, object]]:
    """Return the objects of JSON lines; ValueError for NaN, for a name said twice, for what is no JSON."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise ValueError("a name is said twice")
        return dict(pairs)

    def refuse(word: str) -> object:
        raise ValueError(word)

    return [json.loads(line, object_pairs_hook=once, parse_constant=refuse) for line in text.splitlines()]
