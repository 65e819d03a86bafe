"""Hand-made people for tests: a standing stick figure that can be moved about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.types import NO_TRACK, SkeletonFrame, Space

STANDING = np.array(
    [
        [0.00, 0.00, 0.0], [0.00, 0.28, 0.0], [0.00, 0.60, 0.0], [0.00, 0.75, 0.0],
        [-0.18, 0.48, 0.0], [-0.22, 0.22, 0.0], [-0.23, -0.02, 0.0], [-0.23, -0.10, 0.0],
        [0.18, 0.48, 0.0], [0.22, 0.22, 0.0], [0.23, -0.02, 0.0], [0.23, -0.10, 0.0],
        [-0.08, 0.00, 0.0], [-0.10, -0.42, 0.0], [-0.10, -0.82, 0.0], [-0.10, -0.88, -0.1],
        [0.08, 0.00, 0.0], [0.10, -0.42, 0.0], [0.10, -0.82, 0.0], [0.10, -0.88, -0.1],
        [0.00, 0.52, 0.0], [-0.23, -0.18, 0.0], [-0.20, -0.12, 0.0], [0.23, -0.18, 0.0], [0.20, -0.12, 0.0],
    ],
    np.float32,
)  # fmt: skip
"""(25, 3) metres, canonical layout, facing the camera."""


def person(x: float = 0.0, z: float = 3.0) -> NDArray[np.float32]:
    """The standing figure at (x, 0, z)."""
    return STANDING + np.array([x, 0.0, z], np.float32)


def frame(
    t: int, *people: NDArray[np.float32], ids: tuple[int, ...] | None = None, seq: int = 0, source: str = "cam"
) -> SkeletonFrame:
    """A frame of these people, all joints seen."""
    joints = np.stack(people) if people else np.zeros((0, 25, 3), np.float32)
    track_ids = np.array(ids if ids is not None else [NO_TRACK] * len(people), np.int64)
    confidence = np.ones(joints.shape[:2], np.float32)
    return SkeletonFrame(source, seq, t, "kinect_v2", joints, confidence, track_ids, Space.CAMERA3D)
