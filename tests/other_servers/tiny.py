"""Next to nothing: one event, no address, all times equal. What is asked is a sound answer."""

from __future__ import annotations

from scenarios.truth import Scenario, Stay, Visit

from other_servers.desktop import record
from other_servers.weblog import web_files
from other_servers.world import Guess, World


def tiny(seed: int, world: World) -> Scenario:
    """A case of a few records."""
    chance, files = world.chance, {}
    world.pattern, world.nla = "common", True
    kind = chance.one(("one request", "one probe", "no address", "equal times", "one stay"))
    time = chance.moment(world.begin, world.end)
    if kind == "one request":
        address = world.places.home()
        world.request(time, address, "GET /", 200, 11_250)
        world.roles[address] = "scanner"
        files, _ = web_files(world)
    elif kind == "no address":
        for _ in range(20):
            world.request(time, "-", "GET /", 200, 11_250)
        files, _ = web_files(world)
    elif kind == "equal times":
        for _ in range(chance.whole(5, 60)):
            address = world.places.home()
            world.request(time, address, "GET /", 200, 11_250)
            world.roles[address] = "scanner"
        files, _ = web_files(world)
    else:
        address = world.places.hosting()
        if kind == "one stay":
            world.stays.append(
                Stay(
                    "Administrator",
                    "PC-1",
                    8,
                    [Visit(address, time, time + chance.span(200, 4000))],
                    "operator",
                    "logoff",
                )
            )
            world.roles[address] = "operator"
            world.truth.sessions = list(world.stays)
            world.truth.unasked |= {"first_logon", "last_operator_act"}
        else:
            world.guesses.append(Guess(time, address))
            world.roles[address] = "scanner"
        made, _ = record(world).files(frozenset({"core", "lsm"}))
        files = dict(made)
    world.truth.roles = dict(world.roles)
    world.truth.habits = f"tiny: {kind}"
    return Scenario(seed, files, world.truth)
