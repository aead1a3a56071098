"""Operators: who they are, by which exits they come, what they do on the desktop and on the web."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from scenarios.truth import Stay, Visit

from other_servers.commands import Command, draw_command
from other_servers.strangers import learn
from other_servers.victims import infect
from other_servers.world import Deployment, Guess, World

_BROWSER: Final = "Mozilla/5.0 (Windows NT 10.0; WOW64; rv:52.0) Gecko/20100101 Firefox/52.0"
_CLIENTS: Final = ("DESKTOP-9F2KQ1T", "WIN-PC", "ADMIN-8C1", "USER-KB", "kali", "LAPTOP-LM22", "PC-201612011")
_SCANS: Final = (
    "/.env",
    "/phpmyadmin/",
    "/wp-login.php",
    "/cgi-bin/luci",
    "/solr/",
    "/actuator/health",
    "/struts/utils.js",
    "/HNAP1",
)


@dataclass(slots=True)
class Operator:
    user: str
    client: str
    zone: int
    morning: int
    exits: list[str]
    stays: list[Stay] = field(default_factory=list)
    web_only: bool = False


def operate(world: World) -> None:
    """Bring the operators, let them set up, test, and run their command script."""
    chance = world.chance
    length = (world.end - world.begin).total_seconds()
    share = (0.01, 0.06) if world.kind in {"rented", "rdp_only"} else (0.2, 0.55)
    arrival = world.begin + chance.span(length * share[0], length * share[1])
    crew = _crew(world)
    for operator in crew:
        _work_days(world, operator, arrival if operator is crew[0] else arrival + chance.span(86_400, length * 0.2))
    command = _set_up(world, crew[0]) if world.web else None
    if command is not None:
        for operator in crew:
            _operate_web(world, command, operator)
        live = command.deployed + chance.span(2 * 3600, 3 * 86_400)
        infect(world, command, live)
        learn(world, command)
        world.truth.commands |= {path for path in (command.path, command.later) if path}
    _north(world, command, crew[0])
    if chance.odds(0.2):
        _shared_exit(world, crew[0])
    world.hops += [
        (stay.start + timedelta(minutes=4), world.places.home()) for stay in crew[0].stays[2:3] if chance.odds(0.3)
    ]
    for operator in crew:
        for stay in operator.stays if not operator.web_only else ():
            world.roles |= {source: "operator" for source in stay.sources if world.roles.get(source) != "owner"}


def _crew(world: World) -> list[Operator]:
    chance, network = world.chance, world.places.exit_network()
    accounts = (
        ["Administrator"]
        if world.kind in {"rented", "rdp_only"}
        else ["Administrator", "support$", "sqladm", "DefaultUser"]
    )
    zone = chance.one((9, 8, 8, 3, 7, 5, -5, 2))
    crew = []
    for turn in range(chance.one((1, 1, 1, 2, 3))):
        exits = [world.places.exit(network) for _ in range(chance.whole(1, 4))]
        exits += [world.places.hosting() for _ in range(chance.whole(0, 3))]
        if chance.odds(0.2):
            exits.append(world.places.home())
        if chance.odds(0.08):
            exits.append(world.places.six("hosting"))
        offices = [address for address, role in world.roles.items() if role == "owner"]
        if offices and chance.odds(0.15):
            exits.append(world.places.near(offices[0]))
        user = chance.one(accounts) if turn == 0 or chance.odds(0.5) else crew[0].user
        morning = (chance.one((8, 9, 9, 10, 20, 22)) - zone) % 24
        crew.append(Operator(user, chance.one(_CLIENTS), zone, morning, exits, web_only=world.kind == "web_only"))
    return crew


def _work_days(world: World, operator: Operator, since: datetime) -> None:
    """Stays on some days, none of them beside another of the same account."""
    chance, rate = world.chance, world.chance.real(0.15, 0.5)
    time = since
    while time < world.end - timedelta(hours=4):
        if time == since or chance.odds(rate):
            stay = _stay(world, operator, time)
            if stay is not None:
                operator.stays.append(stay)
                if not operator.web_only:
                    world.stays.append(stay)
                time = max(time, stay.end)
        following = (time + timedelta(days=1)).replace(hour=operator.morning, minute=0, second=0, microsecond=0)
        time = following + chance.span(0, 5 * 3600)


def _stay(world: World, operator: Operator, start: datetime) -> Stay | None:
    chance = world.chance
    exits = list(operator.exits)
    end = start + chance.span(400, 3 * 3600)
    found = [Visit(chance.one(exits), start, end)]
    if len(exits) > 1 and chance.odds(0.35) and world.logs != {"core"}:
        for _ in range(chance.whole(1, 3)):
            pause = chance.one((0.9, 60, 400, 9 * 3600 if chance.odds(0.3) else 30))
            begin = found[-1].end + timedelta(seconds=pause)
            other = chance.one([one for one in exits if one != found[-1].source_ip])
            found.append(Visit(other, begin, begin + chance.span(90, 4000)))
    stay = Stay(operator.user, operator.client, operator.zone, found, "operator")
    taken = any(
        other.user.lower() == stay.user.lower()
        and other.start - timedelta(hours=1) < stay.end
        and stay.start < other.end + timedelta(hours=1)
        for other in world.stays
    )
    if taken or stay.end > world.end - timedelta(minutes=30):
        return None
    return stay


def _set_up(world: World, first: Operator) -> Command | None:
    if not first.stays:
        return None
    chance, stay = world.chance, first.stays[0]
    time = (
        stay.start
        + timedelta(seconds=120)
        + chance.span(60, max(120.0, (stay.visits[0].end - stay.start).total_seconds() * 0.4))
    )
    if world.kind == "rented" and chance.odds(0.75):
        world.installed = time
        world.starts.append(time + chance.span(40, 200))
        time += chance.span(260, 600)
    command = draw_command(world, time)
    here = _hands(world, first, stay, time)
    if command.how == "upload":
        for seconds, line, status, user in (
            (-40, "GET /manager/html", 401, "-"), (-31, "GET /manager/html", 200, "admin"),
            (0, "POST /manager/html/upload?org.apache.catalina.filters.CSRF_NONCE=7F21B0", 200, "admin"),
        ):  # fmt: skip
            world.request(
                time + timedelta(seconds=seconds), here, line, status, 2536 if status == 401 else 17_022, _BROWSER, user
            )
            _did(world, here, time + timedelta(seconds=seconds))
    elif command.how == "put":
        world.request(time, here, f"PUT {command.path}/", 201, 0, "python-requests/2.9.1")
        _did(world, here, time)
    world.deployments.append(Deployment(time - timedelta(seconds=0.4), command.context, command.how))
    if command.moved is not None:
        world.deployments.append(
            Deployment(command.moved - timedelta(seconds=4), command.later.rsplit("/", 1)[0], "drop")
        )
    world.truth.milestones["c2_deployed"] = time
    _test(world, command, first, stay, time)
    return command


def _hands(world: World, operator: Operator, stay: Stay, time: datetime) -> str:
    """From where a page is called: the server's own browser, or the operator's own through the exit of the hour."""
    exit_now = next(
        (visit.source_ip for visit in reversed(stay.visits) if visit.start <= time), stay.visits[0].source_ip
    )
    if operator.web_only or world.chance.odds(0.45):
        return exit_now
    return world.loopback


def _did(world: World, source: str, time: datetime) -> None:
    world.roles[source] = "local" if source == world.loopback else "operator"
    world.acted.add(source)
    world.act(time)


def _test(world: World, command: Command, operator: Operator, stay: Stay, time: datetime) -> None:
    """A browser first, with the faults of a script just written; then a few calls as the implant makes them."""
    chance = world.chance
    tries = [500] * chance.whole(0, 2) + [200, 200]
    if command.path == "/":
        tries = [200]
    time += chance.span(8, 60)
    for turn, status in enumerate(tries):
        here = _hands(world, operator, stay, time)
        world.request(time, here, f"GET {command.path}", status, command.idle if status == 200 else 4830, _BROWSER)
        world.milestone("first_browser_test", time)
        _did(world, here, time)
        if turn == 0 and here != world.loopback:
            world.request(time + timedelta(seconds=1), here, "GET /favicon.ico", 200, 21_630, _BROWSER)
        time += chance.span(15, 200)
    here = _hands(world, operator, stay, time)
    for _ in range(chance.whole(2, 9)):
        query = f"?id=TEST{chance.whole(0, 9)}" if command.asks or command.method == "GET" else ""
        world.request(time, here, f"{command.method} {command.path}{query}", 200, command.idle, "-")
        if command.method == "POST":
            world.milestone("first_backdoor_test", time)
        _did(world, here, time)
        time += chance.span(8, 70)
    if command.method == "GET":
        world.truth.unasked.add("first_backdoor_test")


def _operate_web(world: World, command: Command, operator: Operator) -> None:
    """Later stays: the panel, or the script itself, at a person's pace."""
    chance = world.chance
    for stay in operator.stays:
        if stay.start < command.deployed + timedelta(hours=1) or chance.odds(0.25 if not operator.web_only else 0.0):
            continue
        time = stay.start + chance.span(60, 400)
        for _ in range(chance.whole(2, 14)):
            if time > stay.end:
                break
            here = _hands(world, operator, stay, time)
            path = command.panel or command.target(time)
            if command.panel and command.moved is not None and time >= command.moved:
                path = command.panel.replace(command.context, command.later.rsplit("/", 1)[0], 1)
            method = chance.one(("GET", "POST", "POST"))
            world.request(time, here, f"{method} {path}", 200, chance.whole(600, 40_000), _BROWSER)
            _did(world, here, time)
            time += chance.span(6, 240)


