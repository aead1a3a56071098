"""Events of the sample logs as an export writes them: XML of Windows' event viewer (schema of 2004/08)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from rdp_story import remote_desktop_events

if TYPE_CHECKING:
    from evtx_event import Event

_EXPORTED: Final = 8
_SCHEMA: Final = "http://schemas.microsoft.com/win/2004/08/events/event"
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


def exports() -> dict[str, bytes]:
    """File name to content: the first events of LocalSessionManager."""
    wanted = (
        event for event in remote_desktop_events() if event.shape == "event_xml" and "LocalSession" in event.provider
    )
    told = "\r\n".join(_xml(event, number) for number, event in enumerate(islice(wanted, _EXPORTED), 1))
    head = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<!-- Synthetic sample: an export. -->\r\n'
    return {"LocalSessionManager-export.xml": f"{head}<Events>{told}</Events>\r\n".encode()}


def _xml(event: Event, number: int) -> str:
    when = _EPOCH + timedelta(microseconds=event.time // 10) if isinstance(event.time, int) else event.time
    fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, _, value in event.fields)
    return (
        f"<Event xmlns='{_SCHEMA}'><System><Provider Name={quoteattr(event.provider)}/><EventID>{event.event_id}</EventID>"
        f"<TimeCreated SystemTime='{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z'/><EventRecordID>{number}</EventRecordID>"
        f"<Channel>{escape(event.channel)}</Channel><Computer>{escape(event.computer)}</Computer></System>"
        f"<UserData><EventXML xmlns='Event_NS'>{fields}</EventXML></UserData></Event>"
    )
