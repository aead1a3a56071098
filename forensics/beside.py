"""Work beside the rules: one more thread, with a cursor of its own on the same database.

Rules keep what they share in temporary tables of the main connection; what reads only the case's tables (placing, writing a
report) need not wait for them. Such work is mostly Python, while a rule is mostly the database, which holds no lock of Python's.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Final, TypeVar

from forensics.case import in_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb

T = TypeVar("T")
_AGAIN_S: Final = 0.05
"""An interrupt that comes between two questions is lost: it is given until the thread is done."""


class _StoppedError(Exception):
    """The work was not wanted any more; nobody hears of it, since what stopped it is raised already."""


class Beside:
    """Takes work for the other thread, which does it in the order it came."""

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self._cursor = in_utc(db.cursor())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._stopped = Event()
        self._given: list[Future[None]] = []

    def do(self, work: Callable[[duckdb.DuckDBPyConnection], None]) -> Future[None]:
        """Let the other thread do some work; its error, if there is one, is raised where the result is asked for."""
        self._given.append(self._thread.submit(work, self._cursor))
        return self._given[-1]

    def checked(self, pieces: Iterable[T]) -> Iterator[T]:
        """Yield pieces that the other thread makes, until it is stopped: work is given up between two of them."""
        for piece in pieces:
            if self._stopped.is_set():
                raise _StoppedError
            yield piece

    def stop(self) -> None:
        """Give up what is under way, and what waits."""
        self._stopped.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
        begun = [one for one in self._given if not one.cancelled()]
        while wait(begun, timeout=_AGAIN_S).not_done:
            self._cursor.interrupt()

    def close(self) -> None:
        """Wait for the thread, and let go of the cursor."""
        self._thread.shutdown(wait=True)
        self._cursor.close()


@contextmanager
def beside(db: duckdb.DuckDBPyConnection) -> Iterator[Beside]:
    """Give a second thread for the length of a block; if that ends in an error, so does the thread's work, within moments."""
    other = Beside(db)
    try:
        yield other
    except BaseException:
        other.stop()
        raise
    finally:
        other.close()
