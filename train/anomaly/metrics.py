"""Figures of merit of anomaly scores: how well they rank, and how well one threshold divides.

Ties count as chance would have them: half in `auroc`, as one step in the curves that the others are read from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Curve:
    """What every threshold would do, the strictest first; the first point is that of no alarm at all.

    Attributes:
        thresholds: (P,) a score of at least this is an alarm; the first is infinite.
        recall: (P,) share of the positives that are alarms.
        false: (P,) share of the negatives that are alarms.
        precision: (P,) share of the alarms that are positives; 1 where there are none.
    """

    thresholds: FloatArray
    recall: FloatArray
    false: FloatArray
    precision: FloatArray


def curve(scores: FloatArray, positive: BoolArray) -> Curve:
    """The curve of N scores.

    Args:
        scores: (N,) higher where an anomaly is likelier; finite.
        positive: (N,) which are anomalies; some must be, and some not.

    Raises:
        ValueError: all are, or none is, or the shapes differ.
    """
    if scores.shape != positive.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape} and labels {positive.shape}; expected (N,) of both")
    if positive.all() or not positive.any():
        raise ValueError(f"{int(positive.sum())} of {len(positive)} are positive; expected some of each kind")
    values, place = np.unique(-scores, return_inverse=True)
    right = np.cumsum(np.bincount(place, positive, len(values)))
    wrong = np.cumsum(np.bincount(place, ~positive, len(values)))
    return Curve(
        np.concatenate(([np.inf], -values)),
        np.concatenate(([0.0], right / right[-1])),
        np.concatenate(([0.0], wrong / wrong[-1])),
        np.concatenate(([1.0], right / (right + wrong))),
    )


def auroc(scores: FloatArray, positive: BoolArray) -> float:
    """Chance that an anomaly scores higher than what is normal, half for ties (Mann-Whitney); see `curve`."""
    curve(scores, positive)  # refuses what has no answer
    hits = int(positive.sum())
    above = rankdata(scores)[positive].sum() - hits * (hits + 1) / 2
    return float(above / (hits * (len(positive) - hits)))


def average_precision(scores: FloatArray, positive: BoolArray) -> float:
    """Precision averaged over the steps of recall, without interpolation; see `curve` for what it takes."""
    points = curve(scores, positive)
    return float((np.diff(points.recall) * points.precision[1:]).sum())


def equal_error(scores: FloatArray, positive: BoolArray) -> float:
    """Accuracy where anomalies are missed as often as alarms are false: 1 - the equal error rate.

    Between the two thresholds around that place it is read off a straight line. See `curve` for what it takes.
    """
    points = curve(scores, positive)
    excess = points.false - (1 - points.recall)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    low, high = excess[after - 1], excess[after]
    share = -low / (high - low)
    return float(1 - (points.false[after - 1] + share * (points.false[after] - points.false[after - 1])))


def accuracy(scores: FloatArray, positive: BoolArray, threshold: float | FloatArray) -> float:
    """Share of the scores that a threshold, or a threshold for each, puts on the right side."""
    return float(((scores >= threshold) == positive).mean())


def balanced_accuracy(scores: FloatArray, positive: BoolArray, threshold: float | FloatArray) -> float:
    """The same with anomalies and what is normal weighing equally."""
    right = (scores >= threshold) == positive
    return float((right[positive].mean() + right[~positive].mean()) / 2)


def threshold_for(scores: FloatArray, share: float) -> float:
    """The highest threshold that at least this share of the scores reaches.

    Raises:
        ValueError: there are no scores, or the share is not over 0 and up to 1.
    """
    if len(scores) == 0 or not 0 < share <= 1:
        raise ValueError(f"{len(scores)} scores and a share of {share}; expected some, and a share over 0 up to 1")
    return float(np.sort(scores)[::-1][max(int(np.ceil(share * len(scores) - 1e-9)) - 1, 0)])
