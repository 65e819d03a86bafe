"""Seen and unseen classes told apart together, by a gate that was fitted on seen ones alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.methods import Method
from train.papers.divide import holdout_division
from train.papers.gate import fit_gate, generalised, ungated
from train.papers.parts import Division, Part, local_labels
from train.papers.stages import Stages

PARTS = ("train", "validation", "test_seen", "test_unseen")
UNHEARD_OF = 10.0
"""How far under all others the logit of a class lies that a classifier never saw."""


def judge_generalised(division: Division, method: Method, stages: Stages, seed: int) -> dict[str, Any]:
    """Figures of all classes together, with the gate and without it.

    The gate is fitted where some seen classes play the unseen ones, and the method is fitted anew without those. The
    encoder is not: it has seen them, so that the gate finds its task a little easier than it will be.

    Returns:
        "seen", "unseen" and "harmonic" as `train.papers.gate.generalised` has them; the same without gate in "ungated";
        and the numbers of clips, "n".
    """
    parts = {name: replace(getattr(division, name), inputs=stages.features(name)) for name in PARTS}
    inner = holdout_division(replace(division, **parts), seed)
    rehearsal = stages.rehearsed(inner)
    trial = np.concatenate([inner.test_seen.inputs, inner.test_unseen.inputs])
    is_unseen = np.arange(len(trial)) >= len(inner.test_seen)
    trial_scores = _scores(rehearsal, stages, inner.unseen, trial)
    gate = fit_gate(linear_logits(inner.train, inner.seen, trial), trial_scores, is_unseen)
    seen, unseen = parts["test_seen"], parts["test_unseen"]
    features, truth = np.concatenate([seen.inputs, unseen.inputs]), np.concatenate([seen.labels, unseen.labels])
    logits = linear_logits(parts["train"], division.seen, features)
    seen_ids, unseen_ids = np.array(division.seen), np.array(division.unseen)
    called = gate.classify(logits, _scores(method, stages, division.unseen, features), seen_ids, unseen_ids)
    every = _scores(method, stages, range(len(division.classes)), features)
    return {
        **generalised(called, truth, seen_ids),
        "ungated": generalised(ungated(every), truth, seen_ids),
        "n": {"seen": len(seen), "unseen": len(unseen)},
    }


def _scores(method: Method, stages: Stages, classes: Sequence[int], features: NDArray[Any]) -> NDArray[np.float32]:
    with torch.no_grad():
        scores = method.matcher(stages.vectors[list(classes)])(torch.from_numpy(features))
    return np.asarray(scores.numpy(), np.float32)


def linear_logits(train: Part, seen: Sequence[int], features: NDArray[Any]) -> NDArray[np.float32]:
    """Logits (N, S) of the seen classes by a linear classifier of features (N, D), fitted on the training part."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(train.inputs, local_labels(train, seen))
    logits = classifier.decision_function(features)
    if logits.ndim == 1:  # two classes share one logit
        logits = np.stack([-logits / 2, logits / 2], axis=1)
    found = np.full((len(logits), len(seen)), logits.min(initial=0.0) - UNHEARD_OF, np.float32)
    found[:, classifier.classes_] = logits
    return found
