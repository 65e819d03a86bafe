"""Figures of merit of scored windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.datasets.windows import Case, is_background

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]


def softmax(logits: NDArray[Any]) -> FloatArray:
    """Softmax over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True)).astype(np.float64)
    result: FloatArray = weights / weights.sum(axis=-1, keepdims=True)
    return result


def group_of(case: Case) -> str:
    """Where a window counts: with its set, or with the background."""
    return "background" if is_background(case.action) else case.set_name


def top1_by_set(
    cases: Sequence[Case], similarity: Float32Array | FloatArray, *, own_labels: bool = False
) -> dict[str, tuple[float, int]]:
    """Share of windows whose most similar action is theirs, and their number, by set and for the background.

    For background windows, any background action is right. With `own_labels`, only the actions that occur in a window's
    own set compete.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    allowed: dict[str, set[int]] = defaultdict(set)
    for case in cases:
        allowed[group_of(case)].add(case.action)
    for case, row in zip(cases, similarity, strict=True):
        group = group_of(case)
        if own_labels and group != "background":
            labels = sorted(allowed[group])
            right[group].append(labels[int(row[labels].argmax())] == case.action)
        else:
            best = int(row.argmax())
            right[group].append(best == case.action or (is_background(case.action) and is_background(best)))
    return {group: (float(np.mean(hits)), len(hits)) for group, hits in sorted(right.items())}


def calibration_error(probability: FloatArray, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error (Guo et al., ICML 2017, eq. 3) of the winners' probabilities (N,)."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = place == b
        if inside.any():
            error += float(inside.mean()) * abs(float(correct[inside].mean()) - float(probability[inside].mean()))
    return error
