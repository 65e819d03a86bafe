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
