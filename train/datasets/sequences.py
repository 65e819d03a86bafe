"""A recording in the canonical layout, with what is done in it when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
FloatArray = NDArray[np.float64]
CORE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 20]
"""Joints that tell motion: without feet, hand tips and thumbs, which jitter."""


@dataclass(frozen=True, slots=True)
class Span:
    """An action between two times, in seconds of its sequence; `action` is its index in `labels.toml`."""

    start: float
    end: float
    action: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """One continuous recording of one person.

    Attributes:
        set_name, person, name: where it is from.
        joints: (T, V=25, 3) float32, metres in camera axes.
        confidence: (T, V) float32, 0 where not seen.
        times: (T,) seconds from 0, increasing.
        spans: what is done when, in order of time.
        trimmed: what was before and after is not known (a clip); else all that is in no span is something else.
    """

    set_name: str
    person: str
    name: str
    joints: Float32Array
    confidence: Float32Array
    times: FloatArray
    spans: tuple[Span, ...]
    trimmed: bool

    def sample(self, times: FloatArray, every: int = 1) -> tuple[Float32Array, Float32Array]:
        """Joints (T, V, 3) and confidence (T, V) at the given times, linearly interpolated; the ends are held.

        Args:
            times: (T,) seconds.
            every: use only every n-th frame, as a slower sensor would.
        """
        frames = self.times[::every]
        right = np.clip(np.searchsorted(frames, times), 1, max(len(frames) - 1, 1))
        left = right - 1
        right = np.minimum(right, len(frames) - 1)
        step = np.maximum(frames[right] - frames[left], 1e-6)
        weight = np.clip((times - frames[left]) / step, 0.0, 1.0).astype(np.float32)[:, None]
        a, b = self.joints[::every][left], self.joints[::every][right]
        seen_a, seen_b = self.confidence[::every][left], self.confidence[::every][right]
        # A joint that only one of the two frames saw is taken from that frame.
        share = np.where(seen_b <= 0, 0.0, np.where(seen_a <= 0, 1.0, np.broadcast_to(weight, seen_a.shape)))[
            :, :, None
        ]
        joints = (a + share * (b - a)).astype(np.float32)
        return joints, (seen_a + share[:, :, 0] * (seen_b - seen_a)).astype(np.float32)


def motion(joints: Float32Array, confidence: Float32Array, seconds: float) -> float:
    """Mean speed of the core joints in m/s, relative to the body's middle, over frames `seconds` apart."""
    body = joints[:, CORE] - joints[:, 1:2]
    body = body + 0.5 * (joints[:, 1:2] - joints[:1, 1:2])  # travel counts, but less than the limbs
    smooth = (body[:-2] + body[1:-1] + body[2:]) / 3
    steps = np.linalg.norm(np.diff(smooth, axis=0), axis=2)
    seen = confidence[:, CORE] > 0
    both = seen[1:-2] & seen[2:-1]
    return float((steps * both).sum() / max(both.sum(), 1) / seconds)


def active_part(joints: Float32Array, confidence: Float32Array, share: float = 0.25) -> tuple[int, int]:
    """First and last frame of a clip where the pose is away from both ends of the clip.

    The clip's rest is taken to be near its first or its last pose: a frame is active where the largest displacement of
    a joint from the first poses *and* from the last poses, or the speed, exceeds `share` of the clip's maximum.
    """
    frames = len(joints)
    seen = (confidence[:, CORE] > 0)[:, :, None]
    body = np.where(seen, joints[:, CORE] - joints[:, 1:2], 0.0)
    edge = max(2, min(5, frames // 6))
    away = [np.linalg.norm(body - np.median(part, axis=0), axis=2).max(axis=1) for part in (body[:edge], body[-edge:])]
    distance = np.minimum(away[0] / max(away[0].max(), 1e-6), away[1] / max(away[1].max(), 1e-6))
    speed = np.linalg.norm(np.gradient(body, axis=0), axis=2).max(axis=1)
    speed = np.convolve(speed, np.ones(5) / 5, mode="same")
    active = np.flatnonzero((distance > share) | (speed > share * speed.max()))
    if len(active) == 0:
        return 0, frames - 1
    return int(active[0]), int(active[-1])
