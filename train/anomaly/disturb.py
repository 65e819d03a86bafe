"""What goes wrong with joints between the camera and the model, done to scenes on purpose and repeatably."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from stream.layouts import SPINE_BASE, SPINE_SHOULDER
from stream.types import Space
from train.anomaly.scenes import Scene

SHARE = 0.2
"""Of the joints of every frame that are displaced or missing, and of the frames in which people are swapped."""
SIGMA = 0.3
"""Torso lengths by which displaced joints are off, in each axis: a hand ends up where an elbow is."""


def noise(scene: Scene, rng: np.random.Generator) -> Scene:
    """A fifth of the joints of every frame are displaced, each by itself."""
    seen = (scene.confidence[..., SPINE_BASE] > 0) & (scene.confidence[..., SPINE_SHOULDER] > 0)
    torso = np.linalg.norm(scene.joints[..., SPINE_BASE, :] - scene.joints[..., SPINE_SHOULDER, :], axis=-1)
    size = float(np.median(torso[seen])) if seen.any() else 0.0
    shift = rng.normal(0, SIGMA * size, scene.joints.shape)
    if scene.space is Space.IMAGE2D:
        shift[..., 2] = 0
    off = rng.random(scene.confidence.shape) < SHARE
    return replace(scene, joints=np.where(off[..., None], scene.joints + shift, scene.joints).astype(np.float32))


def missing(scene: Scene, rng: np.random.Generator) -> Scene:
    """A fifth of the joints of every frame are not seen."""
    lost = rng.random(scene.confidence.shape) < SHARE
    return replace(scene, confidence=np.where(lost, 0, scene.confidence).astype(np.float32))


def swapped(scene: Scene, rng: np.random.Generator) -> Scene:
    """In a fifth of the frames everybody is taken for the next person; one person alone stays themselves."""
    turn = rng.random(scene.frames) < SHARE
    joints, confidence = scene.joints.copy(), scene.confidence.copy()
    joints[turn], confidence[turn] = np.roll(joints[turn], 1, axis=1), np.roll(confidence[turn], 1, axis=1)
    return replace(scene, joints=joints, confidence=confidence)


DISTURBANCES: dict[str, Callable[[Scene, np.random.Generator], Scene]] = {
    "noise": noise,
    "missing": missing,
    "swapped": swapped,
}


def disturb(scenes: Sequence[Scene], how: str, seed: int = 0) -> list[Scene]:
    """Scenes disturbed in one of the `DISTURBANCES`, each by random numbers of its own; "" leaves them as they are.

    Raises:
        KeyError: there is no such disturbance.
    """
    if not how:
        return list(scenes)
    act = DISTURBANCES[how]
    return [act(scene, np.random.default_rng((seed, place))) for place, scene in enumerate(scenes)]
