"""Remote desktop as Windows writes it: stays with their visits, guessers, probes."""

from __future__ import annotations

from datetime import timedelta

from evtx_event import Type
from scenarios.truth import Stay

from other_servers.events import Recorder, after, hexed, number, text
from other_servers.world import Guess, World


def record(world: World) -> Recorder:
    """Every Windows event of the server but those of its System log."""
    recorder = Recorder(world.host)
    arrivals = sorted(
        [(visit.start, stay, place) for stay in world.stays for place, visit in enumerate(stay.visits)],
        key=lambda item: item[0],
    )
    _number(world)
    names = {id(stay.visits[place]): f"RDP-Tcp#{turn * 3 % 997}" for turn, (_, stay, place) in enumerate(arrivals)}
    for _, stay, place in arrivals:
        _visit(world, recorder, stay, place, names[id(stay.visits[place])])
    for turn, guess in enumerate(sorted(world.guesses, key=lambda item: item.time)):
        _guess(world, recorder, guess, f"RDP-Tcp#{(turn * 7 + 1) % 65_000}")
    _clock(world, recorder)
    for time, target in world.hops:
        recorder.client(1024, time, text("Name", "Server Name"), text("Value", target), text("CustomLevel", "Info"))
        recorder.client(
            1102, after(time, 0.4), text("Name", "Server Address"), text("Value", target), text("CustomLevel", "Info")
        )
        recorder.client(1025, after(time, 2.1))
        recorder.client(
            1026, after(time, 900), text("Name", "Disconnect Reason"), text("Value", "1"), text("CustomLevel", "Info")
        )
    return recorder


def _number(world: World) -> None:
    """Windows counts sessions up from 2 until it starts anew, and logon ids for as long as it runs."""
    next_number, logon_id, boots = 2, 0x3_1F40, list(world.starts if world.crashed else [])
    for stay in sorted(world.stays, key=lambda item: item.start):
        while boots and boots[0] < stay.start:
            boots.pop(0)
            next_number = 2
        stay.number, stay.logon_id = next_number, logon_id
        next_number += 1
        logon_id += world.chance.whole(0x2000, 0x9_0000)


def _activity(world: World) -> str:
    chance = world.chance
    parts = [chance.whole(0, 0xFFFF) for _ in range(5)]
    return f"F420{parts[0]:04X}-{parts[1]:04X}-4{parts[2] & 0xFFF:03X}-8{parts[3] & 0xFFF:03X}-{parts[4]:04X}A17C0000"


def _visit(world: World, recorder: Recorder, stay: Stay, place: int, name: str) -> None:
    visit, first = stay.visits[place], place == 0
    start, source, activity = visit.start, visit.source_ip, _activity(world)
    user = f"{world.host}\\{stay.user}"
    who = (text("User", user), number("SessionID", stay.number))
    here = (*who, text("Address", source))
    port = world.chance.whole(49_152, 65_500)
    connected = f"[{source}]:{port}" if ":" in source else f"{source}:{port}"
    recorder.core(131, start, text("ConnType", "TCP"), text("ClientIP", connected), activity=activity, source=source)
    recorder.core(65, after(start, 0.004), text("ConnectionName", name), activity=activity)
    recorder.rcm(261, after(start, 0.006), text("listenerName", "RDP-Tcp"), activity=activity)
    if world.nla:
        network_id = stay.logon_id - 0x800 - place
        recorder.security(
            4776, after(start, 0.9), text("PackageName", "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"),
            text("TargetUserName", stay.user), text("Workstation", stay.client), ("Status", Type.HEX32, 0),
        )  # fmt: skip
        recorder.logon(after(start, 0.91), 3, stay.user, network_id, source, stay.client)
        recorder.logoff(after(start, 12.2), stay.user, network_id, 3)
    param = (text("Param1", stay.user), text("Param2", world.host if world.nla else ""), text("Param3", source))
    recorder.rcm(1149, after(start, 1.2), *param, activity=activity, source=source)
    recorder.core(104, after(start, 1.3), text("TimezoneBiasHour", f"[{stay.zone}]"), activity=activity)
    recorder.core(98, after(start, 1.31), activity=activity)
    recorder.core(
        66, after(start, 1.9), text("ConnectionName", name), number("SessionID", stay.number), activity=activity
    )
    recorder.lsm(41, after(start, 1.8), *who, activity=activity)
    if first:
        recorder.logon(after(start, 2.1), 10, stay.user, stay.logon_id, source, stay.client)
        if stay.user.lower() != "administrator":
            recorder.logon(after(start, 2.1), 10, stay.user, stay.logon_id + 0x31, source, stay.client)
        recorder.lsm(21, after(start, 2.4), *here, activity=activity, source=source)
        recorder.lsm(22, after(start, 3.1), *here, activity=activity, source=source)
    else:
        shown = "-" if world.windows == "2008R2" else source
        recorder.logon(after(start, 2.1), 7, stay.user, stay.logon_id + 0x40 + place, shown, stay.client)
        recorder.lsm(25, after(start, 2.4), *here, activity=activity, source=source)
        recorder.winstation(4778, after(start, 2.41), stay.user, stay.logon_id, name, stay.client, source)
    recorder.lsm(42, after(start, 2.5), *who, activity=activity)
    _leave(recorder, stay, place, name, activity)


