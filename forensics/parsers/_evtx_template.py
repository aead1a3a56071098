"""Binary XML template definitions, walked once in Python.

A definition becomes a list of places in the event: (path, constant text) or (path, number of the substitution). The path
of `<Data Name="IpAddress">` is `…/IpAddress`; unnamed Data elements are numbered. Whatever is not understood raises Odd,
and its records go to the exact renderer. Layout: libyal's EVTX format description, section Binary XML.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from forensics.limits import MAX_BXML_DEPTH


class Odd(Exception):  # noqa: N818  # an outcome: the exact renderer decides
    """This definition has something that the columnar reader does not know."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What fills a path: a constant text, or the value of a substitution by number."""

    constant: str | None
    index: int = -1


@dataclass(frozen=True, slots=True)
class Template:
    """A definition: its slots by path, the event's own fields by name, its size, and where its names stand in its body.

    `body` is the slot that holds the event's own part as another instance, None where the definition has it all.
    """

    slots: dict[str, Slot]
    fields: dict[str, Slot]
    body: Slot | None
    size: int
    names: tuple[int, ...]


_SYSTEM: Final = "Event/System/"
_BODIES: Final = ("Event", "Event/UserData", "Event/EventData")
"""Where a definition of System alone lets the event's own part in."""
_FRAGMENT: Final = b"\x0f\x01\x01\x00"
_END, _OPEN, _CLOSE, _CLOSE_EMPTY, _END_ELEMENT, _VALUE, _ATTRIBUTE = 0, 1, 2, 3, 4, 5, 6
_SUBSTITUTION, _OPTIONAL = 13, 14
_MORE: Final = 0x40


class _Walk:
    """One walk over a definition body; positions are offsets into the chunk."""

    def __init__(self, chunk: bytes, start: int, end: int) -> None:
        self._chunk = chunk
        self._at = start
        self._start = start
        self._end = end
        self.slots: dict[str, Slot] = {}
        self.names: list[int] = []
        self._stack: list[str] = []
        self._unnamed = 0

    def run(self) -> None:
        """Walk to the end of the body."""
        if self._chunk[self._at : self._at + 4] != _FRAGMENT:
            raise Odd("fragment header")
        self._at += 4
        while self._at < self._end:
            token = self._chunk[self._at] & 0x0F
            if token == _END:
                return
            if token == _OPEN:
                self._open()
            elif token == _CLOSE:
                self._at += 1
            elif token in (_CLOSE_EMPTY, _END_ELEMENT):
                self._at += 1
                if not self._stack:
                    raise Odd("end without element")
                self._stack.pop()
            elif token in (_VALUE, _SUBSTITUTION, _OPTIONAL):
                self._keep("/".join(self._stack), self._slot())
            else:
                raise Odd(f"token {token}")

    def _open(self) -> None:
        more = self._chunk[self._at] & _MORE
        self._at += 7
        name = self._name()
        attributes = self._attributes() if more else []
        for attribute, slot in attributes:
            if name == "Data" and attribute == "Name":
                if slot.constant is None:
                    raise Odd("a Data name that is a substitution")
                name = slot.constant
                attributes = [pair for pair in attributes if pair[0] != "Name"]
                break
        else:
            if name == "Data":
                self._unnamed += 1
                name = f"Data{self._unnamed}"
        if len(self._stack) >= MAX_BXML_DEPTH:
            raise Odd("depth")
        self._stack.append(name)
        for attribute, slot in attributes:
            self._keep("/".join(self._stack) + "@" + attribute, slot)

    def _attributes(self) -> list[tuple[str, Slot]]:
        self._at += 4
        found = []
        while True:
            token = self._byte()
            if token & 0x0F != _ATTRIBUTE:
                raise Odd("attribute")
            self._at += 1
            name = self._name()
            kind = self._byte() & 0x0F
            slot = self._slot() if kind in (_VALUE, _SUBSTITUTION, _OPTIONAL) else Slot("")
            found.append((name, slot))
            if not token & _MORE:
                return found

    def _slot(self) -> Slot:
        token = self._byte() & 0x0F
        if token == _VALUE:
            if self._chunk[self._at + 1] != 1:
                raise Odd("a constant that is no string")
            size = 2 * struct.unpack_from("<H", self._chunk, self._at + 2)[0]
            text = self._chunk[self._at + 4 : self._at + 4 + size].decode("utf-16-le", "replace")
            self._at += 4 + size
            return Slot(text)
        index = struct.unpack_from("<H", self._chunk, self._at + 1)[0]
        self._at += 4
        return Slot(None, index)

    def _name(self) -> str:
        offset = struct.unpack_from("<I", self._chunk, self._at)[0]
        self.names.append(self._at - self._start)
        self._at += 4
        count = struct.unpack_from("<H", self._chunk, offset + 6)[0]
        if offset + 8 + 2 * count > len(self._chunk):
            raise Odd("name outside the chunk")
        text = self._chunk[offset + 8 : offset + 8 + 2 * count].decode("utf-16-le", "replace")
        if offset == self._at:
            self._at += 10 + 2 * count
        return text

    def _byte(self) -> int:
        if self._at >= self._end:
            raise Odd("end")
        return self._chunk[self._at]

    def _keep(self, path: str, slot: Slot) -> None:
        if path.endswith("@xmlns"):
            return
        if path in self.slots:
            raise Odd("two values in one place")
        self.slots[path] = slot


def walk(chunk: bytes, offset: int) -> Template:
    """Return the template whose definition stands at `offset` of a chunk; Odd if it is not understood."""
    try:
        size = struct.unpack_from("<I", chunk, offset + 20)[0]
        if offset + 24 + size > len(chunk):
            raise Odd("definition outside the chunk")
        walked = _Walk(chunk, offset + 24, offset + 24 + size)
        walked.run()
    except (struct.error, IndexError) as error:
        raise Odd(str(error)) from error
    bodies = [walked.slots[path] for path in _BODIES if path in walked.slots]
    if len(bodies) > 1:
        raise Odd("two bodies")
    return Template(walked.slots, _fields(walked.slots), next(iter(bodies), None), size, tuple(walked.names))


def _fields(slots: dict[str, Slot]) -> dict[str, Slot]:
    """Return the places of the event's own part by their last name; two of one name are Odd."""
    fields: dict[str, Slot] = {}
    for path, slot in slots.items():
        if "@" in path or path in _BODIES or path.startswith(_SYSTEM):
            continue
        name = path.rpartition("/")[2]
        if name in fields:
            raise Odd("two fields of one name")
        fields[name] = slot
    return fields
