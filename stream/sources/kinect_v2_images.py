"""Joints of a Kinect v2 where no body tracker is to be had: estimated on its colour image, lifted through its depth."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Protocol

from stream.config_sources import KinectV2Source
from stream.sources.freenect2 import Freenect2, Images
from stream.sources.kinect_v2 import Bodies
from stream.types import Float32Array
from stream.vision.lift import Calibration, lift
from stream.vision.people import LAYOUT, MakePeople, People, crowd, fingerprint, found

if TYPE_CHECKING:
    from stream.vision.pose import Pose


class ImageSource(Protocol):
    """What yields colour and depth images; see `stream.sources.freenect2.Freenect2`."""

    @property
    def dropped(self) -> int: ...

    def open(self) -> None: ...

    def next(self, timeout: float) -> Images | None: ...

    def close(self) -> None: ...


class ImageDriver:
    """A `Kinect2Driver` of a sensor that gives images only; layout `mediapipe`, ids as `Crowd` gives them.

    Args:
        entry: the source's settings.
        images: where the images come from; libfreenect2 if left out.
        make_people: gives what finds the people of an image, for one life of the driver; `Crowd` if left out.
    """

    def __init__(
        self, entry: KinectV2Source, images: ImageSource | None = None, make_people: MakePeople | None = None
    ) -> None:
        self._images = Freenect2(entry.name) if images is None else images
        self._make_people = make_people or partial(crowd, entry.pose, entry.max_people, live=True)
        self._stack = ExitStack()
        self._people: People | None = None

    @property
    def dropped(self) -> int:
        """Images that were not looked at because newer ones had come."""
        return self._images.dropped

    def open(self) -> None:
        """Load the pose network and start the sensor.

        Raises:
            SourceError: the sensor cannot be opened, or its library is not installed.
            PosewireError: the pose network or its libraries are not installed.
        """
        self.close()
        self._images.open()  # first: a sensor that is not there is tried again and again
        self._stack.callback(self._images.close)
        try:
            self._people = self._stack.enter_context(self._make_people())
        except BaseException:
            self.close()
            raise

    def next(self, timeout: float, time_of: Callable[[int], int]) -> Bodies | None:
        """The people on the newest images, or None where none came in `timeout` seconds.

        Args:
            timeout: in seconds.
            time_of: tells the capture time of images that have just come from their time on the monotonic clock.

        Raises:
            SourceError: the sensor is lost.
        """
        images = self._images.next(timeout)
        if images is None or self._people is None:
            return None
        t = time_of(images.t)  # before the poses, which take a time that varies
        start = time.perf_counter()
        people = self._people.update(t, images.colour)
        calibration = Calibration.registered(images.lens)

        def placed(pose: Pose) -> tuple[Float32Array, Float32Array]:
            lifted = lift(pose.image[:, :2], pose.world, pose.visibility, images.depth, calibration)
            return lifted.joints, lifted.factor

        joints, confidence, ids = found(people, placed)
        stages = {"capture": images.waited, "pose": time.perf_counter() - start}
        size = images.lens.width, images.lens.height
        return Bodies(t, LAYOUT, joints, confidence, ids, stages, fingerprint(images.colour), size)

    def close(self) -> None:
        """Release the sensor and the pose network."""
        self._people = None
        self._stack.close()
