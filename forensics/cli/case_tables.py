"""The tables of a case, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forensics.cli._options import CaseFolder, Format, From, NoPager, Role, Show, SourceIp, To
from forensics.cli._running import draw_timeline, open_folder, orderly, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable


def timeline(
    case: CaseFolder,
    since: From = None,
    until: To = None,
    source: SourceIp = None,
    role: Role = None,
    show: Show = Format.TABLE,
    no_pager: NoPager = False,
) -> None:
    """Print the operator timeline of a case."""
    from forensics import console, query

    with orderly():
        opened = open_folder(case)
        chosen = query.Choice(since, until, source, role)
        if show is Format.TABLE:
            with console.paged(wanted=not no_pager):
                draw_timeline(opened, chosen)
        else:
            print_rows(query.rows(opened, "timeline", chosen), "timeline", show)


def _table(name: str, says: str) -> Callable[..., None]:
    """Return the command that prints one table of a case."""

    def command(
        case: CaseFolder,
        since: From = None,
        until: To = None,
        source: SourceIp = None,
        role: Role = None,
        show: Show = Format.TABLE,
        no_pager: NoPager = False,
    ) -> None:
        from forensics import console, query

        with orderly():
            opened, chosen = open_folder(case), query.Choice(since, until, source, role)
            rows = query.rows(opened, name, chosen)
            if show is not Format.TABLE:
                print_rows(rows, name, show)
                return
            with console.paged(wanted=not no_pager):
                if name == "sources":
                    console.draw_sources(rows, whole=chosen != query.EVERYTHING)
                elif name == "sessions":
                    console.draw_sessions(rows, query.rows(opened, "chain"))
                elif name == "findings":
                    console.draw_findings(rows)
                else:
                    print_rows(rows, name, show)

    command.__doc__ = says
    return command


_SAYS: Final = (
    ("findings", "Print what the report opens with, the weightiest first, and what the logs cannot show."),
    ("sources", "Print who came: every source address with its role, origin and reasons."),
    ("sessions", "Print the RDP sessions, from logon to end."),
    ("people", "Print whose each RDP session is held to be: an operator's, or the server's owner's."),
    ("source_windows", "Print the roles of addresses that played several, by time."),
    ("milestones", "Print the milestones of the case, each with what proves it."),
    ("endpoints", "Print what each path of the web server was for."),
    ("links", "Print what ties addresses, machines, accounts and paths to one operator."),
    ("chain", "Print the proxy chain: from which address to which, and when."),
    ("hops", "Print connections through a Remote Desktop Gateway, and RDP from this server to others."),
    ("beacons", "Print who comes back to a path by a timer."),
    ("victims", "Print the addresses behind which implants ran."),
    ("rarities", "Print what is rare in this case: the only addresses of a country or network."),
    ("hours", "Print when operators were at work, by weekday and hour (UTC)."),
    ("zones", "Print which time zones the working hours would fit."),
    ("gaps", "Print each hole in the logs, from when to when, and what so cannot be known."),
    ("coverage", "Print what each log covers, where it has holes, and what is not in evidence."),
)

COMMANDS: Final = {"timeline": timeline} | {name: _table(name, says) for name, says in _SAYS}
