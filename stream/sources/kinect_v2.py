"""Kinect v2 as a live source: the SDK's 25 joints on Windows, colour and depth by libfreenect2 elsewhere.

What a system's driver must do is little (`Kinect2Driver`), so that another one is easily added. Neither of the two that
come with posewire was ever run on hardware: they were written to the documentation and the source of the libraries
that they call, and are tested against stand-ins for those libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stream.config_sources import KinectV2Source
from stream.errors import SourceError
from stream.sources.base import Source, SourceTimeout
from stream.sources.sensor_clock import SensorClock
from stream.sources.text_lines import frame
from stream.types import Float32Array, Int64Array, SkeletonFrame


@dataclass(frozen=True, slots=True)
class Bodies:
    """The people that the sensor saw at one moment.

    Attributes:
        t: capture time in ns since 1970.
        layout: name of the joint layout.
        joints: (M, V, 3) float32, metres, camera axes (`Space.CAMERA3D`).
        confidence: (M, V) float32, 0..1.
        track_ids: (M,) int64, from 1 in each life of a driver: `Reconnecting` adds up what it was given.
        stages, fingerprint, resolution: as of `Source`.
    """

    t: int
    layout: str
    joints: Float32Array
    confidence: Float32Array
    track_ids: Int64Array
    stages: Mapping[str, float] = field(default_factory=dict)
    fingerprint: int | None = None
    resolution: tuple[int, int] | None = None


class Kinect2Driver(Protocol):
    """What yields the bodies of one sensor; opened again after `close`, it starts anew."""

    @property
    def dropped(self) -> int:
        """Frames that nobody took in time, since the driver was made, as far as its library tells."""
        ...

    def open(self) -> None:
        """Start the sensor.

        Raises:
            SourceError: it cannot be opened, or what it needs is not installed.
        """
        ...

    def next(self, timeout: float, time_of: Callable[[int], int]) -> Bodies | None:
        """The bodies of the newest frame that was not taken yet, or None where none came in `timeout` seconds.

        Args:
            timeout: in seconds.
            time_of: tells the capture time from that on the sensor's own clock, wherever that begins, both in ns; to
                be asked as soon as a frame has come, before any work on it.

        Raises:
            SourceError: the sensor is lost.
        """
        ...

    def close(self) -> None:
        """Release the sensor; never raises, however often it is called."""
        ...


class KinectV2(Source):
    """A Kinect v2. A frame without people is a frame too (M = 0).

    Capture times are those of the sensor's clock, told in the time of day; so they are evenly spaced however late a
    frame is fetched.

    Args:
        name: the source's name.
        driver: of the sensor.
        make_clock: gives the clock of one life of the source.
    """

    live = True

    def __init__(self, name: str, driver: Kinect2Driver, make_clock: Callable[[], SensorClock] = SensorClock) -> None:
        self.name = name
        self._driver = driver
        self._make_clock = make_clock
        self._clock: SensorClock | None = None
        self._seq = 0
        self._newest: Bodies | None = None

    @property
    def dropped(self) -> int:
        return self._driver.dropped

    @property
    def stages(self) -> Mapping[str, float]:
        return {} if self._newest is None else self._newest.stages

    @property
    def fingerprint(self) -> int | None:
        return None if self._newest is None else self._newest.fingerprint

    @property
    def resolution(self) -> tuple[int, int] | None:
        return None if self._newest is None else self._newest.resolution

    def open(self) -> None:
        """Start the sensor.

        Raises:
            SourceError: it cannot be opened, or its library is not installed.
            PosewireError: the pose network or its libraries are missing, where joints are estimated.
        """
        self.close()
        self._driver.open()
        self._clock, self._seq = self._make_clock(), 0

    def read(self, timeout: float) -> SkeletonFrame:
        if self._clock is None:
            raise RuntimeError(f"source {self.name!r} is not open")
        bodies = self._driver.next(timeout, self._clock.time)
        if bodies is None:
            raise SourceTimeout
        self._newest = bodies
        seq, self._seq = self._seq, self._seq + 1
        return frame(self.name, seq, bodies.t, bodies.layout, bodies.joints, bodies.confidence, bodies.track_ids)

    def close(self) -> None:
        clock, self._clock, self._newest = self._clock, None, None
        if clock is not None:
            self._driver.close()


def kinect_v2_source(entry: KinectV2Source) -> KinectV2:
    """The source of a `kind = "kinect_v2"` block; no library is loaded and nothing opened before its `open`.

    Raises:
        SourceError: another sensor than the first is asked for, which neither library can open.
    """
    if entry.device != 0:
        raise SourceError(entry.name, f"device {entry.device}; expected 0: of several Kinects v2 only one can be read")
    # Imported late: the one needs Windows, the other what estimates joints from images.
    if sys.platform.startswith("win"):  # so spelled, mypy reads both branches on every system
        from stream.sources.kinect_v2_sdk import SdkDriver

        return KinectV2(entry.name, SdkDriver(entry.name))
    from stream.sources.kinect_v2_images import ImageDriver

    return KinectV2(entry.name, ImageDriver(entry))
