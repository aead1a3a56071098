"""Who comes unasked: surveys, path lists, guessers at the manager and the RDP port, search engines, and those who know from a report."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from other_servers.commands import Command
from other_servers.world import Guess, World

_LISTS: Final = (
    *(
        "/.env",
        "/.git/config",
        "/phpmyadmin/index.php",
        "/pma/",
        "/wp-login.php",
        "/xmlrpc.php",
        "/solr/admin/info/system",
    ),
    *(
        "/cgi-bin/luci",
        "/HNAP1/",
        "/jmx-console/",
        "/invoker/readonly",
        "/struts2-showcase/index.action",
        "/api/jsonws/invoke",
    ),
    *(
        "/shell.jsp",
        "/cmd.jsp",
        "/jexws/jexws.jsp",
        "/tomcat.jsp",
        "/examples/servlets/",
        "/docs/",
        "/host-manager/html",
    ),
    *(
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
        "/actuator/env",
        "/wls-wsat/CoordinatorPortType",
        "/boaform/admin/formLogin",
    ),
)
_AGENTS: Final = (
    "Mozilla/5.0 zgrab/0.x",
    "masscan/1.0",
    "Go-http-client/1.1",
    "python-requests/2.18.4",
    "-",
    "Mozilla/5.0 (Windows NT 10.0)",
)
_NAMES: Final = (
    "Administrator",
    "admin",
    "user",
    "test",
    "scanner",
    "backup",
    "guest",
    "sqladmin",
    "ADMINISTRATOR",
    "reception",
)


def come(world: World) -> None:
    """What every address on the internet sees."""
    chance = world.chance
    for _ in range(chance.whole(4, 40)):
        _one_look(world)
    for _ in range(chance.whole(2, 14)):
        _path_list(world)
    for _ in range(chance.whole(0, 4)):
        _manager_guesser(world)
    for _ in range(chance.whole(0, 5)):
        _search_engine(world)
    for _ in range(chance.whole(3, 25)):
        _rdp_stranger(world)


def _one_look(world: World) -> None:
    chance = world.chance
    address = (
        world.places.survey()
        if chance.odds(0.5)
        else world.places.hosting()
        if chance.odds(0.5)
        else world.places.home()
    )
    agent = chance.one(_AGENTS)
    for _ in range(chance.one((1, 1, 1, 3, 8))):
        time = chance.moment(world.begin, world.end)
        line, status, size = chance.one(
            (
                ("GET /", 200, 11_250), ("GET /", 200, 11_250), ("- ", 400, 0), ("HEAD /", 200, 0), ("OPTIONS /", 200, 0),
                ("GET /robots.txt", 404, 980), ("CONNECT example.com:443", 400, 0), ("GET http://example.com/", 404, 980),
                ("POST /", 405, 980), ("GET /favicon.ico", 200, 21_630),
            )
        )  # fmt: skip
        world.request(time, address, line, status, size, agent)
        if line == "GET /" and chance.odds(0.2):
            for more in ("/robots.txt", "/sitemap.xml", "/.well-known/security.txt"):
                time += chance.span(0.2, 3)
                world.request(time, address, f"GET {more}", 404, 980, agent)
    world.roles.setdefault(address, "scanner")


def _path_list(world: World) -> None:
    chance = world.chance
    address, agent = world.places.home() if chance.odds(0.5) else world.places.hosting(), chance.one(_AGENTS)
    for _ in range(chance.one((1, 1, 2))):
        time = chance.moment(world.begin, world.end)
        for path in chance.some(_LISTS, 4, 18):
            method = "POST" if path.startswith(("/api/", "/wls", "/boaform", "/vendor", "/xmlrpc")) else "GET"
            good = path in {"/docs/", "/examples/servlets/"}
            world.request(
                time,
                address,
                f"{method} {path}",
                401 if "host-manager" in path else 200 if good else 404,
                6200 if good else 980,
                agent,
            )
            time += chance.span(0.3, 6)
        if chance.odds(0.3):
            name = f"/{chance.whole(100_000, 999_999)}.jsp"
            world.request(time, address, f"PUT {name}/", 405 if not world.tomcat.startswith("7") else 403, 980, agent)
            world.request(time + timedelta(seconds=1), address, f"GET {name}", 404, 980, agent)
    world.roles.setdefault(address, "scanner")


def _manager_guesser(world: World) -> None:
    chance = world.chance
    address, time = (
        world.places.home() if chance.odds(0.6) else world.places.hosting(),
        chance.moment(world.begin, world.end),
    )
    for turn in range(chance.whole(4, 70)):
        world.request(
            time,
            address,
            "GET /manager/html",
            401,
            2536,
            "Mozilla/5.0",
            "-" if turn == 0 else chance.one(("tomcat", "admin", "root")),
        )
        time += chance.span(0.4, 4)
    world.roles[address] = "scanner"


def _search_engine(world: World) -> None:
    chance, address = world.chance, world.places.crawler()
    agent = chance.one(
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        )
    )
    time = chance.moment(world.begin, world.end)
    world.request(time, address, "GET /robots.txt", 404, 980, agent)
    pages = ("/", "/list", "/item?id=12", "/contact") if world.application else ("/docs/", "/docs/setup.html")
    for page in chance.some(pages, 1, 4):
        time += chance.span(20, 9000)
        world.request(time, address, f"GET {world.application}{page}", 200, 9000, agent)
    world.roles[address] = "scanner"


def _rdp_stranger(world: World) -> None:
    """A probe or two, or a list of names and passwords, fast or slow."""
    chance = world.chance
    address, workstation = (
        world.places.home() if chance.odds(0.6) else world.places.hosting(),
        chance.one(("", "WIN-8QK1", "FreeRDP", "nmap", "kali")),
    )
    time = chance.moment(world.begin, world.end)
    if chance.odds(0.35):
        world.guesses.append(Guess(time, address))
    else:
        pace = chance.one((2, 8, 1800))
        for _ in range(chance.whole(3, 40)):
            if time < world.end:
                world.guesses.append(Guess(time, address, chance.one(_NAMES), workstation))
            time += chance.span(pace * 0.5, pace * 1.5)
    world.roles[address] = "scanner"


def learn(world: World, command: Command) -> None:
    """Researchers and sandboxes that know the path from a sample, once one was found."""
    chance = world.chance
    found = command.deployed + (world.end - command.deployed) * chance.real(0.4, 0.85)
    if chance.odds(0.3) or found > world.end - timedelta(days=2):
        return
    for _ in range(chance.whole(1, 7)):
        _researcher(world, command, chance.moment(found, world.end - timedelta(hours=1)))
    if chance.odds(0.4):
        start = chance.moment(found, world.end - timedelta(hours=8))
        for _ in range(chance.whole(1, 3)):
            _sandbox(world, command, start + chance.span(0, 6 * 3600))


def _researcher(world: World, command: Command, time: datetime) -> None:
    chance = world.chance
    address = chance.one((world.places.hosting, world.places.home, world.places.survey))()
    agent = chance.one(
        ("curl/7.58.0", "python-requests/2.18.4", "Wget/1.19", "Mozilla/5.0 (X11; Linux x86_64; rv:60.0)")
    )
    path = command.target(time)
    for _ in range(chance.whole(1, 4)):
        method = chance.one(("GET", "GET", "HEAD", "POST", "OPTIONS"))
        world.request(
            time, address, f"{method} {path}", 200, 0 if method in {"HEAD", "OPTIONS"} else command.idle, agent
        )
        time += chance.span(3, 300)
    if chance.odds(0.4):
        folder = path.rsplit("/", 1)[0] + "/"
        world.request(time, address, f"GET {folder}", 404, 980, agent)
    if path != "/":
        world.roles[address] = "researcher"


def _sandbox(world: World, command: Command, time: datetime) -> None:
    """A sample that runs for some minutes."""
    address = world.places.hosting()
    query = "?id=00000000" if command.asks or command.method == "GET" else ""
    for _ in range(world.chance.whole(2, 4)):
        world.request(time, address, f"{command.method} {command.target(time)}{query}", 200, command.idle, "-")
        time += world.chance.span(20, 90)
    if command.path != "/":
        world.roles[address] = "researcher"
