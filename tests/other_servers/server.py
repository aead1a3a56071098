"""Draw a server: people act, then the logs are cut to what was seized, then the truth is cut to what they show."""

from __future__ import annotations

from datetime import timedelta

from evtx_event import Type
from scenarios.draw import Chance
from scenarios.truth import Scenario, Stay

from other_servers.business import extend, trade
from other_servers.desktop import record
from other_servers.events import Recorder, text
from other_servers.intruders import operate
from other_servers.juli import server_files
from other_servers.legacy import legacy_files
from other_servers.owners import own
from other_servers.strangers import come
from other_servers.tiny import tiny
from other_servers.weblog import web_files
from other_servers.world import World, draw_world


def draw(seed: int) -> Scenario:
    """One server with its truth; the same for the same seed."""
    world = draw_world(seed)
    if world.kind == "tiny":
        return tiny(seed, world)
    chance = world.chance
    if world.kind in {"compromised", "web_only", "clean"}:
        world.application = chance.one(("/shop", "/crm", "/portal", "/helpdesk", ""))
        trade(world)
        own(world)
    if world.kind != "clean":
        operate(world)
    more = Chance(8_000_000 + seed)
    if world.application and more.odds(0.35):
        extend(world, more)
    come(world)
    _accidents(world)
    _last_ends(world)
    return _seize(seed, world)


def _accidents(world: World) -> None:
    """A crash late on, a reboot, a log cleared within a stay, a clock set forward."""
    chance = world.chance
    hers = [stay for stay in world.stays if stay.whose == "operator"]
    if world.web and not world.installed and chance.odds(0.5):
        world.starts.append(chance.moment(world.begin, world.end))
    world.starts = [
        time
        for time in world.starts
        if not any(stay.start - timedelta(minutes=5) < time < stay.end for stay in world.stays if time != _first(world))
    ]
    if world.web and chance.odds(0.2) and "system" in world.logs:
        _crash(world)
    if hers and chance.odds(0.15) and "security" in world.logs:
        stay = chance.one(hers)
        world.cleared = stay.start + (stay.visits[0].end - stay.start) * 0.8
        world.truth.milestones["log_cleared"] = world.cleared
    elif chance.odds(0.12) and "security" in world.logs and world.windows != "2003" and not world.crashed:
        when = chance.moment(world.begin + timedelta(days=2), world.end - timedelta(days=2))
        by = chance.span(400, 7200)
        if not any(
            stay.start < when + timedelta(minutes=5) and when - by - timedelta(minutes=5) < stay.end
            for stay in world.stays
        ):
            world.clock = (when, by)
            world.truth.milestones["clock_changed"] = when
            world.requests = [one for one in world.requests if not when - by <= one.time <= when]
            world.guesses = [one for one in world.guesses if not when - by <= one.time <= when]
    world.starts.sort()


def _first(world: World) -> object:
    return min(world.starts, default=None) if world.installed else None


def _crash(world: World) -> None:
    chance = world.chance
    later = [stay for stay in world.stays if stay.start > world.begin + (world.end - world.begin) * 0.75]
    down = (
        chance.one(later).start + timedelta(minutes=5)
        if later and chance.odds(0.6)
        else chance.moment(world.end - timedelta(days=4), world.end - timedelta(hours=6))
    )
    up = down + chance.span(400, 3600)
    if up > world.end:
        return
    world.crashed = down
    world.starts = [time for time in world.starts if not down < time < up] + [up]
    world.requests = [one for one in world.requests if not down <= one.time <= up]
    world.guesses = [one for one in world.guesses if not down - timedelta(seconds=60) <= one.time <= up]
    kept = []
    for stay in world.stays:
        stay.visits = (
            [visit for visit in stay.visits if visit.start < down] if stay.start < down < stay.end else stay.visits
        )
        if stay.start < down < stay.end:
            stay.ends = "crash"
            stay.visits[-1].end = down
        if not down <= stay.start <= up:
            kept.append(stay)
    world.stays = kept
    world.truth.milestones["crash"] = up - timedelta(seconds=40)


def _last_ends(world: World) -> None:
    """What is left lying at the end: an account's last stay may be without a logoff."""
    for user in sorted({stay.user for stay in world.stays}):
        last = max((stay for stay in world.stays if stay.user == user), key=lambda stay: stay.start)
        if last.ends == "logoff" and world.chance.odds(0.25) and not (world.crashed and last.start < world.crashed):
            last.ends = world.chance.one(("disconnect", "open"))
            if last.ends == "open":
                last.visits[-1].end = world.end


