import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.normaliser import INPUTS
from models.shiftgcn import FEATURES
from train.datasets.pairs import UNKNOWN
from train.distil import Distiller, DistilSettings
from train.distributed import Group
from train.pool import Pool
from train.runs import ResumeError, run

SETTINGS = DistilSettings(windows=96, batch=24, judge_every=2, channels=16, hidden=16, bf16=False)
CLASSES, ACTIONS = 7, 5


def pool(windows: int = 60, seed: int = 0, *, taught: bool = True) -> Pool:
    """Windows whose action and whose teacher's features can be told from their inputs."""
    rng = np.random.default_rng(seed)
    action = rng.integers(0, 3, windows)
    inputs = rng.normal(0, 0.1, (windows, 50, INPUTS)) + (action / 2)[:, None, None]
    direction = np.random.default_rng(9).normal(size=(3, FEATURES))
    features = direction[action] if taught else np.zeros((windows, 0))
    action[::10] = UNKNOWN
    return Pool(
        inputs.astype(np.float16), features.astype(np.float16), action.astype(np.int64),
        (np.arange(windows) % 2).astype(np.int8), ("a", "b"), ACTIONS,
    )  # fmt: skip


def classifier() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {"weight": torch.randn(CLASSES, FEATURES), "bias": torch.randn(CLASSES)}


def trainer(settings: DistilSettings = SETTINGS, *, taught: bool = True) -> Distiller:
    windows = pool(taught=taught)
    return Distiller(settings, windows, classifier() if taught else None, pool(20, 1, taught=taught), Group())


def same(a: Distiller, b: Distiller) -> bool:
    pairs = zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True)
    averages = zip(a.average.state_dict().values(), b.average.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in (*pairs, *averages))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_two_runs_of_one_seed_are_the_same() -> None:
    first, second, other = trainer(), trainer(), trainer(replace(SETTINGS, seed=1))
    losses = [(first.step(), second.step(), other.step()) for _ in range(3)]
    assert all(a == b != c for a, b, c in losses)
    assert same(first, second)


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, part, rest = trainer(), trainer(), trainer()
    run(whole, tmp_path / "whole")
    run(part, tmp_path / "parts", until=2)
    run(rest, tmp_path / "parts", resume=True)
    assert rest.step_number == SETTINGS.steps == 4
    assert same(whole, rest)
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert logs[0].startswith("step,loss,agreement,labels\n2,")
    with pytest.raises(ResumeError, match="written with other settings"):
        run(trainer(replace(SETTINGS, learning_rate=1.0)), tmp_path / "parts", resume=True)


@pytest.mark.parametrize("taught", [True, False])
def test_it_learns_from_the_teacher_and_from_labels(taught: bool) -> None:
    learner = trainer(replace(SETTINGS, windows=24 * 60, teaching=float(taught)), taught=taught)
    losses = [learner.step() for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    scores = learner.judge()
    assert scores["labels"] > 0.9
    assert scores["agreement"] > 0.9 or not taught
    if learner.network.classes is not None:  # the teacher's classifier stays what it was
        assert torch.equal(learner.network.classes.weight, classifier()["weight"])


def test_a_set_left_out_is_not_seen() -> None:
    learner = trainer(replace(SETTINGS, leave=("b",)))
    assert len(learner._pool) == 30
    assert set(learner._pool.set.tolist()) == {0}
    with pytest.raises(ValueError, match="no window of the sets to train on"):
        trainer(replace(SETTINGS, leave=("a", "b")))


def test_each_window_of_the_pool_is_seen_once_in_a_pass() -> None:
    learner = trainer(replace(SETTINGS, windows=240))
    seen = []
    for learner.step_number in range(10):
        seen += learner._rows().tolist()
    assert sorted(seen[:60]) == list(range(60))
    assert sorted(seen[60:120]) == list(range(60))
    assert seen[:60] != seen[60:120]


def test_processes_of_torchrun_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "train_two.py"
    script.write_text(
        "import sys, torch\n"
        "from test_distil import SETTINGS, Distiller, classifier, pool\n"
        "from train.distributed import Group\n"
        "torch.set_num_threads(1)\n"
        "with Group() as group:\n"
        "    one = Distiller(SETTINGS, pool(), classifier(), pool(20, 1), group)\n"
        "    rows = one._rows().tolist()\n"
        "    losses = [one.step() for _ in range(2)]\n"
        "    total = sum(float(p.double().sum()) for p in one.network.parameters())\n"
        "    out = f'{rows}|{losses}|{total:.9f}'\n"
        "    open(sys.argv[1] + f'/{group.rank}.txt', 'w').write(out)\n"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2]), *sys.path])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [*torchrun, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=True, timeout=100, capture_output=True,
    )  # fmt: skip
    ranks = [(tmp_path / f"{rank}.txt").read_text().split("|") for rank in (0, 1)]
    assert ranks[0][1:] == ranks[1][1:]  # the same losses and the same weights
    shares = [set(map(int, rows.strip("[]").split(","))) for rows, *_ in ranks]
    assert not shares[0] & shares[1]
    assert len(shares[0] | shares[1]) == SETTINGS.batch
