"""Windows events as tools write them in JSON: which keys hold what, form by form.

evtx_dump and chainsaw: the XML's own tree below `Event`. EvtxECmd: flat, the fields as JSON in `Payload`. Winlogbeat: `winlog`
(7 and later) or its keys at the top (6), in `_source` where Elasticsearch gave it out. NXLog (im_msvistalog): flat, the event's
fields among NXLog's own, UserData only as message, times local to the collector unless they carry an offset.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    Said = tuple[Rendered, str, Moment, str | None]

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
QUARTER: Final = 900 * 1_000_000
FARTHEST: Final = 14 * 4
DELAY: Final = 120 * 1_000_000


class NoEvent(ValueError):  # noqa: N818  # as NotALine of the access logs
    """The object is none of the forms."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a form has what an event says; nothing of it is read yet.

    `fields` returns the event's own fields for a provider, ValueError if they are nested as no event is. `payload` is the JSON
    text that holds them in another form's stead. `message` may fill them. `clocks` are the time of receipt as the
    collector's clock showed it, and in UTC.
    """

    provider: Json
    number: Json
    record: Json
    computer: Json
    channel: Json
    activity: Json
    written: Json
    fields: Callable[[str], dict[str, str]]
    payload: Json = None
    message: Json = None
    fills: bool = False
    clocks: tuple[Json, Json] | None = None
    utc: bool = False
    """Whether times without a zone are UTC by the format."""


def parts_of(whole: Object) -> Parts:
    """Return the parts of an event; NoEvent if the object is none of the forms."""
    inner = whole.get("_source")
    doc = inner if isinstance(inner, dict) else whole
    for key, form in _FORMS.items():
        if key in doc:
            return form(doc)
    raise NoEvent("its keys are those of no tool that is known")


def said_by(whole: Object, zone: str) -> Said | None:
    """Return an event, its time as written, that time where only the form tells it, and flags; None if it is not wanted.

    NoEvent or ValueError if it is none.
    """
    parts = parts_of(whole)
    provider, event_id = text_of(parts.provider).strip(), number_of(parts.number, 1 << 16)
    if event_id is None:
        raise NoEvent(f"{text_of(parts.number)[:40]!r} is no event number")
    if meaning_of(provider, event_id) is None:
        return None
    payload = text_of(parts.payload)
    named = fields_of(orjson.loads(payload)) if payload else parts.fields(provider)
    computer, channel, activity = (text_of(one).strip() for one in (parts.computer, parts.channel, parts.activity))
    sequence = number_of(parts.record, 1 << 63)
    record = Rendered(provider, event_id, None, sequence, computer, channel, canonical(activity), named)
    written = text_of(parts.written)
    when = moment_by(written, zone, utc=parts.utc)
    if parts.clocks is not None:
        when = collected(when, *(moment_of(text_of(clock), "") for clock in parts.clocks))
    return record, written, when, _filled(record, parts.message) if parts.fills else None


def moment_by(written: str, zone: str, *, utc: bool) -> Moment:
    """Read a time; one without a zone is UTC where the format says so."""
    when = moment_of(written, "" if utc else zone)
    return Moment(when.us, "utc_by_format") if utc and when.basis == "zone_assumed" else when


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _none(_provider: str) -> dict[str, str]:
    return {}


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


def _evtx_dump(doc: Object) -> Parts:
    event = _object(doc["Event"])
    system = _object(event.get("System"))

    def named(_provider: str) -> dict[str, str]:
        parts = {key: part for key, part in event.items() if key not in {"System", "RenderingInfo", "#attributes"}}
        return fields_of({key: part for key, part in parts.items() if not key.startswith("@")})

    return Parts(
        provider=_attribute(system, "Provider", "Name"),
        number=_text(system.get("EventID")),
        record=_text(system.get("EventRecordID")),
        computer=_text(system.get("Computer")),
        channel=_text(system.get("Channel")),
        activity=_attribute(system, "Correlation", "ActivityID"),
        written=_attribute(system, "TimeCreated", "SystemTime"),
        fields=named,
    )


def _evtxecmd(doc: Object) -> Parts:
    return Parts(
        provider=doc.get("Provider"),
        number=doc.get("EventId"),
        record=doc.get("EventRecordId"),
        computer=doc.get("Computer"),
        channel=doc.get("Channel"),
        activity="",
        written=doc.get("TimeCreated"),
        fields=_none,
        payload=doc.get("Payload"),
        utc=True,
    )


def _winlogbeat(doc: Object) -> Parts:
    log = _object(doc.get("winlog")) or doc

    def named(_provider: str) -> dict[str, str]:
        return fields_of({key: log[key] for key in ("event_data", "user_data") if key in log})

    def either(*keys: str) -> Json:
        return next((log[key] for key in keys if key in log), None)

    number = either("event_id")
    return Parts(
        provider=either("provider_name", "source_name"),
        number=_object(doc.get("event")).get("code") if number is None else number,
        record=either("record_id", "record_number"),
        computer=either("computer_name"),
        channel=either("channel", "log_name"),
        activity=either("activity_id"),
        written=doc.get("@timestamp"),
        fields=named,
        message=doc.get("message"),
        fills=True,
    )


def _nxlog(doc: Object) -> Parts:
    def named(provider: str) -> dict[str, str]:
        own = _NXLOG if provider == SECURITY else _NXLOG | _NXLOG_ACCOUNT
        return fields_of({key: value for key, value in doc.items() if key not in own})

    return Parts(
        provider=doc.get("SourceName"),
        number=doc.get("EventID"),
        record=doc.get("RecordNumber"),
        computer=doc.get("Hostname"),
        channel=doc.get("Channel"),
        activity=doc.get("ActivityID"),
        written=doc.get("EventTime"),
        fields=named,
        message=doc.get("Message"),
        fills=True,
        clocks=(doc.get("EventReceivedTime"), doc.get("@timestamp")),
    )


def collected(plain: Moment, local: Moment, received: Moment) -> Moment:
    """Place a local time by the offset that the collector's own clock shows: the time of receipt, in both zones."""
    if plain.us is None or plain.basis != "zone_assumed":
        return plain
    if local.us is None or local.basis != "zone_assumed" or received.us is None or received.basis == "zone_assumed":
        return plain
    quarters = round((received.us - local.us) / QUARTER)
    if abs(quarters) > FARTHEST or abs(received.us - local.us - quarters * QUARTER) > DELAY:
        return plain
    return Moment(plain.us + quarters * QUARTER, "zone_from_evidence")


def _filled(record: Rendered, message: Json) -> str | None:
    """Fill the fields from the message where the tool wrote none of those that have a meaning; return the flag of it."""
    meaning = meaning_of(record.provider, record.event_id)
    if meaning is None or not meaning.columns or set(meaning.columns.values()) & set(record.named):
        return None
    text = text_of(message)
    found = {name: canonical(value) for name, value in message_fields(record.provider, record.event_id, text).items()}
    if found:
        record.named.update(found)
    elif text:
        record.named.setdefault("message", text)
    return "from_message" if found else "message_only"


_FORMS: Final[Mapping[str, Callable[[Object], Parts]]] = {
    "Event": _evtx_dump,
    "winlog": _winlogbeat,
    "Payload": _evtxecmd,
    "event_id": _winlogbeat,
    "SourceName": _nxlog,
}
"""The key that tells a form, and its reader; the first one that is there decides."""
