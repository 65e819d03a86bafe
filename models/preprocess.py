"""From a window in camera axes to what the network sees: holes filled, centred, turned and scaled.

The same code runs in training and in serving. numpy only, vectorised over windows, deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.graph import CENTRE, EDGES, JOINTS, hop_distances

Float32Array = NDArray[np.float32]
Centre = Literal["frame", "height", "window"]

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


@dataclass(frozen=True, slots=True)
class PreprocessOptions:
    """How windows are normalised; stored in the checkpoint.

    Attributes:
        centre: what is subtracted. "frame": SpineMid of each frame (SMIE; travel is lost); "window": the mean SpineMid
            of the window (all travel is kept); "height": horizontally as "frame", vertically as "window".
        scale: whether the torso is scaled to `TORSO`.
    """

    centre: Centre = "height"
    scale: bool = True


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


def _yaw(x: Float32Array) -> Float32Array:
    """Turn each window about y until its mean shoulder line (else hip line), left to right, points along +x."""
    line = (x[:, :, :, SHOULDER_RIGHT] - x[:, :, :, SHOULDER_LEFT]).mean(axis=2)  # (N, 3)
    hips = (x[:, :, :, HIP_RIGHT] - x[:, :, :, HIP_LEFT]).mean(axis=2)
    line = np.where(np.hypot(line[:, 0], line[:, 2])[:, None] < SHORTEST, hips, line)
    length = np.hypot(line[:, 0], line[:, 2])
    usable = length >= SHORTEST
    cos = np.where(usable, line[:, 0] / np.maximum(length, SHORTEST), 1.0)[:, None, None]
    sin = np.where(usable, line[:, 2] / np.maximum(length, SHORTEST), 0.0)[:, None, None]
    turned: Float32Array = np.stack([cos * x[:, 0] + sin * x[:, 2], x[:, 1], cos * x[:, 2] - sin * x[:, 0]], axis=1)
    return turned


def preprocess(x: Float32Array, mask: Float32Array, options: PreprocessOptions) -> Float32Array:
    """Normalise windows.

    Args:
        x: (N, 3, T, V) float32, metres in camera axes (y up, z away).
        mask: (N, T, V) float32, confidence; where it is 0, `x` is ignored.
        options: see `PreprocessOptions`.

    Returns:
        (N, 3, T, V) float32, finite for any input; invariant to yaw, translation and (with `scale`) size.

    Raises:
        ValueError: the shapes are not those.
    """
    if x.ndim != 4 or x.shape[1] != 3 or x.shape[3] != len(JOINTS) or mask.shape != (x.shape[0], *x.shape[2:]):
        raise ValueError(f"expected x (N, 3, T, {len(JOINTS)}) and mask (N, T, V), got {x.shape} and {mask.shape}")
    if x.shape[2] == 0:
        raise ValueError("a window needs at least one frame")
    seen = (mask > 0) & np.isfinite(x).all(axis=1)
    clean = np.where(seen[:, None], np.clip(x, -FARTHEST, FARTHEST), 0.0).astype(np.float32)
    y = fill(clean, seen)
    origin = y[:, :, :, SPINE_MID]
    mean = origin.mean(axis=2, keepdims=True)
    if options.centre == "window":
        origin = np.broadcast_to(mean, origin.shape)
    elif options.centre == "height":
        origin = np.stack(np.broadcast_arrays(origin[:, 0], mean[:, 1], origin[:, 2]), axis=1)
    y = _yaw(y - origin[:, :, :, None])
    if options.scale:
        torso = np.median(np.linalg.norm(y[:, :, :, CENTRE] - y[:, :, :, SPINE_BASE], axis=1), axis=1)
        y = y * np.where(torso < SHORTEST, 1.0, TORSO / np.maximum(torso, SHORTEST))[:, None, None, None]
    return np.ascontiguousarray(y, dtype=np.float32)
