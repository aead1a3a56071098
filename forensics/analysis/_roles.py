"""The role of a source address, with the reasons for it. The first rule that holds decides; noise never makes an operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from forensics.analysis._words import BEACONS, MANY_FAILURES, reason
from forensics.text import counted, were

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

Row = dict[str, Any]
Reasons = list[dict[str, Any]]

_SURE_BEACONS: Final = 20
_REGULAR: Final = 0.5
"""Median deviation under half the median gap: a timer with jitter, or one that sleeps at times."""

_HEAVY: Final = 8
"""A relay answers for others: so many times the bytes a request that most clients get, without a pause."""

_RELAY_GAP_S: Final = 600
_LEAST: Final = 64
"""Bytes: where most get an empty answer, a few bytes more are none of many clients' tasks."""
_FEW: Final = 5
_A_LOOK_S: Final = 300
"""So long a guesser's tool, or its master, looks whether the account is worth anything."""

_ATTEMPTS: Final = 2


_VARIED: Final = 5
"""An operator's pages and the output of commands differ each time; an implant mostly hears that there is nothing to do."""
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_A_RUN: Final = timedelta(minutes=30)
"""A sandbox lets a sample run for minutes."""
_RUN_CALLS: Final = 40


@dataclass(frozen=True, slots=True)
class Context:
    """What roles are judged against: how the callers of the command paths as a whole behave."""

    first_stranger: datetime | None
    """When the first caller came that stayed."""
    usual_bytes: float
    """How much a request usually gets."""
    common_share: float = 0.0
    """Share of calls answered with the common size of their path."""
    stay: timedelta = timedelta()
    """How long half of the callers that came back stayed at least."""
    last_call: datetime | None = None
    born: datetime | None = None
    """The first call of all, if that is well within the logs: who called then was among the first."""
    networks: frozenset[str] = frozenset()
    """/24 networks of addresses that are operators' by what they did."""


Verdict = tuple[str, str, Reasons]


def role_of(row: Row, context: Context) -> Verdict:
    """Return role, confidence and reasons."""
    for rule in _RULES:
        verdict = rule(row, context)
        if verdict is not None:
            return verdict
    return "unknown", "possible", [reason("nothing it did tells what it was", 1, [row["first_locator"]])]


def _local(row: Row, _context: Context) -> Verdict | None:
    if not row["loopback"]:
        return None
    return "local", "almost certain", [reason("the server itself", 10, [row["first_locator"]])]


def _logged_on(row: Row, _context: Context) -> Verdict | None:
    if not row["sessions"]:
        return None
    reasons = [
        reason(
            f"{counted(row['sessions'], 'RDP session')} came from it, the first {row['first_session']}",
            10,
            [row["first_locator"]],
        )
    ]
    confidence = "almost certain"
    if row["refused"] >= MANY_FAILURES:
        confidence = "likely"
        reasons.append(
            reason(
                f"but {counted(row['refused'], 'logon')} from it {were(row['refused'])} refused: guessing, then success",
                5,
                [row["first_locator"]],
            )
        )
    return "operator", confidence, [*reasons, *_web_reasons(row)]


def _managed(row: Row, _context: Context) -> Verdict | None:
    reasons = _web_reasons(row)
    if not reasons:
        return None
    return "operator", "likely", reasons


def _web_reasons(row: Row) -> Reasons:
    reasons = []
    if row["managed"]:
        reasons.append(
            reason(
                f"{counted(row['managed'], 'request')} to the manager {were(row['managed'])} answered to a logged-on user",
                8,
                [row["manager_locator"]],
            )
        )
    if row["panel"]:
        reasons.append(
            reason(
                f"{counted(row['panel'], 'request')} to the panel {were(row['panel'])} answered",
                7,
                [row["panel_locator"]],
            )
        )
    return reasons


def _rare(row: Row, context: Context) -> Verdict | None:
    """One trace of a rare origin at what only insiders know is an operator's slip, however short."""
    if row.get("rare_grade") not in {"A", "B"}:
        return None
    reasons = []
    if row["authenticated"]:
        reasons.append(reason("it authenticated as an account that also had sessions", 7, [row["first_locator"]]))
    if row["c2"]:
        reasons.append(
            reason(
                f"{counted(row['c2'], 'request')} to the command path {were(row['c2'])} answered",
                6,
                [row["c2_locator"]],
            )
        )
    if row["hidden_pages"] and context.first_stranger is not None and row["answered"] == row["requests"]:
        said = (
            f"{counted(row['hidden_pages'], 'request')} for a page of the server that hardly anybody else asked for "
            f"{were(row['hidden_pages'])} answered"
        )
        reasons.append(reason(said, 5, [row["first_locator"]]))
    if not reasons or row["c2"] >= BEACONS:
        return None
    reasons.append(reason(f"it lies in {row['rare_origin']}, grade {row['rare_grade']}", 6, [row["first_locator"]]))
    return "operator", "likely", reasons


