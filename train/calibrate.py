"""Temperature and thresholds from people held out for validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.datasets.windows import Case, is_background
from train.metrics import calibration_error, softmax

Float32Array = NDArray[np.float32]
TEMPERATURES = np.geomspace(0.01, 0.3, 69)
ENTERS = np.round(np.arange(0.2, 0.96, 0.05), 2)
EXIT_SHARE = 0.6
"""Threshold for leaving an event, as a share of that for entering."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What serving needs to read similarities as probabilities.

    Attributes:
        temperature: divides similarities before the softmax over the bank.
        error: expected calibration error with it.
        enter, exit: suggested probabilities at which an event starts and ends.
        f1: mean over the actions of the F1 of "its probability is at least `enter`", over all windows.
    """

    temperature: float
    error: float
    enter: float
    exit: float
    f1: float


def calibrate(cases: Sequence[Case], similarity: Float32Array) -> Calibration:
    """Choose the temperature of least negative log likelihood, and the threshold of the best mean F1.

    Sets count equally in the former, actions in the latter, so that the largest does not decide.

    Args:
        cases: N validation windows.
        similarity: (N, K) cosines with the bank.
    """
    actions = np.array([case.action for case in cases])
    weights = set_weights(cases)
    rows = np.arange(len(cases))

    def loss(temperature: float) -> float:
        own = softmax(similarity / temperature)[rows, actions]
        return float(-(weights * np.log(np.maximum(own, 1e-12))).sum())

    temperature = float(min(TEMPERATURES, key=loss))
    probability = softmax(similarity / temperature)
    enter = float(max(ENTERS, key=lambda threshold: detection_f1(actions, probability, threshold)))
    best = probability.argmax(axis=1)
    return Calibration(
        temperature=round(temperature, 4),
        error=calibration_error(probability[rows, best], best == actions),
        enter=enter,
        exit=round(EXIT_SHARE * enter, 3),
        f1=detection_f1(actions, probability, enter),
    )


def detection_f1(actions: NDArray[np.int64], probability: NDArray[np.float64], threshold: float) -> float:
    """Mean F1, over the actions that occur and are no background, of finding each by its probability.

    Args:
        actions: (N,) what is done in each window.
        probability: (N, K).
        threshold: an action is found where its probability is at least this.
    """
    scores = []
    for action in np.unique(actions):
        if not is_background(int(action)):
            found, there = probability[:, action] >= threshold, actions == action
            scores.append(2 * (found & there).sum() / (found.sum() + there.sum()))
    return float(np.mean(scores)) if scores else 0.0


def set_weights(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Weights (N,) that add to 1 and give each set the same share."""
    names = [case.set_name for case in cases]
    counts = {name: names.count(name) for name in set(names)}
    return np.array([1 / (counts[name] * len(counts)) for name in names])
