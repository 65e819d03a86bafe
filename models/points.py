"""Joints of any number of people as an unordered set of points, causally: what `models.pointset` sees.

After Sato, Hachiuma, Sekii, "Prompt-Guided Zero-Shot Anomaly Action Recognition using Pretrained Deep Skeleton
Features" (CVPR 2023), section 3.2: a point is (x, y, time index, confidence, joint index, centroid x, centroid y), each
in [0, 1]. Ours differ in three ways (docs/decisions/0015): x and y are relative to the person's own centre, the centres
are relative to a slow mean of where everybody was, and the time index is cyclic, so that a stream of months stays in
[0, 1] and nothing of a window changes when it slides. numpy only, vectorised over scenes, deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from models.graph import JOINTS

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
Space = Literal["camera3d", "image2d"]
V = len(JOINTS)
RATE_HZ = 12.5
WINDOW = 25
"""Frames of a window: 2 s; also the period of the time index."""
STEP_NS = 80_000_000
"""Nanoseconds between frames."""
X, Y, CONFIDENCE, PLACE_X, PLACE_Y = range(5)
NUMBERS = 5
"""Of each point; the other two, time index and joint index, are the same for a whole frame, or for a whole joint."""
POSE_SPAN, PLACE_SPAN = 3.0, 6.0
"""(Pseudo-)metres that [0, 1] stands for: of a joint about its body's centre, of a centre about the anchor."""
CORE = (0, 1, 20, 4, 8, 12, 16)
"""Joints whose mean is a body's centre, those of them that are seen."""
BONES = (((0, 20), 0.477), ((4, 8), 0.36), ((12, 14), 0.80), ((16, 18), 0.80))
"""Pairs of joints, and how far apart they are on a person of middle height who turns them to the camera, in metres."""
TALL = 1.7
"""Metres; what a body of which no such pair is seen is taken to measure."""
ANCHOR, UNIT = 1 / 25, 1 / 50
"""Share of a new frame in the mean of the centres (time constant 2 s), and in that of the people's size (4 s)."""
SMALLEST = 1e-6
"""Units; people smaller than this in an image say nothing on its scale."""
FARTHEST = 1e6


@dataclass(slots=True)
class PlaneState:
    """What N scenes remember between frames.

    Attributes:
        anchor: (N, 2) slow mean of the centres, in the input's units; y up.
        anchored: (N,) frames in it.
        unit: (N,) units of the input that a (pseudo-)metre has.
        measured: (N,) frames in it.
    """

    anchor: Float32Array
    anchored: IntArray
    unit: Float32Array
    measured: IntArray

    @classmethod
    def new(cls, scenes: int) -> Self:
        """The state before the first frame."""
        return cls(
            np.zeros((scenes, 2), np.float32),
            np.zeros(scenes, np.int64),
            np.ones(scenes, np.float32),
            np.zeros(scenes, np.int64),
        )


def points(joints: Float32Array, confidence: Float32Array, image: NDArray[np.bool_], state: PlaneState) -> Float32Array:
    """The next T frames of N scenes.

    Args:
        joints: (N, T, M, V, 3) float32, or (..., 2) where all are images; ignored where the confidence is 0 or a
            coordinate is not finite. camera3d: metres, x to the left of the picture (the right of who faces the
            camera), y up; the depth is dropped. image2d: any unit, x to the right, y down.
        confidence: (N, T, M, V) in 0..1.
        image: (N,) whether a scene is image2d.
        state: of the same scenes; brought up to date.

    Returns:
        (N, T, M, V, `NUMBERS`) float32 in [0, 1]: x, y, confidence, centroid x, centroid y; all 0 where a joint was not
        seen. A frame's numbers depend on it and on earlier ones only, and not on the order of the bodies.

    Raises:
        ValueError: the shapes are not those.
    """
    if (
        joints.ndim != 5
        or joints.shape[3] != V
        or joints.shape[4] not in (2, 3)
        or confidence.shape != joints.shape[:4]
    ):
        raise ValueError(f"expected joints (N, T, M, {V}, 3) and confidence, got {joints.shape}, {confidence.shape}")
    plane = joints[..., :2]
    seen = (confidence > 0) & (np.abs(plane) < FARTHEST).all(axis=4)
    flat = np.where(seen[..., None], plane, 0.0).astype(np.float32)
    flat[image] *= np.float32(-1)  # the subject's right is +x, and up is +y
    units = _units(flat, seen, image, state)
    centre, bodies = _centres(flat, seen)
    anchor = _anchors(centre, bodies, state)
    scale = 1 / units[:, :, None, None]
    out = np.empty((*seen.shape, NUMBERS), np.float32)
    pose = (flat - centre[:, :, :, None]) * scale[..., None]
    out[..., X : Y + 1] = np.clip(0.5 + pose / POSE_SPAN, 0, 1)
    out[..., CONFIDENCE] = np.clip(confidence, 0, 1)
    place = (centre - anchor[:, :, None]) * scale
    out[..., PLACE_X:] = np.clip(0.5 + place / PLACE_SPAN, 0, 1)[:, :, :, None]
    out[~seen] = 0
    return out


