from pathlib import Path

import numpy as np
import pytest
import torch
from small import sequences

from models.normaliser import INPUTS
from models.shiftgcn import ShiftGCN
from models.teacher import Teacher
from train.datasets.labels import SIMULATED, index_of, load_actions
from train.datasets.pairs import UNKNOWN, PairSampler
from train.pool import make_shard

SETS = ("kinder_gator", "utd_mhad")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return Teacher(ShiftGCN(120), "digest", bf16=False)


def test_teacher_and_student_see_the_same_span() -> None:
    sampler = PairSampler(sequences(), SETS)
    rng = np.random.default_rng(0)
    rows = rng.choice(len(sampler.places), 40, p=sampler.chances)
    clips, student, actions, sets = sampler.draw(rows, rng)
    assert clips.shape == (40, 3, 64, 25, 2)
    assert student.shape == (40, 50, INPUTS)
    assert np.isfinite(clips).all()
    assert np.isfinite(student).all()
    assert set(actions.tolist()) <= {UNKNOWN, *range(len(load_actions()))}
    assert set(sets.tolist()) == {1}
    hand = 11  # z of the teacher's clips is y of the student's inputs
    theirs = clips[:, 2, :, hand, 0] - clips[:, 2, :, 20, 0]
    ours = student[:, :, 3 * hand + 1] - student[:, :, 3 * 20 + 1]
    at = np.linspace(0, 63, 50)
    pairs = [(np.interp(at, np.arange(64), a), b) for a, b in zip(theirs, ours, strict=True)]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in pairs if min(a.std(), b.std()) > 0.01]
    assert np.median(alike) > 0.9


def test_simulated_windows_are_of_the_simulated_actions() -> None:
    sampler = PairSampler(sequences(), SETS, simulation=True)
    _, _, actions, _ = sampler.draw(np.arange(len(sampler.places)), np.random.default_rng(0))
    assert set(actions.tolist()) == {index_of(name) for name in SIMULATED}


def test_rare_opinions_are_drawn_more_often() -> None:
    sampler = PairSampler(sequences(), SETS)
    opinion = np.zeros(len(sampler.places), np.int64)
    opinion[3] = 1
    before = sampler.chances[3] / sampler.chances.sum()
    sampler.weigh(opinion)
    assert sampler.chances.sum() == pytest.approx(1)
    assert sampler.chances[3] > 2 * before


def test_a_shard_depends_on_its_seed_alone(teacher: Teacher, tmp_path: Path) -> None:
    sampler = PairSampler(sequences(1), SETS)
    rows = np.arange(6) % len(sampler.places)
    first, again, other = (make_shard(sampler, rows, teacher, (0, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.features, again.features)
    assert (first.inputs != other.inputs).any()
    assert first.features.shape == (6, 256)
    assert make_shard(sampler, rows, None, (0, 1)).features.shape == (6, 0)
    first.save(tmp_path / "0000.npz")
    np.testing.assert_array_equal(type(first).load(tmp_path / "0000.npz").inputs, first.inputs)
