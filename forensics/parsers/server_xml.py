"""Tomcat's server.xml: ports, hosts, valves and realms as one event, and the patterns its access logs were written with.

Attributes and their defaults are those of the Access Log Valves (Tomcat 5.5 to 11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.model import Hint
from forensics.parsers._configuration import elements_of, kept, root_claim, xml_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forensics.model import Claim, Head

NAME: Final = "server_xml"
_VALVES: Final = {
    "AccessLogValve": "access_log_pattern",
    "FastCommonAccessLogValve": "access_log_pattern",
    "ExtendedAccessLogValve": "extended_log_fields",
}
"""Class of a valve, and the kind of hint that its pattern is."""
_DEFAULT_PREFIX: Final = "access_log"
_KEPT: Final = (
    "Server",
    "Connector",
    "Engine",
    "Host",
    "Context",
    "Valve",
    "Realm",
    "Resource",
    "SSLHostConfig",
    "Certificate",
)


def _claims(head: Head) -> Claim:
    return root_claim(head, b"Server", (b"Service", b"Connector", b"Engine"), "a Tomcat Server element")


def _hints(head: Head) -> Sequence[Hint]:
    found = []
    for one in elements_of(head):
        kind = _VALVES.get(one.attributes.get("className", "").rpartition(".")[2])
        if one.name == "Valve" and kind:
            pattern = one.attributes.get("pattern") or "common"
            found.append(Hint(kind, pattern, one.attributes.get("prefix", _DEFAULT_PREFIX), head.label))
    return found


PARSER = xml_parser(
    NAME,
    "Tomcat server.xml (ports, hosts, valves, access-log patterns)",
    _claims,
    lambda elements: kept(elements, _KEPT),
    "What the configuration was before it was last changed; a log may be older than its pattern.",
    _hints,
)
