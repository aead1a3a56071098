"""tar as a stream of headers (POSIX.1-2017 pax, ustar, GNU, old Unix): what each member is and where its data lie.

Nothing is trusted but a header whose checksum is right; behind a damage the next such header is looked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forensics.evidence._raw import damage_of, seekable, skip, take
from forensics.limits import MAX_TAR_HEADER, TIME_MAX_US, TIME_MIN_US

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from forensics.stream import Readable

BLOCK: Final = 512
_KINDS: Final = {
    b"0": "file", b"\0": "file", b"7": "file", b"1": "hard link", b"2": "link", b"3": "device", b"4": "device",
    b"5": "folder", b"6": "pipe", b"S": "sparse",
}  # fmt: skip
_DESCRIBING: Final = frozenset((b"x", b"g", b"L", b"K"))


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member: `kind` file, folder, link, hard link, device, pipe, sparse, or what its type flag is; data from `place`."""

    name: bytes
    kind: str
    target: bytes
    place: int
    size: int
    modified: int | None


class Forward:
    """A source that is read forwards, and knows where it stands; it seeks only if that costs nothing."""

    def __init__(self, source: Readable) -> None:
        self.source = source
        self.position = 0
        self._seekable = seekable(source)
        self._end = self._seekable.seek(0, os.SEEK_END) if self._seekable else None
        if self._seekable:
            self._seekable.seek(0)

    @property
    def damage(self) -> tuple[str, str] | None:
        """What broke below."""
        return damage_of(self.source)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end."""
        got = self.source.readinto(buffer) or 0
        self.position += got
        return got

    def go(self, place: int) -> bool:
        """Go on to `place`, which does not lie behind; False if the source ends before it."""
        if self._seekable is not None and self._end is not None:
            self.position = self._seekable.seek(min(place, self._end))
        else:
            self.position += skip(self.source, place - self.position)
        return self.position == place

    def close(self) -> None:
        """Close the source."""
        self.source.close()


def is_header(block: bytes) -> bool:
    """Return whether 512 bytes are a tar header: its checksum is that of its bytes, and it is not empty."""
    if len(block) < BLOCK or not block[0]:
        return False
    told = _number(block[148:156])
    total = sum(block[:BLOCK]) - sum(block[148:156]) + 8 * 0x20
    return told == total


def members(forward: Forward, damages: list[tuple[str, str]]) -> Iterator[TarMember]:
    """Yield the members in order; what is damaged between them is added to `damages`.

    Whoever takes a member may read its data from `forward`, and no further.
    """
    told: dict[str, bytes] = {}
    always: dict[str, bytes] = {}
    lost = False
    while True:
        at = forward.position
        block = take(forward, BLOCK)
        if len(block) < BLOCK:
            if block.strip(b"\0"):
                damages.append(("archive_truncated", f"it ends inside a tar header at byte {at}"))
            return
        if not block.strip(b"\0"):
            continue
        if not is_header(block):
            if not lost:
                damages.append(("archive_corrupt", f"no tar header at byte {at}; the next one was looked for"))
            lost = True
            continue
        lost = False
        size = _size(block, told)
        flag = block[156:157]
        if flag in _DESCRIBING:
            told, always = _described(forward, flag, _number(block[124:136]) or 0, told, always)
            if not forward.go(_rounded(at + BLOCK + (_number(block[124:136]) or 0))):
                damages.append(("archive_truncated", f"it ends inside the tar header at byte {at}"))
                return
            continue
        member = _member(block, {**always, **told}, at + BLOCK, size)
        told = {}
        yield member
        if not forward.go(_rounded(member.place + member.size)) and forward.position < member.place + member.size:
            damages.append(("archive_truncated", f"it ends inside a member, at byte {forward.position}"))
            return


def _rounded(place: int) -> int:
    return -(-place // BLOCK) * BLOCK


def _member(block: bytes, told: Mapping[str, bytes], place: int, size: int) -> TarMember:
    name = told.get("path") or _text(block[:100])
    if "path" not in told and block[257:263] == b"ustar\0" and block[345]:
        name = _text(block[345:500]) + b"/" + name
    kind = _KINDS.get(block[156:157], f"member of type {block[156:157]!r}")
    if kind == "file" and name.endswith(b"/"):
        kind = "folder"
    if kind == "file" and any(key.startswith("GNU.sparse") for key in told):
        kind = "sparse"
    has_data = kind in {"file", "sparse"} or kind.startswith("member")
    return TarMember(
        name, kind, told.get("linkpath") or _text(block[157:257]), place, size if has_data else 0, _time(block, told)
    )


def _described(
    forward: Forward, flag: bytes, size: int, told: dict[str, bytes], always: dict[str, bytes]
) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Read a header that describes the next member (or all that follow) and add what it says."""
    raw = take(forward, min(size, MAX_TAR_HEADER))
    if flag == b"L":
        return told | {"path": _text(raw)}, always
    if flag == b"K":
        return told | {"linkpath": _text(raw)}, always
    said = dict(_records(raw))
    return (told, always | said) if flag == b"g" else (told | said, always)


def _records(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the pax records `LENGTH KEY=VALUE LF` as far as they are well formed."""
    at = 0
    while at < len(raw):
        digits, space, _ = raw[at : at + 20].partition(b" ")
        if not space or not digits.isdigit():
            return
        end = at + int(digits)
        key, equals, value = raw[at + len(digits) + 1 : end - 1].partition(b"=")
        if not equals or end > len(raw) or end <= at:
            return
        yield key.decode("latin-1"), value
        at = end


def _size(block: bytes, told: Mapping[str, bytes]) -> int:
    said = told.get("size", b"")
    if said.isdigit() and len(said) < 19:
        return int(said)
    return _number(block[124:136]) or 0


def _time(block: bytes, told: Mapping[str, bytes]) -> int | None:
    """Return the modification time in microseconds UTC: pax has fractions, the header has seconds."""
    whole, _, fraction = told.get("mtime", b"").partition(b".")
    if whole.isdigit() and len(whole) < 12 and (not fraction or fraction.isdigit()):
        instant = int(whole) * 1_000_000 + int(fraction[:6].ljust(6, b"0"))
    else:
        seconds = _number(block[136:148])
        if not seconds:
            return None
        instant = seconds * 1_000_000
    return instant if TIME_MIN_US <= instant < TIME_MAX_US else None


def _number(field: bytes) -> int | None:
    """Return a number of a header: octal digits, or base 256 if its first byte is 0x80; None if it is neither."""
    if field[0] == 0x80:
        number = int.from_bytes(field[1:], "big")
        return number if number < 1 << 62 else None
    digits = field.strip(b" \0").split(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if all(0x30 <= digit <= 0x37 for digit in digits) else None


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
