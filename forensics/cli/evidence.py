"""What lies there, and who reads it."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from forensics.cli._options import AskPassword, PasswordFile, Patterns, Shadows
from forensics.cli._running import orderly, password_in
from forensics.errors import EvidenceError


def identify(
    evidence: Annotated[list[str], typer.Argument(help="Files, folders or archives; or s3://bucket/prefix.")],
    pattern: Patterns = None,
    password_file: PasswordFile = None,
    ask_password: AskPassword = False,
    shadow_copies: Shadows = False,
) -> None:
    """Say which parser claims which file, and why."""
    from forensics import console
    from forensics.evidence.find import find
    from forensics.identify import identify as claims
    from forensics.model import Options

    with orderly():
        found = find(evidence, password_in(password_file, ask=ask_password), shadows=shadow_copies)
        plan = claims(found.evidence, Options(patterns=tuple(pattern or ())))
        console.draw_identified(plan)
        for problem in found.passed_over:
            console.warn(f"{problem.label}: {problem.why}")
        if any(problem.failed for problem in found.passed_over) or not found.evidence:
            raise EvidenceError(
                "not all of what was named could be read" if found.evidence else "no evidence file was found"
            )


def formats() -> None:
    """List the log formats that c2trail reads, a packaged sample of each, and what each cannot know."""
    from forensics import console
    from forensics.evidence.find import find
    from forensics.identify import identify as claims
    from forensics.packaged import sample_evidence, sample_formats
    from forensics.parsers import parsers

    with orderly():
        samples: dict[str, str] = {}
        for item in claims(find([*sample_evidence(), sample_formats()]).evidence):
            if item.parser is not None:
                samples.setdefault(item.parser.name, item.evidence.label)
        console.draw_formats(list(parsers().values()), samples)


COMMANDS: Final = {"identify": identify, "formats": formats}
