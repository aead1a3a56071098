"""Draw a server: who operated it and how, who else came, which logs were seized; with the truth of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from evtx_writer import Event

from scenarios import strangers, tomcat, windows
from scenarios.draw import Chance, day
from scenarios.operators import LOOPBACK, Command, Crew, command_of, owner_of
from scenarios.truth import Request, Scenario, Stay, Truth

_LOGS: Final = (
    ("LSM", "RCM", "CORE", "Security", "System"),
    ("LSM", "RCM", "CORE", "Security", "System"),
    ("LSM", "RCM", "CORE", "Security", "System"),
    ("LSM", "RCM", "CORE", "System"),
    ("LSM",),
    ("LSM", "System"),
    ("Security", "System"),
    ("Security",),
    (),
)
MOST_REQUESTS: Final = 25_000
"""Of all victims together: a scenario takes seconds."""


@dataclass(slots=True)
class Stage:
    """What happened, before it is decided which of it was logged."""

    chance: Chance
    begin: datetime
    end: datetime
    machine: windows.Machine
    web: tomcat.Tomcat
    events: list[Event] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    lines: list[tuple[datetime, str]] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    milestones: dict[str, datetime | None] = field(default_factory=dict)
    rare: set[str] = field(default_factory=set)
    slips: set[str] = field(default_factory=set)
    loopback: str = "127.0.0.1"
    owners_tomcat: datetime | None = None

    def role(self, source: str, role: str) -> None:
        """An operator stays one whatever else came from the address."""
        if self.roles.get(source) != "operator":
            self.roles[source] = role

    def asked(self, requests: Iterable[Request], role: str) -> None:
        for request in requests:
            if self.begin <= request.time < self.end:
                self.requests.append(request)
                self.role(request.source_ip, role)


def draw(seed: int) -> Scenario:
    """The scenario of a seed: the same bytes each time."""
    chance = Chance(seed)
    begin = day(chance.whole(2016, 2019), chance.whole(1, 12), chance.whole(1, 28))
    offset = timedelta(hours=chance.one((-8, -5, -3, 0, 0, 1, 1, 2, 3, 5.5, 8, 9)))
    logs = frozenset(chance.one(_LOGS))
    host = f"SRV-{chance.whole(100, 999)}"
    stage = Stage(
        chance,
        begin,
        begin + timedelta(days=chance.whole(10, 40)),
        windows.Machine(chance.one(("2008", "2012", "2016", "2019")), host, logs),
        tomcat.Tomcat(
            chance.one(("7.0.69", "8.0.38", "8.5.6", "9.0.16")),
            chance.one(("common", "common", "combined", "agent_first", "timed", "w3c", "json")),
            offset,
        ),
        loopback=chance.one(LOOPBACK),
    )
    owner = owner_of(stage) if chance.odds(0.45) else None
    if owner is not None and owner.shop:
        stage.owners_tomcat = begin - timedelta(days=30)
    with_web = not logs or chance.odds(0.93)
    command: Command | None = None
    if chance.odds(0.85) and (with_web or logs):
        command = command_of(stage)
        crew = Crew(stage, command)
        crew.work()
        _clients(stage, command)
        _rare(stage, crew)
    elif owner is None:
        owner = owner_of(stage)
    _noise(stage, command, shop=owner is not None and owner.shop)
    _accidents(stage)
    return _written(seed, stage, command, with_web=with_web)


def _clients(stage: Stage, command: Command) -> None:
    chance = stage.chance
    beacon = strangers.Beacon(chance, command.path)
    victims = chance.one((1, 2, 3, 5, 8, 12, 20, 40, 80, 160, 300, 500))
    budget = max(4, MOST_REQUESTS // victims)
    launched = command.tested + chance.span(3_600, 3 * 86_400)
    launched = min(launched, stage.end - timedelta(days=2))
    first: datetime | None = None
    for _ in range(victims):
        source = chance.address()
        for _ in range(chance.whole(2, 5) if chance.odds(0.08) else 1):  # several behind one NAT
            start = chance.moment(launched, launched + (stage.end - launched) * 0.7)
            short = chance.odds(0.15)
            life = timedelta(seconds=beacon.period * chance.whole(4, 12)) if short else stage.end - start
            desk = chance.whole(0, 23) if chance.odds(0.3) else None
            calls = list(beacon.life(start, min(stage.end, start + life), source, chance, budget, desk=desk))
            stage.asked(calls, "implant")
            if calls and (first is None or calls[0].time < first):
                first = calls[0].time
    stage.milestones["first_implant"] = first
    # Nobody looks into what has no victim yet.
    published = chance.moment((first or launched) + timedelta(days=1), stage.end)
    for _ in range(chance.one((0, 0, 1, 2, 4, 8))):
        when = chance.moment(published, stage.end - timedelta(hours=2))
        stage.asked(strangers.researcher(when, chance.address(), chance, command.path), "researcher")
    if chance.odds(0.2):
        source, time = chance.address(), launched + chance.span(60, 86_400)
        until = min(stage.end, time + chance.span(4 * 3600, 3 * 86_400))
        while time < until:
            stage.asked(
                [Request(time, source, "POST", command.path, 200, chance.whole(20_000, 300_000), beacon.agent)], "relay"
            )
            time += chance.span(60, 240)


def _rare(stage: Stage, crew: Crew) -> None:
    """Half of the servers see the range behind the proxies once, by RDP or by one request; some see a mere scanner of it."""
    chance = stage.chance
    kind = chance.one(("session", "web", "none", "none", "scanner"))
    source = f"175.45.{chance.whole(176, 179)}.{chance.whole(2, 250)}"
    if kind == "session" and crew.stays:
        crew.slip(source)
    elif kind == "web":
        path = crew.command.panel or crew.command.path
        when = chance.moment(crew.command.tested, stage.end - timedelta(hours=3))
        agent = chance.one(strangers.BROWSERS)
        stage.asked([Request(when, source, "GET", path, 200, 2_212, agent)], "operator")
    elif kind == "scanner":
        when = chance.moment(stage.begin, stage.end)
        for at in range(chance.whole(1, 30)):
            time = when + timedelta(seconds=at * 4)
            stage.events += windows.guess(time, source, stage.machine, chance, user=chance.one(windows.GUESSED))
        stage.role(source, "scanner")
    if kind in {"session", "web", "scanner"}:
        stage.rare.add(source)
    if kind in {"session", "web"}:
        stage.slips.add(source)


def _noise(stage: Stage, command: Command | None, *, shop: bool) -> None:
    chance, machine = stage.chance, stage.machine
    for _ in range(chance.whole(4, 60)):
        source = chance.address()
        for _ in range(chance.one((1, 1, 1, 2, 4))):
            when = chance.moment(stage.begin, stage.end - timedelta(hours=4))
            stage.asked(strangers.scanner(when, source, chance), "scanner")
    for _ in range(chance.whole(0, 40) if shop else chance.whole(0, 5)):
        when = chance.moment(stage.begin, stage.end - timedelta(hours=1))
        stage.asked(strangers.visitor(when, chance.address(), chance, shop=shop), "visitor")
    for _ in range(chance.whole(2, 40)):
        source = chance.address()
        stage.role(source, "scanner")
        when = chance.moment(stage.begin, stage.end - timedelta(hours=4))
        if chance.odds(0.3):
            stage.events += windows.probe(when, source, chance)
            continue
        guesses = chance.one((1, 3, 8, 20, 60, 150))
        for _ in range(guesses):
            stage.events += windows.guess(when, source, machine, chance, user=chance.one(windows.GUESSED))
            when += chance.span(0.8, 25)
    if command is not None and chance.odds(0.3):
        # A shared exit: a scanner's on one day, the operator's on others.
        shared = chance.one(command.addresses)
        when = stage.begin + chance.span(0, 80_000)
        for path in chance.some(("/phpmyadmin/", "/wp-login.php", "/admin/", "/test.jsp", "/cgi-bin/"), 2, 5):
            stage.asked([Request(when, shared, "GET", path, 404, 1_050)], "operator")
            when += chance.span(0.5, 5)


def _accidents(stage: Stage) -> None:
    chance = stage.chance
    ending = stage.end - timedelta(hours=1)
    stage.milestones |= {"log_cleared": None, "clock_changed": None, "crash": None}
    quiet = [t for t in (chance.moment(stage.begin, ending) for _ in range(40)) if not _busy(stage, t)]
    if not quiet:
        return
    if chance.odds(0.25):
        stage.milestones["log_cleared"] = quiet[0]
        stage.events.append(windows.cleared(quiet[0], "Administrator", "Application"))
    if chance.odds(0.15):
        stage.milestones["clock_changed"] = quiet[-1]
        stage.events.append(windows.clock_set(quiet[-1], quiet[-1] - timedelta(minutes=chance.whole(3, 90))))
    if chance.odds(0.35):
        crashed = chance.odds(0.5)
        time = chance.one(quiet).replace(microsecond=0)
        stage.events += windows.boot(time, crashed=crashed)
        stage.milestones["crash"] = time if crashed else None


def _busy(stage: Stage, time: datetime) -> bool:
    day_ = timedelta(hours=12)
    return any(stay.start - day_ < time < stay.end + day_ for stay in stage.stays)


def _written(seed: int, stage: Stage, command: Command | None, *, with_web: bool) -> Scenario:
    machine, web, chance = stage.machine, stage.web, stage.chance
    for stay in stage.stays:
        stage.events += windows.session_events(stay, machine, chance, quick=chance.odds(0.6))
    files = windows.event_logs(stage.events, machine)
    kept: list[Request] = []
    if with_web:
        logs = tomcat.access_logs(stage.requests, web)
        lost = set(chance.some(sorted(logs), 1, 3)) if chance.odds(0.15) else set()
        kept = [r for r in stage.requests if tomcat.file_of(r, web) not in lost]
        files |= tomcat.access_logs(kept, web)
        with_catalina = chance.odds(0.8)
        if with_catalina:
            files |= tomcat.catalina_logs(stage.lines, web)
        if chance.odds(0.7) or web.shape not in {"common", "combined", "w3c", "json"}:
            files["Tomcat/conf/server.xml"] = web.server_xml().encode()
    else:
        with_catalina = False
    truth = _truth(stage, command, kept, catalina=with_catalina)
    truth.habits = (
        f"Windows {machine.windows}, {'+'.join(sorted(machine.logs)) or 'no event logs'}; "
        f"{web.shape if with_web else 'no web logs'}; "
        f"{f'{command.deployed_by}, {command.path}, {len(command.addresses)} addresses' if command else 'no C2'}"
    )
    return Scenario(seed, files, truth)


def _truth(stage: Stage, command: Command | None, kept: list[Request], *, catalina: bool) -> Truth:
    """Leave out what no seized log can show."""
    machine = stage.machine
    logs = machine.logs if machine.core else machine.logs - {"CORE"}
    told = {"LSM"} & logs or {"Security"} & logs or {"CORE"} & logs
    sessions = sorted(stage.stays, key=lambda s: s.start) if told else []
    seen = {request.source_ip for request in kept}
    seen |= {source for stay in sessions for source in stay.sources}
    by_field = {str(v) for e in stage.events if _log(e) in logs for _, _, v in e.fields if isinstance(v, str)}
    seen |= {source for source in stage.roles if source in by_field}
    if "CORE" in logs:
        seen |= {v.rpartition(":")[0] for v in by_field if v.count(":") == 1}
    acted = {source for stay in sessions for source in stay.sources} | stage.slips
    if command is not None:
        written = {id(r) for r in kept}
        acted |= {r.source_ip for r in command.acts if id(r) in written}
    roles = {s: _shown(role, acted=s in acted) for s, role in stage.roles.items() if s in seen}
    if "Security" not in logs or not machine.core:
        # Nothing shows that he guessed; his session is like any other.
        for stay in sessions:
            if stay.whose == "guesser":
                roles.pop(stay.sources[0], None)
    milestones = dict(stage.milestones)
    if "System" not in logs:
        milestones |= dict.fromkeys(("log_cleared", "clock_changed", "crash"))
    own = [s for s in sessions if s.whose == "operator"]
    milestones["first_logon"] = own[0].start if own else sessions[0].start if sessions else None
    if command is None and catalina:
        milestones["tomcat_started"] = stage.owners_tomcat
    if command is not None:
        milestones |= command.milestones(
            kept, sessions, catalina=catalina, system="System" in logs, owners_tomcat=stage.owners_tomcat
        )
        if not any(roles.get(r.source_ip) == "implant" for r in kept):
            milestones["first_implant"] = None
        else:
            milestones["first_implant"] = min(r.time for r in kept if roles.get(r.source_ip) == "implant")
    # Only command paths that a seized log shows to have been called by a client.
    shown = command is not None and any(
        r.target.partition("?")[0].partition(";")[0] == command.path and roles.get(r.source_ip) in {"implant", "relay"}
        for r in kept
    )
    paths = {command.path} if command is not None and shown else set()
    return Truth(roles, sessions, milestones, paths, stage.rare & seen, stage.slips & seen)


def _shown(role: str, *, acted: bool) -> str:
    """Without a log of his sessions an owner is one more browser, and a shared exit with none of the operator's acts a scanner's."""
    return role if acted else {"owner": "visitor", "operator": "scanner"}.get(role, role)


def _log(event: Event) -> str:
    return next((log for log, channel in windows.CHANNELS.items() if channel == event.channel), event.channel)
