"""Simulated scenes of two people: what no recording that may be used shows, and what an interaction is told by.

Two people, recorded one at a time, are put before each other so that a blow arrives, or made to hug or to shake hands
by moving their arms. It is geometry, not physics: bone lengths hold, bodies may touch or overlap a little, and who is
hit leans and steps back, or does not. A model trained on these has never seen two people who knew of each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.layouts import (
    ANKLE_LEFT,
    ANKLE_RIGHT,
    ELBOW_LEFT,
    ELBOW_RIGHT,
    FOOT_LEFT,
    FOOT_RIGHT,
    HAND_LEFT,
    HAND_RIGHT,
    HAND_TIP_LEFT,
    HAND_TIP_RIGHT,
    HIP_LEFT,
    HIP_RIGHT,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    SPINE_BASE,
    SPINE_MID,
    SPINE_SHOULDER,
    THUMB_LEFT,
    THUMB_RIGHT,
    WRIST_LEFT,
    WRIST_RIGHT,
)
from train.datasets.sequences import Float32Array

FloatArray = NDArray[np.float64]
LEFT = (SHOULDER_LEFT, ELBOW_LEFT, WRIST_LEFT, (HAND_LEFT, HAND_TIP_LEFT, THUMB_LEFT))
RIGHT = (SHOULDER_RIGHT, ELBOW_RIGHT, WRIST_RIGHT, (HAND_RIGHT, HAND_TIP_RIGHT, THUMB_RIGHT))
HANDS, ELBOWS, FEET = (WRIST_LEFT, WRIST_RIGHT), (ELBOW_LEFT, ELBOW_RIGHT), (ANKLE_LEFT, ANKLE_RIGHT)
SOLES = (FOOT_LEFT, FOOT_RIGHT, ANKLE_LEFT, ANKLE_RIGHT)
LEGS = frozenset(range(HIP_LEFT, FOOT_RIGHT + 1)) | {SPINE_BASE}
DEPTH = 0.12
"""Metres from a body's middle to its front: where a blow arrives."""


@dataclass(frozen=True, slots=True)
class Blow:
    """Where a limb goes.

    Attributes:
        frame: of its farthest reach.
        toward: radians over the floor, from +x to +z.
        reach: metres from the body's middle.
    """

    frame: int
    toward: float
    reach: float


def turned(joints: Float32Array, angle: float) -> Float32Array:
    """Joints (..., 3) turned about the vertical through the origin, from +x towards +z."""
    cos, sin = np.cos(angle), np.sin(angle)
    out = joints.copy()
    out[..., 0] = cos * joints[..., 0] - sin * joints[..., 2]
    out[..., 2] = sin * joints[..., 0] + cos * joints[..., 2]
    return out


def grounded(joints: Float32Array, frame: int) -> Float32Array:
    """A person (T, V, 3) moved so that in a frame they are at the origin, and their feet are at height 0."""
    moved = joints.copy()
    moved[..., [0, 2]] -= joints[frame, SPINE_BASE, [0, 2]]
    moved[..., 1] -= np.median(joints[:, list(SOLES), 1].min(axis=1))
    return moved


def facing(joints: Float32Array, frame: int) -> float:
    """Where a person (T, V, 3) faces around a frame, in radians over the floor, by hips and shoulders."""
    near = joints[max(frame - 4, 0) : frame + 5]
    line = np.median(near[:, SHOULDER_RIGHT] - near[:, SHOULDER_LEFT] + near[:, HIP_RIGHT] - near[:, HIP_LEFT], axis=0)
    return float(np.arctan2(-line[0], line[2]))


def blow(joints: Float32Array, limbs: tuple[int, ...], first: int, last: int) -> Blow:
    """The farthest reach of some joints, over the floor, among the frames first..last of a person (T, V, 3)."""
    part = joints[first : last + 1]
    away = part[:, list(limbs)][..., [0, 2]] - part[:, SPINE_BASE, None][..., [0, 2]]
    reach = np.linalg.norm(away, axis=-1)
    frame, limb = np.unravel_index(int(reach.argmax()), reach.shape)
    x, z = away[frame, limb]
    return Blow(first + int(frame), float(np.arctan2(z, x)), float(reach[frame, limb]))


def placed(joints: Float32Array, frame: int, toward: float, distance: float, face: float) -> Float32Array:
    """A person (T, V, 3) put at a distance from the origin in a direction, facing a direction in that frame."""
    own = grounded(joints, frame)
    out = turned(own, face - facing(own, frame))
    out[..., 0] += distance * np.cos(toward)
    out[..., 2] += distance * np.sin(toward)
    return out


