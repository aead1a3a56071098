"""Tomcat's context.xml and the descriptors under conf/Catalina: documents, address filters, databases; secrets masked."""

from __future__ import annotations

from typing import Final

from forensics.parsers._configuration import kept, root_claim, xml_parser

_KEPT: Final = ("Context", "Valve", "Resource", "ResourceLink", "Parameter", "Environment", "Manager")

PARSER = xml_parser(
    "context_xml",
    "Tomcat context.xml (an application's documents, address filters, databases)",
    lambda head: root_claim(head, b"Context", (), "a Context element"),
    lambda elements: kept(elements, _KEPT),
    "Whether the application was running; its deployment stands in Tomcat's own log.",
)
