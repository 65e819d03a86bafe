"""A person's 33 landmarks in an image, by MediaPipe's PoseLandmarker (BlazePose).

Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020, arXiv:2006.10204; Grishchenko et
al., "BlazePose GHUM Holistic: Real-time 3D Human Landmarks and Pose Estimation", 2022, arXiv:2206.11678.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stream.types import Float32Array
from stream.vision import library
from stream.vision.boxes import Box
from stream.vision.pose_model import DEFAULT, PoseModelError, task_path

MARGIN = 0.2
"""Share of a box's longer side that is taken into the crop on every side: with less the limbs are cut off, and the
landmarks move twice as far from those of the whole image."""
CROP = 384
"""Pixels of a crop's longer side. The networks see 256: small people are enlarged to more than that."""

_NOISE = re.compile(
    rb"^(INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:)"
)


@dataclass(frozen=True, slots=True)
class Pose:
    """One person's landmarks in one image.

    Attributes:
        image: (33, 3) float32; x (right), y (down) in pixels of the whole image, z in about the same unit, away from
            the camera and 0 in the middle of the hips.
        visibility: (33,) float32 in 0..1: how surely each landmark is in the image and not hidden.
        world: (33, 3) float32 metres in MediaPipe's axes (x right in the image, y down, z away from the camera), origin
            in the middle of the hips.
        score: mean visibility, 0..1.
    """

    image: Float32Array
    visibility: Float32Array
    world: Float32Array
    score: float


class PoseEstimator:
    """Finds the landmarks of one person in an image or in a part of it.

    Each image is looked at by itself. Use it in a `with` block, in one thread.

    Args:
        network: "lite", "full" or "heavy".

    Raises:
        PoseModelError: (on entry) the network was not pulled or cannot be loaded.
        PosewireError: (on entry) mediapipe or OpenCV is not installed.
    """

    def __init__(self, network: str = DEFAULT) -> None:
        self.network = network
        self._landmarker: Any = None
        self._quiet = False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Load the network."""
        self.close()
        self._cv2, self._mediapipe = library("cv2", "rgb"), library("mediapipe", "rgb")
        path = task_path(self.network)
        tasks = library("mediapipe.tasks.python", "rgb")
        options = tasks.vision.PoseLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(path), delegate=tasks.BaseOptions.Delegate.CPU),
            running_mode=tasks.vision.RunningMode.IMAGE,
            num_poses=1,
        )
        try:
            with _without_noise():
                self._landmarker = tasks.vision.PoseLandmarker.create_from_options(options)
                self._detect(np.zeros((CROP, CROP, 3), np.uint8))  # its threads have started when this is through
        except (RuntimeError, ValueError, OSError) as error:
            self.close()
            reason = str(error).partition("\n")[0][:200]
            raise PoseModelError(
                f"{path}: cannot be loaded ({reason}); expected a pose network of MediaPipe"
            ) from error

    def close(self) -> None:
        """Release the network; any number of times."""
        landmarker, self._landmarker = self._landmarker, None
        if landmarker is not None:
            landmarker.close()

    def estimate(self, image: NDArray[np.uint8], box: Box | None = None) -> Pose | None:
        """Find the landmarks of one person.

        Args:
            image: (H, W, 3) uint8, BGR.
            box: where the person is, in pixels of the image, to which a margin is added; None: anywhere.

        Returns:
            The pose of the most prominent person, or None where nobody was recognised.

        Raises:
            ValueError: the image has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image {image.dtype} {image.shape}; expected uint8 (H, W, 3)")
        if self._landmarker is None:
            raise RuntimeError("the pose estimator is not open")
        height, width = image.shape[:2]
        left, top, right, bottom = 0, 0, width, height
        if box is not None:
            seen = box.grown(MARGIN).clipped(width, height)
            left, top = int(seen.left), int(seen.top)
            right, bottom = int(np.ceil(seen.right)), int(np.ceil(seen.bottom))
        if right - left < 2 or bottom - top < 2:
            return None
        crop = image[top:bottom, left:right]
        if box is not None:
            factor = CROP / max(crop.shape[:2])
            size = tuple(max(1, round(side * factor)) for side in (right - left, bottom - top))
            how = self._cv2.INTER_AREA if factor < 1 else self._cv2.INTER_LINEAR
            crop = self._cv2.resize(crop, size, interpolation=how)
        # Square: what turns the landmarks of a person who leans back into image coordinates knows no other shape.
        side = max(crop.shape[:2])
        square = np.zeros((side, side, 3), np.uint8)
        x, y = (side - crop.shape[1]) // 2, (side - crop.shape[0]) // 2
        self._cv2.cvtColor(crop, self._cv2.COLOR_BGR2RGB, square[y : y + crop.shape[0], x : x + crop.shape[1]])
        if self._quiet:
            found = self._detect(square)
        else:  # it has something to say of the first person whom it finds
            with _without_noise():
                found = self._detect(square)
            self._quiet = found is not None
        if found is None:
            return None
        points, visibility, world = found
        scale = np.array([(right - left) / crop.shape[1], (bottom - top) / crop.shape[0]])
        points[:, :2] = (points[:, :2] * side - (x, y)) * scale + (left, top)
        points[:, 2] *= side * scale[0]
        return Pose(points.astype(np.float32), visibility, world, float(visibility.mean()))

    def _detect(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float64], Float32Array, Float32Array] | None:
        """The landmarks in shares of the image's sides, their visibility, and where they are in metres."""
        mediapipe = self._mediapipe
        result = self._landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=rgb))
        if not result.pose_landmarks:
            return None
        landmarks, world = result.pose_landmarks[0], result.pose_world_landmarks[0]
        return (
            np.array([(one.x, one.y, one.z) for one in landmarks]),
            np.array([one.visibility for one in landmarks], np.float32),
            np.array([(one.x, one.y, one.z) for one in world], np.float32),
        )


@contextmanager
def _without_noise() -> Iterator[None]:
    """Keep MediaPipe's log lines off standard error: no setting of its own does.

    What else is written there meanwhile follows afterwards.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as said:
            os.dup2(said.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                said.seek(0)
                lines = [line for line in said if not _NOISE.match(line)]
                os.write(2, b"".join(lines))
    finally:
        os.close(kept)
