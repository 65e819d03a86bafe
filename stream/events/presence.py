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
        place: (3,) its pelvis, or the middle of what is seen of it.
        metre: a metre in units of `place`.
    """

    since: int
    seen: int
    hole: int
    place: Float32Array
    metre: float

    @classmethod
    def of(cls, t: int, joints: Float32Array, confidence: Float32Array, space: Space) -> Self:
        """That of a body (V, 3), confidence (V,), which appears at time t; at least one joint is seen."""
        place = joints[SPINE_BASE] if confidence[SPINE_BASE] > 0 else joints[confidence > 0].mean(axis=0)
        if space is Space.CAMERA3D:
            return cls(t, t, 0, place, 1.0)
        height = float(np.linalg.norm(np.ptp(joints[confidence > 0], axis=0))) / _HEIGHT_M
        return cls(t, t, 0, place, height or 1.0)

    @classmethod
    def within(cls, frame: Tracked, track: int) -> Self:
        """That of a track which a frame shows."""
        body = frame.track_ids.tolist().index(track)
        return cls.of(frame.t, frame.joints[body], frame.confidence[body], frame.space)

    def move(self, new: Self, grace: int) -> None:
        """It is seen again, as `new` says; `grace` in ns."""
        self.hole = new.seen - self.seen
        if self.hole > grace:
            self.since = new.seen
        self.seen, self.place, self.metre = new.seen, new.place, new.metre

    def settled(self, t: int, grace: int) -> bool:
        """Whether at time t it had been there for `grace` ns and seen in the last of them, as it always was for 0."""
        return not grace or (t - self.since >= grace and t - self.seen <= grace)


def heirs(lost: Mapping[int, Presence], born: Mapping[int, Presence], gate_m: float) -> dict[int, int]:
    """The new track that each lost one goes on as, the nearest pairs first; beyond the gate it is somebody else."""
    pairs = []
    for old, last in lost.items():
        for new, first in born.items():
            distance = float(np.linalg.norm(first.place - last.place)) / last.metre
            if distance <= gate_m:
                pairs.append((distance, old, new))
    found: dict[int, int] = {}
    for _, old, new in sorted(pairs):
        if old not in found and new not in found.values():
            found[old] = new
    return found
