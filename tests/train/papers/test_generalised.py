"""Seen and unseen classes told apart together, on features that leave no doubt and on clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_experiment import division as clip_division
from tiny_experiment import embed as embed_randomly

from models.methods import Method
from train.papers.divide import holdout_division
from train.papers.experiment import Options, run
from train.papers.generalised import PARTS, UNHEARD_OF, judge_generalised, linear_logits
from train.papers.parts import Division, Part
from train.papers.stages import Stages

DIM, SEEN, UNSEEN = 10, 24, 4
CLASSES = tuple(f"class {k}" for k in range(SEEN + UNSEEN))


def embed(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors, the same each time."""
    seeds = [int(text.split()[-1]) for text in texts]
    vectors = np.stack([np.random.default_rng(seed).normal(size=DIM) for seed in seeds])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def separable() -> Division:
    """A clip's feature is its text, turned into 256 dimensions, and hardly any noise."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(256, DIM)))[0].T
    centres = embed(CLASSES) @ turn * 16

    def part(classes: range, each: int) -> Part:
        labels = np.repeat(np.array(classes), each)
        return Part((centres[labels] + random.normal(0, 0.02, (len(labels), 256))).astype(np.float32), labels)

    seen, unseen = range(SEEN), range(SEEN, SEEN + UNSEEN)
    parts = (part(seen, 12), part(seen, 6), part(seen, 5), part(unseen, 5))
    return Division("separable", "mine", CLASSES, tuple(seen), tuple(unseen), *parts)


def test_classes_that_lie_well_apart_are_told_apart(tmp_path: Path) -> None:
    figures = run(separable(), Options("devise", epochs=60, generalised=True, run=tmp_path), embed)
    assert figures["top1"] > 0.95
    found = figures["generalised"]
    assert found["n"] == {"seen": 120, "unseen": 20}
    assert found["gate"] == "held-out classes"
    assert found["harmonic"] > 0.9
    assert found["ungated"]["harmonic"] > 0.8


def twin() -> Division:
    """What an encoder that has seen fewer classes makes of other clips: its features lie elsewhere."""
    own = holdout_division(separable(), 0)
    turned = {name: Part(-getattr(own, name).inputs[:, ::-1], getattr(own, name).labels) for name in PARTS}
    return replace(own, **turned)


def test_a_gate_is_fitted_on_the_twin_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsed: list[tuple[Division, object]] = []
    whole = Stages.rehearsed

    def watched(stages: Stages, division: Division, masked: np.ndarray | None = None) -> Method:
        rehearsed.append((division, masked))
        return whole(stages, division, masked)

    monkeypatch.setattr(Stages, "rehearsed", watched)
    given = replace(separable(), rehearsal=twin())
    assert given.digest == separable().digest
    found = run(given, Options("devise", epochs=60, generalised=True, run=tmp_path), embed)["generalised"]
    assert rehearsed == [(given.rehearsal, None)]
    assert found["gate"] == "published twin"
    assert found["harmonic"] > 0.9


def test_a_twin_may_hold_out_more_classes_than_are_unseen(tmp_path: Path) -> None:
    given = replace(separable(), rehearsal=twin())
    assert given.rehearsal is not None
    unseen = (*given.rehearsal.unseen, given.rehearsal.seen[0])
    more = replace(given.rehearsal, seen=given.rehearsal.seen[1:], unseen=tuple(sorted(unseen)))
    more = replace(more, train=_of(more.train, more.seen), validation=_of(more.validation, more.seen))
    more = replace(more, test_seen=_of(more.test_seen, more.seen))
    found = run(replace(given, rehearsal=more), Options("devise", epochs=60, generalised=True, run=tmp_path), embed)[
        "generalised"
    ]
    assert found["harmonic"] > 0.9


def _of(part: Part, classes: tuple[int, ...]) -> Part:
    rows = np.isin(part.labels, classes)
    return Part(part.inputs[rows], part.labels[rows])


def test_a_rehearsal_of_smie_has_its_hinge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsed: list[tuple[Division, np.ndarray | None]] = []
    monkeypatch.setattr(
        Stages,
        "rehearsed",
        lambda stages, division, masked=None: rehearsed.append((division, masked)) or stages.method(),
    )
    given = clip_division()
    stages = Stages(given, Options("smie", epochs=1, pretrain_epochs=1, run=tmp_path), embed_randomly, None)
    judge_generalised(given, stages.method(), stages, 0)
    ((inner, masked),) = rehearsed
    assert masked is not None
    assert len(masked) == len(inner.train) < len(given.train)
    for features, without in zip(inner.train.inputs, masked, strict=True):
        (row,) = np.flatnonzero((stages.features("train") == features).all(axis=1))
        np.testing.assert_array_equal(without, stages.features("masked")[row])


@pytest.mark.parametrize("recipe", ["smie", "pgfa", "cada-vae"])
def test_figures_of_clips_are_shares_and_sums(recipe: str, tmp_path: Path) -> None:
    given = clip_division()
    options = Options(recipe, epochs=1, pretrain_epochs=1, generalised=True, run=tmp_path)
    found = run(given, options, embed_randomly)["generalised"]
    assert found["n"] == {"seen": len(given.test_seen), "unseen": len(given.test_unseen)} == {"seen": 12, "unseen": 6}
    for figures in (found, found["ungated"]):
        seen, unseen, harmonic = figures["seen"], figures["unseen"], figures["harmonic"]
        assert 0 <= unseen <= 1
        assert seen * 12 == pytest.approx(round(seen * 12))
        assert unseen * 6 == pytest.approx(round(unseen * 6))
        assert harmonic == pytest.approx(2 * seen * unseen / (seen + unseen) if seen * unseen else 0)


def test_it_can_be_asked_for_later_and_does_not_change_the_rest(tmp_path: Path) -> None:
    given = separable()
    first = run(given, Options("devise", epochs=2, run=tmp_path), embed)
    second = run(given, Options("devise", epochs=2, generalised=True, run=tmp_path), embed)
    assert second["digest"] == first["digest"]
    assert second["generalised"].keys() == {"seen", "unseen", "harmonic", "ungated", "n", "gate"}
    assert run(given, Options("devise", epochs=2, run=tmp_path), embed) == second


def test_a_linear_classifier_names_what_it_saw_and_gives_the_rest_no_chance() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([2, 5, 9], 20)
    x = (np.eye(10, 256)[labels] * 5 + random.normal(0, 0.1, (60, 256))).astype(np.float32)
    logits = linear_logits(Part(x, labels), (2, 4, 5, 9), x)
    assert logits.shape == (60, 4)
    assert np.array_equal(np.array([2, 4, 5, 9])[logits.argmax(axis=1)], labels)
    assert (logits[:, 1] <= logits.min(axis=1)).all()
    assert (np.delete(logits, 1, axis=1).min() - logits[:, 1]).min() == pytest.approx(UNHEARD_OF, abs=1e-3)


def test_a_linear_classifier_of_two_classes_has_two_logits() -> None:
    x = np.concatenate([np.full((5, 3), -1.0), np.full((5, 3), 1.0)]) + np.random.default_rng(0).normal(0, 0.1, (10, 3))
    logits = linear_logits(Part(x, np.repeat([0, 3], 5)), (0, 3), x)
    assert logits.argmax(axis=1).tolist() == [0] * 5 + [1] * 5
    torch.testing.assert_close(torch.from_numpy(logits[:, 0]), -torch.from_numpy(logits[:, 1]))
