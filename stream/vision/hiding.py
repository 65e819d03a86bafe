"""People painted out of an image, so that whoever is beside or behind them is found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.vision import library
from stream.vision.body import TRUNK, VISIBLE, extent
from stream.vision.pose import Pose

LIMBS = ((11, 13, 15), (12, 14, 16), (23, 25, 27, 31), (24, 26, 28, 32), (11, 12, 24, 23, 11))
"""MediaPipe's joints along the arms, the legs and around the trunk."""

HEAD = np.array([0, 7, 8])
"""Nose and ears."""

THICK = 0.09
"""A limb's thickness as a share of the person's extent; a head is twice as thick."""


def hidden(image: NDArray[np.uint8], pose: Pose) -> NDArray[np.uint8]:
    """A copy of the image with one person's body painted in the image's mean colour.

    Args:
        image: (H, W, 3) uint8.
        pose: the person's pose in it.

    Raises:
        PosewireError: OpenCV is not installed.
    """
    cv2 = library("cv2", "rgb")
    copy = image.copy()
    # A few rows and columns tell the mean colour as well as all of them.
    colour = image[::16, ::16].mean(axis=(0, 1)).tolist()
    points = np.clip(pose.image[:, :2], -8000, 8000).astype(np.int32)
    thick = max(2, round(THICK * extent(pose)))
    for limb in LIMBS:
        joints = [joint for joint in limb if pose.visibility[joint] >= VISIBLE]
        if len(joints) > 1:
            cv2.polylines(copy, [points[joints]], False, colour, thick)
    cv2.fillConvexPoly(copy, cv2.convexHull(points[TRUNK]), colour)
    if (pose.visibility[HEAD] >= VISIBLE).any():
        cv2.circle(copy, points[HEAD].mean(axis=0).astype(int).tolist(), thick, colour, -1)
    return copy
