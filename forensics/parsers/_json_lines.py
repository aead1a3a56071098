r"""JsonAccessLogValve: its keys, and one line read as what it is or, broken by a client's quotes, as what it must have been.

Every value is a string, whose escapes are JSON's own and are undone here: unlike in the other access logs the columns hold
what the client sent. From 9.0.74 to 9.0.116 (10.1.8 to 10.1.53) request, path and query were written as they came: a quote
in them ends the string early. Such a line is either no JSON, or JSON with keys that the client made up. The keys of the
file's other lines then say where each value must start and end. (Tomcat's JsonAccessLogValve, 9.0.74 to 10.1.60.)
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from forensics.limits import MAX_LINE
from forensics.parsers._valve import KEYED, PLAIN, Field, Kind, Pattern
from forensics.parsers._valve_rows import NotALine, Row, columns_of, is_broken
from forensics.parsers._valve_split import fits, split
from forensics.text import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Path = tuple[str, ...]
"""A key, or the name of a sub-object and a key in it."""
Pairs = list[tuple[Path, str]]

KEYS: Final[Mapping[str, str]] = {
    "remoteAddr": "a",
    "localAddr": "A",
    "size": "b",
    "byteSentNC": "B",
    "elapsedTime": "D",
    "firstByteTime": "F",
    "host": "h",
    "protocol": "H",
    "threadName": "I",
    "logicalUserName": "l",
    "method": "m",
    "port": "p",
    "query": "q",
    "request": "r",
    "statusCode": "s",
    "sessionId": "S",
    "time": "t",
    "elapsedTimeS": "T",
    "user": "u",
    "path": "U",
    "localServerName": "v",
    "connectionStatus": "X",
}
OWN: Final = frozenset(KEYS) - {
    "host",
    "method",
    "path",
    "port",
    "protocol",
    "query",
    "request",
    "size",
    "time",
    "user",
}
"""Keys that tell Tomcat's JSON from that of others."""
OBJECTS: Final[Mapping[str, str]] = {
    "cookies": "c",
    "requestHeaders": "i",
    "responseHeaders": "o",
    "requestAttributes": "r",
    "sessionAttributes": "s",
    "identifier": "L",
}
"""Sub-objects, from 8.5.89, 9.0.75 and 10.1.9 on."""

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Object(list[tuple[str, Any]]):
    """A JSON object with its keys in order, repeated ones too."""


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object, strict=False)


@lru_cache(maxsize=4096)
def field_of(path: Path) -> Field | None:
    """Return the element that a key stands for, None for a key that is not Tomcat's."""
    written = ".".join(path)
    if len(path) > 1:
        letter = OBJECTS.get(path[0])
        return Field(letter, path[1], Kind.FREE, "any", written) if letter and path[1] else None
    name, dash, key = path[0].partition("-")
    if name == "other" and dash:
        return Field("other", key, Kind.FREE, "any", written)
    if name in OBJECTS and key:
        return Field(OBJECTS[name], key, Kind.FREE, "any", written)
    letter = KEYS.get(name)
    if letter is None or (dash and letter not in KEYED):
        return None
    kind, shape = (KEYED if dash else PLAIN)[letter]
    if letter == "t" and key in {"begin", "end"}:
        kind = Kind.TIME
    # Between quotes a blank ends nothing.
    free = kind is Kind.TOKEN and shape == "any"
    return Field(letter, key, Kind.FREE if free else kind, shape, written)


def pairs_of(line: bytes) -> Pairs | None:
    """Return the keys and values of a line, None if it is no object of strings and of objects of strings."""
    try:
        made = _DECODER.decode(_mended(line.decode("utf-8", "surrogateescape")))
    except (ValueError, RecursionError):
        return None
    if not isinstance(made, _Object):
        return None
    pairs: Pairs = []
    broken = is_broken(line)
    for key, value in made:
        inner = [((key, name), text) for name, text in value] if isinstance(value, _Object) else [((key,), value)]
        if not all(isinstance(text, str) for _, text in inner):
            return None
        pairs += [(tuple(_clean(name, broken=broken) for name in path), _clean(t, broken=broken)) for path, t in inner]
    return pairs


def _mended(text: str) -> str:
    r"""Tomcat wrote a vertical tab as `\v` up to 9.0.75 and 10.1.9, which JSON does not know."""
    if "\\v" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\u000b" if found[1] == "v" else found[0], text)


