"""The trainer of all recipes, on a small classifier with dropout."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from train.papers.fitting import Fitting
from train.papers.recipes import Schedule
from train.runs import STATE, ResumeError, run

PLAN = Schedule("adam", 1e-2, 0.0, 0.0, batch=4, epochs=6, warm_up=1, decay="cosine")


class Classifier:
    """Two classes of 16 random points; notes which rows it is asked for."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
        random = np.random.default_rng(0)
        self._x = torch.from_numpy(random.normal(size=(16, 5)).astype(np.float32))
        self._labels = torch.from_numpy(random.integers(0, 2, 16))
        self.rows: list[list[int]] = []
        self.progress: list[float] = []

    @property
    def size(self) -> int:
        return 16

    def loss(self, rows: np.ndarray, progress: float) -> Tensor:
        self.rows.append(rows.tolist())
        self.progress.append(progress)
        index = torch.from_numpy(rows)
        return functional.cross_entropy(self.model(self._x[index]), self._labels[index])

    def accuracy(self) -> float:
        assert not self.model.training
        return float((self.model(self._x).argmax(dim=1) == self._labels).float().mean())


class Falling:
    """One weight, whose gradient is 1; judged as it is told to be."""

    def __init__(self, size: int, judged: tuple[float, ...] = ()) -> None:
        self.model: nn.Module = nn.Linear(1, 1, bias=False).double()
        nn.init.zeros_(self.weight)
        self.size, self._judged = size, iter(judged)

    @property
    def weight(self) -> Tensor:
        return self.model.get_parameter("weight")

    def loss(self, rows: np.ndarray, progress: float) -> Tensor:  # noqa: ARG002
        return self.weight.sum()

    def accuracy(self) -> float:
        return next(self._judged)


def rates(plan: Schedule, size: int) -> list[float]:
    """The learning rate of every step, as the weight falls by it."""
    objective = Falling(size)
    fitting, weights = Fitting(objective, plan, seed=0), [0.0]
    for _ in range(fitting.settings.steps):
        fitting.step()
        weights.append(objective.weight.item())
    return [-float(change) for change in np.diff(weights)]


def weights_of(objective: Classifier) -> list[Tensor]:
    return [value.clone() for value in objective.model.state_dict().values()]


