"""Microsoft's 25 joints of a Kinect v2, on Windows, through the package `kinect-next`.

Never run on hardware: written to the source of kinect-next 3.0.0 (MIT), which calls Kinect20.dll of the Kinect for
Windows SDK 2.0, and tested against a stand-in for it. (`pykinect2`, the older package, fails on 64-bit Python.)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from stream.errors import SourceError
from stream.layouts import CANONICAL
from stream.sources.kinect_v2 import Bodies
from stream.sources.text_lines import TRACKING_CONFIDENCE, body

V = len(CANONICAL)
MODULE = "kinect_next"
REMEMBERED = 64
"""People of whom it is known which number they got; the SDK sees six at a time."""


class SdkDriver:
    """A `Kinect2Driver` of the SDK's body tracking: up to six people, layout `kinect_v2`.

    Args:
        name: the source's name, for messages.
    """

    dropped = 0
    """The SDK hands out the newest frame and does not count the others."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._library: Any = None
        self._sensor: Any = None
        self._seen = False
        self._numbers: dict[int, int] = {}
        self._born = 0

    def open(self) -> None:
        """Start the sensor; its first frame takes 1 to 3 s.

        Raises:
            SourceError: the package or the SDK is not installed, or the sensor cannot be opened.
        """
        try:
            self._library = importlib.import_module(MODULE)
        except ImportError:
            raise SourceError(
                self._name,
                "needs kinect-next; expected `pip install kinect-next==3.0.0` and Microsoft's Kinect for Windows SDK "
                "2.0 on this Windows system",
            ) from None
        try:
            self._sensor = self._library.KinectSensor(self._library.StreamType.BODY)
        except (self._library.KinectError, OSError) as error:
            raise SourceError(
                self._name, f"cannot open the Kinect ({_line(error)}); expected it on a USB 3 port, SDK 2.0 installed"
            ) from None
        self._seen = False
        self._numbers, self._born = {}, 0

    def next(self, timeout: float, time_of: Callable[[int], int]) -> Bodies | None:
        """The tracked bodies of the newest frame, or None where none came in `timeout` seconds.

        Args:
            timeout: in seconds.
            time_of: tells the capture time from the sensor's, both in ns.

        Raises:
            SourceError: the sensor is lost.
        """
        sensor, library = self._sensor, self._library
        try:
            frames = sensor.wait_for_frames(round(max(timeout, 0.0) * 1000))
        except library.KinectTimeoutError:
            # Just opened, a sensor is not yet available; only one that has delivered can be lost.
            if self._seen and not sensor.is_available:
                raise self._lost("not available any more") from None
            return None
        except (library.KinectError, OSError) as error:
            raise self._lost(_line(error)) from None
        if not frames.relative_time_ns:  # no stream of this moment was ready
            return None
        self._seen = True
        t = time_of(frames.relative_time_ns)
        tracked = frames.tracked_bodies
        rows = [[one.joints[v] for v in range(V)] for one in tracked]
        places = np.array([[joint.position.as_tuple() for joint in row] for row in rows]).reshape(-1, V, 3)
        states = np.array([[int(joint.tracking_state) for joint in row] for row in rows], np.intp).reshape(-1, V)
        joints, confidence = body(places, TRACKING_CONFIDENCE[states])
        ids = np.array([self._number(int(one.tracking_id)) for one in tracked], np.int64)
        return Bodies(t, "kinect_v2", joints, confidence, ids)

    def close(self) -> None:
        """Release the sensor."""
        sensor, self._sensor = self._sensor, None
        if sensor is not None:
            sensor.close()

    def _number(self, tracking_id: int) -> int:
        """The number from 1 of a body, which the SDK names by 64 bits: too many to be added up for months."""
        number = self._numbers.pop(tracking_id, None)
        if number is None:
            self._born += 1
            number = self._born
        self._numbers[tracking_id] = number  # the last again: the first is who was not seen for longest
        if len(self._numbers) > REMEMBERED:
            del self._numbers[next(iter(self._numbers))]
        return number

    def _lost(self, reason: str) -> SourceError:
        return SourceError(self._name, f"the Kinect is lost ({reason}); expected it to stay plugged in and powered")


def _line(error: Exception) -> str:
    """The first line of a library's message."""
    return str(error).strip().split("\n")[0][:160] or type(error).__name__
