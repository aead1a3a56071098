"""The analysis on invented servers: the same bytes each time, and floors for what it gets right."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios.measure import Score, measure
from scenarios.server import draw

SEEDS = (4, 8, 11)


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Score:
    total = Score()
    for seed in SEEDS:
        total.add(measure(draw(seed), tmp_path_factory.mktemp(f"seed{seed}")))
    return total


def test_a_seed_draws_the_same_server_each_time() -> None:
    first, second = draw(5), draw(5)
    assert first.files == second.files
    assert first.truth == second.truth


def test_seeds_draw_different_servers() -> None:
    assert len({draw(seed).truth.habits for seed in range(6)}) == 6


def test_every_session_of_every_account_is_found_and_none_is_invented(score: Score) -> None:
    assert score.sessions_true > 20
    assert score.session_recall >= 0.98
    assert score.session_precision >= 0.98


def test_no_scanner_is_called_an_operator_and_every_rare_origin_is_marked(score: Score) -> None:
    assert score.pairs["scanner", "scanner"] > 50
    assert score.false_operators == 0
    assert score.rare_found == score.rare_true


def test_the_command_paths_and_who_called_them_are_told(score: Score) -> None:
    assert score.commands["right"] == score.commands["true"] == len(SEEDS)
    assert score.commands["invented"] == 0
    scores = {role: f1 for role, (_, _, f1, _) in score.f1().items()}
    assert min(scores[role] for role in ("implant", "scanner", "visitor")) >= 0.95


def test_the_measure_counts_what_is_wrong(tmp_path: Path) -> None:
    scenario = draw(4)
    scenario.truth.roles = dict.fromkeys(scenario.truth.roles, "visitor")
    scenario.truth.sessions = scenario.truth.sessions[:1]
    wrong = measure(scenario, tmp_path)
    assert wrong.macro_f1 < 0.5
    assert wrong.session_precision < 0.5
    assert {cause for cause, _ in wrong.failures} & {"session invented"}