def _leave(recorder: Recorder, stay: Stay, place: int, name: str, activity: str) -> None:
    visit, last = stay.visits[place], place == len(stay.visits) - 1
    end, source = visit.end, visit.source_ip
    if last and stay.ends in {"open", "crash"}:
        return
    user = f"{recorder.host}\\{stay.user}"
    numbered = number("Session", stay.number)
    here = (text("User", user), number("SessionID", stay.number), text("Address", source))
    taken = not last and stay.visits[place + 1].start - end < timedelta(seconds=3)
    if last and stay.ends == "logoff":
        recorder.logoff(after(end, -0.7), stay.user, stay.logon_id, None)
        recorder.lsm(23, end, text("User", user), number("SessionID", stay.number), activity=activity)
        recorder.lsm(40, after(end, 0.3), numbered, number("Reason", 12), activity=activity)
        recorder.lsm(24, after(end, 0.35), *here, activity=activity, source=source)
        recorder.logoff(after(end, 1.4), stay.user, stay.logon_id, 10)
    else:
        recorder.lsm(40, end, numbered, number("Reason", 5 if taken else 0 if place % 2 else 11), activity=activity)
        recorder.lsm(24, after(end, 0.04), *here, activity=activity, source=source)
        recorder.winstation(4779, after(end, 0.05), stay.user, stay.logon_id, name, stay.client, source)
    recorder.core(102, after(end, 0.4), activity=activity)
    recorder.core(103, after(end, 0.41), number("ReasonCode", 5 if taken else 13), activity=activity)


def _guess(world: World, recorder: Recorder, guess: Guess, name: str) -> None:
    """A probe says hello and goes; a guess is refused. Windows 2008 R2 leaves the address out under network authentication."""
    time, source, activity = guess.time, guess.source_ip, _activity(world)
    client = f"{source}:{world.chance.whole(1025, 65_500)}"
    recorder.core(131, time, text("ConnType", "TCP"), text("ClientIP", client), activity=activity, source=source)
    recorder.core(65, after(time, 0.003), text("ConnectionName", name), activity=activity)
    recorder.rcm(261, after(time, 0.005), text("listenerName", "RDP-Tcp"), activity=activity)
    if guess.user:
        known = guess.user.lower() == "administrator"
        shown = "-" if world.windows == "2008R2" and world.nla else source
        recorder.logon(
            after(time, 1.1), 3 if world.nla else 10, guess.user, 0, shown, guess.workstation,
            failed=0xC000006A if known else 0xC0000064,
        )  # fmt: skip
        if not known:
            recorder.core(140, after(time, 1.2), text("IPString", source), activity=activity, source=source)
    end = after(time, world.chance.real(0.2, 4))
    recorder.core(102, end, activity=activity)
    recorder.core(103, after(end, 0.001), number("ReasonCode", 14), activity=activity)


def _clock(world: World, recorder: Recorder) -> None:
    if world.clock is None:
        return
    when, by = world.clock
    recorder.security(
        4616, when, ("SubjectUserSid", Type.SID, "S-1-5-19"), text("SubjectUserName", "LOCAL SERVICE"),
        text("SubjectDomainName", "NT AUTHORITY"), hexed("SubjectLogonId", 0x3E5),
        ("PreviousTime", Type.FILETIME, when - by), ("NewTime", Type.FILETIME, when),
        ("ProcessId", Type.SIZE_T, 0x3F4), text("ProcessName", r"C:\Windows\System32\svchost.exe"), version=1,
    )  # fmt: skip
