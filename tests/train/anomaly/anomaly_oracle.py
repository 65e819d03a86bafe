"""An anomaly encoder whose answers are known, and scenes that it tells apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.anomaly import Features
from stream.types import Space
from train.anomaly.scenes import Scene

DIM = 6
PUNCH = np.eye(4, dtype=np.float32)[0]


class Heights:
    """Sees how high the joints are: what is normal stays near 1 m, an anomaly reaches 3 m."""

    name = "heights"
    digest = "0" * 64
    dim = DIM

    def __init__(self) -> None:
        self.windows = 0

    def features(self, joints: np.ndarray, confidence: np.ndarray, rate_hz: float, space: str) -> Features:
        self.windows += 1
        assert rate_hz > 0
        assert space in ("camera3d", "image2d")
        seen = (confidence > 0).any(axis=(0, 2))
        persons = np.zeros((len(seen), DIM), np.float32)
        for body in np.flatnonzero(seen):
            there = joints[:, body][confidence[:, body] > 0]
            persons[body] = [there[:, 1].max(), there[:, 1].min(), *there.std(axis=0), len(there) / 1000]
        return Features(persons.max(axis=0) if len(persons) else np.zeros(DIM, np.float32), persons, seen)

    def prompts(self, vectors: np.ndarray) -> object:
        return vectors

    def similarity(self, features: np.ndarray, prompts: Any) -> np.ndarray:
        return np.clip(features[:, 0] / 4, 0, 1) * float(np.max(prompts @ PUNCH[: prompts.shape[1]]) > 0)


def scene(
    label: str,
    subject: str,
    seed: int,
    *,
    frames: int = 60,
    people: int = 1,
    height: float = 1.0,
    rate_hz: float = 30.0,
) -> Scene:
    """People who move a little about a height, and reach to it."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.05, (frames, people, 25, 3)) + rng.uniform(0.5, 1.0, (1, people, 25, 1))
    joints[frames // 2 :, :, 11, 1] = height + rng.normal(0, 0.05)
    confidence = np.ones((frames, people, 25), np.float32)
    return Scene(joints.astype(np.float32), confidence, rate_hz, Space.CAMERA3D, label, subject, f"{label} {seed}")


def clips(people: int = 1) -> list[Scene]:
    """Three people's clips: "hit" reaches to 3 m, "wave" and "walk" do not."""
    heights = {"hit": 3.0, "wave": 1.2, "walk": 1.0}
    return [
        scene(label, subject, 100 * i + 10 * j + k, people=people, height=height)
        for i, subject in enumerate(("s1", "s2", "s3"))
        for j, (label, height) in enumerate(heights.items())
        for k in range(4)
    ]