def _units(x: Float32Array, seen: NDArray[np.bool_], image: NDArray[np.bool_], state: PlaneState) -> Float32Array:
    """Units to the metre (N, T): 1 in space, in images by the people's size so far."""
    sizes = np.zeros(seen.shape[:3], np.float32)
    for (a, b), metres in BONES:
        length = np.linalg.norm(x[..., a, :] - x[..., b, :], axis=-1) / np.float32(metres)
        # Foreshortening only shortens: the longest says most.
        sizes = np.maximum(sizes, np.where(seen[..., a] & seen[..., b], length, 0))
    low = np.where(seen[..., None], x, np.inf).min(axis=3)
    high = np.where(seen[..., None], x, -np.inf).max(axis=3)
    extent = np.where(seen.any(axis=3), (high - low).max(axis=3), 0) / np.float32(TALL)
    sizes = np.where(sizes > SMALLEST, sizes, extent)
    told = sizes > SMALLEST
    mean = sizes.sum(axis=2) / np.maximum(told.sum(axis=2), 1)
    use = told.any(axis=2) & image[:, None]
    units = np.empty(use.shape, np.float32)
    for t in range(use.shape[1]):
        state.measured = state.measured + use[:, t]
        share = np.where(use[:, t], np.maximum(UNIT, 1 / np.maximum(state.measured, 1)), 0)
        state.unit = (state.unit + share * (mean[:, t] - state.unit)).astype(np.float32)
        units[:, t] = state.unit
    return units


def _centres(x: Float32Array, seen: NDArray[np.bool_]) -> tuple[Float32Array, NDArray[np.bool_]]:
    """Centres of the bodies (N, T, M, 2), and which bodies are there."""
    core = list(CORE)
    of_core = seen[..., core]
    used = np.zeros(seen.shape, np.float32)
    used[..., core] = of_core
    used = np.where(of_core.any(axis=-1)[..., None], used, seen)
    count = used.sum(axis=-1)
    centre = (x * used[..., None]).sum(axis=-2) / np.maximum(count, 1)[..., None]
    return centre.astype(np.float32), count > 0


def _anchors(centre: Float32Array, bodies: NDArray[np.bool_], state: PlaneState) -> Float32Array:
    """The slow mean of the scenes' centres (N, T, 2), in the input's units."""
    there = bodies.any(axis=2)
    # Summed in the order of the coordinates, so that exchanged bodies change not even the last bit.
    ordered = np.sort(np.where(bodies[..., None], centre, 0), axis=2).sum(axis=2, dtype=np.float64)
    mean = ordered / np.maximum(bodies.sum(axis=2), 1)[..., None]
    anchors = np.empty((*there.shape, 2), np.float32)
    for t in range(there.shape[1]):
        state.anchored = state.anchored + there[:, t]
        share = np.where(there[:, t], np.maximum(ANCHOR, 1 / np.maximum(state.anchored, 1)), 0)[:, None]
        state.anchor = (state.anchor + share * (mean[:, t] - state.anchor)).astype(np.float32)
        anchors[:, t] = state.anchor
    return anchors


def slots(times_ns: IntArray) -> tuple[IntArray, IntArray]:
    """Which frames of a stream are looked at: the first in each step of 80 ms.

    Args:
        times_ns: (T,) increasing.

    Returns:
        (K,) indices of those frames, and (K,) numbers of their steps since the epoch; steps may be missing.
    """
    steps = times_ns // STEP_NS
    first = np.flatnonzero(np.concatenate(([True], np.diff(steps) > 0))) if len(steps) else np.zeros(0, np.int64)
    return first.astype(np.int64), steps[first].astype(np.int64)


def phase(steps: IntArray) -> Float32Array:
    """The cyclic time index of steps, in [0, 1)."""
    return ((steps % WINDOW) / WINDOW).astype(np.float32)
