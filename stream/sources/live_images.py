"""The newest image of a camera: a webcam, or a network camera by its URL, through OpenCV."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import SourceError
from stream.secrets import redact
from stream.sources.base import SourceHung, SourceTimeout
from stream.sources.images import Image, UInt8Array, opencv
from stream.sources.reach import fault_of
from stream.types import NANOSECONDS

if TYPE_CHECKING:
    import cv2

OPEN_S = 5.0
READ_S = 3.0
"""FFmpeg's limits; OpenCV's own are 30 s each."""
MARGIN_S = 5.0
"""How much longer than `OPEN_S` a camera may take: looking up a name has no limit of its own."""
CLOSE_S = 0.5
"""How long `close` waits for a driver that is still reading."""
HUNG_S = 40.0
"""A driver that still has not returned this long after that hangs; looking up a name in vain may take half of it."""
_MJPEG = int.from_bytes(b"MJPG", "little")


class LiveImages:
    """The newest image of a camera; those that came before it and that nobody took are dropped and counted.

    A thread reads all the time, so an image is never older than the moment it is taken, and no `read` waits longer than
    its timeout. Capture times are those of the images' arrival, by the monotonic clock, mapped to wall time at `open`;
    what the stream claims of times and rates is ignored. Images may change their size. (Those of FFmpeg's other
    streams than MJPEG keep their first size in OpenCV, issue 27116: where a stream's images grow they are frozen, see
    `Reconnecting`; where they shrink, the rest of the image stays as it was until the camera is opened again.)

    A driver may hang in a read for ever. `close` then leaves the thread behind; it ends with the process, which is
    killable. `open` does not start a second one beside it.

    Args:
        where: the camera, for errors; without credentials.
        address: gives the number of the webcam or the URL with its credentials; asked at each `open`.
    """

    def __init__(self, where: str, address: Callable[[], int | str]) -> None:
        self.where, self._address = where, address
        self._thread: _Grabber | None = None
        self._left: _Grabber | None = None
        self._drops = _Drops()
        self._wall = 0

    @property
    def dropped(self) -> int:
        """Images that nobody took, or that were damaged, since this object was made."""
        return self._drops.count

    def open(self) -> None:
        """Connect to the camera.

        Raises:
            SourceError: it does not answer, refuses, or is not there.
            PosewireError: OpenCV is not installed.
            SourceHung: its driver has not yet returned from a read before the last `close`.
        """
        self.close()
        module = opencv()
        if self._left is not None:
            self._left.join(HUNG_S)
            if self._left.is_alive():
                raise SourceHung(self.where, "the driver does not return; expected a new process")
            self._left = None
        self._wall = time.time_ns() - time.monotonic_ns()
        self._thread = _Grabber(module, self._address(), self._drops)
        self._thread.start()
        if not self._thread.wait_open(OPEN_S + MARGIN_S):
            failure = self._thread.failure or f"does not answer within {OPEN_S + MARGIN_S:g} s"
            self.close()
            raise SourceError(self.where, f"{failure}; expected a camera that can be reached")

    def read(self, timeout: float) -> Image:
        """Return the newest image that was not taken yet.

        Raises:
            SourceTimeout: none came in time.
            SourceError: the camera gives no more.
        """
        if self._thread is None:
            raise RuntimeError(f"{self.where} is not open")
        deadline = time.monotonic() + timeout
        while True:
            taken = self._thread.take(deadline - time.monotonic())
            if taken is None:
                if self._thread.failure:
                    raise SourceError(self.where, f"{self._thread.failure}; expected a stream of images")
                raise SourceTimeout
            arrived, pixels = taken
            waited = (time.monotonic_ns() - arrived) / NANOSECONDS
            image = pixels if pixels.ndim == 3 else _unpacked(opencv(), pixels)
            if image is not None:
                return Image(self._wall + arrived, image, waited)
            self._drops.add()

    def close(self) -> None:
        """Let go of the camera; a driver that is in a read lets go of it when it returns."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stopping = True
            thread.join(CLOSE_S)
            self._left = thread if thread.is_alive() else None


class _Drops:
    """Counts images; never falls, whichever threads count and look."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.count += 1


class _Grabber(threading.Thread):
    """The one thread that touches the capture: opens it, reads it, releases it.

    Attributes:
        stopping: set to end the thread at the next image.
        failure: why it ended by itself; "" until then.
    """

    def __init__(self, module: ModuleType, address: int | str, drops: _Drops) -> None:
        super().__init__(name="camera", daemon=True)
        self.stopping = False
        self.failure = ""
        self._module, self._address, self._drops = module, address, drops
        self._changed = threading.Condition()
        self._opened = False
        self._newest: tuple[int, UInt8Array] | None = None

    def run(self) -> None:
        failure = "OpenCV failed"
        try:
            capture = self._capture()
            try:
                failure = self._grab(capture) if capture.isOpened() else self._refused()
            finally:
                capture.release()
        except self._module.error as error:
            failure = redact(f"OpenCV: {error.err}")
        finally:
            with self._changed:
                self.failure = failure
                self._changed.notify_all()

    def wait_open(self, timeout: float) -> bool:
        """Whether the camera could be opened within some seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._opened or self.failure, timeout)
            return self._opened

    def take(self, timeout: float) -> tuple[int, UInt8Array] | None:
        """The newest image and its monotonic time of arrival in ns; None where none came in time or ever will."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self.failure, max(timeout, 0.0))
            newest, self._newest = self._newest, None
            return newest

    def _refused(self) -> str:
        fault = fault_of(self._address)
        self._address = ""
        return redact(f"cannot be opened: {fault}" if fault else "cannot be opened")

    def _capture(self) -> cv2.VideoCapture:
        module = self._module
        if isinstance(self._address, int):
            capture: cv2.VideoCapture = module.VideoCapture(
                self._address, module.CAP_V4L2 if sys.platform == "linux" else module.CAP_ANY
            )
            capture.set(module.CAP_PROP_BUFFERSIZE, 1)
            return capture
        limits = [module.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_S * 1000)]
        limits += [module.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_S * 1000)]
        stream: cv2.VideoCapture = module.VideoCapture(self._address, module.CAP_FFMPEG, limits)
        if stream.isOpened() and int(stream.get(module.CAP_PROP_FOURCC)) == _MJPEG:
            # Not decoded: only images that are taken need be, and OpenCV's own decoding keeps the first image's size.
            stream.set(module.CAP_PROP_FORMAT, -1)
        return stream

    def _grab(self, capture: cv2.VideoCapture) -> str:
        self._address = ""  # it holds the password
        with self._changed:
            self._opened = True
            self._changed.notify_all()
        while not self.stopping:
            grabbed = capture.grab()
            arrived = time.monotonic_ns()
            ok, image = capture.retrieve() if grabbed else (False, None)
            if not ok:
                return "the stream ended or stopped"
            with self._changed:
                if self._newest is not None:
                    self._drops.add()
                self._newest = arrived, np.asarray(image, np.uint8)
                self._changed.notify_all()
        return "closed"


def _unpacked(module: ModuleType, packet: UInt8Array) -> UInt8Array | None:
    """Decode a JPEG of shape (1, bytes); None where it is damaged."""
    try:
        image = module.imdecode(packet, module.IMREAD_COLOR)
    except module.error:
        return None
    return None if image is None else np.asarray(image, np.uint8)
