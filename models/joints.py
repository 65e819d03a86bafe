"""The joints that bodies are centred, turned and sized by, and what stands in for joints that were not seen.

numpy only, vectorised over windows, deterministic: the same code runs in training and in serving.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.graph import CENTRE, EDGES, JOINTS, hop_distances

Float32Array = NDArray[np.float32]

SPINE_BASE, SPINE_MID, SHOULDER_LEFT, SHOULDER_RIGHT, HIP_LEFT, HIP_RIGHT = 0, 1, 4, 8, 12, 16
TORSO = 0.477
"""Metres from SpineBase to SpineShoulder after scaling (the mean of the NTU RGB+D people)."""
FARTHEST = 100.0
"""Metres; coordinates beyond are clipped, so that no finite input overflows."""
SHORTEST = 0.02
"""Metres; a shoulder line or torso shorter than this says nothing on direction or size."""
MIDPOINTS = (
    (CENTRE, SHOULDER_LEFT, SHOULDER_RIGHT),
    (SPINE_BASE, HIP_LEFT, HIP_RIGHT),
    (SPINE_MID, SPINE_BASE, CENTRE),
)
"""Joints that lie about midway between two others: what a sensor without a spine leaves to be derived."""


def _parents() -> tuple[tuple[int, int], ...]:
    """(joint, its neighbour nearer to the centre), nearest first."""
    from_centre = hop_distances(len(JOINTS), EDGES)[CENTRE]
    pairs = [(i, j) if from_centre[i] > from_centre[j] else (j, i) for i, j in EDGES]
    return tuple(sorted(pairs, key=lambda pair: from_centre[pair[0]]))


PARENTS = _parents()


def fill(x: Float32Array, seen: NDArray[np.bool_]) -> Float32Array:
    """Fill joints that were not seen: held from the nearest frame in time, else derived from the joints near by.

    Args:
        x: (N, 3, T, V), anything finite where not seen.
        seen: (N, T, V).

    Returns:
        (N, 3, T, V); zero in windows where nothing was seen.
    """
    t = np.arange(x.shape[2])[None, :, None]
    before = np.maximum.accumulate(np.where(seen, t, -1), axis=1)
    after = np.minimum.accumulate(np.where(seen, t, len(t[0]) * 3)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where((before < 0) | (after - t < t - before), after, before)
    nearest = np.clip(nearest, 0, x.shape[2] - 1)  # joints never seen: any frame, replaced below
    filled: Float32Array = np.take_along_axis(x, nearest[:, None], axis=2)
    known = seen.any(axis=1)  # (N, V)
    filled *= known[:, None, None, :]
    if known.all():
        return filled
    for joint, a, b in MIDPOINTS:
        rows = ~known[:, joint] & known[:, a] & known[:, b]
        filled[rows, :, :, joint] = (filled[rows, :, :, a] + filled[rows, :, :, b]) / 2
        known[:, joint] |= rows
    rows = ~known[:, CENTRE]
    mean = filled[rows].sum(axis=3) / np.maximum(known[rows].sum(axis=1), 1)[:, None, None]
    filled[rows, :, :, CENTRE] = mean
    for joint, parent in PARENTS:
        rows = ~known[:, joint]
        filled[rows, :, :, joint] = filled[rows, :, :, parent]
    return filled
