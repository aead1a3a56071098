"""A rightful application: people who use it, machines that poll it, monitors that look whether it lives."""

from __future__ import annotations

from datetime import datetime, timedelta

from scenarios.draw import Chance

from other_servers.world import Deployment, World

_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/61.0.3163.100 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_12) AppleWebKit/604.1.38 (KHTML, like Gecko) Version/11.0 Safari/604.1.38",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 11_0 like Mac OS X) AppleWebKit/604.1.38 (KHTML, like Gecko) Mobile/15A372",
)


def trade(world: World) -> None:
    """Customers with browsers; of some applications also pages that poll, and partners' machines."""
    chance = world.chance
    country = chance.one(("DE", "FR", "NL", "US", "IN", "BR", "KR"))
    for _ in range(chance.one((5, 15, 40))):
        _customer(world, world.places.home(country), chance.whole(1, 4))
    if chance.odds(0.45):
        for _ in range(chance.whole(1, 6)):
            _poller(world, world.places.home(country))
    if chance.odds(0.35):
        for _ in range(chance.whole(1, 3)):
            _partner(world, world.places.hosting() if chance.odds(0.5) else world.places.home(country))
    if chance.odds(0.5):
        _monitor(world, chance.one((f"{world.application}/", f"{world.application}/health", "/")))


def extend(world: World, chance: Chance) -> None:
    """A new version of the application, and partners' machines that call its new interface by a timer from then on."""
    deployed = chance.moment(world.begin + timedelta(days=2), world.end - timedelta(days=4))
    office = next((address for address, role in world.roles.items() if role == "owner"), None)
    if office is None:
        return
    world.request(deployed - timedelta(seconds=20), office, "GET /manager/html", 200, 17_022, _BROWSERS[0], "tomcat")
    world.request(deployed, office, "POST /manager/html/upload", 200, 17_022, _BROWSERS[0], "tomcat")
    world.deployments.append(Deployment(deployed - timedelta(seconds=0.4), world.application, "upload"))
    method, step, name = (
        chance.one(("GET", "POST")),
        chance.one((900, 3600)),
        chance.one(("sync", "status", "orders/v2")),
    )
    for _ in range(chance.one((1, 1, 2, 5))):
        address, time = world.places.home(), deployed + chance.span(1800, 86_400)
        while time < world.end:
            query = f"?since={time:%Y%m%d%H%M}" if method == "GET" else ""
            size = 31 if chance.odds(0.8) else chance.whole(100, 4000)
            world.request(time, address, f"{method} {world.application}/api/{name}{query}", 200, size, "okhttp/3.6.0")
            time += timedelta(seconds=step) + chance.span(0, 20)
        world.roles[address] = "visitor"


def _page(world: World, address: str, time: datetime, agent: str, page: str) -> datetime:
    """A page with what a browser fetches for it."""
    chance, app = world.chance, world.application
    world.request(time, address, f"GET {app}{page}", 200, chance.whole(2000, 24_000), agent)
    for asset, size in (("/css/site.css", 9120), ("/js/app.js", 40_311), ("/img/logo.png", 7012)):
        if chance.odds(0.7):
            world.request(time + chance.span(0.2, 2), address, f"GET {app}{asset}", chance.one((200, 304)), size, agent)
    return time + chance.span(8, 150)


def _customer(world: World, address: str, times: int) -> None:
    chance, agent = world.chance, world.chance.one(_BROWSERS)
    for _ in range(times):
        time = chance.moment(world.begin, world.end)
        for _ in range(chance.whole(1, 8)):
            time = _page(
                world, address, time, agent, chance.one(("/", "/list", "/item?id=12", "/contact", "/search?q=a"))
            )
        if chance.odds(0.3):
            world.request(time, address, f"POST {world.application}/login", 302, 0, agent)
            time += timedelta(seconds=1)
            _page(world, address, time, agent, "/account")
    world.roles[address] = "visitor"


def _poller(world: World, address: str) -> None:
    """An open page that asks for news by the minute, in office hours, by POST."""
    chance, agent, app = world.chance, world.chance.one(_BROWSERS), world.application
    step, day, asked = chance.one((60, 120, 300)), world.begin, 0
    while day < world.end and asked < 1500:
        if day.weekday() < 5 and chance.odds(0.5):
            time = day.replace(hour=7, minute=0, second=0) + chance.span(0, 5400)
            world.request(time, address, f"POST {app}/login", 302, 0, agent)
            time = _page(world, address, time + timedelta(seconds=1), agent, "/board")
            leaves = time + chance.span(3600, 7 * 3600)
            while time < leaves and asked < 1500:
                world.request(
                    time,
                    address,
                    f"POST {app}/api/news",
                    200,
                    31 if chance.odds(0.9) else chance.whole(100, 4000),
                    agent,
                )
                time, asked = time + timedelta(seconds=step) + chance.span(0, 2), asked + 1
        day += timedelta(days=1)
    if asked:
        world.roles[address] = "visitor"


def _partner(world: World, address: str) -> None:
    """A partner's job that fetches and posts by the quarter hour or the hour, all the time."""
    chance, app = world.chance, world.application
    step, time = chance.one((900, 3600)), world.begin + chance.span(0, 3600)
    while time < world.end:
        world.request(
            time, address, f"GET {app}/api/orders?since={time:%Y%m%d%H%M}", 200, chance.whole(200, 3000), "okhttp/3.6.0"
        )
        if chance.odds(0.3):
            world.request(time + timedelta(seconds=2), address, f"POST {app}/api/orders", 201, 64, "okhttp/3.6.0")
        time += timedelta(seconds=step) + chance.span(0, 20)
    world.roles[address] = "visitor"


def _monitor(world: World, path: str) -> None:
    """Is it up? One page, every five minutes or so, for all the time there is."""
    chance, address = world.chance, world.places.hosting()
    method, time = chance.one(("GET", "HEAD", "GET")), world.begin + chance.span(0, 300)
    step = chance.one((600, 900, 1800))
    while time < world.end:
        agent = "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"
        world.request(time, address, f"{method} {path}", 200, 0 if method == "HEAD" else 3120, agent)
        time += timedelta(seconds=step) + chance.span(0, 3)
    world.roles[address] = "visitor"
