"""Several cases side by side."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from forensics.cli._options import Format, Show
from forensics.cli._running import open_folder, orderly, print_rows


def compare(
    cases: Annotated[
        list[str], typer.Argument(metavar="CASE CASE...", help="Case folders made by analyze; or s3://bucket/case.")
    ],
    show: Show = Format.TABLE,
) -> None:
    """Say what seized servers share, and what is new between two runs over one server.

    Example: c2trail compare server-one server-two
    """
    from forensics.comparing import compare as compared

    with orderly():
        opened = [open_folder(case) for case in cases]
        print_rows(iter(compared(*opened)), "comparison", show)


COMMANDS: Final = {"compare": compare}
