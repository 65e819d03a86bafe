"""From raw joints to what the streaming encoder sees, causally: each frame's output depends on it and earlier ones.

The counterpart of `models.frame50`, which looks at a whole window at once. numpy only, vectorised over tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.graph import CENTRE, JOINTS
from models.joints import (
    FARTHEST,
    HIP_LEFT,
    HIP_RIGHT,
    PARENTS,
    SHORTEST,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    SPINE_BASE,
    SPINE_MID,
    TORSO,
)

Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
V = len(JOINTS)
POSE, SEEN, TRAVEL = slice(0, 3 * V), slice(3 * V, 4 * V), slice(4 * V, 4 * V + 4)
"""Where in a frame's inputs the joints (x, y, z of each), their masks, and the body's own motion are."""
INPUTS = 4 * V + 4
HOLD = 25
"""Frames for which an unseen joint is taken to stay where it was relative to the body; then it is derived."""
TURN, SIZE = 1 / 12, 1 / 50
"""Share of a new frame in the running mean of the shoulder line, and in that of the torso's length."""
SMALLEST, LARGEST = 0.2, 0.9
"""Metres; torsos outside are not measurements."""
FASTEST = 4.0
"""m/s (rad/s for the turn); the body's own motion is clipped to this: faster is another person or a jump of the
tracker."""
ROOTS = ((SPINE_MID,), (SPINE_BASE, CENTRE), (CENTRE,), (SHOULDER_LEFT, SHOULDER_RIGHT), (HIP_LEFT, HIP_RIGHT))
"""Joints whose mean is the body's middle: the first of these of which all were seen."""


@dataclass(slots=True)
class NormaliserState:
    """What N tracks remember between frames.

    Attributes:
        joints: (N, V, 3) last seen place of each joint relative to the root, in metres in camera axes.
        age: (N, V) frames since it was seen; beyond `HOLD` it is as good as never.
        root: (N, 3) last place of the body's middle.
        rooted: (N,) whether it was ever seen.
        line: (N, 2) running mean of the shoulder line over the floor.
        lines: (N,) how many frames are in it.
        torso: (N,) running mean of the torso's length.
        torsos: (N,) how many frames are in it.
        angle: (N,) where the last frame's shoulder line pointed, in radians.
        faced: (N,) whether that could be told.
    """

    joints: Float32Array
    age: IntArray
    root: Float32Array
    rooted: NDArray[np.bool_]
    line: Float32Array
    lines: IntArray
    torso: Float32Array
    torsos: IntArray
    angle: Float32Array
    faced: NDArray[np.bool_]

    @classmethod
    def new(cls, tracks: int) -> Self:
        """The state before the first frame."""
        return cls(
            joints=np.zeros((tracks, V, 3), np.float32),
            age=np.full((tracks, V), HOLD + 1, np.int64),
            root=np.zeros((tracks, 3), np.float32),
            rooted=np.zeros(tracks, bool),
            line=np.zeros((tracks, 2), np.float32),
            lines=np.zeros(tracks, np.int64),
            torso=np.full(tracks, TORSO, np.float32),
            torsos=np.zeros(tracks, np.int64),
            angle=np.zeros(tracks, np.float32),
            faced=np.zeros(tracks, bool),
        )

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def select(self, rows: IntArray) -> Self:
        """The state of some of the tracks, as a copy."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def put(self, rows: IntArray, other: Self) -> None:
        """Overwrite the state of some of the tracks."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)

    def joined(self, other: Self) -> Self:
        """The state of these tracks and then of the others."""
        return type(self)(
            **{f.name: np.concatenate((getattr(self, f.name), getattr(other, f.name))) for f in fields(self)}
        )


def normalise(x: Float32Array, mask: Float32Array, state: NormaliserState, rate_hz: float = 25.0) -> Float32Array:
    """The next T frames of N tracks.

    Args:
        x: (N, T, V, 3) float32, metres in camera axes (y up, z away); ignored where the mask is 0 or it is not finite.
        mask: (N, T, V) confidence.
        state: of the same tracks; brought up to date.
        rate_hz: frames a second.

    Returns:
        (N, T, `INPUTS`) float32, finite: joints relative to the body's middle, shoulders along +x, torso `TORSO` long;
        masks; the body's velocity in those axes (m/s) and its turn (rad/s). Invariant to where and how large the person
        is, and (but for the first frames) to where they face.

    Raises:
        ValueError: the shapes are not those.
    """
    if x.ndim != 4 or x.shape[2:] != (V, 3) or mask.shape != x.shape[:3]:
        raise ValueError(f"expected x (N, T, {V}, 3) and mask (N, T, {V}), got {x.shape} and {mask.shape}")
    seen = (mask > 0) & np.isfinite(x).all(axis=3)
    clean = np.where(seen[..., None], np.clip(x, -FARTHEST, FARTHEST), 0.0).astype(np.float32)
    root, step = _roots(clean, seen, state)
    joints = _held(clean - root[:, :, None], seen, state)
    line, torso = _means(clean, seen, state)
    faced = np.hypot(line[..., 0], line[..., 1]) >= SHORTEST
    angle = np.where(faced, np.arctan2(line[..., 1], line[..., 0]), 0.0).astype(np.float32)
    turn = angle - np.concatenate((state.angle[:, None], angle[:, :-1]), axis=1)
    known = faced & np.concatenate((state.faced[:, None], faced[:, :-1]), axis=1)
    turn = np.where(known, np.mod(turn + np.pi, 2 * np.pi) - np.pi, 0.0)
    state.angle, state.faced = angle[:, -1].copy(), faced[:, -1].copy()
    size = TORSO / torso
    cos, sin = np.cos(angle) * size, np.sin(angle) * size
    out = np.empty((*x.shape[:2], INPUTS), np.float32)
    turned = np.empty_like(joints)
    turned[..., 0] = cos[..., None] * joints[..., 0] + sin[..., None] * joints[..., 2]
    turned[..., 1] = size[..., None] * joints[..., 1]
    turned[..., 2] = cos[..., None] * joints[..., 2] - sin[..., None] * joints[..., 0]
    out[..., POSE] = turned.reshape(*x.shape[:2], -1)
    out[..., SEEN] = seen
    travel = np.stack(
        (cos * step[..., 0] + sin * step[..., 2], size * step[..., 1], cos * step[..., 2] - sin * step[..., 0], turn),
        axis=-1,
    )
    out[..., TRAVEL] = np.clip(travel * rate_hz, -FASTEST, FASTEST)
    return out


