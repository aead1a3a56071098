"""The command line. Typer lives here, and only here; what a command does lies below, loaded when it is called.

Every module without a leading underscore holds `COMMANDS`: the functions behind the commands, by name, in the order of `--help`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from forensics import __version__
from forensics.registry import listing

app = typer.Typer(
    name="c2trail",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Who operated a seized command-and-control server, from where, and when.\n\n"
    "Reads Windows Terminal Services (RDP) event logs and Apache Tomcat logs, accounts for every byte of them, places "
    "every source address as of the day of the event, stitches the operator's sessions and prints a timeline.\n\n"
    "Examples:\n\n"
    "  c2trail demo                            the packaged sample case, end to end\n\n"
    "  c2trail analyze /mnt/seized -o case     analyse a folder of logs\n\n"
    "  c2trail timeline case --from 2017-01-18 look at it again\n\n"
    "  c2trail show case E0001:4096+312        the raw bytes behind a row\n\n"
    "Nothing is written beside the evidence. The network is used only with --online, and for a store typed as s3://.",
)


def _version(asked: bool) -> None:  # noqa: FBT001  # typer's callback
    if asked:
        typer.echo(f"c2trail {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _commands in listing(__path__, __name__, "COMMANDS").values():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name)
        else:
            app.command(_name)(_command)
