"""An existing Dask cluster: the same work over the same jobs, on machines that see the evidence.

A job is done again when its worker dies or takes too long. That is safe because a job leaves nothing where it was done: what
it made is handed back, once, and its bytes are a function of the job, whoever does it and however often. (The job of a fleet is a
whole case, published by one rename.)
"""

from __future__ import annotations

import secrets
import threading
import warnings
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

from forensics.engines._identity import differences, identity
from forensics.errors import ClusterError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

J = TypeVar("J")
R = TypeVar("R")

_CONNECT_S: Final = 15
_WORKERS_S: Final = 60
_SPAN_S: Final = 1800
"""What one job may take before it is given to another worker: two hundred times what its 32 MiB take."""
_TRIES: Final = 3
_ONE_AT_A_TIME: Final = threading.Lock()


def run(work: Callable[[J], R], jobs: Iterable[J], *, scheduler: str) -> Iterator[R]:
    """Yield `work(job)` for each job in order, done by the workers of the cluster at `scheduler` (`tcp://host:8786`).

    UsageError without the extra `dask`; ClusterError if the cluster cannot be reached, is lost, or has a worker whose
    version differs. What `work` raises is raised here.
    """
    distributed = _distributed()
    ready = iter(jobs)
    client = _connect(distributed, scheduler)
    try:
        _check(client, scheduler)
        yield from _Cluster(client, work, scheduler).results(ready)
    except distributed.scheduler.KilledWorker as error:
        raise ClusterError(
            f"a part of the evidence ended {_TRIES + 1} workers of {scheduler} one after the other (out of memory, or a "
            "fault in a native library); run it with --engine local --workers 1 to see which file"
        ) from error
    except (distributed.client.FutureCancelledError, distributed.comm.CommClosedError) as error:
        raise ClusterError(f"the cluster at {scheduler} was lost; start it again, and the analysis with it") from error
    except RuntimeError as error:
        # Dask's word for a scheduler that cannot load what it hands on.
        if "deserialization" not in str(error):
            raise
        raise ClusterError(
            f"the scheduler at {scheduler} cannot load c2trail; install the same version there"
        ) from error
    finally:
        client.close(timeout=5)


def _distributed() -> Any:  # noqa: ANN401  # an optional package without types
    try:
        return import_module("distributed")
    except ImportError as error:
        raise UsageError(
            "--engine dask needs the extra: pip install 'c2trail[dask]' here and on every worker"
        ) from error


def _connect(distributed: Any, scheduler: str) -> Any:  # noqa: ANN401
    try:
        return distributed.Client(scheduler, timeout=_CONNECT_S, name="c2trail", set_as_default=False)
    except (OSError, ValueError, KeyError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler}; start one (dask scheduler) and give its address, "
            "such as --scheduler tcp://10.0.0.5:8786"
        ) from error


def _check(client: Any, scheduler: str) -> None:  # noqa: ANN401
    """Raise ClusterError if there is no worker, or one that cannot give the same bytes."""
    try:
        client.wait_for_workers(1, timeout=_WORKERS_S)
    except TimeoutError as error:
        raise ClusterError(f"the scheduler at {scheduler} has no worker; start one: dask worker {scheduler}") from error
    try:
        found = client.run(identity)
    except ModuleNotFoundError as error:
        raise ClusterError(f"a worker of {scheduler} has no c2trail ({error}); install it on every worker") from error
    for address, other in sorted(found.items()):
        if what := differences(other):
            raise ClusterError(f"worker {address} differs from this machine in {what}; install the same on all")


class _Cluster:
    """The jobs under way. As many as keep every worker busy: a job may bring its bytes along."""

    def __init__(self, client: Any, work: Callable[[Any], Any], scheduler: str) -> None:  # noqa: ANN401
        self._client = client
        self._work = work
        self._scheduler = scheduler
        self._run = secrets.token_hex(4)

    def results(self, jobs: Iterator[Any]) -> Iterator[Any]:
        """Yield results in the order of the jobs."""
        waiting: deque[tuple[int, Any, Any]] = deque()
        try:
            for number, job in enumerate(jobs):
                waiting.append((number, job, self._submit(number, job, 0)))
                while len(waiting) > self._ahead():
                    yield self._result(*waiting.popleft())
            while waiting:
                yield self._result(*waiting.popleft())
        finally:
            self._client.cancel([future for _, _, future in waiting], force=True)

    def _ahead(self) -> int:
        return int(sum(self._client.nthreads().values())) + 2

    def _submit(self, number: int, job: Any, attempt: int) -> Any:  # noqa: ANN401
        key = f"c2trail-{self._run}-{number:06d}-{attempt}"
        with warnings.catch_warnings():
            # A job that brings its bytes is large, once, and goes to one worker: that is meant.
            warnings.simplefilter("ignore")
            return self._client.submit(_perform, self._work, job, identity(), key=key, pure=False, retries=0)

    def _result(self, number: int, job: Any, future: Any) -> Any:  # noqa: ANN401
        for attempt in range(1, _TRIES + 1):
            try:
                return future.result(timeout=_SPAN_S)
            except TimeoutError:
                if future.done():
                    raise
                future.cancel(force=True)
                future = self._submit(number, job, attempt)
        raise ClusterError(
            f"no worker of {self._scheduler} ended part {number} of the evidence within {_SPAN_S} s, tried {_TRIES} times"
        )


def _perform(work: Callable[[J], R], job: J, expected: dict[str, str]) -> R:
    """Do one job, on a worker; one at a time in each process, since readers keep what they opened."""
    if what := differences(expected):
        raise ClusterError(
            f"a worker that joined differs from the machine that asked in {what}; install the same on all"
        )
    import_module("forensics.engines._start")
    with _ONE_AT_A_TIME:
        return work(job)
