"""A Dask cluster of real processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Cluster:
    """Processes as an operator starts them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.file = folder / "scheduler.json"

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"log{len(self.processes)}").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments], stdout=log, stderr=log, cwd=self.folder, env={**os.environ, **env}
            )
        self.processes.append(process)
        return process

    def scheduler(self, **env: str) -> str:
        self.start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", str(self.file), **env,
        )  # fmt: skip
        for _ in range(600):
            if self.file.exists() and self.file.read_text().strip():
                return str(json.loads(self.file.read_text())["address"])
            time.sleep(0.05)
        raise AssertionError((self.folder / "log0").read_text())

    def worker(self, **env: str) -> subprocess.Popen[bytes]:
        return self.start(
            "distributed.cli.dask_worker", "--scheduler-file", str(self.file), "--nthreads", "1", "--no-nanny",
            "--no-dashboard", "--death-timeout", "60", "--local-directory", str(self.folder), **env,
        )  # fmt: skip

    def killing(self, worker: subprocess.Popen[bytes], told: list[int]) -> Callable[[str, int], None]:
        """Return a progress that keeps in `told` what each part read, and kills a worker when five are done."""

        def progress(stage: str, done: int) -> None:
            if stage == "reading":
                told.append(done)
                if len(told) == 5:
                    worker.send_signal(signal.SIGKILL)
                    worker.wait()

        return progress

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
