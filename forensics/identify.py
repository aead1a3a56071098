"""Which parser claims which file, why, and how the file will be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.evidence.open import head
from forensics.limits import HEADS_HELD
from forensics.model import Claim, Hint, Options
from forensics.parsers import parsers
from forensics.parsers._export_pieces import encoding_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.model import Evidence, Head, Parser

MINIMUM_CLAIM = 20
"""A weaker claim is a guess from a name alone, and a file nobody claims is accounted for as such."""


@dataclass(frozen=True, slots=True)
class Identified:
    """One piece of evidence, who claims it and why, and how it will be read."""

    evidence: Evidence
    parser: Parser | None
    claim: Claim
    settings: tuple[tuple[str, str], ...] = ()


def identify(evidence: Sequence[Evidence], options: Options = Options()) -> list[Identified]:  # noqa: B008  # frozen
    """Say for every file which parser claims it and why; hints of one file settle how others are read."""
    typed = [Hint("access_log_pattern", text, "", "--pattern") for text in options.patterns]
    hints: list[Hint] = list(typed)
    heads: list[Head | None] = []
    unknown: list[int] = []
    for number, item in enumerate(evidence):
        seen = None if item.container else head(item)
        parser, _ = _best(seen, typed) if seen else (None, None)
        hints += parser.hints(seen) if parser and seen else ()
        heads.append(seen if len(heads) < HEADS_HELD else None)
        if seen and parser is None:
            unknown.append(number)
    told = tuple(hints)
    for number in unknown:
        # A log that only a configuration makes known has hints for others too: the offset of the server's clock.
        seen = heads[number] or head(evidence[number])
        parser, _ = _best(seen, told)
        hints += parser.hints(seen) if parser else ()
    out = []
    for item, held in zip(evidence, heads, strict=True):
        if item.container:
            out.append(Identified(item, None, Claim(0, f"an archive ({item.wrapping}) of {item.holds} members")))
            continue
        seen = held or head(item)
        # What a configuration says can make a log known that nothing in its lines would.
        parser, claim = _best(seen, hints)
        settings = dict(parser.settle(seen, hints, options)) if parser else {}
        out.append(Identified(item, parser, claim, tuple(sorted(settings.items()))))
    return out


def _best(seen: Head, hints: Sequence[Hint]) -> tuple[Parser | None, Claim]:
    claims = [(parser.claims(seen, hints), name, parser) for name, parser in parsers().items()]
    claim, _, parser = max(claims, key=lambda entry: (entry[0].score, entry[1]))
    return (parser, claim) if claim.score >= MINIMUM_CLAIM else (None, Claim(claim.score, claim.why or _unknown(seen)))


def _unknown(seen: Head) -> str:
    encoding = encoding_of(seen.start)
    return "no parser knows it" + (
        "" if encoding == "utf-8" else f"; it is text in {encoding}, saved again by some program"
    )
