"""Three made-up actions of made-up people, for tests of training."""

from __future__ import annotations

import numpy as np

from train.datasets.labels import index_of
from train.datasets.sequences import Sequence, Span

ACTIONS = ("raise both hands", "jump", "walk")


def sequences(people: int = 3, seed: int = 0) -> list[Sequence]:
    """One trimmed clip of each action for each person, three seconds at 30 fps."""
    rng = np.random.default_rng(seed)
    made = []
    times = np.arange(90) / 30
    for person in range(people):
        pose = rng.normal(0, 0.05, (25, 3))
        pose[:, 1] += np.linspace(1.8, 0, 25)
        pose[[0, 1, 20], 1], pose[4, 0], pose[8, 0] = (0.9, 1.2, 1.4), -0.2, 0.2
        for name in ACTIONS:
            joints = np.tile(pose, (90, 1, 1)) + rng.normal(0, 0.003, (90, 25, 3))
            swing = np.sin(np.pi * np.clip((times - 1) / 1, 0, 1))[:, None]
            if name == "raise both hands":
                joints[:, [7, 11], 1] += 0.9 * swing
            elif name == "jump":
                joints[:, :, 1] += 0.4 * swing
            else:
                joints[:, :, 2] += times[:, None]
            action = index_of(name)
            made.append(
                Sequence(
                    "utd_mhad", f"s{person}", f"{name} {person}", joints.astype(np.float32),
                    np.ones((90, 25), np.float32), times, (Span(1.0, 2.0, action),), trimmed=True,
                )
            )  # fmt: skip
    return made
