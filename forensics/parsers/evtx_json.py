"""Windows events exported as JSON: evtx_dump, chainsaw, EvtxECmd, NXLog, Winlogbeat; one object a line, spread over lines, or all on one.

An object is cut where a line starts with `{` no deeper than the file's first: no string of JSON holds a line end, so no text of
a client starts a record. Objects that share a line are cut at `{` and the key that they start with: no string holds a bare
quote either. What a form holds stands in `_json_events`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from forensics.model import NO_CLAIM, Claim, Parser
from forensics.parsers._export_columns import Columnar, Learned, Shapes
from forensics.parsers._export_fields import text_of
from forensics.parsers._export_pieces import Heads, Mark, encoding_of, narrow
from forensics.parsers._export_reader import Proven, Reader
from forensics.parsers._export_shapes import PAD, NotPlain, Slot, fields_as_slots, slot_of
from forensics.parsers._json_events import parts_of, said_by
from forensics.parsers._json_tokens import document, payload_shape, payload_tokens, tokens_of
from forensics.parsers._rdp import IDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from forensics.model import Batch, Head, Hint, Options, Span
    from forensics.parsers._export_pieces import Cut
    from forensics.stream import Recount, Stream

    Ints = NDArray[np.int64]

NAME: Final = "evtx_json"
_START: Final = re.compile(r"\ufeff?\s*(?:Record [0-9]+\s*)?(\[\s*)?\{")
_TELL: Final = {
    "evtx_dump": ('"Event"', '"System"', '"EventRecordID"', '"Provider'),
    "Winlogbeat": ('"winlog"', '"event_id"', '"provider_name"'),
    "Winlogbeat 6": ('"event_id"', '"source_name"', '"record_number"'),
    "EvtxECmd": ('"EventRecordId"', '"EventId"', '"Payload"', '"Provider"'),
    "NXLog": ('"SourceName"', '"EventID"', '"EventTime"', '"Hostname"'),
}
_NUMBER_KEYS: Final = (b'"EventID"', b'"EventId"', b'"event_id"')
_NUMBER: Final = re.compile(rb'\s*:\s*"?([0-9]{1,5})"?\s*[,}]')
_MARKUP: Final = re.compile(rb"(?:\xef\xbb\xbf)?+[\s\0]*+(?:Record [0-9]{1,20}[\s\0]*+|[\[\],\s\0]*+)")
_TOKEN: Final = re.compile(r'\{\s*(?:("(?:[^"\\]|\\.)*+")\s*:)?|"(?:[^"\\]|\\.)*+(?:"|\Z)|\}', re.DOTALL)
_PLAIN_KEY: Final = re.compile(r'"[!#-\[\]-~]{1,64}"', re.ASCII)
_DECODER: Final = json.JSONDecoder()
_MOST_KEYS: Final = 16
_BEHIND: Final = b" \t\r\n,]\0"
"""What may stand behind an object on its last line."""
_BETWEEN: Final = b" \t\r\n,[]\0"
"""The same where objects follow each other on a line."""
_BROKEN: Final = re.compile("[\udc80-\udcff]")
_DEEPEST: Final = 16


def _start(head: Head) -> tuple[str, str]:
    encoding = encoding_of(head.start)
    return encoding, narrow(head.start, encoding).decode("utf-8", "replace")


def _claims(head: Head, _hints: Sequence[Hint]) -> Claim:
    encoding, text = _start(head)
    if _START.match(text) is None:
        return NO_CLAIM
    for form, keys in _TELL.items():
        if all(key in text for key in keys):
            return Claim(95, f"its objects have the keys of Windows events as JSON ({form}, {encoding})")
    return NO_CLAIM


def _settle(head: Head, _hints: Sequence[Hint], options: Options) -> Mapping[str, str]:
    encoding, text = _start(head)
    settled = {"encoding": encoding} | ({"zone": options.zone} if options.zone else {})
    first = _START.match(text)
    indent = 0
    if first is not None:
        line = text[: first.end() - 1].rpartition("\n")[2]
        indent = len(line) if first[1] and line.isspace() else 0
        keys = _keys_of_objects(text, first.end() - 1, min(indent, _DEEPEST), complete=head.complete)
        settled |= {"first_keys": keys} if keys else {}
    return settled | {"indent": str(min(indent, _DEEPEST))}


def _keys_of_objects(text: str, start: int, indent: int, *, complete: bool) -> str:
    """Return the first keys of a text's outermost objects where these do not each start a line, as in an array on one line.

    A string of JSON holds no bare quote, so no text of a client looks like such a key behind its brace. Keys with which
    inner objects start are none of them.
    """
    depth, outer, inner, apart = 0, set[str](), set[str](), False
    alone = re.compile(rf"\ufeff?[ \t]{{0,{indent}}}[\[,]?[ \t]{{0,{indent}}}")
    for token in _TOKEN.finditer(text, start):
        mark = token[0][:1]
        if mark == "{":
            key, line = token[1] or "", text[text.rfind("\n", 0, token.start()) + 1 : token.start()]
            if key and key in outer and not line.rstrip().endswith(":"):
                # What came before it was broken, or this would stand inside.
                depth = 0
            (inner if depth else outer).add(key)
            apart = apart or (key != "" and not depth and alone.fullmatch(line) is None)
        depth += (mark == "{") - (mark == "}")
        if depth < 0:
            break
    apart = apart or (depth > 0 and not complete and "\n" not in text[start:])
    keys = sorted(key for key in outer - inner if _PLAIN_KEY.fullmatch(key))
    return " ".join(keys[:_MOST_KEYS]) if apart else ""


def _mark(span: Span) -> Mark:
    keys = [re.escape(key.encode()) for key in span.setting("first_keys").split()]
    if keys:
        return Mark(re.compile(rb"\{[ \t\r\n]{0,64}(?:%b)[ \t\r\n]{0,64}:" % b"|".join(keys)), lines=False)
    deepest = span.setting("indent", "0").encode()
    line = rb"\n(?:\xef\xbb\xbf|\xff)?[ \t]{0,%b}[\[,]?[ \t]{0,%b}\{" % (deepest, deepest)
    return Mark(re.compile(line), lines=True)


def _read(span: Span, stream: Stream) -> Iterator[Batch]:
    return _Reader(span).batches(stream, _mark(span))


class _Reader(Reader):
    """Reads objects one by one, and many of one shape at once."""

    def __init__(self, span: Span) -> None:
        super().__init__(span, NAME)
        self._zone = span.setting("zone")
        self._one_line = bool(span.setting("first_keys"))
        self._last_line = re.compile(rb"(?m)^[ \t]{0,%b}\}[ \t\],\r]*(?:\n|\Z)" % span.setting("indent", "0").encode())
        self._shapes = Shapes(_learn)
        self._columnar = Columnar(Shapes(payload_shape), payload_tokens)

    def record(self, piece: bytes) -> None:
        """Read the object at the start of a piece."""
        self.ordinal += 1
        end, whole = self._extent(piece)
        if whole.endswith(b"}") and _unwanted(whole):
            self.skip(piece[:end], "unwanted_event", 1)
        else:
            if self._one_line:
                end, whole = _first_object(piece, end, whole)
            self._object(piece[:end], whole[whole.index(b"{") :])
        if end < len(piece):
            self.gap(piece[end:])

    def _extent(self, piece: bytes) -> tuple[int, bytes]:
        """Return where the record ends in its piece, and the record without what may stand behind an object."""
        if self._one_line:
            whole = piece.rstrip(_BETWEEN)
            return (len(whole) if whole.endswith(b"}") else len(piece)), whole
        end = piece.find(b"\n") + 1 or len(piece)
        whole = piece[:end].rstrip(_BEHIND)
        if not whole.endswith(b"}"):
            # Not on one line: it ends where a line closes it.
            last = self._last_line.search(piece)
            end = last.end() if last else len(piece)
            whole = piece[:end].rstrip(_BEHIND)
        return end, whole

    def proven(self, cut: Cut, numbers: Ints) -> Proven | None:
        """Return the objects that are whole."""
        found = []
        for number, start, stop in zip(
            numbers.tolist(), cut.bounds[numbers].tolist(), cut.bounds[numbers + 1].tolist(), strict=True
        ):
            end, whole = self._extent(cut.text[start:stop])
            if whole.endswith(b"}"):
                found.append((number, start + whole.index(b"{"), start + len(whole), start + end))
        if not found:
            return None
        numbers, begins, stops, ends = np.array(found, np.int64).T
        tokens, good = tokens_of(cut.text + bytes(PAD), begins, stops)
        if not good.any():
            return None
        return Proven(self._columnar, tokens, self._shapes.of(tokens), numbers[good], numbers[good], ends[good])

    def _object(self, whole: bytes, raw: bytes) -> None:
        place = self.place(whole)
        flags = None
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", "surrogateescape")
            raw, flags = _BROKEN.sub(lambda byte: f"\\\\x{ord(byte[0]) - 0xDC00:02x}", text).encode(), "broken_text"
        try:
            doc = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            torn = not raw.endswith(b"}") or (self.last and "end of data" in str(error))
            self.out.reject(place, "truncated_event" if torn else "malformed_event", str(error))
            return
        try:
            said = said_by(doc, self._zone)
            # Two values of one key: which one the tool meant is not known.
            repeated = said is not None and raw.count(b'":') != _keys(doc) and _repeats(raw)
        except (ValueError, RecursionError) as error:
            self.out.reject(place, "malformed_event", str(error))
            return
        if said is None:
            self.out.skip(*place[:2], "unwanted_event", 1)
            return
        if repeated:
            self.out.reject(place, "repeated_key", "a key stands twice in one object")
            return
        record, written, when, more = said
        self.out.event(place, record, written, ";".join(one for one in (flags, more) if one) or None, when)

    def behind(self, raw: bytes) -> str:
        """Pass over brackets and evtx_dump's `Record N`, if there is nothing else."""
        return "markup" if all(_MARKUP.fullmatch(line) for line in _lines(raw)) else ""

    def gap(self, raw: bytes) -> None:
        """Account for lines between objects: markup, and what does not belong there."""
        for line in _lines(raw):
            if _MARKUP.fullmatch(line):
                self.skip(line, "markup", 0)
            else:
                self.reject(line, "not_an_event", line.decode("utf-8", "replace").strip(), 0)


