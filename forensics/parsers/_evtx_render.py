"""The exact path: records that the columnar reader cannot prove, rendered by the `evtx` package (Rust).

The package works on files and walks a chunk from its start. So each chunk is given to it in memory, behind a file header of
our own, with its chain laid through the records asked for and nothing else; nothing is written. It runs in a process of its
own (`_evtx_child`) that is stopped when it takes too long.
"""

from __future__ import annotations

import atexit
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from forensics.instants import FILETIME_EPOCH_US, microseconds
from forensics.limits import DECODER_DEATHS, DECODER_SECONDS
from forensics.parsers._evtx_child import ASK, BROKEN, NOTHING, OVER, SAY
from forensics.parsers._evtx_chunks import CHUNK, CHUNK_HEADER, FILE_HEADER, MINIMUM, SIGNATURE
from forensics.parsers._evtx_values import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

UNDECODABLE: Final = "undecodable_record"
DIED: Final = "decoder_died"
LOST: Final = {
    UNDECODABLE: "neither reader can decode it",
    DIED: f"the renderer died of it or was stopped after {DECODER_SECONDS} s",
}
"""Why a record could not be rendered, and the sentence that says so."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One record as the package renders it: System values and the event's own fields, as text. `us` is since 1970."""

    provider: str
    event_id: int
    us: int | None
    record_id: int | None
    computer: str
    channel: str
    activity: str
    named: dict[str, str]


_TABLES: Final = slice(128, CHUNK_HEADER)
"""The chunk's tables of names and templates; where they are damaged the package does without."""
_SCRIPT: Final = str(Path(__file__).with_name("_evtx_child.py"))


class _Child:
    """The renderer's process: started when it is first needed, and again when it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, file: bytes, skip: int) -> tuple[list[bytes | None], int | None]:
        """Return the JSON of each record, None where there is none, and how it ended: OVER, BROKEN, or None for a death."""
        with self._lock:
            process = self._process or self._start()
            watch = threading.Timer(DECODER_SECONDS, process.kill)
            watch.daemon = True
            watch.start()
            out: list[bytes | None] = []
            end = None
            try:
                end = self._exchange(process, ASK.pack(len(file), skip) + file, out)
            finally:
                watch.cancel()
                if end is None:
                    self._stop()
            return out, end

    @staticmethod
    def _exchange(process: subprocess.Popen[bytes], asked: bytes, out: list[bytes | None]) -> int | None:
        assert process.stdin is not None  # noqa: S101  # both are pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(asked)
            process.stdin.flush()
        except OSError:
            return None
        while len(head := process.stdout.read(SAY.size)) == SAY.size:
            (size,) = SAY.unpack(head)
            if size in (OVER, BROKEN):
                return int(size)
            said = None if size == NOTHING else process.stdout.read(size)
            if said is not None and len(said) < size:
                return None
            out.append(said)
        return None

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: nothing is imported from the script's folder, where modules carry names of the standard library's kind.
        self._process = subprocess.Popen(  # noqa: S603  # this very interpreter and our own script
            [sys.executable, "-P", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """Stop the process, if there is one."""
        with self._lock:
            self._stop()


_CHILD: Final = _Child()
atexit.register(_CHILD.close)


class Renderer:
    """Renders the odd records of one span. Its deaths are counted: past DECODER_DEATHS nothing more is tried."""

    def __init__(self) -> None:
        self._deaths = 0

    def render(self, chunk: bytes, records: Sequence[tuple[int, int]]) -> list[Rendered | str]:
        """Render the records at some (place, size) of a chunk; a word of LOST for each that cannot be rendered."""
        out = self._attempt(chunk, records)
        if not any(isinstance(one, Rendered) for one in out):
            bare = bytearray(chunk)
            bare[_TABLES] = bytes(CHUNK_HEADER - 128)
            out = self._attempt(bytes(bare), records)
        return out

    def _attempt(self, chunk: bytes, records: Sequence[tuple[int, int]]) -> list[Rendered | str]:
        """Render the chain; behind a record that ends the package's walk, or kills it, the rest is asked for anew."""
        out, end = self._walk(chunk, records)
        if end == BROKEN and len(records) > 1:
            for one in records[len(out) :]:
                out += self._walk(chunk, [one])[0] or [UNDECODABLE]
        while end is None and len(out) < len(records):
            out.append(DIED)
            if len(out) < len(records):
                more, end = self._walk(chunk, records[len(out) :])
                out += more
        return (out + [UNDECODABLE] * len(records))[: len(records)]

    def _walk(self, chunk: bytes, records: Sequence[tuple[int, int]]) -> tuple[list[Rendered | str], int | None]:
        """Return what the package says of each record up to where it stopped, and how it ended."""
        before = records[0][0] - CHUNK_HEADER
        if 0 < before < MINIMUM:
            return [UNDECODABLE] * len(records), OVER
        if self._deaths >= DECODER_DEATHS:
            return [DIED] * len(records), OVER
        said, end = _CHILD.ask(_laid(chunk, records), skip=1 if before else 0)
        self._deaths += end is None
        return [_parsed(one) for one in said[: len(records)]], end


