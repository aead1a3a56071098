"""ECS: every event as a line of JSON under the dotted names of the Elastic Common Schema, what ECS has no name for under `c2trail.`.

Names and allowed values are those of ECS 9.4.0, as `@elastic/ecs` publishes them. An event whose time is not known has no
`@timestamp`. Dots stand in the names as they are: Elasticsearch makes objects of them by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from forensics.exports._joined import EVENTS, NEEDS
from forensics.model import Report
from forensics.reports._cells import json_line, stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

VERSION: Final = "9.4.0"

NAMES: Final[Mapping[str, str]] = {
    "time": "@timestamp",
    "event_action": "event.action",
    "event_outcome": "event.outcome",
    "event_provider": "event.provider",
    "event_code": "event.code",
    "event_sequence": "event.sequence",
    "host_name": "host.name",
    "source_ip": "source.ip",
    "source_address": "source.address",
    "source_port": "source.port",
    "user_name": "user.name",
    "user_domain": "user.domain",
    "http_request_method": "http.request.method",
    "url_path": "url.path",
    "url_query": "url.query",
    "http_version": "http.version",
    "http_response_status_code": "http.response.status_code",
    "http_response_bytes": "http.response.body.bytes",
    "http_request_referrer": "http.request.referrer",
    "user_agent_original": "user_agent.original",
    "log_file": "log.file.path",
    "country_iso_code": "source.geo.country_iso_code",
    "as_number": "source.as.number",
    "as_organization_name": "source.as.organization.name",
    "locator": "event.id",
}
"""Columns that are ECS fields. `http_response_bytes` is what Tomcat counts: the body, without the headers."""

_OWN: Final = frozenset({"evidence_id", "log_offset", "log_length", "log_ordinal", "duration_us", *NAMES})
_NS: Final = 1000

KINDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "rdp_connect": (("network",), ("connection", "start")),
    "rdp_authenticate": (("authentication",), ("info",)),
    "logon": (("authentication", "session"), ("start",)),
    "shell_start": (("session",), ("start",)),
    "reconnect": (("session",), ("start",)),
    "disconnect": (("session",), ("end",)),
    "logoff": (("authentication", "session"), ("end",)),
    "rdp_client_info": (("session",), ("info",)),
    "rdp_end": (("network",), ("connection", "end")),
    "rdp_service": (("process",), ("info",)),
    "session_limit": (("session",), ("end",)),
    "session_shadow": (("session",), ("info",)),
    "session_lock": (("session",), ("info",)),
    "privileges": (("iam",), ("admin", "info")),
    "gateway_connect": (("network",), ("connection", "start")),
    "gateway_disconnect": (("network",), ("connection", "end")),
    "outbound_rdp": (("network",), ("connection", "start")),
    "http_request": (("web",), ("access",)),
    "tomcat_start": (("process",), ("start",)),
    "tomcat_stop": (("process",), ("end",)),
    "deploy": (("package",), ("installation",)),
    "undeploy": (("package",), ("deletion",)),
    "service_install": (("configuration",), ("creation",)),
    "service_state": (("process",), ("change",)),
    "software_install": (("package",), ("installation",)),
    "log_cleared": (("configuration",), ("deletion",)),
    "clock_changed": (("configuration",), ("change",)),
    "server_zone": (("configuration",), ("info",)),
    "system_start": (("host",), ("start",)),
    "system_stop": (("host",), ("end",)),
    "system_crash": (("host",), ("end",)),
    "manager_act": (("web", "configuration"), ("access", "change")),
    "realm_lockout": (("authentication",), ("info",)),
    "request_parse_error": (("web",), ("error",)),
    "file_time": (("file",), ("info",)),
    "configuration": (("configuration",), ("info",)),
}
"""`event.category` and `event.type` of each action, from the values that ECS allows."""


def document(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return one event as an ECS document; what is not known is left out."""
    category, kind = KINDS.get(event["event_action"], ((), ()))
    found: dict[str, Any] = {
        "ecs.version": VERSION,
        "event.kind": "event",
        "event.module": "c2trail",
        "event.dataset": f"c2trail.{event['log_format']}",
        "event.category": list(category),
        "event.type": list(kind),
        "related.ip": [event["source_ip"]] if event["source_ip"] else [],
        "related.user": [event["user_name"]] if event["user_name"] else [],
    }
    found |= {dotted: event[column] for column, dotted in NAMES.items()}
    found |= {f"c2trail.{column}": value for column, value in event.items() if column not in _OWN}
    if event["duration_us"] is not None:
        found["event.duration"] = event["duration_us"] * _NS
    if event["url_path"] is not None:
        found["url.original"] = event["url_path"] + (f"?{event['url_query']}" if event["url_query"] else "")
    return {name: value for name, value in found.items() if value is not None and value != []}


def _write(db: duckdb.DuckDBPyConnection) -> Iterator[bytes]:
    return (json_line(document(event)) for event in stream(db, EVENTS))


EXPORT = Report("ecs", "ecs.jsonl", f"every event under the names of ECS {VERSION}, for Elasticsearch", NEEDS, _write)
