"""Implants: machines that call the command script by a timer, in the hours they are switched on, until they are cleaned."""

from __future__ import annotations

from datetime import datetime, timedelta

from other_servers.commands import Command
from other_servers.world import World

_HOURS = (None, None, "office", "office", "laptop")


def infect(world: World, command: Command, live: datetime) -> None:
    """Victims from `live` on: one, some, or hundreds; some behind one address."""
    chance = world.chance
    number = chance.one((1, 1, 2, 4, 9, 20, 45, 150))
    if command.path == "/":
        number = min(number, 20)
    period = chance.one((60, 300, 600, 900) if number <= 2 else (900, 1800, 3600, 7200, 86_400))
    home = chance.one(("KR", "VN", "PL", "MX", "IN", "BR", "TR", "ID", "BD"))
    span = (world.end - live).total_seconds()
    if span < 4 * 3600:
        return
    most = max(14, 9000 // number)
    for turn in range(number):
        start = live if turn == 0 else chance.moment(live, live + timedelta(seconds=span * 0.7))
        address = (
            world.places.six("homes") if chance.odds(0.05) else world.places.home(home if chance.odds(0.5) else "")
        )
        lives = chance.real(0.2, 1.0) * (world.end - start).total_seconds()
        lives = max(lives, min(12.0 * period, (world.end - start).total_seconds()))
        for _ in range(chance.whole(2, 4) if chance.odds(0.08) else 1):
            _beacons(
                world, command, address, start + chance.span(0, period), start + timedelta(seconds=lives), period, most
            )


def _beacons(
    world: World, command: Command, address: str, start: datetime, until: datetime, period: int, most: int
) -> None:
    chance = world.chance
    jitter, hours = chance.one((0.0, 0.02, 0.1, 0.3)), chance.one(_HOURS) if period < 80_000 else None
    shift, name, agent = (
        chance.whole(-8, 9),
        f"{chance.whole(0, 2**31):08X}",
        chance.one(("-", "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)", "Mozilla/5.0")),
    )
    time, sent, pending = start, 0, 0
    last: datetime | None = None
    while time < min(until, world.end) and sent < most:
        if _awake(time, hours, shift, chance.odds(0.4)):
            busy = chance.odds(0.02)
            pending = chance.whole(2, 8) if busy else pending
            size = command.idle if pending == 0 else command.idle + chance.whole(40, 9000)
            path = command.target(time)
            query = f"?id={name}&r={chance.whole(0, 99999)}" if command.asks or command.method == "GET" else ""
            world.request(time, address, f"{command.method} {path}{query}", 200, size, agent)
            world.roles[address] = "implant"
            world.milestone("first_implant", time)
            sent, last, pending = sent + 1, time, max(0, pending - 1)
        step = period * (1 + chance.real(-jitter, jitter)) if pending == 0 else chance.real(3, 20)
        time += timedelta(seconds=max(step, 1.0))
    if last is not None and sent < 6:  # a victim of a few calls cannot be told from a sandbox: it stays longer
        for turn in range(6):
            time = last + timedelta(seconds=period * (turn + 1))
            world.request(time, address, f"{command.method} {command.target(time)}", 200, command.idle, agent)


def _awake(time: datetime, hours: str | None, shift: int, opened: bool) -> bool:
    local = time + timedelta(hours=shift)
    if hours == "office":
        return local.weekday() < 5 and 8 <= local.hour < 18
    if hours == "laptop":
        return 7 <= local.hour < 23 and (opened or local.hour % 3 == 0)
    return True
