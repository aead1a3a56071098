"""Evidence in an object store (the extra `s3`): objects listed in order, opened read-only, read in blocks as they are asked for.

What was typed, `s3://bucket/prefix`, is the leave to speak to that store and to nobody else. Where the store is and who asks
is told by the environment alone, as to every client of S3 (`AWS_PROFILE`, `AWS_ENDPOINT_URL_S3` and so on): no secret passes
through here. Every read is kept to the ETag that was listed (`If-Match`), so an object that changes is an error, not a mixture.
"""

from __future__ import annotations

import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics.errors import EvidenceChangedError, EvidenceError, ForensicsError, StoreError, UsageError
from forensics.evidence._raw import Slice, open_raw
from forensics.limits import (
    STORE_AHEAD,
    STORE_BLOCK_BYTES,
    STORE_BLOCKS,
    STORE_IMAGE_BLOCK_BYTES,
    STORE_IMAGE_BLOCKS,
)
from forensics.model import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from forensics.evidence._raw import Seekable

State = tuple[int, int, int | str]

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
_MISSING: Final = "needs the extra: pip install 'c2trail[s3]', and the same on every worker of a cluster"
VERSIONED: Final = "?versionId="
"""What the client takes for the end of a name, and for a version behind it."""

_UNKNOWN_CALLER: Final = {"ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
_SAID: Final = 200
_OBJECTS_KEPT: Final = 2


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
    if VERSIONED in rest:
        raise UsageError(f"a name with {VERSIONED} in it is not read; give it another name")
    return Url(f"s3://{rest.rstrip('/')}")


def objects(url: Url) -> Iterator[tuple[str, StoredObject | None, str, bool]]:
    """Yield the object of that name and all below it, in the order of keys: (label, object, why not, whether that is to be mended).

    EvidenceError where nothing has that name; StoreError if the store does not answer or lets nobody in.
    """
    store = connect()
    with told(url, whole=True):
        itself = store.info(url.path)
        found = store.find(url.path, detail=True)
        listed = {itself["name"]: itself, **found}
        stored = [_stored(key, facts) for key, facts in sorted(listed.items()) if facts["type"] == "file"]
    for one in stored:
        label = url.name + one.url[len(url) :]
        if VERSIONED in label:
            yield label, None, f"is an object with {VERSIONED} in its name and was not read; give it another name", True
        elif not label.endswith("/"):
            yield label, one, "", False
        elif one.size:
            yield label, None, "is an object whose name ends in a slash and was not read; give it another name", True


def _stored(key: str, facts: Mapping[str, Any]) -> StoredObject:
    written = int(facts["LastModified"].timestamp()) * 1_000_000_000
    return StoredObject(f"s3://{key}", facts["size"], facts["ETag"].strip('"'), written)


def entries(url: Url) -> list[tuple[Url, int]]:
    """Return what lies directly below a prefix in the order of names, each with the bytes of all below it; errors as `objects`."""
    sizes: dict[str, int] = {}
    for _, stored, _, _ in objects(url):
        if stored is not None and (name := stored.url[len(url) + 1 :].partition("/")[0]) not in {"", ".", ".."}:
            sizes[name] = sizes.get(name, 0) + stored.size
    return [(Url(f"{url}/{name}"), size) for name, size in sizes.items()]


def open_object(stored: StoredObject, stop: int | None = None) -> Slice:
    """Open an object as it was listed; EvidenceChangedError if it is another by now, EvidenceError if it is gone.

    `stop` where whoever reads it will go no further: nothing behind it is fetched ahead.
    """
    with _LOCK:
        blocks = _OPEN.pop(stored, None) or _Blocks(stored)
        _OPEN[stored] = blocks
        while len(_OPEN) > _OBJECTS_KEPT:
            del _OPEN[next(iter(_OPEN))]
    return Slice(_Reader(blocks, stored.size if stop is None else stop), 0, stored.size)


def open_image(stored: StoredObject) -> Slice:
    """Open an object of a disk image, which is sought in: small blocks, many of them kept; errors as `open_object`."""
    with _LOCK:
        blocks = _IMAGES.get(stored)
        if blocks is None:
            kept = next((one.kept for one in _IMAGES.values()), None)
            blocks = _Blocks(stored, kept or _Kept(STORE_IMAGE_BLOCK_BYTES, STORE_IMAGE_BLOCKS))
            _IMAGES[stored] = blocks
    return Slice(_Reader(blocks, stored.size), 0, stored.size)


def neighbour(stored: StoredObject, name: str) -> StoredObject | None:
    """Return the object that lies beside another by its name, as it is now; None if there is none."""
    try:
        with told(url := f"{stored.url.rpartition('/')[0]}/{name}"):
            facts = connect().info(url.removeprefix("s3://"))
    except EvidenceError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    return _stored(facts["name"], facts) if facts["type"] == "file" else None


def forget() -> None:
    """Drop the blocks that are kept: what is read next comes from the store."""
    with _LOCK:
        _OPEN.clear()
        _IMAGES.clear()


class _Kept:
    """The blocks that were asked for last, of one object or of several that are read in turns."""

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self.most = most
        self.blocks: dict[tuple[StoredObject, int], Future[bytes]] = {}
        self.lock = threading.Lock()


class _Blocks:
    """The blocks of one object: some that were asked for last, and the next ones on their way once it is read onwards."""

    def __init__(self, stored: StoredObject, kept: _Kept | None = None) -> None:
        self.stored = stored
        self.kept = kept or _Kept(STORE_BLOCK_BYTES, STORE_BLOCKS)
        handle = check(stored)
        # fsspec's way to get a range, which s3fs keeps to the ETag of the handle.
        self._fetch: Callable[[int, int], bytes] = handle.cache.fetcher

    def at(self, place: int, stop: int) -> memoryview:
        """Return the bytes from a place to the end of its block; what is fetched ahead ends at `stop`."""
        blocks, size = self.kept.blocks, self.kept.size
        number, offset = divmod(place, size)
        with self.kept.lock:
            ahead = STORE_AHEAD if (self.stored, number - 1) in blocks else 0
            last = max(number, min(number + ahead, (stop - 1) // size))
            for wanted in range(number, last + 1):
                key = self.stored, wanted
                blocks[key] = blocks.pop(key) if key in blocks else _pool().submit(self._get, wanted)
            while len(blocks) > self.kept.most:
                del blocks[next(iter(blocks))]
            block = blocks[self.stored, number]
        with told(self.stored.url):
            try:
                data = block.result()
            except BaseException:
                # Whoever tries again asks the store again.
                blocks.pop((self.stored, number), None)
                raise
            finally:
                # It holds its error, the error this frame: together they would keep the reader open.
                del block
        if offset >= len(data):
            raise StoreError(f"{self.stored.url}: the store gives fewer bytes than it listed")
        return memoryview(data)[offset:]

    def _get(self, number: int) -> bytes:
        size = self.kept.size
        return self._fetch(number * size, min((number + 1) * size, self.stored.size))


class _Reader:
    """An open object in the shape of a seekable, read as a file is: short only at its end."""

    def __init__(self, blocks: _Blocks, stop: int) -> None:
        self._blocks = blocks
        self._stop = stop
        self._at = 0

    def readinto(self, buffer: memoryview, /) -> int:
        want = max(0, min(len(buffer), self._blocks.stored.size - self._at))
        got = 0
        while got < want:
            found = self._blocks.at(self._at + got, self._stop)[: want - got]
            buffer[got : got + len(found)] = found
            got += len(found)
        self._at += got
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + (self._blocks.stored.size if whence == os.SEEK_END else 0)
        return self._at

    def close(self) -> None:
        """Leave the blocks to whoever opens the object next."""


_OPEN: Final[dict[StoredObject, _Blocks]] = {}
_IMAGES: Final[dict[StoredObject, _Blocks]] = {}
_LOCK: Final = threading.Lock()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1 + STORE_AHEAD, "c2trail-store")


def check(stored: StoredObject) -> Any:  # noqa: ANN401  # fsspec has no types
    """Return fsspec's handle of an object; EvidenceChangedError if it is another than was listed, EvidenceError if it is gone."""
    store = connect()
    with told(stored.url):
        handle = store.open(stored.url.removeprefix("s3://"), "rb", cache_type="none")
    now = handle.details
    if (now["size"], now.get("ETag", "").strip('"')) != (stored.size, stored.etag):
        raise _changed(stored.url)
    return handle


def open_place(where: Path | StoredObject) -> tuple[Seekable, State]:
    """Open evidence on disk or in a store; with it what shows that it was touched: size, time of writing, inode or ETag."""
    if isinstance(where, StoredObject):
        return open_object(where), (where.size, where.written_ns, where.etag)
    handle = open_raw(where)
    seen = os.fstat(handle.fileno())
    return handle, (seen.st_size, seen.st_mtime_ns, seen.st_ino)


def state(where: Path | StoredObject) -> State:
    """Return what shows that evidence was touched, asked for anew; EvidenceChangedError if an object is no more as listed."""
    if isinstance(where, StoredObject):
        for one in (where, *where.beside):
            check(one)
        return where.size, where.written_ns, where.etag
    handle, seen = open_place(where)
    handle.close()
    return seen


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
