"""Rightful owners: they ran the server before, and go on while it is misused."""

from __future__ import annotations

from datetime import timedelta

from scenarios.truth import Stay, Visit

from other_servers.world import Deployment, World

_BROWSER = (
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/58.0.3029.110 Safari/537.36"
)


def own(world: World) -> None:
    """An owner's stays all over the time of the logs, from the office and from home, and now and then a new version deployed."""
    chance = world.chance
    country = chance.one(("DE", "FR", "NL", "US", "IN", "BR", "KR"))
    office, homes = world.places.home(country), [world.places.home(country)]
    user, client = (
        chance.one(("Administrator", "Administrator", "hans", "webadmin", "itadmin")),
        chance.one(("OFFICE-PC4", "NB-ADMIN", "IT-WS-02")),
    )
    zone = {"DE": 1, "FR": 1, "NL": 1, "US": -5, "IN": 5, "BR": -3, "KR": 9}[country]
    rate, keeper = chance.real(0.1, 0.4), chance.odds(0.35) and bool(world.application)
    day = world.begin + timedelta(hours=2)
    while day < world.end - timedelta(hours=14):
        if (day.weekday() < 5 or chance.odds(0.08)) and chance.odds(rate):
            local = day.replace(hour=(8 - zone) % 24, minute=0, second=0) + chance.span(0, 9 * 3600)
            source = office if chance.odds(0.75) else homes[-1]
            stay = Stay(user, client, zone, [Visit(source, local, local + chance.span(240, 5400))], "owner")
            if local > world.begin + timedelta(minutes=5) and not _taken(world, stay):
                world.stays.append(stay)
                world.roles[source] = "owner"
                if keeper and chance.odds(0.12):
                    _new_version(world, stay, source)
                if world.application and chance.odds(0.3):
                    _look(world, stay, source)
        if chance.odds(0.05):
            homes.append(world.places.near(homes[-1]))
        day += timedelta(days=1)


def _taken(world: World, stay: Stay) -> bool:
    hour = timedelta(hours=1)
    return any(
        other.user.lower() == stay.user.lower() and other.start - hour < stay.end and stay.start < other.end + hour
        for other in world.stays
    )


def _new_version(world: World, stay: Stay, source: str) -> None:
    """The manager, from the office or on the server itself."""
    time = stay.start + timedelta(seconds=100)
    here = source if world.chance.odds(0.5) else world.loopback
    if here == world.loopback:
        world.roles[here] = "local"
    for seconds, line, status, name in (
        (0, "GET /manager/html", 401, "-"), (6, "GET /manager/html", 200, "tomcat"),
        (30, "POST /manager/html/undeploy?path=" + world.application, 200, "tomcat"), (60, "POST /manager/html/upload", 200, "tomcat"),
    ):  # fmt: skip
        world.request(
            time + timedelta(seconds=seconds), here, line, status, 2536 if status == 401 else 17_022, _BROWSER, name
        )
    world.deployments.append(Deployment(time + timedelta(seconds=59.5), world.application, "upload"))


def _look(world: World, stay: Stay, source: str) -> None:
    """Whether the application still answers."""
    here = source if world.chance.odds(0.5) else world.loopback
    if here == world.loopback:
        world.roles[here] = "local"
    time = stay.start + world.chance.span(60, 200)
    world.request(time, here, f"GET {world.application}/login", 200, 5120, _BROWSER)
    world.request(time + timedelta(seconds=1), here, f"GET {world.application}/css/site.css", 200, 9120, _BROWSER)
