"""What makes a pose a person, and two poses the same person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.vision.boxes import Box

if TYPE_CHECKING:
    from stream.vision.pose import Pose

CORE = np.array([0, 11, 12, 23, 24, 25, 26])
"""MediaPipe's nose, shoulders, hips and knees: where a person is, whatever their arms do."""

CORE_MIRRORED = np.array([0, 12, 11, 24, 23, 26, 25])
"""The same with left and right exchanged: the network takes a back for a chest now and then."""

TRUNK = np.array([11, 12, 23, 24])
"""Shoulders and hips."""

VISIBLE = 0.3
"""Visibility from which a joint counts as seen."""

SAME = 0.08
"""Two poses nearer than this, in extents, are one person's whatever their boxes."""

ALIKE, INSIDE = 0.2, 0.8
"""So are those nearer than the first if this share of the smaller box lies in the larger."""

SMALLEST = 20.0
"""Pixels of the larger side of the smallest person of whom a pose tells something."""

THINNEST = 0.08
"""A person's smaller side as a share of the larger: less is a lamp post."""


def seen(pose: Pose, width: int, height: int) -> NDArray[np.bool_]:
    """(33,) bool: joints that are visible and inside the image. The network guesses those outside as well."""
    x, y = pose.image[:, 0], pose.image[:, 1]
    inside: NDArray[np.bool_] = (pose.visibility >= VISIBLE) & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return inside


def box_of(pose: Pose, width: int, height: int) -> Box:
    """Box in pixels around all joints, those too that are hidden; up to the image's edge where they are beyond it."""
    (left, top), (right, bottom) = pose.image[:, :2].min(axis=0).tolist(), pose.image[:, :2].max(axis=0).tolist()
    return Box(left, top, right, bottom).clipped(width, height)


def extent(pose: Pose) -> float:
    """How large the person is in the image, in pixels, whichever way up: the trunk's and thighs' reach, doubled."""
    spread = np.ptp(pose.image[CORE, :2], axis=0)
    return max(1.0, 1.5 * float(np.hypot(*spread)))


def distance(one: Pose, other: Pose) -> float:
    """How far two poses are apart in the image: mean distance of the core joints, in extents of the larger person."""
    weight = np.maximum(0.05, np.minimum(one.visibility, other.visibility)[CORE])
    gaps = [
        np.average(np.hypot(*(one.image[CORE, :2] - other.image[order, :2]).T), weights=weight)
        for order in (CORE, CORE_MIRRORED)
    ]
    return float(min(gaps)) / max(extent(one), extent(other))


def same(one: Pose, one_box: Box, other: Pose, other_box: Box) -> bool:
    """Whether two poses of one image, with their boxes, are of one person, found in two crops.

    Two people who embrace are further apart; the crops of somebody at the image's edge may agree less, but then one's
    box lies in the other's.
    """
    apart = distance(one, other)
    small, large = sorted((one_box, other_box), key=lambda box: box.area)
    return apart < SAME or (apart < ALIKE and small.covered_by(large) > INSIDE)


def middle(pose: Pose, width: int, height: int) -> tuple[float, float]:
    """Middle of the shoulders and hips that are seen, (x, y) in pixels; a plausible pose has some."""
    x, y = pose.image[TRUNK[seen(pose, width, height)[TRUNK]], :2].mean(axis=0).tolist()
    return x, y


def plausible(pose: Pose, crop: Box, width: int, height: int) -> bool:
    """Whether a pose found in a crop can be a person.

    It must have enough joints in the image, two of the trunk's among them, a size that fits the crop, and a body's
    shape: neither a point nor a line.
    """
    inside = seen(pose, width, height)
    if inside.sum() < 10 or inside[TRUNK].sum() < 2:
        return False
    box = box_of(pose, width, height)
    short, long = sorted((box.width, box.height))
    return SMALLEST <= long <= 1.4 * max(crop.width, crop.height) and short >= THINNEST * long
