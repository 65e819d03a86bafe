"""Clips without their key frames, by bidirectional motion attention: what SMIE's temporal constraint is made of.

Source: SMIE (ACM MM 2023): a frame's attention is how far all joints move to the next frame and from the
last, and the P frames of highest attention are masked.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.frame50 import resize

Float32Array = NDArray[np.float32]
Reading = Literal["paper", "released"]
SAMPLED = 20
"""Frames that the released code samples of those that are left."""


def mask_key_frames(clips: Float32Array, reading: Reading, seed: int, key_frames: int = 15) -> Float32Array:
    """Take the `key_frames` frames of most motion out of each clip; of equal motion, the earliest.

    "paper": they are set to zero, where all joints lie in the centre of the body; all other frames stay as they are.

    "released": what the authors' code does instead. The other frames (35 of 50) are kept, and 20 of them sampled. How
    it samples, and how the encoder then sees the clip, is not known to us. Here they are drawn at random without
    replacement, put in order of time, and resized linearly to T frames, the length that the encoder was trained on.

    Args:
        clips: (N, 3, T, V, M) finite; bodies that are not there are zero throughout.
        reading: which of the two.
        seed: of the sampling; "paper" draws nothing. What is drawn for clip i depends on the seed and on i alone.
        key_frames: P, in 0..T-1.

    Returns:
        (N, 3, T, V, M) float32, new; deterministic.

    Raises:
        ValueError: shape, reading or number of key frames are not those.
    """
    if clips.ndim != 5 or clips.shape[1] != 3:
        raise ValueError(f"expected clips (N, 3, T, V, M), got {clips.shape}")
    if reading not in get_args(Reading):
        raise ValueError(f"reading {reading!r}: expected one of {', '.join(get_args(Reading))}")
    n, _, t = clips.shape[:3]
    if not 0 <= key_frames < t:
        raise ValueError(f"{key_frames} key frames: expected 0 to {t - 1} in clips of {t} frames")
    by_motion = np.argsort(-motion(clips), axis=1, kind="stable")
    if reading == "paper":
        stays = np.ones((n, t), np.float32)
        np.put_along_axis(stays, by_motion[:, :key_frames], 0, axis=1)
        return np.asarray(clips * stays[:, None, :, None, None], np.float32)
    left = by_motion[:, key_frames:]
    drawn = np.argsort(np.random.default_rng(seed).random(left.shape), axis=1)[:, :SAMPLED]
    times = np.sort(np.take_along_axis(left, drawn, axis=1), axis=1)
    return resize(np.take_along_axis(clips, times[:, None, :, None, None], axis=2).astype(np.float32, copy=False), t)


def motion(clips: Float32Array) -> NDArray[np.float64]:
    """A frame's attention, (N, T): the mean over joints, axes and bodies of (x[t+1]-x[t])^2 + (x[t-1]-x[t])^2.

    The first and the last frame have one neighbour; its term counts twice there, for even motion to be even attention.
    A body that is not there adds nothing; it only halves the mean of all frames of its clip, which leaves their order.
    """
    n, _, t, v, m = clips.shape
    if t == 1:
        return np.zeros((n, 1))
    steps = np.diff(clips, axis=2)
    moved = np.einsum("nctvm,nctvm->nt", steps, steps, dtype=np.float64) / (3 * v * m)
    around: NDArray[np.float64] = np.concatenate([moved[:, :1], moved, moved[:, -1:]], axis=1)
    return around[:, 1:] + around[:, :-1]
