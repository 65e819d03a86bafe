"""SMIE's preprocessing, "frame50": clips of any length to 50 frames, centred and turned frame by frame.

Source: SMIE (ACM MM 2023), the preprocessing of its released code: the neck's base is subtracted from every frame, time
is resized linearly to 50 frames, and every frame is turned about y until its shoulder line is parallel to x. Each body
of a clip is centred by itself, so that the distance between two people is lost, as it is there. Where a body is stands
in no axis any more; sizes are kept. One thing differs: joints that were not seen are filled first (there, they are what
a Kinect's driver guessed). numpy only, the same code in training and in serving.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.graph import CENTRE
from models.joints import FARTHEST, SHORTEST, SHOULDER_LEFT, SHOULDER_RIGHT, fill

Float32Array = NDArray[np.float32]
FRAMES = 50


def frame50(x: Float32Array, seen: NDArray[np.bool_]) -> Float32Array:
    """Preprocess clips of one length.

    Args:
        x: (N, 3, T, V=25, M) metres in camera axes (y up, z away); ignored where not seen.
        seen: (N, T, V, M).

    Returns:
        (N, 3, 50, V, M) float32, finite for any input; zeros for a body that is never seen.

    Raises:
        ValueError: the shapes are not those.
    """
    if x.ndim != 5 or x.shape[1] != 3 or x.shape[3] != 25 or x.shape[2] == 0 or x.shape[4] == 0:
        raise ValueError(f"expected x (N, 3, T, 25, M), got {x.shape}")
    if seen.shape != (x.shape[0], *x.shape[2:]):
        raise ValueError(f"expected seen {(x.shape[0], *x.shape[2:])}, got {seen.shape}")
    n, _, t, v, m = x.shape
    bodies = np.ascontiguousarray(np.moveaxis(x, 4, 1), np.float32).reshape(n * m, 3, t, v)
    known = np.moveaxis(seen, 3, 1).reshape(n * m, t, v) & np.isfinite(bodies).all(axis=1)
    clean = np.where(known[:, None], np.clip(bodies, -FARTHEST, FARTHEST), 0.0).astype(np.float32)
    y = fill(clean, known)
    y = face_forward(resize(y - y[:, :, :, CENTRE : CENTRE + 1], FRAMES))
    return np.ascontiguousarray(np.moveaxis(y.reshape(n, m, 3, FRAMES, v), 1, 4))


def resize(x: Float32Array, frames: int) -> Float32Array:
    """Resize axis 2 linearly, pixel centres aligned: output i is read at (i + 0.5) T / frames - 0.5, clamped."""
    t = x.shape[2]
    if t == frames:
        return x
    place = np.clip((np.arange(frames) + 0.5) * t / frames - 0.5, 0, t - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, t - 1)
    shape = (1, 1, frames, *(1,) * (x.ndim - 3))
    weight = (place - low).astype(np.float32).reshape(shape)
    return np.asarray(x[:, :, low] * (1 - weight) + x[:, :, high] * weight, np.float32)


def face_forward(x: Float32Array) -> Float32Array:
    """Turn every frame of (N, 3, T, V) about y until its shoulder line, left to right, points along +x."""
    line = x[:, :, :, SHOULDER_RIGHT] - x[:, :, :, SHOULDER_LEFT]  # (N, 3, T)
    length = np.hypot(line[:, 0], line[:, 2])
    usable = length >= SHORTEST
    cos = np.where(usable, line[:, 0] / np.maximum(length, SHORTEST), 1.0)[..., None]
    sin = np.where(usable, line[:, 2] / np.maximum(length, SHORTEST), 0.0)[..., None]
    turned: Float32Array = np.stack([cos * x[:, 0] + sin * x[:, 2], x[:, 1], cos * x[:, 2] - sin * x[:, 0]], axis=1)
    return turned.astype(np.float32, copy=False)