def driven_back(joints: Float32Array, toward: float, start: int, lean: float, step: float, frames: int) -> Float32Array:
    """A person (T, V, 3) who is hit: leans by an angle and steps back by metres, in a direction, from a frame on."""
    time = np.arange(len(joints)) - start
    share = np.clip(time / max(frames, 1), 0, 1)
    share = share * share * (3 - 2 * share)
    upright = share * np.clip(1.6 - time / (3 * max(frames, 1)), 0.2, 1)  # they straighten up again
    out = joints.copy()
    upper = [joint for joint in range(joints.shape[1]) if joint not in LEGS]
    base = joints[:, SPINE_BASE, None]
    offset = joints[:, upper] - base
    along = offset[..., 0] * np.cos(toward) + offset[..., 2] * np.sin(toward)
    cos, sin = np.cos(lean * upright)[:, None], np.sin(lean * upright)[:, None]
    leaned = along * cos + offset[..., 1] * sin
    out[:, upper, 0] += (leaned - along) * np.cos(toward)
    out[:, upper, 2] += (leaned - along) * np.sin(toward)
    out[:, upper, 1] = base[..., 1] + offset[..., 1] * cos - along * sin
    out[..., 0] += (step * share * np.cos(toward))[:, None]
    out[..., 2] += (step * share * np.sin(toward))[:, None]
    return out.astype(np.float32)


def moved(joints: Float32Array, toward: float, distance: FloatArray) -> Float32Array:
    """A person (T, V, 3) on a treadmill: their own way over the floor is replaced by distances (T,) in a direction."""
    out = joints.copy()
    out[..., [0, 2]] -= joints[:, SPINE_BASE, None][..., [0, 2]] - joints[:1, SPINE_BASE, None][..., [0, 2]]
    out[..., 0] += (distance * np.cos(toward))[:, None].astype(np.float32)
    out[..., 2] += (distance * np.sin(toward))[:, None].astype(np.float32)
    return out


def reached(
    joints: Float32Array, arm: tuple[int, int, int, tuple[int, ...]], target: Float32Array, share: FloatArray
) -> Float32Array:
    """A person (T, V, 3) whose wrist goes to targets (T, 3), by shares (T,) of the way; bone lengths hold."""
    shoulder, elbow, wrist, hand = arm
    out = joints.copy()
    root = joints[:, shoulder].astype(np.float64)
    upper = np.linalg.norm(joints[:, elbow] - joints[:, shoulder], axis=1)
    lower = np.linalg.norm(joints[:, wrist] - joints[:, elbow], axis=1)
    line = joints[:, wrist] + share[:, None] * (target - joints[:, wrist]) - root
    length = np.linalg.norm(line, axis=1)
    along = line / np.maximum(length, 1e-6)[:, None]
    length = np.clip(length, np.abs(upper - lower) + 1e-3, (upper + lower) * 0.999)
    x = (upper**2 - lower**2 + length**2) / (2 * length)
    bend = joints[:, elbow] - root + share[:, None] * [0, -0.1, 0]  # elbows hang
    bend -= (bend * along).sum(axis=1, keepdims=True) * along
    bend /= np.maximum(np.linalg.norm(bend, axis=1, keepdims=True), 1e-6)
    out[:, elbow] = root + along * x[:, None] + bend * np.sqrt(np.maximum(upper**2 - x**2, 0))[:, None]
    out[:, wrist] = root + along * length[:, None]
    for joint in hand:
        out[:, joint] += out[:, wrist] - joints[:, wrist]
    return out


def rising(length: int, start: float, frames: float) -> FloatArray:
    """Shares (T,) from 0 to 1, smoothly, from a frame on."""
    share = np.clip((np.arange(length) - start) / max(frames, 1), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def hugging(a: Float32Array, b: Float32Array, share: FloatArray, rng: np.random.Generator) -> tuple[Float32Array, ...]:
    """Two people (T, V, 3) who stand before each other put their arms around each other."""
    out = []
    for own, other in ((a, b), (b, a)):
        between = other[:, SPINE_MID] - own[:, SPINE_MID]
        between[:, 1] = 0
        ahead = between / np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
        # Who faces the camera, along -z, has +x at their right.
        right = np.stack((-ahead[:, 2], np.zeros(len(ahead)), ahead[:, 0]), axis=1)
        back = other[:, SPINE_MID] + ahead * (DEPTH + 0.03)
        height = (other[:, SPINE_SHOULDER] - other[:, SPINE_MID])[:, 1:2] * [[0, 1, 0]]
        level, done = rng.uniform(-0.6, 1.1, 2), own
        for arm, side, up in ((LEFT, -1, level[0]), (RIGHT, 1, level[1])):
            done = reached(done, arm, (back + side * 0.1 * right + up * height).astype(np.float32), share)
        out.append(done)
    return tuple(out)


def shaking(a: Float32Array, b: Float32Array, share: FloatArray, rng: np.random.Generator) -> tuple[Float32Array, ...]:
    """Two people (T, V, 3) who stand before each other shake their right hands."""
    middle = (a[:, SPINE_MID] + b[:, SPINE_MID]) / 2
    time = np.arange(len(a))
    middle[:, 1] += rng.uniform(-0.15, 0.1) + rng.uniform(0.01, 0.06) * np.sin(
        2 * np.pi * (time * rng.uniform(0.12, 0.28) + rng.random())
    )
    return tuple(reached(person, RIGHT, middle.astype(np.float32), share) for person in (a, b))
