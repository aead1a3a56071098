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


def test_a_server_that_was_begun_before_the_work_serves_it() -> None:
    local.begin(1)
    local.begin(2)
    assert list(local.run(abs, [-1, -2, -3], workers=2)) == [1, 2, 3]
