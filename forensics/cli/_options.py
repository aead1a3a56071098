"""The arguments and options that commands share: each is worded once."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Format(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"


class EngineName(enum.StrEnum):
    """Where evidence is read."""

    LOCAL = "local"
    DASK = "dask"


CaseFolder = Annotated[
    str, typer.Argument(metavar="CASE", help="A case folder made by analyze or demo; or s3://bucket/case.")
]
Out = Annotated[str, typer.Option("--out", "-o", help="The case folder to make; or s3://bucket/case.")]
Geo = Annotated[
    list[Path] | None, typer.Option("--geo", help="A MaxMind-compatible database, or a folder of them. Repeatable.")
]
Watch = Annotated[
    list[Path] | None,
    typer.Option("--watch", help="A CSV of networks to watch for: network,label,grade,from,to,source. Repeatable."),
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes; the result does not depend on it.")]
Engine = Annotated[
    EngineName, typer.Option("--engine", help="local: processes of this machine; dask: an existing cluster.")
]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", metavar="tcp://HOST:PORT", help="The scheduler of the cluster.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace an older case of that name.")]
Show = Annotated[Format, typer.Option("--format", help="table for reading; csv and jsonl for pipes.")]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Zone of local times without offset, such as Europe/Paris or +01:00.")
]
Patterns = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        help="AccessLogValve pattern of the access logs: common, combined, or as in server.xml. Repeatable.",
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", help="A file whose first line opens encrypted archives; it is kept nowhere."),
]
AskPassword = Annotated[
    bool, typer.Option("--ask-password", help="Ask for the password that opens encrypted archives; it is kept nowhere.")
]
Online = Annotated[
    bool,
    typer.Option("--online", help="Ask registries (RDAP) about networks; says first what would be sent to whom."),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --online: send without asking.")]
AskAbout = Annotated[
    list[str] | None,
    typer.Option(
        "--ask-about",
        metavar="ROLE",
        help="With --online: roles whose networks are asked about; relay, researcher, implant if none. Repeatable.",
    ),
]
Shadows = Annotated[
    bool, typer.Option("--shadow-copies", help="Also read the volume shadow copies inside disk images.")
]
From = Annotated[str | None, typer.Option("--from", help="Not before this time (UTC unless it says otherwise).")]
To = Annotated[str | None, typer.Option("--to", help="Before this time.")]
SourceIp = Annotated[str | None, typer.Option("--source", help="Only this source address.")]
Role = Annotated[str | None, typer.Option("--role", help="Only sources of this role.")]
NoPager = Annotated[bool, typer.Option("--no-pager", help="Print all at once, on a terminal too.")]
