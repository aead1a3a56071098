"""The operator, the owner, and the guesser who gets in: their sessions, their acts on the web server, their slips."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from scenarios import strangers, tomcat, windows
from scenarios.truth import Request, Stay, Visit

if TYPE_CHECKING:
    from scenarios.server import Stage

LOOPBACK: Final = ("127.0.0.1", "0:0:0:0:0:0:0:1")
_PATHS: Final = (
    "/support/main.jsp", "/update/check.jsp", "/img.jsp", "/board/view.jsp", "/error.jsp", "/api/v1/sync", "/news/feed",
    "/service/upload.do", "/common/include/top.jspx", "/jquery/load", "/help/index.jsp",
)  # fmt: skip


@dataclass(slots=True)
class Command:
    """The command path: how it came there, when it answered, from where it was tested."""

    path: str
    panel: str | None
    deployed_by: str
    deployed: datetime
    tested: datetime
    installed: datetime
    started: datetime
    addresses: list[str] = field(default_factory=list)
    acts: list[Request] = field(default_factory=list)

    def milestones(
        self,
        kept: list[Request],
        sessions: list[Stay],
        *,
        catalina: bool,
        system: bool,
        owners_tomcat: datetime | None,
    ) -> dict[str, datetime | None]:
        """The moments that the seized logs can show."""
        asked = {id(r) for r in kept}
        mine = [r for r in self.acts if id(r) in asked]
        hits = [r for r in mine if r.target.partition("?")[0].partition(";")[0] == self.path]
        theirs = [s for s in sessions if s.whose == "operator"]
        stays = [v.start for s in theirs for v in s.visits]
        left = [v.end for s in theirs for v in s.visits if v is not s.visits[-1] or s.ends in {"logoff", "disconnect"}]
        last = [r.time for r in mine] + stays + left
        uploads = [r for r in mine if r.target.startswith("/manager/") and r.method in {"POST", "PUT"}]
        uploads += [r for r in mine if r.method == "PUT"]
        by_catalina = (
            self.deployed if catalina and self.deployed_by in {"manager", "text_deploy", "dropped_war"} else None
        )
        own = owners_tomcat is None
        begun = (self.started if catalina or system else None) if own else (owners_tomcat if catalina else None)
        return {
            "tomcat_installed": self.installed if system and own else None,
            "tomcat_started": begun,
            "c2_deployed": uploads[0].time if uploads else self.deployed if by_catalina or hits else None,
            "first_browser_test": min((r.time for r in hits if r.method == "GET"), default=None),
            "first_backdoor_test": min((r.time for r in hits if r.method == "POST"), default=None),
            "last_operator_act": max(last, default=None),
        }


def command_of(stage: Stage) -> Command:
    """Choose the path and the day; the crew does the rest."""
    chance = stage.chance
    path = chance.one(_PATHS)
    deployed_by = chance.one(("manager", "manager", "dropped_war", "dropped_jsp", "text_deploy", "put_jsp"))
    if deployed_by == "put_jsp" and ".jsp" not in path:
        deployed_by = "manager"
    installed = stage.begin + chance.span(2 * 86_400, 5 * 86_400)
    started = installed + chance.span(30, 900)
    deployed = started + chance.span(1_800, 30 * 3_600)
    folder = path.rpartition("/")[0]
    panel = f"{folder}/{chance.one(('console', 'adm', 'list', 'view2', 'login'))}.jsp" if chance.odds(0.5) else None
    return Command(path, panel, deployed_by, deployed, deployed, installed, started)


class Crew:
    """The operators of one server: their addresses, their hours and what they do in each session."""

    def __init__(self, stage: Stage, command: Command) -> None:
        chance = self._chance = stage.chance
        self._stage, self.command = stage, command
        self._addresses = [chance.address() for _ in range(chance.whole(1, 4))]
        if len(self._addresses) > 2 and chance.odds(0.3):
            self._addresses[1] = chance.address(near=self._addresses[0])
        command.addresses = self._addresses
        self._clients = [f"WS-{chance.whole(100, 999)}" for _ in range(chance.one((1, 1, 1, 2, 3)))]
        self._zone = chance.one((8, 8, 9, 3, 1, -5))
        self._user = chance.one(("Administrator", "Administrator", "admin", "svc_web"))
        self._agent = chance.one(strangers.BROWSERS)
        self._hour = chance.whole(0, 23)
        self._local = chance.odds(0.6)
        self._hands_over = chance.odds(0.5)
        self.stays: list[Stay] = []

    def work(self) -> None:
        """Install, deploy and test in the first sessions; look in on some later days."""
        stage, chance, command = self._stage, self._chance, self.command
        before = command.installed - chance.span(600, 3_000)
        first = self._session(before, command.started + chance.span(1_200, 5_000))
        if stage.owners_tomcat is None:
            stage.events += windows.tomcat_service(command.installed, command.started, stage.web.version)
            stage.lines += tomcat.started(command.started, stage.web, ["docs", "manager", "ROOT"])
        self._browse(first, command.started + chance.span(20, 300))
        deploying = self._session(
            command.deployed - chance.span(300, 1_500), command.deployed + chance.span(4_000, 9_000)
        )
        self._deploy(deploying)
        self._test(deploying)
        time = command.tested + timedelta(days=1)
        while time < stage.end - timedelta(days=1):
            start = time.replace(hour=self._hour, minute=0) + chance.span(0, 7 * 3_600)
            if (
                chance.odds(0.55)
                and start > command.tested + timedelta(hours=4)
                and start < stage.end - timedelta(hours=9)
            ):
                self._look(self._session(start, start + chance.span(180, 9_000)), start)
            time += timedelta(days=chance.one((1, 1, 1, 2, 4)))
        self.stays[-1].ends = chance.one(("logoff", "logoff", "disconnect", "open"))
        if chance.odds(0.15):
            self._guessed_in()

    def slip(self, source: str) -> None:
        """A short connection to the latest session from the range behind the proxies, then back by the usual way."""
        stay = self.stays[-1]
        last = stay.visits[-1]
        if stay.ends != "logoff":
            return
        middle = last.start + (last.end - last.start) / 2
        until = middle + self._chance.span(20, 70)
        end, usual = last.end + timedelta(minutes=20), last.source_ip
        stay.visits[-1] = Visit(usual, last.start, middle - timedelta(seconds=40))
        stay.visits += [Visit(source, middle, until), Visit(usual, until + self._chance.span(60, 500), end)]
        self._stage.role(source, "operator")
        if self._chance.odds(0.5):
            path = self.command.panel or self.command.path
            self._did([Request(middle + timedelta(seconds=12), source, "GET", path, 200, 2_212, self._agent)])

    def _session(self, start: datetime, end: datetime) -> Stay:
        chance = self._chance
        source, visits = chance.one(self._addresses), []
        begin = start
        if self._hands_over and len(self._addresses) > 1 and chance.odds(0.6):
            for other in chance.some([a for a in self._addresses if a != source], 1, 2):
                until = begin + (end - begin) * chance.real(0.2, 0.6)
                visits.append(Visit(source, begin, until))
                begin, source = until + chance.span(15, 400), other
        visits.append(Visit(source, begin, max(end, begin + timedelta(seconds=90))))
        if self.stays and self.stays[-1].end < start and chance.odds(0.25):
            # The session before was only disconnected: Windows leads the same account back into it.
            stay = self.stays[-1]
            stay.visits += visits
            for one in visits:
                self._stage.role(one.source_ip, "operator")
            return stay
        number = 2 + len(self._stage.stays) % 5
        stay = Stay(self._user, chance.one(self._clients), self._zone, visits, "operator", number=number)
        stay.logon_id = 0x100000 + 0x10000 * (len(self._stage.stays) + 1)
        self._stage.stays.append(stay)
        self.stays.append(stay)
        for source in stay.sources:
            self._stage.role(source, "operator")
        return stay

    def _from(self, stay: Stay, time: datetime) -> str:
        """The browser on the server, or the one at home: then by the address that the session has now."""
        if self._local:
            self._stage.roles.setdefault("::1", "local")
            return self._stage.loopback
        here = [v.source_ip for v in stay.visits if v.start <= time]
        return here[-1] if here else stay.visits[0].source_ip

    def _did(self, requests: list[Request]) -> None:
        self.command.acts += requests
        for request in requests:
            loopback = request.source_ip in LOOPBACK
            self._stage.requests.append(request)
            self._stage.role("::1" if loopback else request.source_ip, "local" if loopback else "operator")

    def _browse(self, stay: Stay, time: datetime) -> None:
        source = self._from(stay, time)
        self._did(strangers.page(time, source, self._chance, self._agent, "/", strangers.STOCK))

    def _deploy(self, stay: Stay) -> None:
        stage, chance, command = self._stage, self._chance, self.command
        folder = command.path.split("/")[1] if command.path.count("/") > 1 else "ROOT"
        time = command.deployed
        source = self._from(stay, time)
        acts: list[Request] = []
        if command.deployed_by == "manager":
            acts = [
                Request(time - timedelta(seconds=50), source, "GET", "/manager/html", 401, 2_536, self._agent),
                Request(
                    time - timedelta(seconds=44), source, "GET", "/manager/html", 200, 19_211, self._agent, "admin"
                ),
                Request(time, source, "POST", "/manager/html/upload?org.apache=1", 200, 20_412, self._agent, "admin"),
            ]
        elif command.deployed_by == "text_deploy":
            target = f"/manager/text/deploy?path=/{folder}"
            acts = [Request(time, source, "PUT", target, 200, 61, "curl/7.47.0", "deployer")]
        elif command.deployed_by == "put_jsp":
            acts = [Request(time, source, "PUT", f"{command.path}/", 201, 0, self._agent)]
        self._did(acts)
        if command.deployed_by in {"manager", "text_deploy", "dropped_war"}:
            stage.lines += tomcat.deployed_archive(time - timedelta(seconds=0.02), stage.web, folder)
        command.deployed = time
        if self._chance.odds(0.1) and chance.odds(0.5):
            stage.lines += tomcat.deployed_directory(time + timedelta(days=2), stage.web, "other")

    def _test(self, stay: Stay) -> None:
        """Browser first, until the script works; then some calls of the backdoor's kind."""
        chance, command = self._chance, self.command
        time = command.deployed + chance.span(20, 400)
        for status in chance.some((404, 500, 500), 0, 3):
            self._did([Request(time, self._from(stay, time), "GET", command.path, status, 1_122, self._agent)])
            time += chance.span(10, 240)
        self._did([Request(time, self._from(stay, time), "GET", command.path, 200, 36, self._agent)])
        if command.panel:
            time += chance.span(5, 60)
            self._did([Request(time, self._from(stay, time), "GET", command.panel, 200, 2_212, self._agent)])
        for _ in range(chance.one((0, 1, 3, 6, 10))):
            time += chance.span(8, 120)
            self._did([Request(time, self._from(stay, time), "POST", command.path, 200, 36)])
        command.tested = time

    def _look(self, stay: Stay, start: datetime) -> None:
        chance, command = self._chance, self.command
        if chance.odds(0.25):
            return
        time = start + chance.span(20, 140)
        for _ in range(chance.whole(1, 6)):
            path = command.panel or f"{command.path}?{chance.one(('key=1', 'act=list'))}"
            method = chance.one(("GET", "GET", "POST"))
            self._did([Request(time, self._from(stay, time), method, path, 200, chance.whole(800, 9_000), self._agent)])
            time += chance.span(4, 90)
            if time > stay.end:
                return

    def _guessed_in(self) -> None:
        """Another intruder: a guesser whose guess is right, and who looks around for half a minute."""
        stage, chance = self._stage, self._chance
        source = chance.address()
        time = chance.moment(stage.begin, stage.end - timedelta(hours=4))
        if any(s.start - timedelta(hours=6) < time < s.end + timedelta(hours=6) for s in stage.stays):
            return
        for _ in range(chance.one((40, 200, 900))):
            stage.events += windows.guess(time, source, stage.machine, chance, user="administrator")
            time += chance.span(0.8, 6)
        stay = Stay("Administrator", "ADMIN-PC", 3, [Visit(source, time, time + chance.span(15, 60))], "guesser")
        stay.number, stay.logon_id = 9, 0xA000000
        stage.stays.append(stay)
        stage.role(source, "scanner")


