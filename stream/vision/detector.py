"""Boxes of upright people in an image: OpenCV's detector, cut into steps that are short enough for a live camera.

The detector is the linear SVM over histograms of oriented gradients of Dalal and Triggs, "Histograms of Oriented
Gradients for Human Detection" (CVPR 2005), with the weights that OpenCV ships. It looks at windows of 64 x 128 pixels
in which a person is about 96 high, so the image is enlarged for small people and shrunk for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.vision import library
from stream.vision.boxes import Box

WINDOW = (64, 128)
"""Width and height in pixels of what the detector was trained on."""

MARGIN = 16
"""Pixels between a window's edge and the person in it, on every side."""


@dataclass(frozen=True, slots=True)
class Step:
    """A part of one search for people: one size of people in one part of the image.

    Attributes:
        scale: how much the image is enlarged.
        left, right: columns of the enlarged image to look at.
    """

    scale: float
    left: int
    right: int


class Detector:
    """Upright people of all sizes, each in a step of its own.

    Args:
        enlarged: width in pixels to which a small image is enlarged, though at most twice; a larger one is shrunk to
            it. At 1152, people of 96 / 1.5 = 64 pixels and more are found in an image of 768.
        shrink: how much smaller the image gets from one size of people to the next, above 1.
        threshold: how sure the detector must be: lower finds more people, and more poles. The pose decides.
        step_width: columns of an enlarged image that one step looks at, at most.

    Raises:
        PosewireError: OpenCV is not installed.
    """

    def __init__(
        self, enlarged: int = 1152, shrink: float = 1.2, threshold: float = 0.1, step_width: int = 640
    ) -> None:
        self._enlarged, self._shrink, self._threshold, self._step_width = enlarged, shrink, threshold, step_width
        self._cv2 = library("cv2", "rgb")
        self._hog = self._cv2.HOGDescriptor()
        self._hog.setSVMDetector(self._cv2.HOGDescriptor.getDefaultPeopleDetector())

    def steps(self, width: int, height: int) -> list[Step]:
        """The steps of one search through an image of this size, small people first."""
        steps = []
        scale = min(2.0, self._enlarged / width)
        while width * scale >= WINDOW[0] and height * scale >= WINDOW[1]:
            columns = int(width * scale)
            # Two parts share a window's width, so that nobody is cut in two.
            parts = max(1, -(-(columns - WINDOW[0]) // (self._step_width - WINDOW[0])))
            share = (columns - WINDOW[0]) / parts
            for part in range(parts):
                steps.append(Step(scale, int(part * share), min(columns, int((part + 1) * share) + WINDOW[0])))
            scale /= self._shrink
        return steps

    def find(self, image: NDArray[np.uint8], step: Step) -> list[Box]:
        """Boxes of the people that one step finds, in pixels of the whole image, surest first.

        Args:
            image: (H, W, 3) uint8, blue green red.
            step: one of `steps` of this image's size.
        """
        left, right = int(step.left / step.scale), round(step.right / step.scale)
        size = (step.right - step.left, int(image.shape[0] * step.scale))
        how = self._cv2.INTER_AREA if step.scale < 1 else self._cv2.INTER_LINEAR
        part = self._cv2.resize(image[:, left:right], size, interpolation=how)
        # Room around the image: people at its edge fill no whole window.
        points, weights = self._hog.detect(part, hitThreshold=self._threshold, winStride=(8, 8), padding=(16, 16))
        inner = (WINDOW[0] - 2 * MARGIN, WINDOW[1] - 2 * MARGIN)
        found = []
        for number in np.argsort(-np.ravel(weights)):
            x, y = points[number][0] + MARGIN, points[number][1] + MARGIN
            found.append(Box(x, y, x + inner[0], y + inner[1]).scaled(1 / step.scale).moved(left, 0))
        return apart(found)


def apart(boxes: list[Box], most: float = 0.4) -> list[Box]:
    """The boxes of which none shares more than `most` (intersection over union) with an earlier one that is kept."""
    kept: list[Box] = []
    for box in boxes:
        if all(box.iou(other) <= most for other in kept):
            kept.append(box)
    return kept
