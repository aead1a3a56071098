"""Why a connection ended, in words: reasons of LocalSessionManager (event 40) and of RdpCoreTS (event 103)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.analysis._words import SAME_MOMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forensics.analysis._connections import Event
    from forensics.analysis._stitch import Connection

_SESSION: Final = {
    0: "no further information: the window was closed, or the connection was lost",
    1: "an administrative tool in another session disconnected it",
    2: "an administrative tool in another session logged it off",
    3: "it was idle for too long",
    4: "it was in use for too long",
    5: "another connection took its place",
    6: "the server had no memory left",
    7: "the server refused the connection",
    9: "the account may not use remote desktop",
    10: "saved credentials were not accepted",
    11: "the user, or a tool of the user's, disconnected",
    12: "the user logged off",
}
"""Of event 40; as EvtxECmd's map of it and Microsoft's extended disconnect reasons have them."""
_CONNECTION: Final = {14: "the client left before it had a session, as probes do"}
"""Of event 103; the others seen (5, 13) ended real sessions, and no source says what tells them apart."""


def why_left(stay: Connection, events: Iterable[Event]) -> tuple[str, str] | None:
    """Return why a stay ended, in words, and the locator of the event that says so; None where no event of that moment does."""
    if stay.end is None:
        return None
    found: list[tuple[int, str, str]] = []
    for event in events:
        if abs(event.time - stay.end) > SAME_MOMENT:
            continue
        for code, name, words in ((40, "Reason", _SESSION), (103, "ReasonCode", _CONNECTION)):
            given = str(event.rest.get(name, "")) if event.code == code else ""
            if given.isascii() and given.isdigit():
                meaning = words.get(int(given))
                said = f"reason {int(given)}" + (f": {meaning}" if meaning else f" of event {code}")
                found.append((code, said, event.locator))
    # The session's reason says more than the connection's.
    return min(found)[1:] if found else None