@dataclass(frozen=True, slots=True)
class Owner:
    """The rightful owner: whether an application of the server's own stands there."""

    shop: bool


def owner_of(stage: Stage) -> Owner:
    """Administer the server from the first day, until the operator comes or on beside him."""
    chance = stage.chance
    shop = chance.odds(0.6)
    addresses = [chance.address() for _ in range(chance.whole(1, 2))]
    client, user = f"OFFICE-{chance.whole(10, 99)}", chance.one(("Administrator", "owner", "itadmin"))
    until = stage.end if chance.odds(0.4) else stage.begin + timedelta(days=2)
    time = stage.begin - timedelta(days=chance.whole(8, 25))
    while time < until - timedelta(hours=9):
        start = time.replace(hour=8) + chance.span(0, 6 * 3_600)
        stay = Stay(user, client, 1, [Visit(chance.one(addresses), start, start + chance.span(200, 4_000))], "owner")
        stay.number, stay.logon_id = 7, 0x5000000 + 0x1000 * len(stage.stays)
        stage.stays.append(stay)
        if shop and chance.odds(0.5):
            agent = strangers.BROWSERS[1]
            moment = start + timedelta(seconds=60)
            stage.requests += strangers.page(moment, stay.sources[0], chance, agent, "/shop/", strangers.SHOP)
        for source in stay.sources:
            stage.role(source, "owner")
        time += timedelta(days=chance.whole(1, 5))
    if shop:
        stage.lines += tomcat.started(stage.begin - timedelta(days=30), stage.web, ["shop", "manager", "ROOT"])
    return Owner(shop)