def _authenticated(row: Row, _context: Context) -> Verdict | None:
    """Windows writes 1149 before a logon, and without network authentication for a mere look: it proves no logon."""
    if not row["authenticated"]:
        return None
    said = "it authenticated as an account that had sessions; no session of its own is in evidence"
    return "operator", "possible", [reason(said, 4, [row["first_locator"]])]


def _operates(row: Row, context: Context) -> Verdict | None:
    """Whoever uses the script gets pages and output of all sizes, at a desk for an hour and then not for days; its clients mostly get one answer."""
    if row["c2"] < BEACONS or context.common_share < _REGULAR or row["c2_common"] * _VARIED > row["c2"]:
        return None
    span_h = (row["c2_last"] - row["c2_first"]) / _HOUR
    if row["c2_sizes"] * 2 < row["c2"] or (row["c2_hours"] > 2 and row["c2_hours"] * 4 > span_h):
        return None
    said = (
        f"{row['c2']} requests to the command path, in {row['c2_hours']} hours, got {row['c2_sizes']} answers of different size, "
        f"where {context.common_share:.0%} of all get one of the same"
    )
    return "operator", "likely", [reason(said, 6, [row["c2_locator"]])]


def _tested(row: Row, context: Context) -> Verdict | None:
    """A burst of calls when the script was new, before any client that stayed: its maker's test (first a browser, then the implant's manner)."""
    first = row["c2_first"]
    if not row["c2"] or context.born is None or context.first_stranger is None or first > context.born + _HOUR:
        return None
    if row["c2_last"] >= context.first_stranger or row["c2_last"] - first > _HOUR:
        return None
    said = "it called the command path when that was new, and stopped before the first client came that stayed: a test"
    return "operator", "likely" if row["c2"] >= _ATTEMPTS else "possible", [reason(said, 6, [row["c2_locator"]])]


def _neighbour(row: Row, _context: Context) -> Verdict | None:
    """Exits of one VPN lie side by side: who knows the command path there and is no client of it is the same people."""
    if not (row["c2"] or row["hidden_pages"]) or not row["near"]:
        return None
    if row["c2_common"] and row["c2_common"] * 2 > row["c2"]:
        return None
    said = "it lies in the /24 of an operator's address and asked for what hardly anybody knows"
    return "operator", "possible", [reason(said, 5, [row["first_locator"]])]


def network_of(address: str) -> str | None:
    """Return the /24 of an IPv4 address; of IPv6 nothing is so small."""
    return address.rpartition(".")[0] if "." in address else None


def _relay(row: Row, context: Context) -> Verdict | None:
    if (
        row["c2"] < _SURE_BEACONS
        or row["median_s"] is None
        or row["median_s"] > _RELAY_GAP_S
        or not (context.usual_bytes or context.common_share)
    ):
        return None
    each = row["c2_bytes"]
    span_h = (row["c2_last"] - row["c2_first"]) / _HOUR
    # Behind it are many clients with their tasks: hardly an answer is the one that a single client mostly gets.
    mixed = context.common_share >= _REGULAR and row["c2_common"] * _VARIED <= row["c2"] <= 2 * row["c2_sizes"]
    usual = max(context.usual_bytes, _LEAST)
    heavy = each >= _HEAVY * usual or (mixed and each >= 2 * usual)
    if not heavy or row["c2_hours"] * 2 < span_h or row["c2_common"] * 2 > row["c2"]:
        return None
    said = f"{counted(row['c2'], 'request')}, one in {row['median_s']:.0f} s, {each:.0f} bytes each where most get {context.usual_bytes:.0f}"
    return "relay", "likely", [reason(said, 7, [row["c2_locator"]])]


def _run_once(row: Row, context: Context) -> Verdict | None:
    """Some calls within minutes, long after the first clients and before the last, where those stay for days: a sample in a sandbox.

    A machine that was switched off for good after minutes looks the same: several calls, all made as the clients make them, are a
    sandbox's only from where sandboxes stand.
    """
    first, last = row["c2_first"], row["c2_last"]
    if not row["c2"] or row["c2"] > _RUN_CALLS or context.first_stranger is None or context.last_call is None:
        return None
    if last - first > _A_RUN or context.stay < _DAY or first < context.first_stranger + _DAY:
        return None
    as_clients = row["c2"] >= BEACONS and row["c2_usual"] == row["c2"]
    if last > context.last_call - _DAY or (as_clients and not row["listed"]):
        return None
    said = f"its {row['c2']} calls of the command path lie within {(last - first) / timedelta(minutes=1):.0f} minutes, and it never came back"
    return "researcher", "likely" if row["c2"] >= _ATTEMPTS else "possible", [reason(said, 5, [row["c2_locator"]])]


