"""A sensor's own clock, told in the time of day."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream.types import NANOSECONDS

_SLEW = 1e-4
"""How much faster than the sensor's clock the mapped one may run. Quartz drifts by up to 50 millionths."""


class SensorClock:
    """Maps a sensor's times to the time of day, for months.

    The time of day is asked for once; from then on the computer's monotonic clock counts, so that nothing jumps when
    the time of day is set. How long images take to arrive varies, upwards without bound: they wait in queues, the
    first ones for as long as a network takes to load. So the quickest image counts: one that took less time than those
    before is believed at once, one that took more moves its time too little to see, which is enough to follow the
    sensor's quartz where that is slow (it drifts by seconds a day).

    Args:
        monotonic, wall: clocks in ns; to be replaced in tests.

    Attributes:
        waited: seconds that the last image took longer to arrive than the quickest ones do.
    """

    def __init__(
        self, monotonic: Callable[[], int] = time.monotonic_ns, wall: Callable[[], int] = time.time_ns
    ) -> None:
        self._monotonic = monotonic
        self._start = wall() - monotonic()
        self._offset: int | None = None
        self._sensor = self._newest = 0
        self.waited = 0.0

    def time(self, sensor_ns: int) -> int:
        """Return the capture time in ns since 1970 of an image that has just arrived; never one before the last."""
        arrived = self._start + self._monotonic() - sensor_ns
        passed = sensor_ns - self._sensor
        if self._offset is None or passed < 0:
            self._offset = arrived  # the first image, or the sensor's clock started anew
        else:
            self._offset = min(arrived, self._offset + round(passed * _SLEW))
        self._sensor = sensor_ns
        self.waited = (arrived - self._offset) / NANOSECONDS
        self._newest = max(self._newest, sensor_ns + self._offset)
        return self._newest
