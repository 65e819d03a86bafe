import csv
from collections.abc import Sequence as Items
from pathlib import Path

import numpy as np
import pytest
import torch
from small import sequences

from train.datasets.labels import load_actions
from train.datasets.texts import ActionTexts
from train.datasets.windows import WindowSampler, judging_windows
from train.loop import LoopSettings, Trainer
from train.runs import ResumeError, run

SETTINGS = LoopSettings(steps=4, batch=6, judge_every=2, dropout=0.2, bf16=False)


class Made:
    """Random unit vectors in place of a text model's, the same for the same number of texts."""

    def embed(self, texts: Items[str]) -> np.ndarray:
        vectors = np.random.default_rng(0).normal(size=(len(texts), 16)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def trainer(settings: LoopSettings = SETTINGS) -> Trainer:
    validation = judging_windows(sequences(1, seed=1))
    return Trainer(settings, WindowSampler(sequences()), ActionTexts(load_actions(), Made()), validation)


def same(a: Trainer, b: Trainer) -> bool:
    pairs = zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True)
    averages = zip(a.average.state_dict().values(), b.average.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in (*pairs, *averages))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_two_runs_of_one_seed_are_the_same() -> None:
    first, second, other = trainer(), trainer(), trainer(LoopSettings(steps=4, batch=6, seed=1, bf16=False))
    losses = [(first.step(), second.step(), other.step()) for _ in range(2)]
    assert all(a == b != c for a, b, c in losses)
    assert same(first, second)
    assert not same(first, other)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, part, rest = trainer(), trainer(), trainer()
    run(whole, tmp_path / "whole")
    run(part, tmp_path / "parts", until=2)
    run(rest, tmp_path / "parts", resume=True)
    assert rest.step_number == 4
    assert same(whole, rest)
    assert whole.best == rest.best
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert [row[0] for row in csv.reader(logs[0].splitlines())] == ["step", "2", "4"]


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    run(trainer(), tmp_path, until=2)
    with pytest.raises(ResumeError, match="written with other settings"):
        run(trainer(LoopSettings(steps=5, batch=6, bf16=False)), tmp_path, resume=True)


def test_the_loss_falls() -> None:
    learner = trainer(LoopSettings(steps=12, batch=16, bf16=False))
    losses = [learner.step() for _ in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
