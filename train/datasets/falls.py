"""Simulated falls: what no recording that may be used shows, and what a care home asks for first.

A person of a recording loses their footing: the legs lean about the feet while the knees give way, the trunk topples
about the hips, and they lie. Played backwards and slower, they get up. It is geometry, not physics: bone lengths hold,
joints do not go through the floor, and how it looks differs in direction, speed, stiffness and what the person did
before. A model trained on these has not seen a real fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.datasets.labels import FALL, LIE, RISE
from train.datasets.sequences import Float32Array

FloatArray = NDArray[np.float64]
FEET, HIPS, LEGS = (14, 15, 18, 19), (12, 16), (12, 13, 14, 15, 16, 17, 18, 19)
ANKLES = (14, 18)
SPINE_BASE = 0
THICKNESS = 0.09
"""Metres; how high a lying body's joints are above the floor, at least."""


@dataclass(frozen=True, slots=True)
class Fall:
    """How one person falls.

    Attributes:
        toward: direction over the floor, radians from the camera's x axis.
        lean, trunk: final angles of the legs and the trunk from the vertical, in radians.
        legs: final distance of the hips from the feet, as a share of the standing one.
        sway: final turn of the body about the vertical, in radians.
    """

    toward: float
    lean: float
    trunk: float
    legs: float
    sway: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Fall:
        """One of many: stiff like a board, collapsing, or between."""
        stiff = rng.random()
        return cls(
            toward=rng.uniform(-np.pi, np.pi),
            lean=np.radians(20 + 65 * stiff + rng.normal(0, 5)),
            trunk=np.radians(rng.uniform(75, 100)),
            legs=0.35 + 0.6 * stiff + rng.uniform(-0.05, 0.05),
            sway=rng.normal(0, 0.4),
        )

    def applied(self, joints: Float32Array, progress: FloatArray) -> Float32Array:
        """A recording as the fall changes it.

        Args:
            joints: (T, V, 3) metres in camera axes, a person on their feet.
            progress: (T,) 0 before, 1 when lying.

        Returns:
            (T, V, 3).
        """
        out = joints.astype(np.float64)
        floor = np.median(out[:, list(FEET), 1].min(axis=1))
        feet = out[:, list(ANKLES)].mean(axis=1)
        feet[:, 1] = floor
        base = out[:, SPINE_BASE].copy()
        stand = base - feet
        # Legs shorten by bending; the trunk keeps its shape and turns about the hips.
        share = 1 - (1 - self.legs) * progress
        moved = feet + _turned(stand * share[:, None], self.toward, self.lean * progress)
        upper = [joint for joint in range(out.shape[1]) if joint not in LEGS]
        out[:, upper] = moved[:, None] + self._trunk(out[:, upper] - base[:, None], progress)
        for side, hip in enumerate(HIPS):
            knee, ankle, foot = hip + 1, hip + 2, hip + 3
            thigh = np.linalg.norm(joints[:, knee] - joints[:, hip], axis=1)
            shin = np.linalg.norm(joints[:, ankle] - joints[:, knee], axis=1)
            forward = _turned(
                (joints[:, foot] - joints[:, ankle]).astype(np.float64), self.toward, self.lean * progress
            )
            place = moved + self._trunk((joints[:, hip] - base).astype(np.float64), progress)
            ground = joints[:, ankle].astype(np.float64)
            out[:, hip] = place
            out[:, knee], out[:, ankle] = _bent(place, ground, thigh, shin, forward, spread=0.3 * (2 * side - 1))
            out[:, foot] = out[:, ankle] + forward
        out[:, :, 1] = np.maximum(out[:, :, 1], (floor + THICKNESS * progress - 0.02)[:, None])
        return out.astype(np.float32)

    def _trunk(self, offsets: FloatArray, progress: FloatArray) -> FloatArray:
        """Offsets from the hips (T, ..., 3), turned with the trunk."""
        angle = self.sway * progress
        cos, sin = np.cos(angle), np.sin(angle)
        while cos.ndim < offsets.ndim - 1:
            cos, sin = cos[:, None], sin[:, None]
        swayed = np.stack(
            (
                cos * offsets[..., 0] + sin * offsets[..., 2],
                offsets[..., 1],
                cos * offsets[..., 2] - sin * offsets[..., 0],
            ),
            axis=-1,
        )
        return _turned(swayed, self.toward, self.trunk * progress)


