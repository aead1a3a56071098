"""The pool of processes on this machine."""

from __future__ import annotations

import os

import pytest

from forensics.engines import local


def test_workers_see_the_environment_of_now_and_not_that_of_the_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert list(local.run(os.getenv, ["AWS_PROFILE"] * 3, workers=2)) == [None] * 3
    monkeypatch.setenv("AWS_PROFILE", "evidence")
    assert list(local.run(os.getenv, ["AWS_PROFILE"] * 3, workers=2)) == ["evidence"] * 3
