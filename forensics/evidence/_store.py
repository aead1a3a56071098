"""Evidence in an object store (the extra `s3`): objects listed in order, opened read-only, read in blocks as they are asked for.

What was typed, `s3://bucket/prefix`, is the leave to speak to that store and to nobody else. Where the store is and who asks
is told by the environment alone, as to every client of S3 (`AWS_PROFILE`, `AWS_ENDPOINT_URL_S3` and so on): no secret passes
through here. Every read is kept to the ETag that was listed (`If-Match`), so an object that changes is an error, not a mixture.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics.errors import EvidenceChangedError, EvidenceError, ForensicsError, StoreError, UsageError
from forensics.evidence._raw import Slice, open_raw
from forensics.limits import STORE_BLOCK_BYTES, STORE_BLOCKS
from forensics.model import StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.evidence._raw import Seekable

State = tuple[int, int, int | str]

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
_MISSING: Final = "needs the extra: pip install 'c2trail[s3]', and the same on every worker of a cluster"
_UNKNOWN_CALLER: Final = {"ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
_SAID: Final = 200


class Url(str):
    """`s3://bucket/prefix` as it was typed, without a slash at its end."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """The bucket and the prefix."""
        return self.removeprefix("s3://")

    @property
    def name(self) -> str:
        """Its last part, where labels start."""
        return self.rpartition("/")[2]


def place(typed: Path | str) -> Path | Url:
    """Return where something lies: a path on disk, or `s3://bucket/prefix`; UsageError for a URL of any other kind."""
    match = None if isinstance(typed, Path) else _SCHEME.fullmatch(typed)
    if match is None:
        return Path(typed)
    scheme, rest = match.groups()
    if scheme == "file":
        return Path(rest)
    if scheme != "s3":
        raise UsageError(f"{scheme}:// is not read; give a path, or s3://bucket/prefix")
    if not _BUCKET.fullmatch(rest.partition("/")[0]):
        # It is not said again: what stands in front of an @ may be a password.
        raise UsageError(
            "s3:// goes on with the name of a bucket: s3://bucket/prefix; credentials stand in AWS_PROFILE"
        )
    return Url(f"s3://{rest.rstrip('/')}")


def objects(url: Url) -> Iterator[tuple[str, StoredObject | None, str, bool]]:
    """Yield (label, object, why it was passed over, whether that is to be mended) for the object of that name and all below it, in the order of keys.

    EvidenceError where nothing has that name; StoreError if the store does not answer or lets nobody in.
    """
    store = connect()
    with told(url, whole=True):
        itself = store.info(url.path)
        found = store.find(url.path, detail=True)
    if itself["type"] == "file":
        found[itself["name"]] = itself
    for key, facts in sorted(found.items()):
        label = url.name + key[len(url.path) :]
        if facts["type"] != "file" or (key.endswith("/") and not facts["size"]):
            continue
        if key.endswith("/"):
            yield label, None, "is an object whose name ends in a slash and was not read; give it another name", True
            continue
        written = int(facts["LastModified"].timestamp()) * 1_000_000_000
        yield label, StoredObject(f"s3://{key}", facts["size"], facts["ETag"], written), "", False


def open_object(stored: StoredObject) -> Slice:
    """Open an object as it was listed; EvidenceChangedError if it is another by now, EvidenceError if it is gone."""
    store = connect()
    with told(stored.url):
        handle = store.open(
            stored.url.removeprefix("s3://"),
            "rb",
            block_size=STORE_BLOCK_BYTES,
            cache_type="blockcache",
            cache_options={"maxblocks": STORE_BLOCKS},
        )
    now = handle.details
    if (now["size"], now["ETag"]) != (stored.size, stored.etag):
        handle.close()
        raise _changed(stored.url)
    return Slice(_Blocks(handle, stored), 0, stored.size)


class _Blocks:
    """An open object in the shape of a seekable; what goes wrong while it is read is said in our words."""

    def __init__(self, handle: Any, stored: StoredObject) -> None:  # noqa: ANN401  # fsspec has no types
        self._handle = handle
        self._stored = stored

    def readinto(self, buffer: memoryview, /) -> int:
        with told(self._stored.url):
            got = int(self._handle.readinto(buffer))
        if not got:
            raise StoreError(f"{self._stored.url}: the store gives fewer bytes than it listed")
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return int(self._handle.seek(offset, whence))

    def close(self) -> None:
        self._handle.close()


def open_place(where: Path | StoredObject) -> tuple[Seekable, State]:
    """Open evidence on disk or in a store; with it what shows that it was touched: size, time of writing, inode or ETag."""
    if isinstance(where, StoredObject):
        return open_object(where), (where.size, where.written_ns, where.etag)
    handle = open_raw(where)
    seen = os.fstat(handle.fileno())
    return handle, (seen.st_size, seen.st_mtime_ns, seen.st_ino)


def connect() -> Any:  # noqa: ANN401
    """Return the store of this process, as fsspec knows it; nothing is sent yet. UsageError without the extra."""
    try:
        fsspec = import_module("fsspec")
        return fsspec.filesystem("s3", use_listings_cache=False)
    except ImportError as error:
        raise UsageError(f"s3:// {_MISSING}") from error


@contextmanager
def told(url: str, *, whole: bool = False) -> Iterator[None]:
    """Turn whatever a store's client raises into one line: EvidenceError for one object, StoreError for the whole store.

    `whole` where a refusal is the store's answer to whoever asks, and not about one object.
    """
    try:
        yield
    except ForensicsError:
        raise
    except FileNotFoundError as error:
        raise EvidenceError(f"{url} is not in the store; check the name") from error
    except PermissionError as error:
        said = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code", "")
        if not whole and said not in _UNKNOWN_CALLER:
            raise EvidenceError(f"{url} is refused by the store ({_first_line(error)}); ask for read access") from error
        raise StoreError(f"{url}: the store refuses ({_first_line(error)}); check the credentials") from error
    except Exception as error:
        if type(error).__name__ == "FileExpired":
            raise _changed(url) from error
        if type(error).__name__ in {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"}:
            raise StoreError(
                f"{url}: {_first_line(error)}; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from error
        raise StoreError(
            f"{url}: the store cannot be read ({_first_line(error)}); check AWS_ENDPOINT_URL_S3 and the network"
        ) from error


def _changed(url: str) -> EvidenceChangedError:
    return EvidenceChangedError(f"{url} changed after it was listed; work on a copy that nothing writes to")


def _first_line(error: BaseException) -> str:
    said = str(error).strip()
    return (said.splitlines()[0] if said else type(error).__name__)[:_SAID]
