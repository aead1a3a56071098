"""Disk images as the field makes them: ext volumes, alone or in a partition, in every wrapping."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

LINE = b'51.254.1.2 - - [18/Jan/2017:10:03:09 +0100] "GET /a.jsp HTTP/1.1" 200 5\n'
LOG = "/opt/apache-tomcat-8.5/logs/localhost_access_log.2017-01-18.txt"
FILES = {LOG: LINE * 3000, "/home/x/notes.txt": b"not a log\n", "/etc/motd": b"hello\n"}


def needs(*programs: str) -> pytest.MarkDecorator:
    lacking = [
        name for name in programs if shutil.which(name, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin") is None
    ]
    return pytest.mark.skipif(bool(lacking), reason=f"no {', '.join(lacking)} here")


def run(*command: str | Path) -> None:
    path = os.environ.get("PATH", "") + ":/sbin:/usr/sbin"
    subprocess.run([str(word) for word in command], check=True, capture_output=True, env={**os.environ, "PATH": path})


def ext(folder: Path, files: dict[str, bytes] = FILES) -> bytes:
    tree = folder / "tree"
    for name, data in files.items():
        place = tree / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    made = folder / "volume"
    run("mke2fs", "-q", "-t", "ext4", "-d", tree, made, "8M")
    return made.read_bytes()


def partitioned(volume: bytes) -> bytes:
    """Return a disk with one Linux partition at 1 MiB, by an MBR."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", 2048, len(volume) // 512)
    return b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa" + b"\0" * (2048 * 512 - 512) + volume


def ewf(disk: bytes, folder: Path, segment: str = "2MiB") -> None:
    """Write a disk as disk.E01 and its further segments."""
    command = ["ewfacquirestream", "-t", str(folder / "disk"), "-f", "encase6", "-S", segment, "-c", "none"]
    subprocess.run(command, input=disk, check=True, capture_output=True)