def _system(world: World, recorder: Recorder) -> None:
    number = world.tomcat.split(".", maxsplit=1)[0]
    recorder.event_log(6005, world.begin - timedelta(days=1) if world.kind != "rented" else world.begin)
    if world.installed is not None:
        recorder.service(
            7045, world.installed, text("ServiceName", f"Apache Tomcat {number}.0 Tomcat{number}"),
            text("ImagePath", rf'"C:\Program Files\Apache Software Foundation\Tomcat\bin\Tomcat{number}.exe" //RS//Tomcat{number}'),
            text("ServiceType", "user mode service"), text("StartType", "auto start"), text("AccountName", "LocalSystem"),
        )  # fmt: skip
    for start in world.starts:
        recorder.service(
            7036,
            start - timedelta(seconds=8),
            text("param1", f"Apache Tomcat {number}.0 Tomcat{number}"),
            text("param2", "running"),
        )
    if world.crashed is not None:
        up = world.truth.milestones["crash"]
        assert up is not None
        recorder.kernel(12, up - timedelta(seconds=9), ("StartTime", Type.FILETIME, up - timedelta(seconds=10)))
        recorder.event_log(6008, up, "9:14:02 PM", "1/2/2012", "", "", "400000", "", "")
        recorder.event_log(6005, up)
    if world.clock is not None:
        when, by = world.clock
        recorder.kernel(1, when, ("NewTime", Type.FILETIME, when), ("OldTime", Type.FILETIME, when - by))


def _seize(seed: int, world: World) -> Scenario:
    truth = world.truth
    files: dict[str, bytes] = {}
    seen: set[str] = set()
    if world.windows == "2003":
        made, seen = legacy_files(world) if world.logs else ({}, set())
        files |= made
    elif world.logs:
        recorder = record(world)
        _system(world, recorder)
        if world.cleared is not None:
            recorder.cut("security", world.cleared)
            recorder.cleared("security", world.cleared, "Administrator")
        made, seen = recorder.files(world.logs)
        files |= made
    if world.web and world.requests:
        made, more = web_files(world)
        files |= made
        seen |= more
    if world.catalina:
        files |= server_files(world)
    truth.roles = {address: role for address, role in sorted(world.roles.items()) if address in seen}
    for address in [address for address, role in truth.roles.items() if role == "owner"]:
        if not any(address in stay.sources for stay in world.stays if _shown(world, stay)):
            used = [one for one in world.requests if one.source_ip == address and one.target.startswith("/manager")]
            if used or not world.web:  # that a manager's user is the owner, only his desktop would say
                del truth.roles[address]
            else:
                truth.roles[address] = "visitor"
    desktops = {source for stay in world.stays if _shown(world, stay) for source in stay.sources}
    for address in [address for address, role in truth.roles.items() if role == "operator"]:
        if (
            address not in desktops | world.acted | truth.slips
        ):  # only the other customer of a shared exit is in these logs
            truth.roles[address] = "scanner"
    truth.rare &= seen
    truth.slips &= seen
    truth.sessions = [stay for stay in sorted(world.stays, key=lambda one: one.start) if _shown(world, stay)]
    _milestones(world)
    if not world.web or not world.requests:
        truth.commands = set()
    truth.habits = (
        f"{world.kind}, {world.windows}, {'+'.join(sorted(world.logs)) or 'no event logs'}, Tomcat {world.tomcat}, {world.pattern if world.web else 'no web log'}, "
        f"{world.zone}, {len(world.requests)} requests, {len(world.stays)} stays"
    )
    return Scenario(seed, files, truth)


def _shown(world: World, stay: Stay) -> bool:
    """Whether a log that was seized shows where the stay begins; what a clearing cut in two is not asked for."""
    shown = bool(world.logs) if world.windows == "2003" else bool(world.logs & {"lsm", "core", "security"})
    alone = world.windows == "2003" or not world.logs & {"lsm", "core"}
    if shown and alone and world.cleared is not None and stay.start < world.cleared:
        if stay.end >= world.cleared and stay not in world.truth.partial:
            world.truth.partial.append(stay)
        return False
    return shown


def _milestones(world: World) -> None:
    """Times that the seized logs show; what they show only in part is not asked for."""
    truth = world.truth
    found = truth.milestones
    hers = [stay for stay in truth.sessions if stay.whose == "operator"]
    if hers:
        found["first_logon"] = hers[0].start
    if truth.partial or world.kind == "clean":
        truth.unasked.add("first_logon")
    for stay in hers:
        world.act(stay.start)
        if stay.ends in {"logoff", "disconnect"}:
            world.act(stay.end)
        for visit in stay.visits[:-1]:
            world.act(visit.end)
    if not hers and not world.web:
        found.pop("last_operator_act", None)
    if any(stay.ends in {"open", "crash"} for stay in hers) or world.kind == "clean":
        truth.unasked.add("last_operator_act")
    if world.installed is not None and ("system" in world.logs or world.catalina):
        found["tomcat_installed"] = world.installed
    if world.starts and (world.catalina or ("system" in world.logs and world.windows != "2003")):
        found["tomcat_started"] = world.starts[0] if world.catalina else world.starts[0] - timedelta(seconds=8)
    if not world.web:
        for name in ("c2_deployed", "tomcat_started", "tomcat_installed"):
            found.pop(name, None)
