"""An event's own fields out of the JSON that tools make of EventData and UserData: one walk for all of them.

Names are an attribute (`@Name` of EvtxECmd) or the keys themselves (evtx_dump, Winlogbeat); what has no name is numbered as
in XML: Data1, Data2. Numbers and truth values become the texts that Windows writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.limits import MAX_BXML_DEPTH
from forensics.parsers._exported import canonical, free_name

if TYPE_CHECKING:
    Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

_ABOUT: Final = frozenset({"#attributes", "@xmlns", "@Name", "xml_name", "xmlns"})
"""Keys that say something about an element and are no field."""


def fields_of(part: Json) -> dict[str, str]:
    """Return the fields below EventData or UserData by name; ValueError if they are nested as no event is."""
    named: dict[str, str] = {}
    _walk("Data", part, named, [], 0)
    return named


def _walk(name: str, value: Json, named: dict[str, str], unnamed: list[None], depth: int) -> None:
    if depth > MAX_BXML_DEPTH:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        text = value.get("#text")
        if text is not None:
            _walk(str(value.get("@Name") or name), text, named, unnamed, depth + 1)
        elif "@Name" not in value:
            for key, inner in value.items():
                if key not in _ABOUT and not key.endswith("_attributes"):
                    _walk(key, inner, named, unnamed, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _walk(name, one, named, unnamed, depth + 1)
    else:
        if name == "Data":
            # What is empty counts as well: names are places.
            unnamed.append(None)
            name = f"Data{len(unnamed)}"
        text = text_of(value)
        if text and not text.isspace():
            named[free_name(name, named) if name in named else name] = canonical(text)


def text_of(value: Json) -> str:
    """Return a JSON scalar as Windows writes it; nothing for what is none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def number_of(value: Json, limit: int) -> int | None:
    """Return a whole number written as one or as digits, below a limit; None for anything else."""
    text = text_of(value).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        return None
    return int(text) if int(text) < limit else None
