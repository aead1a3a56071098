"""A real S3-compatible server on loopback, and what an analyst sets to use it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECRET = "a-secret-of-this-test"


class Server:
    """An S3-compatible server as an operator starts it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=log, stderr=log, cwd=folder
            )
        for _ in range(600):
            if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", self.log.read_text()):
                self.url = found[1]
                break
            time.sleep(0.05)
        else:
            raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def bucket(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the store with an empty bucket of that name, which goes with the block."""
    made = point_to(url, monkeypatch)
    made.mkdir(name)
    yield made
    made.rm(name, recursive=True)


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set what an analyst sets, and return the store for putting things into it."""
    import s3fs

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    return s3fs.S3FileSystem(use_listings_cache=False)