def _turned(vectors: FloatArray, toward: float, angle: FloatArray) -> FloatArray:
    """Vectors (T, ..., 3) tilted from the vertical by angles (T,) towards a direction over the floor (Rodrigues)."""
    axis = np.array([np.sin(toward), 0.0, -np.cos(toward)])
    while angle.ndim < vectors.ndim:
        angle = angle[..., None]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(vectors * cos + np.cross(axis, vectors) * sin + axis * (vectors @ axis)[..., None] * (1 - cos))


def _bent(
    hip: FloatArray, ankle: FloatArray, thigh: FloatArray, shin: FloatArray, forward: FloatArray, spread: float
) -> tuple[FloatArray, FloatArray]:
    """Knee and ankle (T, 3) of a leg of given bone lengths: the ankle comes nearer if it is out of reach."""
    line = ankle - hip
    distance = np.linalg.norm(line, axis=1)
    reach = np.maximum(np.minimum(distance, (thigh + shin) * 0.999), 1e-3)
    along = line / np.maximum(distance, 1e-6)[:, None]
    ankle = hip + along * reach[:, None]
    x = (thigh**2 - shin**2 + reach**2) / (2 * reach)
    out = np.sqrt(np.maximum(thigh**2 - x**2, 0))
    side = np.cross(along, [0.0, 1.0, 0.0])
    front = forward + spread * side
    front = front - (front * along).sum(axis=1, keepdims=True) * along
    front = front / np.maximum(np.linalg.norm(front, axis=1, keepdims=True), 1e-6)
    return hip + along * x[:, None] + front * out[:, None], ankle


def progress_of_fall(times: FloatArray, start: float, seconds: float) -> FloatArray:
    """How far a fall has gone at each time: it gathers speed, and ends at once."""
    share = np.clip((times - start) / seconds, 0, 1)
    return np.asarray(np.expm1(2.2 * share) / np.expm1(2.2))


def progress_of_rising(times: FloatArray, start: float, seconds: float) -> FloatArray:
    """The same for getting up, from 1 to 0."""
    share = np.clip((times - start) / seconds, 0, 1)
    return np.asarray(0.5 * (1 + np.cos(np.pi * share)))


def simulated(joints: Float32Array, times: FloatArray, kind: str, rng: np.random.Generator) -> Float32Array:
    """A person on their feet, made to "fall", "lie on the floor" or "get up from the floor".

    Args:
        joints: (T, V, 3) metres in camera axes.
        times: (T,) seconds; the window of interest is the later half.
        kind: which of them.
        rng: source of all randomness.

    Raises:
        ValueError: the kind is none of them.
    """
    fall = Fall.draw(rng)
    window, last = times[-1] - times[len(times) // 2], float(times[-1])
    if kind == FALL:
        # From the first signs to some seconds of lying: the fall itself is always in the window.
        return fall.applied(
            joints, progress_of_fall(times, last - rng.uniform(0.45, 1.05) * window, rng.uniform(0.45, 1.1))
        )
    if kind == LIE:
        # Someone who lies moves little: the recording's motion is damped.
        calm = joints[:1] + np.float32(rng.uniform(0, 0.3)) * (joints - joints[:1])
        return fall.applied(calm, np.ones(len(times)))
    if kind == RISE:
        calm = joints[:1] + np.float32(0.4) * (joints - joints[:1])
        return fall.applied(
            calm, progress_of_rising(times, last - rng.uniform(0.7, 1.1) * window, rng.uniform(1.0, 2.5))
        )
    raise ValueError(f"{kind!r}: expected {FALL!r}, {LIE!r} or {RISE!r}")
