"""The analysis on the servers of the other generator: the same bytes each time, and floors for what it gets right."""

from __future__ import annotations

from pathlib import Path

import pytest
from other_servers.server import draw
from scenarios.measure import Score, measure

SEEDS = (1, 9, 21)


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> Score:
    total = Score()
    for seed in SEEDS:
        total.add(measure(draw(seed), tmp_path_factory.mktemp(f"other{seed}")))
    return total


def test_a_seed_draws_the_same_server_each_time() -> None:
    first, second = draw(5), draw(5)
    assert first.files == second.files
    assert first.truth == second.truth


def test_seeds_draw_different_servers() -> None:
    assert len({draw(seed).truth.habits for seed in range(8)}) == 8


def test_every_session_is_found_and_none_is_invented(score: Score) -> None:
    assert score.sessions_true > 20
    assert score.session_recall >= 0.98
    assert score.session_precision >= 0.98


def test_no_scanner_is_called_an_operator_and_every_rare_origin_is_marked(score: Score) -> None:
    assert score.pairs["scanner", "scanner"] > 50
    assert score.false_operators == 0
    assert score.rare_found == score.rare_true


def test_the_command_paths_are_told(score: Score) -> None:
    assert score.commands["right"] == score.commands["true"]
    assert score.commands["invented"] == 0


@pytest.mark.parametrize(
    ("seed", "what"), [(66, "one request"), (80, "no address"), (117, "equal times"), (316, "one stay")]
)
def test_next_to_nothing_gets_a_sound_answer(seed: int, what: str, tmp_path: Path) -> None:
    few = draw(seed)
    assert few.truth.habits == f"tiny: {what}"
    score = measure(few, tmp_path)
    assert score.false_operators == 0
    assert not {said for _, said in score.pairs} & {"absent", "implant"}
    assert score.session_recall == 1.0
