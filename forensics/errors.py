"""What the analyst must act on. A bad record is never an exception: it is a reject, and lives in the tables."""

from __future__ import annotations

from typing import ClassVar


class ForensicsError(Exception):
    """Something only the analyst can mend; the message says what, where and what to do.

    `exit_code` is what the command line returns (design: 2 usage, 3 evidence, 4 changed, 5 database, 6 output, 7 cluster, 70 ours).
    """

    exit_code: ClassVar[int] = 1


class UsageError(ForensicsError):
    """The call asks for something that does not exist: an unknown zone, pattern, table or locator."""

    exit_code = 2


class EvidenceError(ForensicsError):
    """Evidence is missing, unreadable, or holds no log that any parser claims."""

    exit_code = 3


class StoreError(ForensicsError):
    """An object store cannot be reached, or lets nobody in: no other object of it could be read either."""

    exit_code = 3


class EvidenceChangedError(ForensicsError):
    """Evidence or a case does not hash to what was recorded: it changed, or it is not the same."""

    exit_code = 4


class DatabaseError(ForensicsError):
    """A geolocation database or list is damaged, or is not what it is said to be."""

    exit_code = 5


class OutputError(ForensicsError):
    """The case folder cannot be written: it exists, the disk is full, or the place is not ours to write."""

    exit_code = 6


class ClusterError(ForensicsError):
    """The cluster cannot be reached, was lost, or has a worker that would not give the same bytes."""

    exit_code = 7


class RejectsError(ForensicsError):
    """`--strict` was asked for and at least one record could not be read."""

    exit_code = 10


class LedgerError(ForensicsError):
    """Events, rejects and skips do not cover the bytes exactly. This is our bug, never the evidence's."""

    exit_code = 70
