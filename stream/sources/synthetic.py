"""A source without a sensor: stick people who walk on the spot and wave, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stream.errors import SourceError
from stream.layouts import (
    ANKLE_LEFT,
    CANONICAL,
    ELBOW_LEFT,
    FOOT_LEFT,
    HAND_LEFT,
    HAND_TIP_LEFT,
    HIP_LEFT,
    KNEE_LEFT,
    MIRROR,
    SHOULDER_LEFT,
    THUMB_LEFT,
    WRIST_LEFT,
)
from stream.sources.base import EndOfSource, Source, SourceTimeout
from stream.types import NANOSECONDS, Float32Array, SkeletonFrame

MAX_PEOPLE = 6

# One side and the middle of a standing person in metres from SpineBase; the other side is the mirror image.
_STANDING = {
    "SpineBase": (0.0, 0.0, 0.0),
    "SpineMid": (0.0, 0.30, -0.01),
    "SpineShoulder": (0.0, 0.53, -0.02),
    "Neck": (0.0, 0.60, -0.02),
    "Head": (0.0, 0.74, -0.04),
    "ShoulderLeft": (-0.17, 0.48, 0.0),
    "ElbowLeft": (-0.21, 0.24, 0.0),
    "WristLeft": (-0.22, 0.02, -0.03),
    "HandLeft": (-0.22, -0.04, -0.04),
    "HandTipLeft": (-0.22, -0.11, -0.05),
    "ThumbLeft": (-0.20, -0.05, -0.07),
    "HipLeft": (-0.08, 0.0, 0.0),
    "KneeLeft": (-0.09, -0.36, 0.0),
    "AnkleLeft": (-0.09, -0.72, 0.02),
    "FootLeft": (-0.09, -0.77, -0.08),
}
_HAND = [WRIST_LEFT, HAND_LEFT, HAND_TIP_LEFT, THUMB_LEFT]
_JITTER = 0.002
"""Metres, about the noise of a Kinect."""


class SyntheticSource(Source):
    """People who walk on the spot, every second of them waving with the right hand; canonical layout, body ids 0, 1 ...

    The frames follow from `people`, `fps` and `seed` alone. With a clock it is live: frames come at their time, and
    those that nobody took in time are lost, as from a camera; without one they come as fast as they are read.

    Args:
        name: the source's name.
        people: 0 to 6.
        fps: frames a second.
        seed: of the gait's phases and the jitter.
        frames: number of frames until the end of the source, or None for no end.
        clock: gives seconds, and with them the capture times; None for a source that is not paced and begins at 0.
        sleep: waits some seconds of that clock.

    Raises:
        SourceError: a number is out of range.
    """

    live = True

    def __init__(
        self,
        name: str,
        people: int = 1,
        fps: float = 30.0,
        seed: int = 0,
        frames: int | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        if not 0 <= people <= MAX_PEOPLE or not 0 < fps <= 1000 or (clock is None) != (sleep is None):
            raise SourceError(
                name, f"{people} people at {fps:g} fps; expected 0 to {MAX_PEOPLE} at 0 to 1000, clock with sleep"
            )
        self.name, self.people, self.fps, self.seed, self.length = name, people, fps, seed, frames
        self._clock, self._sleep = clock, sleep
        self._standing = _standing()
        self._start: float | None = None
        self._seq = 0
        self._opened = False

    def open(self) -> None:
        self._opened, self._seq = True, 0
        self._start = None if self._clock is None else self._clock()

    def close(self) -> None:
        self._opened = False

    def read(self, timeout: float) -> SkeletonFrame:
        if not self._opened:
            raise RuntimeError(f"source {self.name!r} is not open")
        if self.length is not None and self._seq >= self.length:
            raise EndOfSource
        if self._clock is not None and self._sleep is not None and self._start is not None:
            wait = self._start + self._seq / self.fps - self._clock()
            if wait > 0:
                self._sleep(min(wait, max(timeout, 0.0)))
                if wait > timeout:
                    raise SourceTimeout
            newest = int((self._clock() - self._start) * self.fps)
            self._seq = max(self._seq, newest if self.length is None else min(newest, self.length - 1))
        frame = self._frame(self._seq)
        self._seq += 1
        return frame

    def _frame(self, seq: int) -> SkeletonFrame:
        noise = np.random.default_rng((self.seed, seq)).normal(0, _JITTER, (self.people, len(CANONICAL), 3))
        phases = np.random.default_rng(self.seed).uniform(0, 2 * np.pi, self.people)
        bodies = [
            self._body(seq / self.fps, phase, waving=person % 2 == 1, x=person - (self.people - 1) / 2)
            for person, phase in enumerate(phases)
        ]
        joints = np.array(bodies, np.float32).reshape(self.people, len(CANONICAL), 3) + noise.astype(np.float32)
        confidence = np.ones(joints.shape[:2], np.float32)
        t = round(((self._start or 0.0) + seq / self.fps) * NANOSECONDS)
        return SkeletonFrame(self.name, seq, t, "kinect_v2", joints, confidence, np.arange(self.people, dtype=np.int64))

    def _body(self, seconds: float, phase: float, *, waving: bool, x: float) -> Float32Array:
        joints = self._standing.copy()
        gait = 2 * np.pi * 0.9 * seconds + phase
        for side, swing in ((0, np.sin(gait)), (1, -np.sin(gait))):
            if side == 1:
                joints = joints[list(MIRROR)] * (-1, 1, 1)
            _turn(joints, HIP_LEFT, [KNEE_LEFT, ANKLE_LEFT, FOOT_LEFT], 0, 0.5 * swing)
            _turn(joints, KNEE_LEFT, [ANKLE_LEFT, FOOT_LEFT], 0, -0.5 * max(0.0, -swing))
            if side == 1 and waving:
                _turn(joints, SHOULDER_LEFT, [ELBOW_LEFT, *_HAND], 2, -1.4)
                _turn(joints, ELBOW_LEFT, _HAND, 2, -1.4 + 0.5 * np.sin(2 * np.pi * 1.5 * seconds + phase))
            else:
                _turn(joints, SHOULDER_LEFT, [ELBOW_LEFT, *_HAND], 0, -0.4 * swing)
        joints = joints[list(MIRROR)] * (-1, 1, 1)
        placed: Float32Array = (joints + np.array((x, 0.0, 3.0))).astype(np.float32)
        return placed


def _standing() -> Float32Array:
    joints = np.zeros((len(CANONICAL), 3))
    for name, place in _STANDING.items():
        v = CANONICAL.index(name)
        joints[MIRROR[v]] = np.array(place) * (-1, 1, 1)
        joints[v] = place
    return joints.astype(np.float32)


def _turn(joints: Float32Array, pivot: int, moved: list[int], axis: int, angle: float) -> None:
    """Turn some joints about an axis through the pivot, in place; a positive angle turns y to z about x."""
    a, b = (axis + 1) % 3, (axis + 2) % 3
    cosine, sine = np.cos(angle), np.sin(angle)
    offset = joints[moved] - joints[pivot]
    turned = offset.copy()
    turned[:, a] = cosine * offset[:, a] - sine * offset[:, b]
    turned[:, b] = sine * offset[:, a] + cosine * offset[:, b]
    joints[moved] = joints[pivot] + turned
