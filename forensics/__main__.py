"""The command `c2trail`, and `python -m forensics`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line."""
    # `python -m` puts the working directory first: a folder of evidence could hold a rich.py that would then run.
    if sys.path and sys.path[0] in {"", os.getcwd()}:  # noqa: PTH109  # pathlib is one import more before the guard
        del sys.path[0]
    from forensics.cli import app
    from forensics.without_pandas import keep_out

    keep_out()

    app()


if __name__ == "__main__":
    main()
