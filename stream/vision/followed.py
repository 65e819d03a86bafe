"""The people that are followed from image to image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from stream.types import NANOSECONDS
from stream.vision.body import distance
from stream.vision.boxes import Box

if TYPE_CHECKING:
    from stream.vision.pose import Pose

GATE = 0.3
"""How far a pose may be from where a track was one image ago, in the person's extents."""

SPEED = 0.6
"""How fast the gate opens with the time since, in extents a second: walking pace."""

WIDEST = 0.8
"""However long ago: beyond this it is somebody else."""

GONE_S = 1.5
"""Somebody not found for so long, in `GONE_LOOKS` looks or more, has left."""

GONE_LOOKS = 4

DOUBTFUL_LOOKS = 2
"""The same for somebody who was not seen `SURE_LOOKS` times yet."""

SURE_LOOKS = 2
"""Looks that must find a person before they are one: a coat stand is taken for somebody once, rarely twice."""

CERTAIN = 100.0
"""Cost above that of any pair that may be."""


@dataclass(slots=True)
class Followed:
    """Somebody who is followed.

    Attributes:
        pose, box: how and where they were seen last.
        t: when that was, capture time in ns.
        turn: turn of the last look at them.
        id: from 1, never used again; None until they are surely somebody.
        looks: looks that found them.
        misses: looks since then that did not.
        velocity: pixels a second, right and down.
    """

    pose: Pose
    box: Box
    t: int
    turn: int
    id: int | None = None
    looks: int = 1
    misses: int = 0
    velocity: tuple[float, float] = (0.0, 0.0)

    def expected(self, t_ns: int) -> Box:
        """Where they should be now; nobody walks on blindly for more than half a second."""
        passed = min(0.5, max(0, t_ns - self.t) / NANOSECONDS)
        return self.box.moved(self.velocity[0] * passed, self.velocity[1] * passed)

    def saw(self, pose: Pose, box: Box, t_ns: int, turn: int) -> None:
        """They were found."""
        passed = (t_ns - self.t) / NANOSECONDS
        if passed > 0:
            (x, y), (old_x, old_y) = box.centre, self.box.centre
            measured = ((x - old_x) / passed, (y - old_y) / passed)
            # The box breathes with the arms: half the new value, half the old.
            self.velocity = ((self.velocity[0] + measured[0]) / 2, (self.velocity[1] + measured[1]) / 2)
        self.pose, self.box, self.t, self.turn = pose, box, t_ns, turn
        self.looks, self.misses = self.looks + 1, 0

    def has_left(self, t_ns: int) -> bool:
        """Whether to follow them no longer."""
        if self.id is None:
            return self.misses >= DOUBTFUL_LOOKS
        return self.misses >= GONE_LOOKS and t_ns - self.t > GONE_S * NANOSECONDS


def gap(person: Followed, pose: Pose, t_ns: int) -> float:
    """How far a pose is from a person's last, as a share of how far it may be by now: up to 1 it may be theirs."""
    passed = max(0, t_ns - person.t) / NANOSECONDS
    return distance(person.pose, pose) / min(WIDEST, GATE + SPEED * passed)


def assigned(people: list[Followed], poses: list[Pose], t_ns: int) -> dict[int, int]:
    """Who each pose belongs to: number of the pose -> number of the person; the least total gap, none above 1."""
    if not people or not poses:
        return {}
    cost = np.array([[gap(person, pose, t_ns) for person in people] for pose in poses])
    cost[cost > 1] = CERTAIN
    rows, columns = linear_sum_assignment(cost)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if cost[row, column] <= 1}
