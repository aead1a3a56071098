"""The same stays as a Server 2003 writes them: Security and System as .evt, seconds, positional strings."""

from __future__ import annotations

from datetime import datetime, timedelta

from evt_writer import LegacyEvent, write_evt
from scenarios.truth import Stay

from other_servers.world import World


def legacy_files(world: World) -> tuple[dict[str, bytes], set[str]]:
    """`.evt` files and the addresses in them."""
    events: list[LegacyEvent] = []
    seen: set[str] = set()
    for turn, stay in enumerate(sorted(world.stays, key=lambda item: item.start)):
        events += _stay(world, stay, turn)
        seen |= set(stay.sources)
    for guess in world.guesses:
        if guess.user:
            strings = (
                guess.user, world.host, "10", "User32  ", "Negotiate", world.host, f"{world.host}$", "WORKGROUP",
                "(0x0,0x3E7)", "412", "-", guess.source_ip, "0",
            )  # fmt: skip
            events.append(LegacyEvent(guess.time, "Security", 529, strings, failed=True))
            seen.add(guess.source_ip)
    if world.cleared is not None:
        kept = [event for event in events if event.time >= world.cleared]
        strings = ("SYSTEM", "NT AUTHORITY", "(0x0,0x3E7)", "Administrator", world.host, "(0x0,0x51A2B)")
        events = [LegacyEvent(world.cleared, "Security", 517, strings), *kept]
        seen = {string for event in events for string in event.strings if string.count(".") == 3}
    out = {}
    if events:
        out["system32/config/SecEvent.Evt"] = write_evt(_ordered(events), world.host)
    if "system" in world.logs:
        booted = [
            LegacyEvent(time - timedelta(seconds=40), "EventLog", 6005, ()) for time in [world.begin, *world.starts]
        ]
        if world.crashed is not None:
            booted.append(_unexpected(world.starts[-1]))
        out["system32/config/SysEvent.Evt"] = write_evt(_ordered(booted), world.host)
    return out, seen


def _ordered(events: list[LegacyEvent]) -> list[LegacyEvent]:
    return sorted(events, key=lambda event: event.time)


def _unexpected(start: datetime) -> LegacyEvent:
    return LegacyEvent(start - timedelta(seconds=40), "EventLog", 6008, ("9:14:02 PM", "1/2/2012", "", "", "400000"))


def _stay(world: World, stay: Stay, turn: int) -> list[LegacyEvent]:
    logon = f"(0x0,0x{0x3F2A1 + turn * 0x1111:X})"
    first = stay.visits[0]

    def at(time: datetime, code: int, *strings: str) -> LegacyEvent:
        return LegacyEvent(time, "Security", code, strings)

    out = [
        at(
            first.start,
            528,
            stay.user,
            world.host,
            logon,
            "10",
            "User32  ",
            "Negotiate",
            world.host,
            "-",
            f"{world.host}$",
            "WORKGROUP",
            "(0x0,0x3E7)",
            "412",
            "-",
            first.source_ip,
            "0",
        )
    ]
    for place, visit in enumerate(stay.visits):
        winstation = (stay.user, world.host, logon, f"RDP-Tcp#{turn * 3 + place + 1}", stay.client, visit.source_ip)
        if place:
            out.append(at(visit.start, 682, *winstation))
        if place < len(stay.visits) - 1 or stay.ends == "disconnect":
            out.append(at(visit.end, 683, *winstation))
    if stay.ends == "logoff":
        out.append(at(stay.end, 551, stay.user, world.host, logon))
        out.append(at(stay.end + timedelta(seconds=1), 538, stay.user, world.host, logon, "10"))
    return out
