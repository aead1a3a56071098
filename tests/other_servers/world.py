"""One server: what it runs, which of its logs were seized, and what its people leave in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from scenarios.draw import Chance, day
from scenarios.truth import Request, Stay, Truth

from other_servers.places import Places

_ZONES: Final = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Seoul",
    "UTC",
    "America/Sao_Paulo",
)
LOGS: Final = (
    frozenset({"lsm", "rcm", "core", "security", "system"}),
    frozenset({"lsm", "rcm", "core", "security", "system"}),
    frozenset({"lsm", "rcm", "core", "security", "system"}),
    frozenset({"lsm", "rcm", "security", "system"}),
    frozenset({"lsm", "core"}),
    frozenset({"lsm"}),
    frozenset({"security", "system"}),
    frozenset({"security"}),
    frozenset({"core"}),
)
PATTERNS: Final = ("common", "common", "common", "combined", "combined", "timed", "forwarded", "w3c", "json")


@dataclass(slots=True)
class Guess:
    """Somebody at the RDP port who did not get in: a probe where `user` is empty."""

    time: datetime
    source_ip: str
    user: str = ""
    workstation: str = ""


@dataclass(slots=True)
class Deployment:
    """A web application put on the server, by a manager's upload, a file in webapps, or unseen."""

    time: datetime
    context: str
    how: str


@dataclass(slots=True)
class World:
    chance: Chance
    places: Places
    kind: str
    host: str
    windows: str
    logs: frozenset[str]
    web: bool
    catalina: bool
    tomcat: str
    pattern: str
    zone: ZoneInfo
    begin: datetime
    end: datetime
    nla: bool
    application: str = ""
    stays: list[Stay] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    deployments: list[Deployment] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    installed: datetime | None = None
    crashed: datetime | None = None
    cleared: datetime | None = None
    clock: tuple[datetime, timedelta] | None = None
    hops: list[tuple[datetime, str]] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    acted: set[str] = field(default_factory=set)
    """Addresses from which an operator used the web server."""
    truth: Truth = field(default_factory=Truth)

    @property
    def loopback(self) -> str:
        return "127.0.0.1" if self.tomcat.startswith("7") else "::1"

    def request(
        self,
        time: datetime,
        source: str,
        line: str,
        status: int = 200,
        size: int = 0,
        agent: str = "-",
        user: str = "-",
    ) -> None:
        """One request, `line` being method and target; nothing before the logs begin or after they end."""
        if self.begin <= time <= self.end:
            method, _, target = line.partition(" ")
            self.requests.append(Request(time, source, method, target, status, size, agent, user))

    def milestone(self, name: str, time: datetime) -> None:
        """The first of its kind stands."""
        known = self.truth.milestones.get(name)
        if self.begin <= time <= self.end and (known is None or time < known):
            self.truth.milestones[name] = time

    def act(self, time: datetime) -> None:
        """Something the operator did, or its visible end."""
        known = self.truth.milestones.get("last_operator_act")
        if self.begin <= time <= self.end and (known is None or time > known):
            self.truth.milestones["last_operator_act"] = time


def draw_world(seed: int) -> World:
    chance = Chance(7_000_000 + seed)
    kind = chance.one(
        ("rented",) * 6 + ("compromised",) * 8 + ("web_only",) * 3 + ("rdp_only",) * 2 + ("clean",) * 3 + ("tiny",)
    )
    windows = chance.one(("2003", "2008R2", "2008R2", "2012R2", "2012R2", "2012R2", "2016", "2016", "2019", "2022"))
    first, last = {"2003": (2009, 2014), "2008R2": (2011, 2018), "2012R2": (2014, 2021), "2016": (2017, 2024)}.get(
        windows, (2020, 2025)
    )
    begin = day(chance.whole(first, last), chance.whole(1, 12), chance.whole(1, 28)) + chance.span(0, 86_000)
    logs = chance.one(LOGS)
    if windows == "2003":
        logs = frozenset({"security", "system"}) if chance.odds(0.7) else frozenset({"security"})
    elif windows == "2008R2":
        logs = (logs - {"core"}) or frozenset({"lsm"})
    year = begin.year
    tomcat = "7.0.52" if year < 2016 else "8.5.31" if year < 2020 else chance.one(("9.0.58", "10.1.7"))
    pattern = chance.one(PATTERNS)
    if pattern == "json" and not tomcat.startswith("10"):
        pattern = "common"
    web = kind != "rdp_only"
    if web and kind != "clean" and chance.odds(0.12):
        logs = frozenset()
    return World(
        chance=chance,
        places=Places(chance),
        kind=kind,
        host=f"{chance.one(('WIN', 'SRV', 'VPS', 'WEB'))}-{chance.whole(10_000, 99_999)}",
        windows=windows,
        logs=logs,
        web=web,
        catalina=web and chance.odds(0.7),
        tomcat=tomcat,
        pattern=pattern,
        zone=ZoneInfo(chance.one(_ZONES)),
        begin=begin,
        end=begin + timedelta(days=chance.whole(12, 75), seconds=chance.whole(0, 80_000)),
        nla=windows != "2003" and chance.odds(0.8),
    )
