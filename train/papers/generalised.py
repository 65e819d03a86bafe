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
TWIN, HELD_OUT = "published twin", "held-out classes"
"""What a gate is fitted on."""
UNHEARD_OF = 10.0
"""How far under all others the logit of a class lies that a classifier never saw."""


def judge_generalised(division: Division, method: Method, stages: Stages, seed: int) -> dict[str, Any]:
    """Figures of all classes together, with the gate and without it.

    The gate is fitted where some seen classes play the unseen ones, and the method is fitted anew without those:

    - "published twin", as SynSE has it: on the features of the division's `rehearsal`, whose encoder has not seen those
      classes either. SynSE takes the encoder's own logits of the seen classes; here a linear classifier of the features
      gives them. Whether the twin's clips are of people who test is not published.
    - "held-out classes", without a rehearsal: on clips for validation (see `holdout_division`) by the division's own
      encoder. It has learnt those classes, so that their features keep together as those of new classes will not: the
      gate is fitted on other scores than it will meet, and by how much that harms it was not measured. An encoder
      trained end to end (PGFA) has been drawn to their texts as well, and only a projection is fitted anew. Where more
      classes are unseen than a third of the seen, fewer than those play them, and the gate looks at as many of the
      highest probabilities as there are of these.

    Returns:
        "seen", "unseen" and "harmonic" as `train.papers.gate.generalised` has them; the same without gate in "ungated";
        the numbers of clips, "n"; and what the gate was fitted on, "gate".
    """
    parts = {name: replace(getattr(division, name), inputs=stages.features(name)) for name in PARTS}
    inner, masked = division.rehearsal, None
    if inner is None:
        inner = holdout_division(replace(division, **parts), seed)
        if stages.wants_masked:
            # The rows that the training part has kept, in their order.
            masked = stages.features("masked")[~np.isin(division.train.labels, inner.unseen)]
    rehearsal = stages.rehearsed(inner, masked)
    trial = np.concatenate([inner.test_seen.inputs, inner.test_unseen.inputs])
    is_unseen = np.arange(len(trial)) >= len(inner.test_seen)
    trial_scores = _scores(rehearsal, stages, inner.unseen, trial)
    top = min(map(len, (division.seen, division.unseen, inner.seen, inner.unseen)))
    gate = fit_gate(linear_logits(inner.train, inner.seen, trial), trial_scores, is_unseen, top)
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
        "gate": HELD_OUT if division.rehearsal is None else TWIN,
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
