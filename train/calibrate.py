"""Temperature and thresholds from people held out for validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from train.datasets.windows import Case, is_background

TEMPERATURES = np.geomspace(0.01, 0.3, 69)
ENTERS = np.round(np.arange(0.2, 0.81, 0.05), 2)
EXIT_SHARE = 0.6
"""Threshold for leaving an event, as a share of that for entering."""


def detection_f1(actions: NDArray[np.int64], probability: NDArray[np.float64], threshold: float) -> float:
    """Mean F1, over the actions that occur and are no background, of finding each by its probability.

    Args:
        actions: (N,) what is done in each window.
        probability: (N, K).
        threshold: an action is found where its probability is at least this.
    """
    news = [action for action in np.unique(actions).tolist() if not is_background(action)]
    return mean_f1(actions, probability, threshold, news)


def mean_f1(
    labels: NDArray[np.int64], probability: NDArray[np.float64], threshold: float, classes: Sequence[int]
) -> float:
    """Mean over some classes, each of which occurs, of the F1 of "its probability is at least `threshold`"."""
    scores = []
    for one in classes:
        found, there = probability[:, one] >= threshold, labels == one
        scores.append(2 * (found & there).sum() / (found.sum() + there.sum()))
    return float(np.mean(scores)) if scores else 0.0


def steady_best(f1_at: Callable[[float], float]) -> tuple[float, float]:
    """The threshold of `ENTERS` with the best F1, and that F1.

    Many are as good as the best: the middle of these is least at the mercy of who was measured.
    """
    f1 = {float(enter): f1_at(float(enter)) for enter in ENTERS}
    good = [at for at, value in f1.items() if value >= max(f1.values()) - 0.01]
    enter = good[(len(good) - 1) // 2]
    return enter, f1[enter]


def set_weights(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Weights (N,) that add to 1 and give each set the same share."""
    names = [case.set_name for case in cases]
    counts = {name: names.count(name) for name in set(names)}
    return np.array([1 / (counts[name] * len(counts)) for name in names])
