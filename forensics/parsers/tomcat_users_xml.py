"""Tomcat's tomcat-users.xml: which accounts had which roles, such as manager-gui; passwords masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forensics.parsers._configuration import masked_values, root_claim, xml_parser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forensics.parsers._configuration import Element


def _facts(elements: Sequence[Element]) -> Mapping[str, Any]:
    """Return users and roles; Tomcat 5.5 and 6 write `name` where later versions write `username`."""
    users = [masked_values(one.attributes) for one in elements if one.name == "user"]
    for user in users:
        if "username" not in user and "name" in user:
            user["username"] = user.pop("name")
    roles = [one.attributes.get("rolename", "") for one in elements if one.name == "role"]
    return {"user": users, "role": roles}


PARSER = xml_parser(
    "tomcat_users_xml",
    "Tomcat tomcat-users.xml (accounts and roles, passwords masked)",
    lambda head: root_claim(head, b"tomcat-users", (), "a tomcat-users element"),
    _facts,
    "Who knew a password, and accounts of realms that are kept elsewhere.",
)
