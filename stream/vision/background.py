"""What moves in front of a background that stays: people in any posture, whom a detector of upright ones misses.

OpenCV's mixture of Gaussians (Zivkovic and van der Heijden, "Efficient adaptive density estimation per image pixel
for the task of background subtraction", Pattern Recognition Letters 2006), on a small copy of the image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stream.types import NANOSECONDS
from stream.vision import library
from stream.vision.boxes import Box

SHADOW = 127
"""Value by which OpenCV marks a shadow."""

USUAL = 0.9
"""OpenCV's share of the time that the colours of a pixel's background make up: what is rarer is no background."""

TOO_MUCH = 0.6
"""Share of the image that no crowd covers at once: the light was switched, or the camera turned."""


class Background:
    """The background of one camera.

    Args:
        width: columns of the small copy.
        forgets_s: seconds after which what stays put is background. Long, so that somebody who fell and lies still
            is proposed again and again.
        smallest: area of the smallest thing that moves, as a share of the image's.

    Raises:
        PosewireError: OpenCV is not installed.
    """

    def __init__(self, width: int = 320, forgets_s: float = 60.0, smallest: float = 0.0006) -> None:
        self._cv2 = library("cv2", "rgb")
        self._width, self._forgets_s, self._smallest = width, forgets_s, smallest
        self.reset()

    def reset(self) -> None:
        """Learn the background anew."""
        self._mixture = self._cv2.createBackgroundSubtractorMOG2(history=500, varThreshold=25, detectShadows=True)
        self._t: int | None = None

    def moving(self, t_ns: int, image: NDArray[np.uint8], known: list[Box]) -> list[Box]:
        """Boxes in pixels of what is not background, largest first; the first image is all background.

        Args:
            t_ns: capture time of the image.
            image: (H, W, 3) uint8, blue green red; of the same size as those before.
            known: where somebody is known to be: left out.
        """
        scale = min(1.0, self._width / image.shape[1])
        small = self._cv2.resize(image, None, fx=scale, fy=scale, interpolation=self._cv2.INTER_AREA)
        passed = 0.0 if self._t is None else max(0, t_ns - self._t) / NANOSECONDS
        rate = 1.0 if self._t is None else 1 - USUAL ** (passed / self._forgets_s)
        self._t = t_ns
        mask = (self._mixture.apply(small, learningRate=rate) > SHADOW).astype(np.uint8)
        if mask.mean() > TOO_MUCH:
            self.reset()
            return []
        mask = self._cv2.morphologyEx(mask, self._cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        # A person's parts grow together: dark trousers are often the background's colour.
        mask = self._cv2.morphologyEx(mask, self._cv2.MORPH_CLOSE, np.ones((9, 5), np.uint8))
        for box in known:
            inner = box.scaled(scale).clipped(small.shape[1], small.shape[0])
            mask[int(inner.top) : math.ceil(inner.bottom), int(inner.left) : math.ceil(inner.right)] = 0
        count, _, stats, _ = self._cv2.connectedComponentsWithStats(mask)
        order = np.argsort(-stats[1:count, self._cv2.CC_STAT_AREA]) + 1
        least = self._smallest * mask.size
        return [
            Box(x, y, x + width, y + height).scaled(1 / scale)
            for x, y, width, height, area in stats[order].astype(float).tolist()
            if area >= least
        ]