def test_learning_rates_rise_linearly_then_fall_as_a_cosine() -> None:
    plan = Schedule("sgd", 0.1, 0.0, 0.0, batch=4, epochs=4, warm_up=2, decay="cosine")
    # Two steps an epoch: four of warm-up, then at 0, 1/4, 2/4 and 3/4 of the cosine.
    cosine = [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert rates(plan, 8) == pytest.approx([0.1 * rate for rate in (0.25, 0.5, 0.75, 1.0, *cosine)])


def test_learning_rates_without_warm_up_or_decay_stay() -> None:
    plan = Schedule("sgd", 0.1, 0.0, 0.0, batch=4, epochs=2, warm_up=0, decay="none")
    assert rates(plan, 8) == pytest.approx([0.1] * 4)
    assert rates(replace(plan, decay="cosine", epochs=1), 4) == pytest.approx([0.1])


def test_momentum_and_weight_decay_are_the_schedules() -> None:
    objective = Falling(4)
    nn.init.ones_(objective.weight)
    fitting = Fitting(objective, Schedule("sgd", 0.1, 0.9, 0.5, batch=4, epochs=9, warm_up=0, decay="none"), seed=0)
    fitting.step()
    assert objective.weight.item() == pytest.approx(1 - 0.1 * 1.5)
    fitting.step()
    assert objective.weight.item() == pytest.approx(0.85 - 0.1 * (0.9 * 1.5 + 1 + 0.5 * 0.85))


def test_an_epoch_sees_every_clip_once_in_an_order_of_its_own() -> None:
    objective = Classifier()
    fitting = Fitting(objective, PLAN, seed=0)
    for _ in range(8):
        fitting.step()
    epochs = [objective.rows[:4], objective.rows[4:]]
    assert all(sorted(row for rows in epoch for row in rows) == list(range(16)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert all(rows == sorted(rows) for rows in objective.rows)
    assert objective.progress == [step / 24 for step in range(8)]


def test_fewer_clips_than_a_batch_are_one_batch() -> None:
    fitting = Fitting(Falling(3), PLAN, seed=0)
    assert fitting.settings.steps == 6
    fitting.step()


@pytest.mark.parametrize("killed", [1, 7, 12, 23])
@pytest.mark.parametrize("bf16", [False, True])
def test_a_resumed_training_ends_with_the_same_bits(killed: int, bf16: bool, tmp_path: Path) -> None:
    whole, first, second = Classifier(), Classifier(), Classifier()
    run(Fitting(whole, PLAN, seed=3, bf16=bf16), tmp_path / "whole")
    run(Fitting(first, PLAN, seed=3, bf16=bf16), tmp_path / "parts", until=killed)
    torch.manual_seed(99)
    rest = Fitting(second, PLAN, seed=3, bf16=bf16)
    run(rest, tmp_path / "parts", resume=True)
    assert rest.step_number == 24
    for expected, value in zip(weights_of(whole), weights_of(second), strict=True):
        assert torch.equal(expected, value)


def test_a_training_that_died_between_validations_ends_with_the_same_bits(tmp_path: Path) -> None:
    def die(step: int, loss: float, scores: dict[str, float] | None) -> None:  # noqa: ARG001
        if step == 10:
            raise KeyboardInterrupt

    whole, first, second = Classifier(), Classifier(), Classifier()
    fitting = Fitting(whole, PLAN, seed=3)
    run(fitting, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Fitting(first, PLAN, seed=3), tmp_path / "parts", report=die)
    rest = Fitting(second, PLAN, seed=3)
    run(rest, tmp_path / "parts", resume=True)
    assert second.progress[0] == 8 / 24  # the last validation was after two epochs
    assert (tmp_path / "parts" / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()
    fitting.keep_best()
    rest.keep_best()
    for expected, value in zip(weights_of(whole), weights_of(second), strict=True):
        assert torch.equal(expected, value)


def test_seeds_differ_and_repeat() -> None:
    found = []
    for seed in (0, 0, 1):
        objective = Classifier()
        fitting = Fitting(objective, PLAN, seed)
        losses = [fitting.step() for _ in range(5)]
        found.append((losses, objective.rows))
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]


def test_the_weights_of_the_best_validation_are_kept_the_later_of_equals(tmp_path: Path) -> None:
    objective = Falling(4, judged=(0.2, 0.8, 0.8, 0.1))
    plan = Schedule("sgd", 0.5, 0.0, 0.0, batch=4, epochs=4, warm_up=0, decay="none")
    fitting = Fitting(objective, plan, seed=0)
    run(fitting, tmp_path)
    assert objective.weight.item() == -2.0
    fitting.keep_best()
    assert objective.weight.item() == -1.5
    assert fitting.best == 0.8
    assert not objective.model.training
    assert not objective.weight.requires_grad


def test_ten_validations_are_spread_over_a_long_training() -> None:
    assert Fitting(Falling(8), replace(PLAN, epochs=100), seed=0).settings.judge_every == 20
    assert Fitting(Falling(8), replace(PLAN, epochs=3), seed=0).settings.judge_every == 2


@pytest.mark.parametrize("other", [replace(PLAN, lr=2e-2), replace(PLAN, epochs=7), replace(PLAN, dropout=0.1)])
def test_a_training_is_not_continued_by_another_schedule(other: Schedule, tmp_path: Path) -> None:
    run(Fitting(Classifier(), PLAN, seed=0), tmp_path, until=5)
    with pytest.raises(ResumeError, match="other settings"):
        run(Fitting(Classifier(), other, seed=0), tmp_path, resume=True)


def test_a_training_is_not_continued_by_another_seed_number_format_or_number_of_clips(tmp_path: Path) -> None:
    run(Fitting(Falling(8, (0.5,)), PLAN, seed=0), tmp_path, until=1)
    for other in (
        Fitting(Falling(8), PLAN, seed=1),
        Fitting(Falling(8), PLAN, seed=0, bf16=True),
        Fitting(Falling(9), PLAN, seed=0),
    ):
        with pytest.raises(ResumeError, match="other settings"):
            run(other, tmp_path, resume=True)


def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path) -> None:
    run(Fitting(Falling(8, (0.5,)), PLAN, seed=0), tmp_path, until=1)
    state = tmp_path / STATE
    state.write_bytes(state.read_bytes()[:300])
    with pytest.raises(ResumeError, match=r"no run that can be resumed .*; choose another --run$"):
        run(Fitting(Falling(8), PLAN, seed=0), tmp_path, resume=True)
