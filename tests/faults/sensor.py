"""A sensor whose driver does what a file says: a stand-in under the contract of `Kinect2Driver`.

`plugged_in` gives a PYTHONPATH with which the daemon's `kinect_v2` sources use it. As it starts, a program with that
path imports no more than it would have without: the driver is exchanged when it is asked for.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from camera_server import nobody_seen
from poses import person

from stream.errors import SourceError
from stream.sources.kinect_v2 import Bodies
from stream.types import NANOSECONDS

ORDER = "POSEWIRE_TEST_SENSOR"
"""Environment variable with the path of the file."""
PERIOD_S = 0.1
HOUR = 3600 * NANOSECONDS
CLOCKS = {"ahead": HOUR, "back": -HOUR, "future": 2**62, "negative": -(10**18)}
"""What is added to the sensor's clock, in ns, under these orders."""
EXCHANGE = """
from stream.sources import kinect_v2
from tests.faults.sensor import Sensor

kinect_v2.kinect_v2_source = lambda entry: kinect_v2.KinectV2(entry.name, Sensor(entry.name))
"""


def plugged_in(folder: Path) -> dict[str, str]:
    """The environment of a daemon with this sensor; no poses are estimated from the images of its cameras."""
    path = nobody_seen(folder / "stand-in")
    with (folder / "stand-in" / "sitecustomize.py").open("a") as file:
        file.write(EXCHANGE)
    (folder / "sensor").write_text("")
    return {"PYTHONPATH": path, ORDER: str(folder / "sensor")}


class Sensor:
    """See above; one person who stands before it and sways, ten times a second."""

    dropped = 0

    def __init__(self, name: str) -> None:
        self._name = name
        self._file = Path(os.environ[ORDER])
        self._number = 0
        self._next = 0.0

    def open(self) -> None:
        """Start it.

        Raises:
            SourceError: by order, it is not there.
        """
        if self._file.read_text() == "gone":
            raise SourceError(self._name, "no sensor; expected it plugged in")
        self._number, self._next = 0, time.monotonic()

    def close(self) -> None:
        self._next = 0.0

    def next(self, timeout: float, time_of: Callable[[int], int]) -> Bodies | None:
        """The next frame, whatever it is."""
        wait = self._next - time.monotonic()
        time.sleep(max(min(wait, timeout), 0.0))
        if wait > timeout:
            return None
        order = self._file.read_text()
        self._next = max(self._next + PERIOD_S, time.monotonic())
        self._number += 1
        sensor_ns = 7 if order == "still" else round(self._number * PERIOD_S * NANOSECONDS) + CLOCKS.get(order, 0)
        return self._misbehaved(order, time_of(sensor_ns))

    def _misbehaved(self, order: str, t: int) -> Bodies:
        if order == "gone":
            raise SourceError(self._name, "the sensor is lost; expected it to stay plugged in")
        if order == "raise":
            raise RuntimeError("internal error -7 of the sensor's library")
        if order == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        while order == "hang":
            time.sleep(60)
        pose = person(x=0.05 * np.sin(self._number), z=2.5)[None]
        seen, ids = np.ones(pose.shape[:2], np.float32), np.array([1], np.int64)
        if order == "nan":
            pose[:] = np.nan
        elif order == "huge":
            pose *= np.float32(1e30)
        elif order == "unseen":
            seen[:] = 0.0
        elif order == "unsure":
            seen[:] = np.nan
        elif order == "shape":
            pose, seen = pose[:, :24], seen[:, :24]
        elif order == "double":
            pose = pose.astype(np.float64)
        elif order == "layout":
            return Bodies(t, "martian", pose, seen, ids)
        elif order == "ids":
            ids = np.zeros(0, np.int64)
        elif order == "twins":
            pose, seen, ids = np.repeat(pose, 3, 0), np.repeat(seen, 3, 0), np.repeat(ids, 3)
        elif order == "crowd":
            pose = np.stack([person(x=0.7 * number) for number in range(1000)])
            seen, ids = np.ones(pose.shape[:2], np.float32), np.arange(1000, dtype=np.int64)
        return Bodies(t, "kinect_v2", pose, seen, ids)
