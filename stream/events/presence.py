"""Where tracks are and since when, and which new track is whom of those that were lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from stream.layouts.canonical import SPINE_BASE
from stream.types import Float32Array, Space, Tracked

_HEIGHT_M = 1.7
"""Of a person in an image, from which its metres are told."""


@dataclass(slots=True)
class Presence:
    """Where a track is.

    Attributes:
        since: when it appeared, or appeared again after a hole longer than the grace, in ns.
        seen: when it was last seen, in ns.
        hole: for how long it had not been seen then, in ns.
        joints, confidence, space: (V, 3), (V,), as it was last seen; at least one joint is.
    """

    since: int
    seen: int
    hole: int
    joints: Float32Array
    confidence: Float32Array
    space: Space

    @classmethod
    def of(cls, t: int, joints: Float32Array, confidence: Float32Array, space: Space) -> Self:
        """That of a body (V, 3), confidence (V,), which appears at time t; at least one joint is seen."""
        return cls(t, t, 0, joints, confidence, space)

    @classmethod
    def within(cls, frame: Tracked, track: int) -> Self:
        """That of a track which a frame shows."""
        body = frame.track_ids.tolist().index(track)
        return cls.of(frame.t, frame.joints[body], frame.confidence[body], frame.space)

    @property
    def place(self) -> Float32Array:
        """(3,) its pelvis, or the middle of what is seen of it."""
        seen = self.confidence > 0
        place: Float32Array = self.joints[SPINE_BASE] if seen[SPINE_BASE] else self.joints[seen].mean(axis=0)
        return place

    @property
    def metre(self) -> float:
        """A metre in units of `place`."""
        if self.space is Space.CAMERA3D:
            return 1.0
        return float(np.linalg.norm(np.ptp(self.joints[self.confidence > 0], axis=0))) / _HEIGHT_M or 1.0

    def move(self, t: int, joints: Float32Array, confidence: Float32Array, space: Space, grace: int) -> None:
        """It is seen again, now so; `grace` in ns."""
        self.hole = t - self.seen
        if self.hole > grace:
            self.since = t
        self.seen, self.joints, self.confidence, self.space = t, joints, confidence, space

    def settled(self, t: int, grace: int) -> bool:
        """Whether at time t it had been there for `grace` ns and seen in the last of them, as it always was for 0."""
        return not grace or (t - self.since >= grace and t - self.seen <= grace)


def heirs(lost: Mapping[int, Presence], born: Mapping[int, Presence], gate_m: float) -> dict[int, int]:
    """The new track that each lost one goes on as, the nearest pairs first; beyond the gate it is somebody else."""
    pairs = []
    firsts = {new: first.place for new, first in born.items()}
    for old, last in lost.items():
        place, metre = last.place, last.metre
        for new, first in firsts.items():
            distance = float(np.linalg.norm(first - place)) / metre
            if distance <= gate_m:
                pairs.append((distance, old, new))
    found: dict[int, int] = {}
    for _, old, new in sorted(pairs):
        if old not in found and new not in found.values():
            found[old] = new
    return found