def _implant(row: Row, _context: Context) -> Verdict | None:
    """A program that calls home: command path and little else, by a timer or for answers of one size, no browser's assets."""
    if row["c2"] < BEACONS or row["c2"] * 2 < row["requests"] or row["assets"]:
        return None
    regular = row["median_s"] is not None and row["spread_s"] <= _REGULAR * row["median_s"]
    one_size = row["c2_same_size"] * 2 >= row["c2"]
    if not regular and not one_size:
        return None
    sure = row["c2"] >= _SURE_BEACONS and regular and one_size
    said = (
        f"{counted(row['c2'], 'request')} to the command path, the median gap {row['median_s']:.0f} s, "
        f"{counted(row['c2_same_size'], 'answer')} of one size"
    )
    return "implant", "almost certain" if sure else "likely", [reason(said, 8 if sure else 6, [row["c2_locator"]])]


def _like_implants(row: Row, _context: Context) -> Verdict | None:
    """Too few calls for a timer, but each in the manner of those that keep one: an implant that slept or soon ended."""
    if not row["c2"] or row["c2_usual"] < row["c2"] or row["c2"] < row["requests"]:
        return None
    its = "its one request" if row["c2"] == 1 else f"each of its {row['c2']:,} requests"
    said = f"{its} is made as those of the clients are that keep a timer, and it asked for nothing else"
    return "implant", "possible", [reason(said, 4, [row["c2_locator"]])]


def _early(row: Row, context: Context) -> Verdict | None:
    """Who knows the command path before any stranger does is an insider."""
    first = row["c2_first"]
    if first is None or context.first_stranger is None or not row["c2"] or first >= context.first_stranger:
        return None
    return (
        "operator",
        "possible",
        [reason("it asked for the command path before any client did", 5, [row["c2_locator"]])],
    )


def _researcher(row: Row, _context: Context) -> Verdict | None:
    if not row["c2_first"] or row["c2"] >= BEACONS or row["requests"] > 4 * _FEW:
        return None
    if row["requests"] - row["answered"] > row["answered"] + _FEW:
        return None
    return (
        "researcher",
        "possible",
        [reason("it asked for the exact command path a few times, late, and never came back", 4, [row["c2_locator"]])],
    )


def _scanner(row: Row, _context: Context) -> Verdict | None:
    reasons = []
    if row["refused"]:
        reasons.append(
            reason(
                f"{counted(row['refused'], 'logon')} {were(row['refused'])} refused and none succeeded",
                7,
                [row["first_locator"]],
            )
        )
    if row["connects"] and not row["refused"]:
        reasons.append(reason("it connected to the RDP port and went no further", 5, [row["first_locator"]]))
    # A browser asks for an icon and for styles whether they are there or not.
    bad = row["requests"] - row["answered"] - row["assets_missing"]
    if row["manager_refused"] >= _ATTEMPTS:
        reasons.append(
            reason(f"the manager refused {counted(row['manager_refused'], 'request')}", 6, [row["first_locator"]])
        )
    if bad >= max(1, row["answered"]) or bad >= _FEW:
        reasons.append(
            reason(
                f"{bad:,} of {counted(row['requests'], 'request')} found nothing or {were(bad)} none",
                5,
                [row["first_locator"]],
            )
        )
    if reasons:
        return "scanner", "likely", reasons
    if row["crawls"]:
        said = f"it asked {row['crawls']} times for what only programs read (robots.txt, a sitemap, security.txt)"
        return "scanner", "likely", [reason(said, 5, [row["crawl_locator"]])]
    # A browser asks for the icon with the first page it opens; alone, or at another time, surveys do.
    icons = 0 if row["icon_with_page"] else row["icons"]
    if row["pages"] and row["beyond_root"] <= icons and row["assets"] <= icons:
        said = "it asked for the start page and no picture, style or icon with it: a tool that looks round, no browser"
        return "scanner", "possible", [reason(said, 4, [row["first_locator"]])]
    return None


def _visitor(row: Row, _context: Context) -> Verdict | None:
    if not row["pages"]:
        return None
    return (
        "visitor",
        "possible",
        [
            reason(
                f"{counted(row['pages'], 'page')} {were(row['pages'])} fetched, nothing else was tried",
                3,
                [row["first_locator"]],
            )
        ],
    )


def _guessed_in(row: Row, _context: Context) -> Verdict | None:
    """A guess that was right, and nothing done with it: the noise had luck, which makes it no operator of anything."""
    short = row["stayed_s"] is not None and row["stayed_s"] <= _A_LOOK_S
    if not row["sessions"] or row["refused"] < MANY_FAILURES or not short or row["c2_first"] or row["managed"]:
        return None
    said = (
        f"{counted(row['refused'], 'logon')} from it {were(row['refused'])} refused, then one succeeded; its sessions lasted {row['stayed_s']:.0f} s "
        f"in all and nothing ties them to the command path"
    )
    return "scanner", "likely", [reason(said, 7, [row["first_locator"]])]


_RULES: Final[tuple[Callable[[Row, Context], Verdict | None], ...]] = (
    _local,
    _guessed_in,
    _logged_on,
    _managed,
    _rare,
    _operates,
    _tested,
    _neighbour,
    _relay,
    _run_once,
    _implant,
    _early,
    _like_implants,
    _researcher,
    _authenticated,
    _scanner,
    _visitor,
)
