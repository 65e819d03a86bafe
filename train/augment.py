"""Random changes of raw windows that leave the action what it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.layouts import MIRROR

Float32Array = NDArray[np.float32]
HANDS = (21, 22, 23, 24)
"""Hand tips and thumbs: derived, or absent, in most layouts."""
EXTREMITIES = (7, 11, 15, 19, *HANDS)


def mirror(x: Float32Array) -> Float32Array:
    """Mirror image of windows (..., 3, T, V): x is negated, left and right joints change places."""
    flipped = x[..., list(MIRROR)].copy()
    flipped[..., 0, :, :] *= -1
    return flipped


def rotations(angles: NDArray[np.float64], axis: int) -> Float32Array:
    """Rotation matrices (N, 3, 3) about a coordinate axis; angles (N,) in radians."""
    cos, sin = np.cos(angles), np.sin(angles)
    matrices = np.zeros((len(angles), 3, 3), np.float32)
    a, b = [i for i in range(3) if i != axis]
    matrices[:, axis, axis] = 1
    matrices[:, a, a] = matrices[:, b, b] = cos
    matrices[:, a, b], matrices[:, b, a] = -sin, sin
    return matrices


def rotate(x: Float32Array, matrices: Float32Array) -> Float32Array:
    """Rotate windows (N, 3, T, V) by matrices (N, 3, 3)."""
    n, c, t, v = x.shape
    turned: Float32Array = (matrices @ x.reshape(n, c, t * v)).reshape(n, c, t, v)
    return turned


def augment(x: Float32Array, mask: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
    """Turn, tilt, stretch and jitter windows, and hide joints and frames as sensors do.

    Args:
        x: (N, 3, T, V) float32, metres in camera axes.
        mask: (N, T, V) float32.
        rng: source of all randomness.

    Returns:
        New arrays of the same shapes.
    """
    n, _, t, v = x.shape
    centre = x[:, :, :1, 1:2]
    x = rotate(x - centre, rotations(rng.uniform(-np.pi, np.pi, n), 1))
    x = rotate(x, rotations(rng.normal(0, np.radians(5), n), 0))
    x = rotate(x, rotations(rng.normal(0, np.radians(3), n), 2))
    x = (
        x
        * rng.uniform(0.9, 1.1, (n, 3, 1, 1)).astype(np.float32)
        * rng.uniform(0.85, 1.15, (n, 1, 1, 1)).astype(np.float32)
    )
    noise = rng.standard_normal((n, 3, t, v), np.float32) * rng.uniform(0, 0.012, (n, 1, 1, 1)).astype(np.float32)
    offset = rng.standard_normal((n, 3, 1, v), np.float32) * 0.008
    offset[..., list(EXTREMITIES)] *= 2.5  # where sensors and layouts differ most
    return x + noise + offset + centre, hide(mask, rng)


def hide(mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Mask what a sensor may not see: a newborn track's past, short blackouts, single joints, hands and feet."""
    n, t, v = mask.shape
    mask, row = mask.copy(), np.arange(t)
    chance = rng.random((n, 5))
    for i in np.flatnonzero((chance < (0.10, 0.08, 0.15, 0.20, 0.06)).any(axis=1)):
        newborn, blackout, joints, hands, extremities = chance[i] < (0.10, 0.08, 0.15, 0.20, 0.06)
        if newborn:
            mask[i, : rng.integers(1, t // 2)] = 0
        if blackout:
            start = rng.integers(0, t - 8)
            mask[i, start : start + rng.integers(1, 9)] = 0
        if joints:
            hidden = rng.choice(v, rng.integers(1, 4), replace=False)
            start, length = rng.integers(0, t), rng.integers(3, t)
            mask[np.ix_([i], np.flatnonzero((row >= start) & (row < start + length)), hidden)] = 0
        if hands:
            mask[i][:, list(HANDS)] = 0
        if extremities:
            mask[i][:, list(EXTREMITIES)] = 0
    return mask