def _laid(chunk: bytes, records: Sequence[tuple[int, int]]) -> bytes:
    """Return a file of one chunk whose chain leads through the records, each stretched to the next."""
    header = bytearray(FILE_HEADER)
    struct.pack_into("<8sQQQIHHHH", header, 0, b"ElfFile\0", 0, 0, 0, 128, 1, 3, FILE_HEADER, 1)
    out = bytearray(chunk.ljust(CHUNK, b"\0"))
    out[:8] = b"ElfChnk\0"
    ends = [place for place, _ in records[1:]] + [sum(records[-1])]
    for (place, _), end in zip(records, ends, strict=True):
        struct.pack_into("<I", out, place + 4, end - place)
    first = records[0][0]
    if first > CHUNK_HEADER:
        # What lies before the first one becomes a record that is passed over.
        struct.pack_into("<4sI", out, CHUNK_HEADER, SIGNATURE, first - CHUNK_HEADER)
    struct.pack_into("<I", out, 48, ends[-1])
    return bytes(header + out)


def _parsed(said: bytes | None) -> Rendered | str:
    try:
        return UNDECODABLE if said is None else _rendered(orjson.loads(said)["Event"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return UNDECODABLE


def _rendered(event: dict[str, Any]) -> Rendered:
    system = event["System"]
    named: dict[str, str] = {}
    for part, value in event.items():
        if part not in {"System", "#attributes"}:
            _leaves(part, value, named)
    sequence = _said(system.get("EventRecordID"))
    time = _attribute(system, "TimeCreated", "SystemTime")
    return Rendered(
        provider=_attribute(system, "Provider", "Name"),
        event_id=int(_said(system["EventID"])),
        us=microseconds(datetime.fromisoformat(time)) if time else None,
        record_id=int(sequence) if sequence.isdigit() else None,
        computer=_said(system.get("Computer")),
        channel=_said(system.get("Channel")),
        activity=_attribute(system, "Correlation", "ActivityID"),
        named=named,
    )


def filetime(us: int) -> int:
    """Return microseconds since 1970 as FILETIME; the package cuts the last digit of it."""
    return (us + FILETIME_EPOCH_US) * 10


def _attribute(system: dict[str, Any], element: str, name: str) -> str:
    found = system.get(element)
    return _said((found.get("#attributes") or {}).get(name)) if isinstance(found, dict) else ""


def _leaves(name: str, value: Any, named: dict[str, str]) -> None:  # noqa: ANN401  # JSON
    """Collect the texts below an element under their last names; a second one of a name is numbered."""
    if name == "Data":
        listed = value.get("#text") if isinstance(value, dict) else value
        for number, one in enumerate(listed if isinstance(listed, list) else [listed], 1):
            if said := _said(one):
                named[_free(f"Data{number}", named)] = said
        return
    if isinstance(value, dict) and "#text" not in value:
        for key, below in value.items():
            if key != "#attributes":
                _leaves(key, below, named)
        return
    if said := _said(value):
        named[_free(name, named)] = said


def _free(name: str, named: dict[str, str]) -> str:
    number = 2
    free = name
    while free in named:
        free, number = f"{name}#{number}", number + 1
    return free


def _said(value: Any) -> str:  # noqa: ANN401  # JSON
    if value is None:
        return ""
    if isinstance(value, dict):
        return _said(value.get("#text"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return SEPARATOR.join(_said(one) for one in value)
    return _canonical(str(value))


def _canonical(text: str) -> str:
    """Bring GUIDs to lower case, as the columnar path writes them; any other text is left as it is."""
    if len(text) == 36 and text[8::5][:4] == "----" and text.isascii():
        digits = text.replace("-", "")
        if len(digits) == 32 and all(c in "0123456789ABCDEF" for c in digits):
            return text.lower()
    return text