def _learn(glue: tuple[bytes, ...]) -> Learned:
    """Read a shape once, with marks for its values; ValueError if its objects are for the strict reader."""
    raw = document(glue)
    doc = orjson.loads(raw)
    if _repeats(raw) or not isinstance(doc, dict):
        raise NotPlain
    parts = parts_of(doc)
    system = {
        name: slot_of(text_of(getattr(parts, name)))
        for name in ("provider", "number", "record", "computer", "channel", "activity", "written", "payload")
    }
    if parts.clocks is not None:
        system |= {name: slot_of(text_of(one)) for name, one in zip(("local", "received"), parts.clocks, strict=True)}

    @cache
    def fields(provider: str, _event_id: int) -> dict[str, Slot]:
        return fields_as_slots(parts.fields(provider))

    return Learned(system, fields, parts.fills, parts.utc)


def _unwanted(whole: bytes) -> bool:
    """Say whether every event number in the text is one that is not wanted, without parsing it.

    A string of JSON cannot hold these keys with their quotes bare, so no text of a client is taken for one.
    """
    found = False
    for key in _NUMBER_KEYS:
        at = whole.find(key)
        while at >= 0:
            if whole[at - 1] != 0x5C:
                number = _NUMBER.match(whole, at + len(key))
                if number is None or int(number[1]) in IDS:
                    return False
                found = True
            at = whole.find(key, at + 1)
    return found


