"""Compressed bytes as a stream: any number of members, bounded, and everything before a damage is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.evidence._decoders import ERRORS
from forensics.evidence._raw import damage_of, skip, take
from forensics.limits import MAX_INFLATED, MAX_RATIO, MIB, RATIO_FREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forensics.evidence._decoders import Codec, Decoder
    from forensics.stream import Readable

_FIRST: Final = 16 * 1024
"""What is pulled first: most members of an archive are looked at for their magic alone."""
_STORED: Final = 256 * 1024
_AT_ONCE: Final = 128 * 1024
"""What a decoder gives at once: more is taken from the system anew each time, and costs its page faults again and again."""
_CREPT: Final = 64 * MIB
"""More than any decoder holds back: bzip2 gives a block of up to 46 MB at once."""


class Inflating:
    """The inflated bytes of a compressed source.

    `damage` is None while all is well; once the stream broke off it is (reason, detail), the reason being the codec's word
    and `_truncated`, `_corrupt`, `_trailing_bytes`, or `bomb`. What broke below comes first. Reading past it returns 0.
    `again` opens the source once more: at a damage the last block is decoded byte by byte for what the decoder swallowed.
    """

    def __init__(self, source: Readable, codec: Codec, again: Callable[[], Readable], most: int | None = None) -> None:
        self._source = source
        self._codec = codec
        self._again = again
        self._most = most
        self._decoder: Decoder | None = None
        self._carry = b""
        self._member_at = 0
        self._read = 0
        self._given = 0
        self._member_given = 0
        self._pending = memoryview(b"")
        self._damage: tuple[str, str] | None = None
        self._over = False

    @property
    def damage(self) -> tuple[str, str] | None:
        """Why the stream ended early; None for a whole one."""
        below = damage_of(self._source)
        if below and self._damage:
            return below[0], f"{below[1]}; {self._damage[1]}"
        return below or self._damage

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of `buffer`; 0 at the end or at the damage."""
        while not self._pending and not self._over:
            self._pending = memoryview(self._more(min(len(buffer), _AT_ONCE)))
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _more(self, want: int) -> bytes:
        """Return the next inflated bytes, possibly none yet."""
        if self._decoder is None and not self._next_member():
            return b""
        decoder = self._decoder
        assert decoder is not None  # noqa: S101  # what _next_member says
        stored, asked = b"", decoder.needs_input
        if asked:
            stored, self._carry = self._carry or self._pull(), b""
        try:
            out = decoder.decompress(stored, want)
        except ERRORS as error:
            return self._creep(str(error))
        if asked and not stored and not out and not decoder.eof:
            self._break("truncated", f"it ends inside its compressed data after {self._read} stored bytes")
            return b""
        self._given += len(out)
        self._member_given += len(out)
        if decoder.eof:
            self._carry = decoder.unused_data
            self._decoder = None
            self._over = not self._codec.magics
        self._bound()
        return out

    def _pull(self) -> bytes:
        stored = take(self._source, _STORED if self._read else _FIRST)
        self._read += len(stored)
        return stored

    def _next_member(self) -> bool:
        """Set up a decoder for what follows; False at the end, or at bytes that are no further member."""
        first = self._read == 0
        longest = max((len(magic) for magic in self._codec.magics), default=0)
        while True:
            # Padding with zeros is what tapes and xz leave between and behind members.
            self._carry = self._carry if first else self._carry.lstrip(b"\0")
            if len(self._carry) >= max(1, longest) or not (more := self._pull()):
                break
            self._carry += more
        if not self._carry:
            self._over = True
            return False
        if not first and not self._carry.startswith(self._codec.magics):
            at = self._read - len(self._carry)
            self._break("trailing_bytes", f"stored bytes from {at} on are no {self._codec.word} member")
            return False
        self._member_at = self._read - len(self._carry)
        self._member_given = 0
        try:
            self._decoder = self._codec.fresh()
        except ERRORS as error:
            self._break("corrupt", f"no decoder takes its properties: {error}")
            return False
        return True

    def _creep(self, why: str) -> bytes:
        """Decode the broken member again, the last blocks byte by byte, and return what the failed call had swallowed."""
        out = bytearray()
        seen = 0
        try:
            for made in self._slowly():
                out += made[max(0, self._member_given - seen) :]
                seen += len(made)
                if len(out) > _CREPT:
                    break
        except ERRORS:
            pass
        self._break("corrupt", f"it is damaged after {self._given + len(out)} inflated bytes: {why}")
        self._given += len(out)
        return bytes(out)

    def _slowly(self) -> Iterator[bytes]:
        source = self._again()
        try:
            skip(source, self._member_at)
            decoder = (self._codec.careful or self._codec.fresh)()
            at = self._member_at
            while block := take(source, _STORED):
                at += len(block)
                # A decoder may still have held the block before the last one.
                for piece in _bytewise(block) if at >= self._read - _STORED else (block,):
                    yield decoder.decompress(piece, MIB)
                    while not decoder.needs_input and not decoder.eof:
                        yield decoder.decompress(b"", MIB)
        finally:
            source.close()

    def _bound(self) -> None:
        most = MAX_INFLATED if self._most is None else self._most
        if self._given > most or (self._given > RATIO_FREE and self._given > MAX_RATIO * max(1, self._read)):
            self._break("", f"{self._given} bytes out of {self._read} stored bytes; the rest was not inflated")

    def _break(self, what: str, detail: str) -> None:
        self._damage = (f"{self._codec.word}_{what}" if what else "bomb", detail)
        self._over = True


def _bytewise(block: bytes) -> list[bytes]:
    return [block[i : i + 1] for i in range(len(block))]