def _roots(x: Float32Array, seen: NDArray[np.bool_], state: NormaliserState) -> tuple[Float32Array, Float32Array]:
    """The body's middle in each frame (N, T, 3), held while it cannot be told, and its steps (N, T, 3)."""
    root = np.zeros((*x.shape[:2], 3), np.float32)
    told = np.zeros(x.shape[:2], bool)
    for group in ROOTS:
        rows = ~told & seen[:, :, list(group)].all(axis=2)
        if rows.any():
            root[rows] = x[rows][:, list(group)].mean(axis=1)
            told |= rows
    last = np.maximum.accumulate(np.where(told, np.arange(told.shape[1]), -1), axis=1)
    place = np.take_along_axis(root, np.maximum(last, 0)[..., None], axis=1)
    root = np.where((last >= 0)[..., None], place, state.root[:, None])
    known = (last >= 0) | state.rooted[:, None]
    earlier = np.concatenate((state.root[:, None], root[:, :-1]), axis=1)
    known_earlier = np.concatenate((state.rooted[:, None], known[:, :-1]), axis=1)
    step = np.where((known & known_earlier)[..., None], root - earlier, 0.0).astype(np.float32)
    state.root, state.rooted = root[:, -1].copy(), known[:, -1].copy()
    return root, step


def _held(joints: Float32Array, seen: NDArray[np.bool_], state: NormaliserState) -> Float32Array:
    """Joints relative to the root with holes filled: held for `HOLD` frames, else put where the parent joint is."""
    t = seen.shape[1]
    index = np.arange(t)[None, :, None]
    last = np.maximum.accumulate(np.where(seen, index, -1), axis=1)
    place = np.take_along_axis(joints, np.maximum(last, 0)[..., None], axis=1)
    filled: Float32Array = np.where((last >= 0)[..., None], place, state.joints[:, None])
    age = np.where(last >= 0, index - last, state.age[:, None] + index + 1)
    state.joints, state.age = filled[:, -1].copy(), np.minimum(age[:, -1], HOLD + 1)
    known = age <= HOLD
    if not known.all():
        filled = np.where(known[..., None], filled, 0.0).astype(np.float32)
        for joint, parent in PARENTS:
            rows = ~known[..., joint]
            if rows.any():
                filled[rows, joint] = filled[rows, parent]
    return filled


def _means(x: Float32Array, seen: NDArray[np.bool_], state: NormaliserState) -> tuple[Float32Array, Float32Array]:
    """Running means of the shoulder line over the floor (N, T, 2) and of the torso's length (N, T)."""
    line = x[:, :, SHOULDER_RIGHT] - x[:, :, SHOULDER_LEFT]
    hips = x[:, :, HIP_RIGHT] - x[:, :, HIP_LEFT]
    shoulders_seen = seen[:, :, SHOULDER_RIGHT] & seen[:, :, SHOULDER_LEFT]
    hips_seen = seen[:, :, HIP_RIGHT] & seen[:, :, HIP_LEFT]
    flat = np.where(shoulders_seen[..., None], line, hips)[..., [0, 2]]
    faces = shoulders_seen | hips_seen
    length = np.linalg.norm(x[:, :, CENTRE] - x[:, :, SPINE_BASE], axis=2)
    sized = seen[:, :, CENTRE] & seen[:, :, SPINE_BASE] & (length >= SMALLEST) & (length <= LARGEST)
    lines = np.empty((*x.shape[:2], 2), np.float32)
    torsos = np.empty(x.shape[:2], np.float32)
    for t in range(x.shape[1]):
        state.lines += faces[:, t]
        state.torsos += sized[:, t]
        # While there are few frames all weigh the same: the first one alone would be too noisy.
        share = np.where(faces[:, t], np.maximum(TURN, 1 / np.maximum(state.lines, 1)), 0.0)[:, None]
        state.line = (state.line + share * (flat[:, t] - state.line)).astype(np.float32)
        share = np.where(sized[:, t], np.maximum(SIZE, 1 / np.maximum(state.torsos, 1)), 0.0)
        state.torso = (state.torso + share * (length[:, t] - state.torso)).astype(np.float32)
        lines[:, t], torsos[:, t] = state.line, state.torso
    return lines, torsos