def _lines(raw: bytes) -> list[bytes]:
    return [line + b"\n" for line in raw.split(b"\n")[:-1]] + ([rest] if (rest := raw.rpartition(b"\n")[2]) else [])


def _keys(value: Any) -> int:  # noqa: ANN401
    """Count the keys of all objects."""
    count, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if one.__class__ is dict:
            count += len(one)
            one = one.values()
        waiting += [inner for inner in one if inner.__class__ is dict or inner.__class__ is list]
    return count


def _first_object(piece: bytes, end: int, whole: bytes) -> tuple[int, bytes]:
    """Return where the object at the start of a piece ends, and the object; both as they are if it has no end."""
    text = piece.decode("utf-8", "surrogateescape")
    try:
        _, stop = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return end, whole
    size = len(text[:stop].encode("utf-8", "surrogateescape"))
    return size, piece[:size]


def _repeats(raw: bytes) -> bool:
    """Say whether an object in the text has one key twice."""
    found = False

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        made = dict(items)
        found = found or len(made) < len(items)
        return made

    json.loads(raw, object_pairs_hook=pairs)
    return found


def _recount(span: Span) -> Recount:
    return Heads(_mark(span), span.setting("encoding", "utf-8"))


def _whole(_stream: Stream, whole: Span) -> Iterator[Span]:
    yield whole


PARSER = Parser(
    name=NAME,
    title="Windows events exported as JSON (evtx_dump, EvtxECmd, NXLog, Winlogbeat)",
    suffixes=(".json", ".jsonl", ".ndjson"),
    claims=_claims,
    split=_whole,
    read=_read,
    recount=_recount,
    settle=_settle,
    cannot_know=(
        "NXLog writes times local to the collector and of Terminal Services events only the message; EvtxECmd leaves out the activity; "
        "Winlogbeat cuts times to milliseconds."
    ),
)
