"""Colour and depth images of a Kinect v2 by libfreenect2, through the package `freenect2`.

Never run on hardware: written to the source of freenect2 0.2.3 (MIT) and libfreenect2, and tested against a stand-in.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.types import Float32Array
from stream.vision.lens import Lens

MODULE = "freenect2"
LOST_S = 5.0
"""Seconds without any image: unplugged (libfreenect2 does not say so), or it never started."""


@dataclass(frozen=True, slots=True)
class Images:
    """A colour image and the depth of each of its pixels, both as seen by one undistorted camera, not mirrored.

    Attributes:
        t: when they arrived, in ns of the monotonic clock.
        colour: (H, W, 3) uint8, blue green red.
        depth: (H, W) float32 millimetres along the optical axis; not finite where it is not known.
        lens: the camera's.
        waited: seconds between their arrival and their being taken.
    """

    t: int
    colour: NDArray[np.uint8]
    depth: Float32Array
    lens: Lens
    waited: float


class Freenect2:
    """The first Kinect v2 of this machine.

    Args:
        name: the source's name, for messages.
        clock: monotonic, ns. Images have the time of their arrival: libfreenect2 documents the unit of the sensor's own
            stamps as "roughly or exactly 0.1 ms", and they overflow within days.

    Attributes:
        dropped: depth images that nobody took in time, since this object was made.
    """

    def __init__(self, name: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._name = name
        self._clock = clock
        self._library: Any = None
        self._device: Any = None
        self._arrived = threading.Condition()
        self._colour: Any = None
        self._depth: tuple[Any, int] | None = None
        self._alive = 0
        self.dropped = 0

    def open(self) -> None:
        """Start both cameras.

        Raises:
            SourceError: the package is not installed, or no sensor can be opened.
        """
        try:
            self._library = importlib.import_module(MODULE)
        except (ImportError, OSError):
            raise SourceError(
                self._name,
                "needs freenect2; expected libfreenect2 (`apt install libfreenect2-dev`, or built from its source) and "
                "then `pip install freenect2==0.2.3`",
            ) from None
        self._colour = self._depth = None
        try:
            self._device = self._library.Device()
            self._device.start(self._take)
        except (RuntimeError, OSError):
            self.close()
            raise SourceError(
                self._name,
                "no Kinect v2 can be opened; expected one on a USB 3 port, powered, with libfreenect2's udev rules",
            ) from None
        self._alive = self._clock()

    def next(self, timeout: float) -> Images | None:
        """The newest pair of images that was not taken yet, or None where none came in `timeout` seconds.

        Raises:
            SourceError: nothing came for `LOST_S`.
        """
        with self._arrived:
            self._arrived.wait_for(lambda: self._depth is not None and self._colour is not None, max(timeout, 0.0))
            colour, depth = self._colour, self._depth
            if colour is None or depth is None:
                silent = (self._clock() - self._alive) / 1e9
                if silent > LOST_S:
                    raise SourceError(
                        self._name, f"no image of the Kinect for {silent:.0f} s; expected it to stay plugged in"
                    )
                return None
            # The colour image is kept: in the dark that camera halves its rate, and depth goes on at 30 a second.
            self._depth = None
        return self._aligned(colour, *depth)

    def close(self) -> None:
        """Stop both cameras."""
        device, self._device = self._device, None
        if device is not None:
            device.stop()
            device.close()
        with self._arrived:
            self._colour = self._depth = None

    def _take(self, kind: Any, image: Any) -> None:
        """Keep the newest image of a kind; called by libfreenect2's threads."""
        with self._arrived:
            t = self._clock()
            self._alive = t
            if kind is self._library.FrameType.Color:
                self._colour = image
            elif kind is self._library.FrameType.Depth:
                self.dropped += self._depth is not None
                self._depth = image, t
                self._arrived.notify()

    def _aligned(self, colour: Any, depth: Any, t: int) -> Images:
        """Depth on the grid of the colour image, both turned round: Kinect's cameras give mirror images."""
        camera = self._device.color_camera_params
        _, _, big = self._device.registration.apply(colour, depth, with_big_depth=True)
        image = colour.to_array()[:, ::-1, :3]
        if colour.format is self._library.FrameFormat.RGBX:
            image = image[..., ::-1]
        depths = np.ascontiguousarray(big.to_array()[1:-1, ::-1])  # the first and the last row are blank
        height, width = depths.shape
        lens = Lens(width, height, (camera.fx, camera.fy), (width - 1 - camera.cx, camera.cy))
        return Images(t, np.ascontiguousarray(image), depths, lens, (self._clock() - t) / 1e9)
