"""Windows events as tools write them in JSON: which keys hold what, form by form.

evtx_dump and chainsaw: the XML's own tree below `Event`. EvtxECmd: flat, the fields as JSON in `Payload`. Winlogbeat: `winlog`
(7 and later) or its keys at the top (6), in `_source` where Elasticsearch gave it out. NXLog (im_msvistalog): flat, the event's
fields among NXLog's own, UserData only as message, times local to the collector unless they carry an offset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from forensics.parsers._evtx_render import Rendered
from forensics.parsers._export_fields import fields_of, number_of, text_of
from forensics.parsers._exported import Moment, canonical, moment_of
from forensics.parsers._rdp import SECURITY, meaning_of
from forensics.parsers._rendered_message import fields_of as message_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from forensics.parsers._export_fields import Json

    Object = dict[str, Json]
    Said = tuple[Rendered, str, Moment | None, str | None]

_NXLOG: Final = frozenset(
    {
        "AccountType",
        "ActivityID",
        "Category",
        "Channel",
        "EventID",
        "EventReceivedTime",
        "EventTime",
        "EventType",
        "ExecutionProcessID",
        "Hostname",
        "Keywords",
        "Message",
        "Opcode",
        "OpcodeValue",
        "ProcessID",
        "ProviderGuid",
        "RecordNumber",
        "RelatedActivityID",
        "Severity",
        "SeverityValue",
        "SourceModuleName",
        "SourceModuleType",
        "SourceName",
        "Task",
        "ThreadID",
        "UserID",
        "Version",
        "@timestamp",
        "@version",
        "host",
        "port",
        "tags",
    }
)
_NXLOG_ACCOUNT: Final = frozenset({"AccountName", "Domain"})
"""The account that wrote the event; Security events have fields of these names themselves."""
_QUARTER: Final = 900 * 1_000_000
_FARTHEST: Final = 14 * 4
_DELAY: Final = 120 * 1_000_000


class NoEvent(ValueError):  # noqa: N818  # as NotALine of the access logs
    """The object is none of the forms."""


def said_by(whole: Object, zone: str) -> Said | None:
    """Return an event, its time as written, that time where only the form tells it, and flags; None if it is not wanted.

    NoEvent or ValueError if it is none.
    """
    inner = whole.get("_source")
    doc = inner if isinstance(inner, dict) else whole
    for key, form in _FORMS.items():
        if key in doc:
            return form(doc, zone)
    raise NoEvent("its keys are those of no tool that is known")


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _rendered(
    provider: str, number: Json, record: Json, texts: tuple[Json, Json, Json], named: Callable[[], dict[str, str]]
) -> Rendered | None:
    event_id = number_of(number, 1 << 16)
    if event_id is None:
        raise NoEvent(f"{text_of(number)[:40]!r} is no event number")
    if meaning_of(provider, event_id) is None:
        return None
    computer, channel, activity = map(text_of, texts)
    return Rendered(
        provider, event_id, None, number_of(record, 1 << 63), computer, channel, canonical(activity), named()
    )


def _attribute(system: Object, element: str, name: str) -> str:
    """Return an attribute of an element of System, in any of the ways of writing attributes."""
    node = _object(system.get(element))
    for holder in (_object(node.get("#attributes")), _object(system.get(f"{element}_attributes")), node):
        for key in (name, f"@{name}"):
            if key in holder:
                return text_of(holder[key])
    return ""


def _text(value: Json) -> Json:
    return value.get("#text") if isinstance(value, dict) else value


def _evtx_dump(doc: Object, _zone: str) -> Said | None:
    event = _object(doc["Event"])
    system = _object(event.get("System"))

    def named() -> dict[str, str]:
        parts = {key: part for key, part in event.items() if key not in {"System", "RenderingInfo", "#attributes"}}
        return fields_of({key: part for key, part in parts.items() if not key.startswith("@")})

    texts = (
        _text(system.get("Computer")),
        _text(system.get("Channel")),
        _attribute(system, "Correlation", "ActivityID"),
    )
    record = _rendered(
        _attribute(system, "Provider", "Name"),
        _text(system.get("EventID")),
        _text(system.get("EventRecordID")),
        texts,
        named,
    )
    return None if record is None else (record, _attribute(system, "TimeCreated", "SystemTime"), None, None)


def _evtxecmd(doc: Object, _zone: str) -> Said | None:
    def named() -> dict[str, str]:
        payload = text_of(doc.get("Payload"))
        return fields_of(orjson.loads(payload)) if payload else {}

    texts = (doc.get("Computer"), doc.get("Channel"), "")
    record = _rendered(text_of(doc.get("Provider")), doc.get("EventId"), doc.get("EventRecordId"), texts, named)
    written = text_of(doc.get("TimeCreated"))
    when = moment_of(written, "")
    return None if record is None else (record, written, _as_utc(when), None)


def _as_utc(when: Moment) -> Moment | None:
    return Moment(when.us, "utc_by_format") if when.basis == "zone_assumed" else None


def _winlogbeat(doc: Object, _zone: str) -> Said | None:
    log = _object(doc.get("winlog")) or doc

    def named() -> dict[str, str]:
        return fields_of({key: log[key] for key in ("event_data", "user_data") if key in log})

    def either(*keys: str) -> Json:
        return next((log[key] for key in keys if key in log), None)

    record = _rendered(
        text_of(either("provider_name", "source_name")),
        either("event_id") if either("event_id") is not None else _object(doc.get("event")).get("code"),
        either("record_id", "record_number"),
        (either("computer_name"), either("channel", "log_name"), either("activity_id")),
        named,
    )
    return None if record is None else _filled(record, doc.get("message"), text_of(doc.get("@timestamp")), None)


def _nxlog(doc: Object, zone: str) -> Said | None:
    provider = text_of(doc.get("SourceName"))

    def named() -> dict[str, str]:
        own = _NXLOG if provider == SECURITY else _NXLOG | _NXLOG_ACCOUNT
        return fields_of({key: value for key, value in doc.items() if key not in own})

    texts = (doc.get("Hostname"), doc.get("Channel"), doc.get("ActivityID"))
    record = _rendered(provider, doc.get("EventID"), doc.get("RecordNumber"), texts, named)
    written = text_of(doc.get("EventTime"))
    return None if record is None else _filled(record, doc.get("Message"), written, _collected(doc, written, zone))


def _collected(doc: Object, written: str, zone: str) -> Moment | None:
    """Place a local time by the offset that the collector's own clock shows: the time of receipt, in both zones."""
    plain = moment_of(written, "")
    if zone or plain.us is None or plain.basis != "zone_assumed":
        return None
    local = moment_of(text_of(doc.get("EventReceivedTime")), "")
    received = moment_of(text_of(doc.get("@timestamp")), "")
    if local.us is None or local.basis != "zone_assumed" or received.us is None or received.basis == "zone_assumed":
        return None
    quarters = round((received.us - local.us) / _QUARTER)
    if abs(quarters) > _FARTHEST or abs(received.us - local.us - quarters * _QUARTER) > _DELAY:
        return None
    return Moment(plain.us + quarters * _QUARTER, "zone_from_evidence")


def _filled(record: Rendered, message: Json, written: str, when: Moment | None) -> Said:
    """Fill the fields from the message where the tool wrote none of those that have a meaning."""
    meaning = meaning_of(record.provider, record.event_id)
    if meaning is None or not meaning.columns or set(meaning.columns.values()) & set(record.named):
        return record, written, when, None
    text = text_of(message)
    found = {name: canonical(value) for name, value in message_fields(record.provider, record.event_id, text).items()}
    if found:
        record.named.update(found)
    elif text:
        record.named.setdefault("message", text)
    return record, written, when, "from_message" if found else "message_only"


_FORMS: Final[Mapping[str, Callable[[Object, str], Said | None]]] = {
    "Event": _evtx_dump,
    "winlog": _winlogbeat,
    "Payload": _evtxecmd,
    "event_id": _winlogbeat,
    "SourceName": _nxlog,
}
"""The key that tells a form, and its reader; the first one that is there decides."""