def _north(world: World, command: Command | None, operator: Operator) -> None:
    """The slip: shortly before a stay, for a moment, without the exit."""
    chance = world.chance
    if not operator.stays[1:] or not chance.odds(0.45):
        return
    stay, address = chance.one(operator.stays[1:]), world.places.pyongyang(world.begin.year)
    way = chance.one(("visit", "row", "web", "root"))
    time = stay.start - chance.span(60, 900)
    if way == "visit" and not operator.web_only and world.logs and world.logs != {"core"}:
        stay.visits.insert(0, Visit(address, time, time + chance.span(25, 50)))
        world.truth.slips.add(address)
    elif way == "web" and command is not None and time > command.deployed:
        world.request(time, address, f"GET {command.panel or command.target(time)}", 200, command.idle, _BROWSER)
        world.roles[address] = "operator"
        world.act(time)
        world.truth.slips.add(address)
    elif way == "row" and not operator.web_only:
        world.guesses.append(Guess(time, address))
    elif world.web:
        world.request(time, address, "GET /", 200, 11_250, _BROWSER)
    world.truth.rare.add(address)


def _shared_exit(world: World, operator: Operator) -> None:
    """Another customer of the same exit scans on other days."""
    if not world.web:
        return
    chance, address = world.chance, operator.exits[0]
    day = chance.moment(world.begin, world.end)
    if any(abs(day - stay.start) < timedelta(days=1, hours=6) for stay in operator.stays):
        return
    for path in chance.some(_SCANS, 4, 8):
        world.request(day, address, f"GET {path}", 404, 980, "Mozilla/5.0 zgrab/0.x")
        day += chance.span(1, 9)
