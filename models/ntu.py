"""Clips as the published NTU RGB+D networks were trained to see them.

Source: the preprocessing in Shift-GCN's released code (after Shi et al., "Two-Stream Adaptive Graph Convolutional
Networks", CVPR 2019): upright with z up, shoulders along x, the middle of the spine in the origin; here with the size
of the mean NTU person too. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.graph import CENTRE
from models.joints import (
    FARTHEST,
    HIP_LEFT,
    HIP_RIGHT,
    SHORTEST,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    SPINE_BASE,
    SPINE_MID,
    TORSO,
    fill,
)

Float32Array = NDArray[np.float32]
BODIES = 2
FRAMES = 64
"""Shorter clips are stretched to this length: what is over sooner looks like nothing NTU has."""
FRAME_STEP = 4
"""The number of frames is a multiple of this."""
FIRST = 5
"""Frames whose mean shoulder line says where the person faces."""


def normalise(x: Float32Array, seen: NDArray[np.bool_]) -> Float32Array:
    """Turn windows upright, face them forward, centre and scale them.

    Args:
        x: (N, 3, T, V=25, M) metres in camera axes (y up, z away), M = 1 or 2 bodies; ignored where not seen.
        seen: (N, T, V, M).

    Returns:
        (N, 3, T, V, M=2) float32: z up, body 0 facing forward in its first frames with SpineMid in the origin of every
        frame, its torso `TORSO` long; zeros for a body that is never seen. Invariant to yaw, travel and size.

    Raises:
        ValueError: the shapes are not those.
    """
    if x.ndim != 5 or x.shape[1] != 3 or x.shape[3] != 25 or x.shape[4] > BODIES or x.shape[2] == 0:
        raise ValueError(f"expected x (N, 3, T, 25, 1 or {BODIES}), got {x.shape}")
    if seen.shape != (x.shape[0], *x.shape[2:]):
        raise ValueError(f"expected seen {(x.shape[0], *x.shape[2:])}, got {seen.shape}")
    seen = seen & np.isfinite(x).all(axis=1)
    clean = np.where(seen[:, None], np.clip(x, -FARTHEST, FARTHEST), 0.0).astype(np.float32)
    y = np.stack([fill(clean[..., m], seen[..., m]) for m in range(x.shape[4])], axis=-1)
    y = np.stack([y[:, 0], -y[:, 2], y[:, 1]], axis=1)
    y -= y[:, :, :, SPINE_MID, None, :1]
    line = (y[:, :, :FIRST, SHOULDER_RIGHT, 0] - y[:, :, :FIRST, SHOULDER_LEFT, 0]).mean(axis=2)  # (N, 3)
    hips = (y[:, :, :FIRST, HIP_RIGHT, 0] - y[:, :, :FIRST, HIP_LEFT, 0]).mean(axis=2)
    line = np.where(np.hypot(line[:, 0], line[:, 1])[:, None] < SHORTEST, hips, line)
    length = np.hypot(line[:, 0], line[:, 1])
    usable = length >= SHORTEST
    cos = np.where(usable, line[:, 0] / np.maximum(length, SHORTEST), 1.0)
    sin = np.where(usable, line[:, 1] / np.maximum(length, SHORTEST), 0.0)
    torso = np.median(np.linalg.norm(y[:, :, :, CENTRE, 0] - y[:, :, :, SPINE_BASE, 0], axis=1), axis=1)
    size = np.where(torso < SHORTEST, 1.0, TORSO / np.maximum(torso, SHORTEST))
    turn = np.zeros((len(x), 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = cos
    turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = sin, -sin, 1.0
    turned = ((size[:, None, None] * turn).astype(np.float32) @ y.reshape(len(y), 3, -1)).reshape(y.shape)
    turned *= seen.any(axis=(1, 2))[:, None, None, None]
    result: Float32Array = np.pad(turned, ((0, 0),) * 4 + ((0, BODIES - x.shape[4]),))
    return result


def stretch(joints: Float32Array, frames: int) -> Float32Array:
    """Resample (T, ...) to (frames, ...) linearly, first frame on first and last on last."""
    at = np.linspace(0, len(joints) - 1, frames)
    low = np.minimum(at.astype(np.intp), max(len(joints) - 2, 0))
    share = (at - low).astype(np.float32).reshape(-1, *[1] * (joints.ndim - 1))
    high = np.minimum(low + 1, len(joints) - 1)
    result: Float32Array = joints[low] * (1 - share) + joints[high] * share
    return result


def prepare(bodies: Sequence[tuple[Float32Array, Float32Array]]) -> Float32Array:
    """One whole clip, as the networks take it.

    Args:
        bodies: one or two people's joints (F, V=25, 3), metres in camera axes, and confidence (F, V), 0 where not seen.

    Returns:
        (3, T, V, M=2): at least `FRAMES` frames, stretched where there are fewer, and a multiple of `FRAME_STEP`.

    Raises:
        ValueError: the shapes do not fit.
    """
    x = np.stack([joints for joints, _ in bodies], axis=-1).transpose(2, 0, 1, 3)
    seen = np.stack([confidence > 0 for _, confidence in bodies], axis=-1)
    clip = normalise(x[None], seen[None])[0]
    length = clip.shape[1]
    if length < FRAMES:
        return np.ascontiguousarray(stretch(clip.swapaxes(0, 1), FRAMES).swapaxes(0, 1))
    whole: Float32Array = clip[:, : length - length % FRAME_STEP]
    return whole
