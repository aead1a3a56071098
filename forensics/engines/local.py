"""This machine: a pool of processes, a bounded number of jobs under way, results in order."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from itertools import chain, islice
from multiprocessing import forkserver
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from forensics.engines._lending import lend
from forensics.errors import ForensicsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.context import BaseContext

_START = "forensics.engines._start"
# Forking a process that holds threads (Arrow, DuckDB) can deadlock; a fork server is clean and starts faster than spawn.
_FORKED_FROM_SERVER = "forkserver" in multiprocessing.get_all_start_methods()

J = TypeVar("J")
R = TypeVar("R")


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin(workers: int) -> None:
    """Start what `run` forks its workers from; it loads the parsers while the caller goes on.

    For work that is known to be worth processes before its first job is there.
    """
    if workers > 1 and _FORKED_FROM_SERVER:
        _server()
        with _main_kept_out():
            forkserver.ensure_running()


def run(work: Callable[[J], R], jobs: Iterable[J], *, workers: int, apart: bool = False) -> Iterator[R]:
    """Yield `work(job)` for each job in order; with one worker in this process, else in that many others.

    The first few jobs are looked at before any process is started: a single small job is not worth one, unless it must be
    done `apart`, where it can end no process but its own.
    """
    ready = iter(jobs)
    first = list(islice(ready, 2))
    if not apart and (workers <= 1 or len(first) < 2):
        yield from map(work, first)
        yield from map(work, ready)
        return
    yield from _pool(work, first, ready, workers)


def _pool(work: Callable[[J], R], first: list[J], rest: Iterator[J], workers: int) -> Iterator[R]:
    context = _server() if _FORKED_FROM_SERVER else multiprocessing.get_context("spawn")
    lend()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ready, initargs=(dict(os.environ),))
    waiting: deque[Future[R]] = deque()
    try:
        for job in chain(first, rest):
            with _main_kept_out():
                waiting.append(pool.submit(work, job))
            # A job may bring its bytes: no more of them than keep every worker busy.
            while len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ForensicsError(
            "a worker process died while reading evidence (out of memory, or a fault in a native library); "
            "run again with --workers 1 to see which file"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _server() -> BaseContext:
    """Return the context of workers that are forked from a server, which has everything loaded that they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_START, "forensics.parse", "forensics.parsers._loaded"])
    return context


def _ready(environment: dict[str, str]) -> None:
    """Begin a worker with the environment of now: the fork server has that of the first analysis of its process."""
    os.environ.clear()
    os.environ.update(environment)
    import_module(_START)


@contextmanager
def _main_kept_out() -> Iterator[None]:
    """Start workers without the caller's main module, which multiprocessing would run again in each of them.

    They need none of it, and a plain script that calls `analyze` needs no `if __name__ == "__main__"` then.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
