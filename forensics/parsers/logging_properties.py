"""Tomcat's logging.properties: where its own logs went, in which form, and from which level on (JULI, Tomcat 5.5 to 11)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from forensics.model import NO_CLAIM, Claim
from forensics.parsers._configuration import configuration_parser, masked_values, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.model import Head

_MARKS: Final = (b"java.util.logging.ConsoleHandler", b"org.apache.juli.", b"java.util.logging.SimpleFormatter")
_LINE: Final = re.compile(r"^[ \t]*([^#!\s=:][^\s=:]*)[ \t]*[=:][ \t]*(.*?)[ \t]*$", re.ASCII)


def _claims(head: Head) -> Claim:
    lines = [line for line in head.start.splitlines()[:400] if line.strip() and line.lstrip()[:1] not in (b"#", b"!")]
    settings = sum(b"=" in line for line in lines)
    if len(lines) >= 2 and settings * 10 >= len(lines) * 8 and any(mark in head.start for mark in _MARKS):
        return Claim(80, "its lines are settings of java.util.logging")
    return NO_CLAIM


def _told(raw: bytes) -> tuple[Mapping[str, Any], str]:
    found: dict[str, str] = {}
    joined = re.sub(r"\\\r?\n[ \t]*", "", text_of(raw))
    for line in joined.splitlines():
        match = _LINE.match(line)
        if match:
            found[match.group(1)] = match.group(2)
    return masked_values(found), "" if found else "it holds no setting"


PARSER = configuration_parser(
    "logging_properties",
    "Tomcat logging.properties (where its own logs went, and their form)",
    (".properties",),
    _claims,
    _told,
    "no_setting",
    "What the settings were before they were last changed.",
)