def _clean(text: str, *, broken: bool) -> str:
    """Spell out bytes that are no UTF-8, and halves of surrogate pairs that a client sent as escapes."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    if broken:
        text = decode(text.encode("utf-8", "surrogateescape")) if not _only_halves(text) else text
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _only_halves(text: str) -> bool:
    return any(not "\udc80" <= half <= "\udcff" for half in _SURROGATE.findall(text))


def template_of(pairs: Pairs) -> str:
    """Return the keys of a line in order, as the text that `Span.settings` carry."""
    return json.dumps([list(path) for path, _ in pairs])


@lru_cache(maxsize=64)
def compile_template(text: str) -> Pattern | None:
    """Return the keys of a file's lines as a pattern: what Tomcat writes between the values, and the values' fields."""
    if not text:
        return None
    paths: list[Path] = [tuple(path) for path in json.loads(text)]
    tokens: list[bytes | Field] = []
    inside, literal = "", "{"
    for number, path in enumerate(paths):
        field = field_of(path)
        if field is None:
            return None
        group = path[0] if len(path) > 1 else ""
        if number:
            literal = '"' + ("}" if inside and group != inside else "") + ","
        if group and group != inside:
            literal += json.dumps(group) + ": {"
        tokens += [f'{literal}{json.dumps(path[-1])}:"'.encode(), field]
        inside = group
    tokens.append(b'"}}' if inside else b'"}')
    return Pattern(text, tuple(tokens))


def row_of(line: bytes, template: str = "", zone: str = "", proxies: str = "") -> Row:
    """Return the columns of one line (no line end); NotALine if it has no reading, or several that none is better of."""
    if len(line) > MAX_LINE:
        raise NotALine("line_too_long", f"{len(line)} bytes")
    pairs = pairs_of(line)
    said = _once(pairs) if pairs else None
    clear = said is not None and not said[1] and all(field_of(path) is not None for path, _ in said[0])
    pattern = compile_template(template)
    ambiguous = False
    if not clear or (pairs is not None and template_of(pairs) != template):
        forced = _forced(line, pattern)
        ambiguous = forced is not None or not clear
        if not clear and forced is not None:
            said = forced, True
    if said is None:
        raise NotALine("not_access_log", "")
    row = _row(said[0], zone, proxies)
    if ambiguous:
        row["flags"].append("ambiguous")
    if is_broken(line):
        row["flags"].append("broken_text")
    return row


def _once(pairs: Pairs) -> tuple[Pairs, bool]:
    """Return each key once with its last value, and whether a key had two values; earlier ones are kept as `key#1`."""
    out: dict[Path, str] = {}
    differ = False
    for path, text in pairs:
        if path in out and out[path] != text:
            differ = True
            earlier = f"other-{'.'.join(path)}#{sum(1 for known in out if known[0].startswith('other-')) + 1}"
            out[earlier,] = out[path]
        out[path] = text
    return list(out.items()), differ


def _forced(line: bytes, pattern: Pattern | None) -> Pairs | None:
    """Return the values that a line must have if it has the file's keys, None if none or several are possible."""
    found = split(line, pattern) if pattern is not None else None
    if pattern is None or found is None or found[1]:
        return None
    paths: list[Path] = [tuple(path) for path in json.loads(pattern.text)]
    raws = [line[start:end] for start, end in found[0]]
    return [(path, _unescaped(raw, field)) for path, raw, field in zip(paths, raws, pattern.fields, strict=True)]


def _unescaped(raw: bytes, field: Field) -> str:
    """Undo the escapes of a value in a broken line; request, path and query were not escaped when lines broke."""
    pairs = None if not field.key and field.letter in {"r", "U", "q"} else pairs_of(b'{"":"' + raw + b'"}')
    return pairs[0][1] if pairs and len(pairs) == 1 else decode(raw)


def _row(pairs: Sequence[tuple[Path, str]], zone: str, proxies: str) -> Row:
    fields: list[Field] = []
    values: list[bytes] = []
    for path, text in pairs:
        field, raw = field_of(path), text.encode()
        if field is None:
            raise NotALine("not_access_log", f"the key {'.'.join(path)!r} is not one of Tomcat's")
        if not fits(raw, field):
            raise NotALine("not_access_log", f"{field.name} cannot be {text!r}")
        fields.append(field)
        values.append(raw)
    return columns_of(fields, values, zone, proxies)
