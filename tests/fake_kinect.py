"""Stand-ins for the libraries of Kinect v2: the calls that posewire makes of them, and the errors that they raise.

`SdkStandIn` is `kinect_next` 3.0.0 replaying recorded joints; `Freenect2StandIn` is `freenect2` 0.2.3 with a synthetic
room. Put them into `sys.modules` under those names.
"""

from __future__ import annotations

import enum
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

IMAGES_PERIOD_S = 0.1
"""Between two images, which are not copied as fast as the real sensor's come."""
WIDTH, HEIGHT = 1920, 1080


class KinectError(Exception):
    """As of kinect_next."""


class KinectTimeoutError(KinectError):
    """As of kinect_next."""


class SdkStandIn:
    """The module `kinect_next`.

    Args:
        path: a recorded Kinect v2 CSV: ticks, then x, y, z, state of 25 joints.
        people: so many copies, a metre apart.

    Attributes:
        missing: there is no SDK on this system.
        unplugged, silent: set it to lose the sensor, or to have it wait.
        first_id: id of the first of the people; the others' follow.
        opened, closed: how often.
    """

    first_id = 2**63 + 7  # more than an int64 holds
    KinectError, KinectTimeoutError = KinectError, KinectTimeoutError
    StreamType = SimpleNamespace(BODY=32)

    def __init__(self, path: Path, people: int = 1) -> None:
        rows = [np.array(line.rstrip(",").split(","), float) for line in path.read_text().splitlines() if line]
        self.ticks = [int(row[0]) for row in rows]
        self.joints = [row[1:].reshape(25, 4) for row in rows]
        self.period_s = (self.ticks[-1] - self.ticks[0]) / (len(rows) - 1) / 1e7
        self.people = people
        self.missing = self.unplugged = self.silent = False
        self.opened = self.closed = 0

    def KinectSensor(self, streams: int) -> _Sensor:  # the library's name
        if streams != self.StreamType.BODY:
            raise KinectError(f"streams {streams}")
        if self.missing:
            raise KinectError("Kinect20.dll could not be loaded. Make sure that the SDK is installed.\nDownload: ...")
        self.opened += 1
        return _Sensor(self)


class _Sensor:
    def __init__(self, library: SdkStandIn) -> None:
        self._library = library
        self._start = time.monotonic()
        self._taken = -1

    @property
    def is_available(self) -> bool:
        return not self._library.unplugged

    def wait_for_frames(self, timeout_ms: int) -> SimpleNamespace:
        library = self._library
        deadline = time.monotonic() + timeout_ms / 1000
        while library.unplugged or library.silent or self._newest() <= self._taken:
            if time.monotonic() >= deadline:
                raise KinectTimeoutError(f"Timed out waiting for a frame ({timeout_ms} ms).")
            time.sleep(0.001)
        self._taken = self._newest()
        row = self._taken % len(library.joints)
        # The sensor's clock goes on when the recording starts again.
        rounds = self._taken // len(library.joints) * (library.ticks[-1] - library.ticks[0] + 333_333)
        bodies = [_body(library.joints[row], i, library.first_id + i) for i in range(library.people)]
        return SimpleNamespace(tracked_bodies=bodies, relative_time_ns=(library.ticks[row] + rounds) * 100)

    def close(self) -> None:
        self._library.closed += 1

    def _newest(self) -> int:
        return int((time.monotonic() - self._start) / self._library.period_s)


def _body(rows: np.ndarray, number: int, tracking_id: int) -> SimpleNamespace:
    joints = [
        SimpleNamespace(position=SimpleNamespace(as_tuple=lambda x=x, y=y, z=z: (x + number, y, z)), tracking_state=s)
        for x, y, z, s in rows.tolist()
    ]
    return SimpleNamespace(joints=joints, tracking_id=tracking_id)


class FrameType(enum.Enum):
    """As of freenect2."""

    Color = 1
    Ir = 2
    Depth = 4


class FrameFormat(enum.Enum):
    """As of freenect2."""

    Float = 2
    BGRX = 4
    RGBX = 5


class _Image:
    def __init__(self, pixels: np.ndarray, kind: FrameFormat) -> None:
        self._pixels, self.format = pixels, kind

    def to_array(self) -> np.ndarray:
        return self._pixels


class Freenect2StandIn:
    """The module `freenect2`: a wall at 4 m, and on the left half of the (mirrored) images a board at 2 m.

    Attributes:
        missing: no sensor is plugged in.
        unplugged, silent: set it to lose the sensor, or to have it wait: images stop to come in both cases.
        opened, closed: how often.
        format: of the colour images.
    """

    FrameType, FrameFormat = FrameType, FrameFormat

    def __init__(self) -> None:
        self.missing = self.unplugged = self.silent = False
        self.opened = self.closed = 0
        self.format = FrameFormat.BGRX

    def Device(self) -> _Device:  # the library's name
        if self.missing:
            raise RuntimeError
        self.opened += 1
        return _Device(self)


class _Device:
    color_camera_params = SimpleNamespace(fx=1081.4, fy=1081.4, cx=959.5, cy=539.5)

    def __init__(self, library: Freenect2StandIn) -> None:
        self._library = library
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.registration = self

    def start(self, listener: Any) -> None:
        self._thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self._library.closed += 1

    def apply(self, colour: _Image, depth: _Image, *, with_big_depth: bool) -> tuple[None, None, _Image]:
        if not with_big_depth or (colour.to_array().shape, depth.to_array().shape) != ((HEIGHT, WIDTH, 4), (424, 512)):
            raise ValueError("expected a colour and a depth image, and with_big_depth")
        big = np.full((HEIGHT + 2, WIDTH), 4000.0, np.float32)
        big[:, : WIDTH // 2] = 2000.0
        big[[0, -1]] = np.inf
        big[100] = np.inf
        return None, None, _Image(big, FrameFormat.Float)

    def _run(self, listener: Any) -> None:
        number = 0
        while not self._stop.wait(IMAGES_PERIOD_S):
            if self._library.unplugged or self._library.silent:
                continue
            number += 1
            colour = np.full((HEIGHT, WIDTH, 4), 128, np.uint8)
            colour[..., 0] = number % 256  # the first channel, blue or red
            colour[:, : WIDTH // 2, 1] = 20
            listener(FrameType.Color, _Image(colour, self._library.format))
            listener(FrameType.Ir, _Image(np.zeros((424, 512), np.float32), FrameFormat.Float))
            listener(FrameType.Depth, _Image(np.full((424, 512), 2000, np.float32), FrameFormat.Float))
