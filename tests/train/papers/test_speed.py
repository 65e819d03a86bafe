"""A straightforward reading of the papers' training: ours computes the same, and takes less time for it."""

import numpy as np
import pytest
import torch
from straightforward import plain_copy, plain_estimator_of
from torch.nn import functional

from models.methods import Batch
from models.methods.pgfa import PGFA
from models.methods.smie import SMIE
from models.stgcn import STGCN
from train.__main__ import main
from train.papers.fitting import Fitting
from train.papers.key_frames import mask_key_frames
from train.papers.objectives import EndToEnd
from train.papers.parts import Part
from train.papers.plain import plain_pgfa, plain_smie
from train.papers.recipes import Schedule
from train.papers.speed import Timing, Work, measure, table

LABELS = np.array([0, 1, 2, 0])
TEXTS = functional.normalize(torch.randn(3, 1, 12, generator=torch.Generator().manual_seed(0)), dim=2)


def clips() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (4, 3, 50, 25, 2)).astype(np.float32)


def test_three_steps_of_pgfa_have_the_losses_of_a_straightforward_reading() -> None:
    torch.manual_seed(0)
    encoder, method = STGCN(dropout=0.0).train(), PGFA(12)
    plain, projection = plain_copy(encoder), torch.nn.Linear(256, 12)
    projection.load_state_dict(method.projection.state_dict())
    part = Part(clips(), LABELS)
    plan = Schedule("sgd", 0.05, 0.9, 5e-4, batch=4, epochs=3, warm_up=0, decay="none", dropout=0.0)
    fitting = Fitting(EndToEnd(encoder, method, part, part, TEXTS), plan, seed=0)
    ours = [fitting.step() for _ in range(3)]
    optimiser = torch.optim.SGD([*plain.parameters(), *projection.parameters()], 0.05, 0.9, weight_decay=5e-4)
    x, labels, theirs = torch.from_numpy(part.inputs), torch.from_numpy(LABELS), []
    for _ in range(3):
        loss = plain_pgfa(projection(plain(x)), TEXTS[labels, 0], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        theirs.append(loss.item())
    assert theirs[0] != pytest.approx(theirs[2], rel=1e-2)
    assert ours == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize("beta", [0.0, 0.5])  # without and with the hinge
def test_three_steps_of_smie_on_features_have_the_losses_of_a_straightforward_reading(beta: float) -> None:
    torch.manual_seed(0)
    encoder, method = STGCN().eval(), SMIE(12, beta)
    plain, estimator = plain_copy(encoder), plain_estimator_of(method)
    x, labels = clips(), torch.from_numpy(LABELS)
    masked = mask_key_frames(x, "paper", seed=0)
    with torch.no_grad():
        batch = Batch(encoder(torch.from_numpy(x)), labels, TEXTS, encoder(torch.from_numpy(masked)))
    mine, other = torch.optim.Adam(method.parameters(), 1e-3), torch.optim.Adam(estimator.parameters(), 1e-3)
    losses = []
    for _ in range(3):
        loss = method.loss(batch)
        with torch.no_grad():
            whole, without = plain(torch.from_numpy(x)), plain(torch.from_numpy(masked))
        expected = plain_smie(estimator, whole, without, TEXTS[labels, 0], beta)
        for value, optimiser in ((loss, mine), (expected, other)):
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
        losses.append(loss.item())
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_all_ways_are_timed_and_compared_with_the_straightforward_one() -> None:
    timings = measure(clips=2, repeats=1)
    assert {timing.what for timing in timings} == {"pretraining", "smie", "pgfa"}
    for what in ("pretraining", "smie", "pgfa"):
        ways = {timing.way: timing for timing in timings if timing.what == what}
        assert {"straightforward", "ours, float32"} <= ways.keys()
        assert ways["straightforward"].faster == 1
        assert all(timing.seconds > 0 and timing.faster > 0 for timing in ways.values())


def test_an_epoch_bears_its_share_of_what_is_done_once() -> None:
    done: list[str] = []
    work = Work(lambda: done.append("epoch"), lambda: done.append("once"), share=100)
    assert 0 <= work.seconds() < 10
    assert done == ["epoch", "once"]


def test_the_table_has_a_line_for_each_timing() -> None:
    timings = [Timing("smie", "straightforward", 12.345, 1.0), Timing("smie", "ours, float32", 1.2, 10.28)]
    head, *rows = table(timings).splitlines()
    assert rows[0].split() == ["smie", "straightforward", "12.35", "1.0"]
    assert rows[1].split() == ["smie", "ours,", "float32", "1.20", "10.3"]
    assert len({len(row) for row in (head, *rows)}) == 1


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.papers.speed.measure", lambda clips, repeats: [Timing("pgfa", f"{clips}", 1.0, repeats)])
    assert main(["speed", "--clips", "7", "--repeats", "3"]) == 0
    out = capsys.readouterr().out
    assert "one in 5 of two bodies; threads: 1" in out
    assert out.splitlines()[-1].split() == ["pgfa", "7", "1.00", "3.0"]
    with pytest.raises(SystemExit):
        main(["speed", "--clips", "1"])
    assert "expected a number of at least 2" in capsys.readouterr().err
