"""The command `c2trail`, and `python -m forensics`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

_STOPPED: Final = frozenset(128 + number for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", 1)))


def main() -> None:
    """Run the command line."""
    # `python -m` puts the working directory first: a folder of evidence could hold a rich.py that would then run.
    if sys.path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109  # pathlib is one import more before the guard
        del sys.path[0]
    # Until a command handles it, an interrupt ends the process as it ends others: there is nothing to put in order yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from forensics.cli import app
    from forensics.without_pandas import keep_out

    keep_out()

    try:
        app()
    except SystemExit as leaving:
        if leaving.code in _STOPPED:
            # An interrupt that passed through code which an extension ran makes Python kill itself at its end, though it was
            # handled (unhandled_keyboard_interrupt in CPython's pythonrun.c): the exit code would be another.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(leaving.code)
        raise


if __name__ == "__main__":
    main()
